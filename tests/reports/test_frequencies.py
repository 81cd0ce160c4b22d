"""Low frequencies, and how alike faces are in each band."""

from __future__ import annotations

import numpy as np
import pytest

from nferbench_reports.frequencies import LOW, correlations, low_pass, rings, spectra

DRAWN = np.random.default_rng(3)


@pytest.mark.parametrize("side", [8, 16, 24, 64])
def test_the_filter_is_that_of_the_energy(side: int) -> None:
    torch = pytest.importorskip("torch")
    from nferbench_methods.diffusion import filters
    from nferbench_methods.nfer_sde import NFERSDE

    method = NFERSDE()
    faces = DRAWN.normal(size=(2, 3, side, side))
    n = filters.shrink_factor("E_f", method.cells, side)
    assert np.allclose(low_pass(faces), filters.low_pass(torch.from_numpy(faces), n, method.kernel).numpy(), atol=1e-12)


def test_a_side_that_cells_do_not_divide_keeps_constants() -> None:
    assert np.allclose(low_pass(np.full((1, 21, 21), 7.0)), 7.0)


def by_hand(face: np.ndarray, other: np.ndarray, low: float, high: float) -> float:
    """The correlation of the frequencies from `low` to `high`, one after the other, by the full transform."""
    side = len(face)
    window = np.outer(*[np.sin(np.pi * np.arange(1, side + 1) / (side + 1)) ** 2] * 2)
    one, two = (np.fft.fft2(window * (each - np.average(each, weights=window))) for each in (face, other))
    frequencies = np.fft.fftfreq(side) * side
    shared = power = its = 0.0
    for i, down in enumerate(frequencies):
        for j, across in enumerate(frequencies):
            if low <= round(float(np.hypot(down, across))) <= high:
                shared += (one[i, j] * np.conj(two[i, j])).real
                power, its = power + abs(one[i, j]) ** 2, its + abs(two[i, j]) ** 2
    return float(shared / np.sqrt(power * its))


@pytest.mark.parametrize("side", [10, 13, 16])
def test_every_band_is_what_the_full_transform_says(side: int) -> None:
    face = DRAWN.uniform(0, 255, (side, side))
    other = 0.5 * face + DRAWN.uniform(0, 255, (side, side))
    (found,) = correlations(spectra(face[None]), spectra(other[None]))
    half = rings(side)
    bands = [(1, LOW), (LOW + 1, half), *((k, k) for k in range(1, half + 1))]
    assert found == pytest.approx([by_hand(face, other, *band) for band in bands])


def test_brightness_and_contrast_change_nothing_and_a_negative_is_the_opposite() -> None:
    faces = spectra(DRAWN.uniform(0, 255, (2, 16, 16)))
    assert np.allclose(correlations(faces, faces), 1)
    face = DRAWN.uniform(0, 255, (1, 16, 16))
    assert np.allclose(correlations(spectra(face), spectra(40 + 0.3 * face)), 1)
    assert np.allclose(correlations(spectra(face), spectra(255 - face)), -1)


def test_a_flat_face_shares_nothing() -> None:
    face = DRAWN.uniform(0, 255, (1, 16, 16))
    assert not correlations(spectra(face), spectra(np.full((1, 16, 16), 77 / 3))).any()


def test_faces_are_measured_one_by_one() -> None:
    faces, others = (spectra(DRAWN.uniform(0, 255, (5, 12, 12))) for _ in range(2))
    some = correlations(faces.some([3, 1]), others.some([3, 1]))
    assert np.array_equal(some, correlations(faces, others)[[3, 1]])
