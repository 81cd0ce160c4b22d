"""Comparing the images of two folders, without a data set."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import final

import numpy as np
import torch

from nferbench.contract import pixels
from nferbench.contract.errors import DataError
from nferbench.contract.printable import first_of, one_line
from nferbench.datasets.given import READ, eight_bits, image_files, read_given
from nferbench.engine.scoring import pixel_scores
from nferbench.metrics.perceptual import load_lpips, lpips_identity
from nferbench.planning.matching import alike


@final
@dataclass(frozen=True)
class Compared:
    """How near the images of one folder come to those of another."""

    scores: Mapping[
        str, Mapping[str, float]
    ]  # by name: psnr, ssim, psnr_paper, ssim_paper, and lpips where there is one
    lpips: str  # identity of the LPIPS weights, or why there is none

    def means(self) -> dict[str, float]:
        """The mean of each score."""
        names = next(iter(self.scores.values()))
        return {name: float(np.mean([each[name] for each in self.scores.values()])) for name in names}


def compare(preds: Path, target: Path, device: str, progress: Callable[[int, int], None]) -> Compared:
    """Score the images of a folder against those of another one that have the same paths, but for their endings.

    Images are compared as they are, in 8 bits and in colour.

    Args:
        preds: the folder whose images are scored.
        target: the folder of the true ones.
        device: of torch, for LPIPS.
        progress: told how many images are done, of how many.

    Raises:
        UsageError: a folder that there is not.
        DataError: images without a partner, several of one name, sizes that differ, images that cannot be read.
    """
    pairs = _pairs(preds, target)
    sizes = _sizes(pairs)
    identity = lpips_identity(min(min(size) for size in sizes.values()))
    lpips = load_lpips(device) if identity.startswith("lpips") else None
    scores: dict[str, dict[str, float]] = {}
    for done, (name, files) in enumerate(pairs.items()):
        progress(done, len(pairs))
        one, other = (pixels.to_float(torch.from_numpy(eight_bits(read_given(file)))[None]) for file in files)
        (found,) = pixel_scores(one, other)
        distance = {"lpips": float(lpips(one.to(device), other.to(device))[0])} if lpips else {}
        scores[name] = {**distance, **found}
    progress(len(pairs), len(pairs))
    return Compared(scores, identity)


def _pairs(preds: Path, target: Path) -> dict[str, tuple[Path, Path]]:
    """The two files of each name, by names in order."""
    named = {folder: alike(image_files(folder)) for folder in (preds, target)}
    for folder, names in named.items():
        if not names:
            raise DataError(f"{one_line(str(folder))}: no images; {READ}")
        if several := [" and ".join(files) for files in names.values() if len(files) > 1]:
            raise DataError(f"{one_line(str(folder))}: {first_of(several)} have one name; one image a name is due")
    for folder, other in ((preds, target), (target, preds)):
        if alone := [files[0] for name, files in named[folder].items() if name not in named[other]]:
            raise DataError(
                f"{len(alone)} of {len(named[folder])} images of {one_line(str(folder))} have no partner in "
                f"{one_line(str(other))}: {first_of(alone)}; partners have one path, but for the ending"
            )
    return {name: (preds / files[0], target / named[target][name][0]) for name, files in sorted(named[preds].items())}


def _sizes(pairs: Mapping[str, tuple[Path, Path]]) -> dict[str, tuple[int, int]]:
    """Height and width of the images of each name."""
    sizes: dict[str, tuple[int, int]] = {}
    faults: list[str] = []
    apart: list[str] = []
    for name, files in pairs.items():
        try:
            (height, width), other = (read_given(file).shape[:2] for file in files)
        except DataError as error:
            faults.append(str(error))
            continue
        sizes[name] = height, width
        if (height, width) != other:
            apart.append(f"{name} ({width} x {height} and {other[1]} x {other[0]} pixels)")
    if faults:
        raise DataError(f"{len(faults)} of {len(pairs)} pairs cannot be used: {first_of(faults, '; ')}")
    if apart:
        raise DataError(f"{len(apart)} of {len(pairs)} pairs have two sizes: {first_of(apart)}; equal sizes are due")
    return sizes
