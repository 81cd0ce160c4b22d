"""The leak guard of a run: looks at its prepared faces once and remembers what it found."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from nferbench.contract.errors import DataError
from nferbench.contract.values import digest
from nferbench.faces.leaks import RULE, find_leaks
from nferbench.faces.prepared import read_prepared
from nferbench.planning.plan import Work
from nferbench.workspace.files import read_cache, write_cache
from nferbench.workspace.stages import key
from nferbench.workspace.store import Store

SHOWN = 10  # leaks that an error names


def leaks_of(work: Work, roots: Mapping[str, Path], store: Store) -> tuple[str, ...] | None:
    """The leaks of a run, one line each; None while its faces are not prepared.

    The answer is kept in the workspace under the faces and the splits that it was given for.
    """
    path = store.workspace / "cache" / "leaks.json"
    same_people = _one_collection(work, roots)
    question = digest([RULE, key(work.faces), key(work.extra) if work.extra else None, work.splits, same_people])
    known = _read(path)
    if question not in known:
        wanted = [stage for stage in (work.faces, work.extra) if stage is not None]
        try:
            if any(store.find(stage) is None for stage in wanted):
                return None
        except DataError:  # damaged: it will be prepared again, and looked at then
            return None
        faces, *extra = (read_prepared(store.path(stage)) for stage in wanted)
        tests = [cell.recognition[0].fold.test for cell in work.rows[0].folds if cell.recognition]
        found = find_leaks(faces, tests, extra[0] if extra else None, same_people=same_people)
        known[question] = [str(leak) for leak in found]
        write_cache(path, known)
    return tuple(known[question])


def refuse(leaks: tuple[str, ...]) -> None:
    """Stop a run that has leaks.

    Raises:
        DataError: there are some; the message names the first ones and says what to do.
    """
    if leaks:
        more = [f"and {len(leaks) - SHOWN} more"] if len(leaks) > SHOWN else []
        raise DataError(
            "\n".join(
                [
                    f"{len(leaks)} leak{'s' * (len(leaks) > 1)} between tested and fitted faces; name these people "
                    "alike, take the faces out, or go on with --allow-leaks, which every table will say",
                    *leaks[:SHOWN],
                    *more,
                ]
            )
        )


def stamp(leaks: tuple[str, ...] | None) -> tuple[str, ...]:
    """The footnote of every row of a run that went on in spite of leaks."""
    return (f"{len(leaks)} known leaks between tested and fitted faces (--allow-leaks)",) if leaks else ()


def _one_collection(work: Work, roots: Mapping[str, Path]) -> bool:
    """Whether both sets lie under one root, so that one name means one person."""
    if work.extra is None:
        return False
    bases = [stage.dataset.base(roots.get(key(stage))) for stage in (work.faces, work.extra)]
    return bases[0] is not None and bases[1] is not None and bases[0].resolve() == bases[1].resolve()


def _read(path: Path) -> dict[str, list[str]]:
    """Earlier answers; what does not have their form is asked anew."""
    return {
        question: answer
        for question, answer in read_cache(path).items()
        if isinstance(answer, list) and all(isinstance(line, str) for line in answer)
    }
