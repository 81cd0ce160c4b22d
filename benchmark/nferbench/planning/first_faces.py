"""A run cut down to what a diagnosis needs: one fold's networks, and translations of its first test faces."""

from __future__ import annotations

from dataclasses import replace

from nferbench.contract.errors import UsageError
from nferbench.planning.plan import FoldStages, Work
from nferbench.workspace.stages import Stage, Translate


def first_faces(work: Work, fold: int, count: int) -> Work:
    """The rows of a run whose methods sample in steps, each with its translation of the first test faces alone.

    Trainings are those of the run itself, so neither does them twice.

    Args:
        work: the run.
        fold: whose networks and test faces are taken; one of the run's.
        count: of faces.

    Raises:
        UsageError: no row is of the group "diffusion".
    """
    rows = tuple(
        replace(row, folds=(FoldStages(fold, replace(stage, first=count), None, ()),))
        for row in work.rows
        if row.group == "diffusion" and (stage := _translation(row.folds, fold)) is not None
    )
    if not rows:
        names = ", ".join(row.name for row in work.rows if row.group != "reference")
        raise UsageError(
            f"nothing to diagnose: {names}: a face is not moved step by step there; "
            "name methods of the group diffusion (nferbench methods lists all)"
        )
    stages: dict[Stage, None] = {}
    translations = [each for row in rows for cell in row.folds if isinstance(each := cell.translation, Translate)]
    for translation in translations:
        stages |= dict.fromkeys([translation.source, *translation.networks, translation])
    networks = [network for translation in translations for network in translation.networks]
    return replace(
        work,
        rows=rows,
        stages=tuple(stages),
        trainings=len(set(networks)),
        trainings_unshared=len(networks),
    )


def _translation(cells: tuple[FoldStages, ...], fold: int) -> Translate | None:
    found = (cell.translation for cell in cells if cell.fold == fold)
    return next((stage for stage in found if isinstance(stage, Translate)), None)
