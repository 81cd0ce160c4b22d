"""Results that are to be made anew although they are there: by wish, or because code has changed."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace

from nferbench.contract.errors import unknown
from nferbench.planning.code import has_changed
from nferbench.planning.plan import Work
from nferbench.planning.status import Status
from nferbench.workspace.stages import Stage, Translate, Translation


def again(work: Work, states: Sequence[Status], names: Collection[str]) -> list[Status]:
    """The same states, but with what is named, and all that needs it, to be done again.

    Args:
        work: the run.
        states: of its stages, in order.
        names: of rows, of the recogniser, of metrics or of data sets.

    Raises:
        UsageError: a name that is none of these.
    """
    known = _named(work)
    for name in names:
        if name not in known:
            raise unknown("row, recogniser, metric or data set of this run", name, known, "nferbench plan")
    wanted = {stage for name in names for stage in known[name]}
    for state in states:  # each follows what it needs
        if any(need in wanted for need in state.stage.needs()):
            wanted.add(state.stage)
    reason = f"again (--again {','.join(names)})"
    return [
        replace(state, state="again", reason=reason) if state.state == "done" and state.stage in wanted else state
        for state in states
    ]


def changed_code(work: Work, states: Sequence[Status]) -> list[str]:
    """One line for each name whose code has changed since results of it that count as done were made."""
    entries = {state.stage: state.entry for state in states if state.state == "done"}
    changed = {
        stage
        for stage, entry in entries.items()
        if entry is not None and has_changed(stage, entry.info.get("made_with", {}).get("code"))
    }
    counts = {name: len(changed.intersection(stages)) for name, stages in _named(work).items()}
    return [
        f"the code of {name} has changed since {count} of its results were made; if it computes something else now, "
        f"raise its version, or do them again: --again {name}"
        for name, count in counts.items()
        if count
    ]


def _named(work: Work) -> Mapping[str, Collection[Stage]]:
    """The stages that the code behind a name decides."""
    named: dict[str, set[Stage]] = {}
    for faces in (work.faces, work.extra):
        if faces is not None:
            named.setdefault(faces.dataset.name, set()).add(faces)
    for row in work.rows:
        for cell in row.folds:
            for recognition in cell.recognition:
                named.setdefault(recognition.fer.name, set()).add(recognition)
                if isinstance(recognition.extra, Translation):
                    named.setdefault(row.name, set()).add(recognition.extra)
            if cell.translation is not None:
                networks = cell.translation.networks if isinstance(cell.translation, Translate) else ()
                named.setdefault(row.name, set()).update((cell.translation, *networks))
            for measure in cell.measures:
                named.setdefault(measure.metric.name, set()).add(measure)
    return named
