"""What two faces share in each band of frequencies, and the filter that parts low frequencies from high ones.

The filter is that of the energy E_f of NFER-SDE with its defaults: a face is shrunk to `CELLS` x `CELLS` values and
enlarged again, linearly, pixel centres aligned, against aliasing on the way down, mirrored at its edges. So many values
to a side can hold up to `CELLS` / 2 cycles per face, which is where bands are parted too.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from math import ceil
from typing import final

import numpy as np
from numpy.typing import NDArray

CELLS = 8
LOW = CELLS // 2  # cycles per face up to which frequencies are low
BANDS = ("low frequencies", "high frequencies")
_FLAT = 1e-12  # power below which a ring holds nothing but rounding, of faces in 0 to 255

Values = NDArray[np.float64]


@final
@dataclass(frozen=True)
class Spectra:
    """The frequencies of N faces of one size."""

    values: NDArray[np.complex128]  # (N, F), ring by ring
    powers: Values  # (N, rings(side)), of each ring
    side: int

    def some(self, places: Sequence[int]) -> Spectra:
        """Those of some of the faces."""
        return Spectra(self.values[places], self.powers[places], self.side)


def rings(side: int) -> int:
    """How many rings a face of `side` x `side` pixels has: ring k, from 1, is around k cycles per face."""
    return side // 2


def low_pass(faces: Values) -> Values:
    """The low frequencies of faces, (..., S, S), in the same shape; what is left of them are the high ones."""
    side = faces.shape[-1]
    down, up = _resizing(side, CELLS), _resizing(CELLS, side)
    kept: Values = up @ (down @ faces @ down.T) @ up.T
    return kept


def spectra(faces: Values) -> Spectra:
    """The frequencies of grey faces, (N, S, S) in 0 to 255, under a Hann window and without their mean.

    Opposite edges of a crop do not meet. Without a window that step would stand in all frequencies of both faces.
    """
    from scipy.fft import rfft2

    side = faces.shape[-1]
    plan = _plan(side)
    means = (faces * plan.window).sum(axis=(1, 2), keepdims=True) / plan.window.sum()
    values = rfft2((faces - means) * plan.window).reshape(len(faces), -1)[:, plan.order] * plan.weights
    return Spectra(values, np.add.reduceat(values.real**2 + values.imag**2, plan.starts, axis=1), side)


def correlations(some: Spectra, others: Spectra) -> Values:
    """How alike faces and their partners are in each band, (N, 2 + rings(side)), from -1 to 1; 0 where one is flat.

    The real part of the cross-spectrum, summed over a band, over the root of the product of both powers there. The
    bands are all rings up to `LOW`, all beyond, and then each ring by itself.
    """
    crossed = some.values.real * others.values.real + some.values.imag * others.values.imag
    shared, mine, theirs = (
        np.concatenate([each[:, :LOW].sum(1, keepdims=True), each[:, LOW:].sum(1, keepdims=True), each], axis=1)
        for each in (np.add.reduceat(crossed, _plan(some.side).starts, axis=1), some.powers, others.powers)
    )
    there = (mine > _FLAT) & (theirs > _FLAT)
    return np.where(there, shared / np.sqrt(np.where(there, mine * theirs, 1)), 0.0)


@final
@dataclass(frozen=True)
class _Plan:
    """Where the frequencies of each ring are in a spectrum of real faces."""

    window: Values  # (S, S)
    order: NDArray[np.intp]  # (F,), places in the flattened spectrum, ring by ring
    starts: NDArray[np.intp]  # of each ring in `order`
    weights: Values  # (F,), root of how many frequencies of the full spectrum one stands for


@lru_cache(maxsize=8)
def _plan(side: int) -> _Plan:
    hann = np.hanning(side + 2)[1:-1]
    across, down = np.fft.rfftfreq(side, 1 / side), np.fft.fftfreq(side, 1 / side)
    ring = np.hypot(across[None, :], down[:, None]).round().astype(int)
    twice = (across > 0) & (across < side / 2)  # the other half of the plane is not stored
    weights = np.broadcast_to(np.sqrt(1.0 + twice), ring.shape).ravel()
    order = np.argsort(ring, axis=None, kind="stable")
    ringed = ring.ravel()[order]
    order, ringed = (each[(ringed > 0) & (ringed <= rings(side))] for each in (order, ringed))
    starts = np.searchsorted(ringed, np.arange(1, rings(side) + 1))
    return _Plan(np.outer(hann, hann), order, starts, weights[order])


@lru_cache(maxsize=8)
def _resizing(side: int, new: int) -> Values:
    """The matrix (new, side) that resizes one axis; its rows sum to one."""
    scale = new / side
    stretch = min(scale, 1.0)
    centre = (np.arange(new) + 0.5) / scale - 0.5
    reach = ceil(1 / stretch) + 1
    source = np.floor(centre).astype(int)[:, None] + np.arange(-reach, reach + 1)
    weight = np.maximum(1 - np.abs(source - centre[:, None]) * stretch, 0)
    mirrored = source % (2 * side)
    matrix = np.zeros((new, side))
    places = np.arange(new)[:, None], np.minimum(mirrored, 2 * side - 1 - mirrored)
    np.add.at(matrix, places, weight / weight.sum(axis=1, keepdims=True))
    return matrix
