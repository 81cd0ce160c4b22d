"""Studies: one method with many values of one of its fields, one entry of a preset and as many rows."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from nferbench.contract.errors import UsageError
from nferbench.contract.printable import Plain, one_line, plain
from nferbench.contract.translator import Translator
from nferbench.contract.values import describe, digest, flatten
from nferbench.planning.reach import leaves, paths, reaches

STUDIES = "studies"  # the section of a preset
_DUE = {"use", "vary", "values"}
_ALLOWED = {*_DUE, "set", "name"}
_ROOT = "method"  # from where paths of fields go
_LEGAL = re.compile(r"[A-Za-z0-9._+-]+")  # of which names of rows are made


@dataclass(frozen=True)
class Study:
    """An entry of a preset."""

    name: str
    use: str  # name of a method
    vary: str  # a field of it, dotted where values hold values
    values: tuple[Plain, ...]  # as written, one or more
    held: Mapping[str, Any]  # what is set of it besides, as in a row


@dataclass(frozen=True)
class Varied:
    """Which place in which study a row has."""

    name: str  # of the study
    method: str
    field: str
    value: Plain
    default: Plain  # what the method itself has there in this run
    held: tuple[str, ...]  # what the study sets besides, in words


def read_study(entry: object) -> Study:
    """An entry as a value.

    Raises:
        UsageError: other words than those of an entry, no values, or values that are none of text, number, true, false
            and null.
    """
    if not isinstance(entry, Mapping) or not _DUE <= set(entry) <= _ALLOWED:
        raise UsageError(
            f"{STUDIES}: an entry is {{use: METHOD, vary: FIELD, values: [VALUE, …]}}, with name: NAME and "
            f"set: {{field: value}} as needed, not {entry}"
        )
    name = study_name(entry)
    values, held = entry["values"], entry.get("set") or {}
    if not isinstance(values, list) or not values:
        raise UsageError(f"{STUDIES}.{name}: values is {values!r}; a list of at least one value is due")
    for value in values:
        if not isinstance(value, Plain):
            raise UsageError(
                f"{STUDIES}.{name}: {value!r} is no value of a study; a number, text, true, false or null is due"
            )
    if not isinstance(held, Mapping):
        raise UsageError(f"{STUDIES}.{name}: set is {held!r}; fields and values are due: {{field: value}}")
    vary = str(entry["vary"])
    if reaches(f"{_ROOT}.{vary}", list(paths(held, _ROOT))):
        raise UsageError(f"{STUDIES}.{name}: {vary} is varied and set too; leave it out of set")
    return Study(name, str(entry["use"]), vary, tuple(values), held)


def study_name(entry: Mapping[str, Any]) -> str:
    """What an entry is called: its name, or the method's and the field's."""
    return str(entry.get("name") or f"{entry.get('use')}-{entry.get('vary')}")


def row_name(study: str, value: Plain) -> str:
    """The name of a study's row.

    Text that is not made of the letters of names is written with those that are, and eight digits of its hash.

    >>> row_name("s-lambda_f", 0.5), row_name("s-steps", None), row_name("s-init", "a b/c.pt")
    ('s-lambda_f-0.5', 's-steps-null', 's-init-a-b-c.pt-38f97b5a')
    """
    text = plain(value)
    if not _LEGAL.fullmatch(text):
        readable = re.sub(r"[^A-Za-z0-9._+]+", "-", text).strip("-")[:24]
        text = f"{readable}-{hashlib.sha256(text.encode()).hexdigest()[:8]}".lstrip("-")
    return f"{study}-{text}"


def value_at(method: Translator, field: str) -> Plain:
    """What a method has in a field; what is no plain value is described."""
    found: Any = method
    for name in field.split("."):
        found = getattr(found, name)
    return found if isinstance(found, Plain) else one_line(str(found))


def placed(study: Study, row: Translator, method: Translator) -> Varied:
    """The place of a row in its study.

    Args:
        study: the entry.
        row: the method with one of the values.
        method: the method itself.

    Raises:
        UsageError: the field is one that results are not known by.
    """
    if f"{_ROOT}.{study.vary}" not in leaves(row, _ROOT, labels=False):
        raise UsageError(f"{STUDIES}.{study.name}: {study.vary} names or places something; vary another field")
    return Varied(
        study.name,
        study.use,
        study.vary,
        value_at(row, study.vary),
        value_at(method, study.vary),
        held(study.held),
    )


def held(fields: Mapping[str, Any]) -> tuple[str, ...]:
    """What a row sets of its method, in words: one line a field.

    >>> held({"lambda_h": 0.0, "score": {"like": "sdedit.score"}})
    ('lambda_h = 0', 'score.like = sdedit.score')
    """
    return tuple(one_line(f"{path} = {_shown(value)}") for path, value in flatten(fields))


def rest(translator: Translator, field: str) -> str:
    """What stands for all of a translator but one field: rows of one curve have it in common."""
    return digest([leaf for leaf in flatten(describe(translator)) if leaf[0] != field])


def _shown(value: object) -> str:
    return plain(value) if isinstance(value, Plain) else str(value)
