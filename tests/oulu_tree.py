"""Trees that mimic the released Oulu-CASIA: its names, its unequal sequences and what else lies in it."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from nferbench.contract.dataset import EXPRESSIONS
from nferbench.datasets.oulu_casia import FRAMES, OuluCasia

NAMES = [name.capitalize() for name in EXPRESSIONS]
TAKES = [f"P{subject:03d}/{name}" for subject in range(1, 81) for name in NAMES]


def released() -> dict[str, tuple[int, int]]:
    """Lengths (VL, NI) of 480 sequences with the published statistics: totals, how often they differ, extremes."""
    # How often NI minus VL is what; the sum is 0.
    often = {0: 76, 1: 60, -1: 59, 2: 50, -2: 51, 4: 39, -4: 66, 7: 1, -7: 31, 8: 45, 9: 1, -50: 1}
    gaps = [gap for gap, count in often.items() for _ in range(count)]
    nir = [21] * 480
    nir[0], nir[1], nir[478], nir[479] = 9, 46, 24, 22
    for row in range(136, 136 + (FRAMES - sum(nir)) // 6):
        nir[row] += 6
    lengths = {take: (n - gap, n) for take, n, gap in zip(TAKES, nir, gaps, strict=True)}
    lengths["P007/Anger"], lengths["P080/Surprise"] = lengths["P080/Surprise"], lengths["P007/Anger"]
    return lengths


def build(root: Path, lengths: Mapping[str, tuple[int, int]], light: str = "Strong", suffix: str = "") -> Path:
    """Empty files NNN.jpeg for each sequence, as links to one: nothing here decodes, and links are made quickly."""
    root.mkdir(parents=True, exist_ok=True)
    (empty := root / ".empty").touch()
    for take, counts in lengths.items():
        for folder, count in zip(("VL", "NI"), counts, strict=True):
            place = root / (folder + suffix) / light / take
            place.mkdir(parents=True)
            for number in range(count):
                os.link(empty, f"{place}/{number:03d}.jpeg")
    return root


def whole_copy(root: Path) -> Path:
    """A whole copy in strong light, as deep as archives unpack, with as much clutter as a public file list has."""
    base = build(root / "B_OriginalImg" / "B_OriginalImg" / "OriginalImg", released())
    for folder, clutter in (("NI", 47), ("VL", 7)):
        for place in sorted((base / folder / "Strong").glob("*/*"))[:clutter]:
            (place / "Thumbs.db").write_bytes(b"x")
    return root


def small(root: Path) -> Path:
    return build(root, {f"{subject}/{name}": (4, 5) for subject in ("P001", "P002") for name in NAMES})


def texts(root: Path, dataset: OuluCasia, serious: bool = False) -> list[str]:
    """What `dataset` finds in the copy below a root; only what is serious if asked for."""
    findings = dataset.findings(dataset.listing(root), root)
    return [finding.text for finding in findings if finding.serious or not serious]
