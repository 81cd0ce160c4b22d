"""The rows of a table as frozen values: methods, variants of a preset, and what studies make of one method."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from difflib import get_close_matches
from typing import Any, Literal

from nferbench.contract.errors import NferbenchError, PluginError, UsageError
from nferbench.contract.printable import one_line, plain
from nferbench.contract.translator import Translator
from nferbench.contract.values import LIKE, replaced
from nferbench.planning.alike import value_at
from nferbench.planning.checks import check_name, check_text, check_translator, check_value
from nferbench.planning.initial import with_digests
from nferbench.planning.plugins import METHOD_WORDS, Table
from nferbench.planning.problems import attempt
from nferbench.planning.reach import leaves, paths, reaches
from nferbench.planning.studies import STUDIES, Study, Varied, placed, read_study, row_name

TableName = Literal["comparison", "ablation", "study"]
# What else --methods understands.
GROUPS: dict[str, TableName] = {"ablation": "ablation", "variants": "comparison", "studies": "study"}


@dataclass(frozen=True)
class Row:
    """One row of a table: a translator under a name."""

    name: str
    title: str
    translator: Translator
    tables: tuple[TableName, ...]
    made_of: tuple[str, ...] = ()  # fields of methods, by their paths (see `reach`)
    varied: Varied | None = None  # its place in a study; None for a row of none


def rows_of(
    names: Sequence[str],
    content: Mapping[str, Any],
    translators: Mapping[str, Translator],
    table: Table[Translator],
    problems: list[str],
) -> tuple[Row, ...]:
    variants: dict[str, Row] = {}
    kinds: tuple[tuple[str, TableName], ...] = (("ablation", "ablation"), ("rows", "comparison"))
    for section, kind in kinds:
        for entry in content.get(section, []):
            row = attempt(problems, _variant, entry, kind, section, translators, table)
            if row:
                variants[row.name] = row
    studies = _studies(content.get(STUDIES, []), {*table, *variants}, translators, table, problems)
    variants |= {row.name: row for rows in studies.values() for row in rows}
    chosen: dict[str, Row] = {}
    for name in names:
        if name == "all":
            found = [_row(each, method) for each, method in translators.items()]
        elif name in GROUPS:
            found = [row for row in variants.values() if row.tables == (GROUPS[name],)]
            if not found:
                problems.append(f"this preset has no {name}; name methods instead (nferbench methods lists all)")
        elif name in studies:
            found = [*studies[name]]
        elif name in variants:
            found = [variants[name]]
        elif name in translators:
            found = [_row(name, translators[name])]
        else:
            known = [*table, *variants, *studies, "all", *GROUPS]
            near = get_close_matches(name, known, n=1, cutoff=0.5)
            attempt(problems, table.__getitem__, name)
            if near and near[0] not in table.items:
                problems[-1] = f"unknown method '{name}'; did you mean '{near[0]}'? (nferbench methods lists all)"
            continue
        for row in found:
            chosen.setdefault(row.name, row)
    for name, row in chosen.items():
        translator = attempt(problems, with_digests, row.translator) or row.translator
        chosen[name] = replace(row, translator=translator)
        attempt(problems, _check_row, chosen[name])
    if not names:
        problems.append("no methods named; --methods takes names, 'all', 'ablation', 'variants' or 'studies'")
    return tuple(chosen.values())


def _row(name: str, method: Translator) -> Row:
    return Row(name, method.title, method, ("comparison",), tuple(leaves(method, f"methods.{name}")))


def _check_row(row: Row) -> None:
    """Hold a row to what is asked of methods when they register: settings may have changed all of it.

    Raises:
        UsageError: what is wrong, or what the method raised.
    """
    try:
        check_name(row.name, METHOD_WORDS)
        check_text("the title", row.title)
        check_value("it", row.translator)
        check_translator(row.translator)
    except NferbenchError as error:
        raise UsageError(f"method {one_line(row.name)}: {error}") from None
    except Exception as error:  # whatever a plugin raises
        reason = one_line(f"{type(error).__name__}: {error}")
        raise UsageError(f"method {row.name} says nothing of its networks or stamps: {reason}") from None


def _variant(
    entry: object, kind: TableName, section: str, translators: Mapping[str, Translator], table: Table[Translator]
) -> Row:
    if not isinstance(entry, Mapping) or not {"use", "name"} <= set(entry) <= {"use", "name", "title", "set"}:
        raise UsageError(
            f"{section}: an entry is {{use: METHOD, name: NAME, title: TEXT, set: {{field: value}}}}, not {entry}"
        )
    base = translators.get(entry["use"]) or table[entry["use"]]
    name, title = str(entry["name"]), str(entry.get("title", entry["name"]))
    where = f"{section}.{name}"
    fields = {field: _alike(value, where, translators) for field, value in (entry.get("set") or {}).items()}
    changed = replaced(base, {**fields, "name": name, "title": title}, where)
    given, method = entry.get("set") or {}, f"methods.{entry['use']}"
    own = list(paths({**given, "name": name, "title": title}, method))
    taken = [path for path in leaves(base, method) if not reaches(path, own)]
    taken += [f"methods.{value[LIKE]}" for value in given.values() if _is_like(value)]
    return Row(name, title, changed, (kind,), tuple(taken))


def _studies(
    entries: Sequence[object],
    taken: Collection[str],
    translators: Mapping[str, Translator],
    table: Table[Translator],
    problems: list[str],
) -> dict[str, tuple[Row, ...]]:
    """The rows of all studies by the name of the study; a name means one thing, also among `taken` ones."""
    studies: dict[str, tuple[Row, ...]] = {}
    for entry in entries:
        study = attempt(problems, read_study, entry)
        rows = attempt(problems, _study, study, translators, table) if study else None
        if study is None or rows is None:
            continue
        others = {*taken, *studies, *(row.name for each in studies.values() for row in each)}
        names = [study.name, *(row.name for row in rows)]
        if clash := [name for i, name in enumerate(names) if name in others or name in names[:i]]:
            problems.append(
                f"{STUDIES}.{study.name}: '{clash[0]}' is the name of something else too; name it otherwise"
            )
            continue
        studies[study.name] = rows
    return studies


def _study(study: Study, translators: Mapping[str, Translator], table: Table[Translator]) -> tuple[Row, ...]:
    """A row for each value of a study.

    Raises:
        UsageError: a method or a field that there is not, a name that cannot be, a value that the field does not take
            or that stands there twice.
    """
    where = f"{STUDIES}.{study.name}"
    try:
        check_name(study.name, METHOD_WORDS)
    except PluginError as error:
        raise UsageError(f"{where}: {error}") from None
    base = translators.get(study.use) or table[study.use]
    fields = {field: _alike(value, where, translators) for field, value in study.held.items()}
    rows: list[Row] = []
    for given in study.values:
        try:
            changed = replaced(base, {**fields, study.vary: given}, where)
            check_value("it", changed)
        except NferbenchError as error:  # the method's own checks know nothing of the study
            told = str(error)
            raise UsageError(told if told.startswith(where) else f"{where}, {plain(given)}: {told}") from None
        if changed in [row.translator for row in rows]:
            raise UsageError(f"{where}: values has {plain(given)} twice; each value is one row")
        varied = placed(study, changed, base)
        entry = {
            "use": study.use,
            "name": row_name(study.name, varied.value),
            "title": f"{base.title}, {study.vary} = {plain(varied.value)}",
            "set": {**study.held, study.vary: varied.value},
        }
        rows.append(replace(_variant(entry, "study", STUDIES, translators, table), varied=varied))
    return tuple(rows)


def _alike(value: Any, where: str, translators: Mapping[str, Translator]) -> Any:
    """What {like: METHOD.FIELD} stands for; any other value as it is."""
    if not _is_like(value):
        return value
    try:
        return value_at(str(value[LIKE]), translators)
    except UsageError as error:
        raise UsageError(f"{where}: {error}") from None


def _is_like(value: object) -> bool:
    return isinstance(value, Mapping) and set(value) == {LIKE}
