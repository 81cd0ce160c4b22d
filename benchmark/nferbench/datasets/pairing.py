"""Pairs of one VIS and one NIR face: what contradicts itself, and what lacks its partner."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable

from nferbench.contract.dataset import Dropped, Face


def by_pair(faces: Iterable[Face]) -> dict[str, list[Face]]:
    """The faces of each pair, by pair name; faces without a pair name are left out."""
    groups: dict[str, list[Face]] = defaultdict(list)
    for face in faces:
        if face.pair:
            groups[face.pair].append(face)
    return dict(groups)


def is_paired(faces: Iterable[Face]) -> bool:
    """Whether the faces are of both modalities; in a set of one modality no face can have a partner."""
    return len({face.modality for face in faces}) == 2


def contradictions(faces: Iterable[Face], where: Callable[[Face], str] = lambda face: face.id) -> list[str]:
    """One line for each pair with two images of one modality, or whose faces differ in subject or expression.

    Args:
        faces: in any order.
        where: how a line names a face, for example by the line of a manifest.
    """
    lines = []
    for pair, group in by_pair(faces).items():
        first = group[0]
        seen = {first.modality: first}
        for face in group[1:]:
            if face.modality in seen:
                earlier = where(seen[face.modality])
                lines.append(f"{where(face)}: pair {pair!r} already has a {face.modality} image ({earlier})")
                continue
            seen[face.modality] = face
            lines += [
                f"{where(face)}: pair {pair!r} has {what} {mine!r} here and {other!r} there ({where(first)})"
                for what, mine, other in (
                    ("subject", face.subject, first.subject),
                    ("expression", face.expression, first.expression),
                )
                if mine != other
            ]
    return lines


def partnered(faces: Iterable[Face]) -> tuple[list[Face], list[Dropped]]:
    """Separate the faces that have what their pair promises from those whose partner is missing.

    Faces without a pair name promise nothing and are kept. Call it for paired data only (`is_paired`).
    """
    faces = list(faces)
    modalities = {pair: {face.modality for face in group} for pair, group in by_pair(faces).items()}
    kept, dropped = [], []
    for face in faces:
        if face.pair and len(modalities[face.pair]) < 2:
            other = "nir" if face.modality == "vis" else "vis"
            dropped.append(Dropped(face.id, f"no {other} partner"))
        else:
            kept.append(face)
    return kept, dropped
