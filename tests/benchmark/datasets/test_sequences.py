"""Pairing the frames of two sequences that were not recorded in step."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

import numpy as np
import pytest
from numpy.typing import NDArray

from nferbench.datasets.sequences import (
    Pairs,
    by_apex,
    by_landmarks,
    by_number,
    by_progress,
    compare_lengths,
    compare_shapes,
    distances,
    some,
    unguided,
    warping_path,
)

RNG = np.random.default_rng(3)
NEUTRAL = RNG.uniform(0, 100, (68, 2))
NEUTRAL[36], NEUTRAL[45] = (20.0, 50.0), (80.0, 50.0)  # the eyes are 60 pixels apart
CHANGE = RNG.normal(0, 10, (68, 2))
CHANGE[[36, 45]] = 0


def film(*progress: float) -> list[NDArray[np.float32]]:
    """The landmarks of a face at some places between neutral (0) and apex (1)."""
    return [np.asarray(NEUTRAL + share * CHANGE, np.float32) for share in progress]


def is_monotone(pairs: Pairs) -> bool:
    return all(i < k and j < m for (i, j), (k, m) in pairwise(pairs))


@pytest.mark.parametrize("lengths", [(22, 72), (72, 22), (9, 9), (1, 5), (5, 1), (1, 1), (0, 4), (4, 0), (21, 20)])
def test_every_frame_of_the_shorter_sequence_gets_one_partner_in_order(lengths: tuple[int, int]) -> None:
    vis, nir = lengths
    for pairs in (by_apex(vis, nir), by_progress(vis, nir)):
        assert len(pairs) == min(vis, nir) and is_monotone(pairs)
        assert all(0 <= i < vis and 0 <= j < nir for i, j in pairs)
        assert not pairs or pairs[-1] == (vis - 1, nir - 1), "the apex of one belongs to the apex of the other"


def test_apex_counts_from_the_end() -> None:
    assert by_apex(22, 25)[-3:] == [(19, 22), (20, 23), (21, 24)]
    assert by_apex(4, 2) == [(2, 0), (3, 1)]


def test_relative_follows_the_rounding_rule_where_vis_is_shorter_and_its_mirror_where_it_is_longer() -> None:
    for vis, nir in ((9, 17), (10, 23), (21, 46), (7, 7)):
        pairs = by_progress(vis, nir)
        exact = [i * (nir - 1) / (vis - 1) for i in range(vis)]
        assert all(abs(j - place) <= 0.5 for (_, j), place in zip(pairs, exact, strict=True))
        assert pairs[0] == (0, 0)
        assert by_progress(nir, vis) == [(j, i) for i, j in pairs]
    assert by_progress(3, 4) == [(0, 0), (1, 2), (2, 3)], "a half is rounded upwards"


def test_equal_numbers_are_pairs_whatever_lies_between_them() -> None:
    assert by_number([0, 1, 2, 5], [1, 2, 3, 4, 5]) == [(1, 0), (2, 1), (3, 4)]
    assert by_number([0, 1], [2, 3]) == []


def test_the_policies_bear_the_names_of_the_settings() -> None:
    policies = unguided([0, 1, 2], [1, 2, 3, 4])
    assert policies == {
        "apex": [(0, 1), (1, 2), (2, 3)],
        "relative": [(0, 0), (1, 2), (2, 3)],
        "stem": [(1, 0), (2, 1)],
    }


def all_paths(rows: int, columns: int) -> Iterator[Pairs]:
    if (rows, columns) == (1, 1):
        yield [(0, 0)]
        return
    for i, j in ((rows - 1, columns), (rows, columns - 1), (rows - 1, columns - 1)):
        if i and j:
            yield from ([*path, (rows - 1, columns - 1)] for path in all_paths(i, j))


@pytest.mark.parametrize("shape", [(1, 1), (1, 5), (4, 1), (4, 5), (5, 3)])
def test_the_warping_path_is_the_cheapest_of_all_paths(shape: tuple[int, int]) -> None:
    for seed in range(5):
        costs = np.random.default_rng(seed).random(shape)
        paths = list(all_paths(*shape))
        found = warping_path(costs)
        assert found in paths
        assert sum(costs[cell] for cell in found) == pytest.approx(min(sum(costs[c] for c in p) for p in paths))


def test_distance_is_blind_to_place_and_size_and_measured_in_distances_between_the_eyes() -> None:
    face = film(0)[0]
    assert distances(face[None], (face * 2.5 + 40)[None])[0, 0] == pytest.approx(0, abs=1e-5)
    moved = face.copy()
    moved[51:, 1] += 6  # 17 of 51 inner points go down 6 pixels, their mean 2: 17 are 4 off, 34 are 2 off
    assert distances(face[None], moved[None])[0, 0] == pytest.approx((17 * 4 + 34 * 2) / 51 / 60, rel=1e-4)


def test_the_jaw_does_not_count() -> None:
    face = film(0)[0]
    moved = face.copy()
    moved[:17] = np.nan
    assert distances(face[None], moved[None])[0, 0] == 0
    assert by_landmarks([face], [moved]) == [(0, 0)]


def test_landmarks_find_the_frames_of_equal_expression_where_one_film_is_slower() -> None:
    vis, nir = (0.0, 0.2, 0.4, 0.6, 0.8, 1.0), (0.0, 0.0, 0.0, 0.21, 0.3, 0.4, 0.6, 0.81, 0.99)
    pairs = by_landmarks(film(*vis), film(*nir))
    assert is_monotone(pairs) and len(pairs) == 6
    assert [nir[j] for _, j in pairs] == [0.0, 0.21, 0.4, 0.6, 0.81, 0.99]
    assert by_apex(6, 9) != pairs != by_progress(6, 9)


def test_landmarks_pair_a_held_apex_from_the_end() -> None:
    pairs = by_landmarks(film(0, 0.5, 1, 1, 1), film(0, 0.5, 1, 1, 1, 1, 1))
    assert pairs[-3:] == [(2, 4), (3, 5), (4, 6)]


def test_pairs_that_are_too_unlike_can_be_rejected() -> None:
    vis, nir = film(0, 0.5, 1), film(0, 0.5, 3)
    costs = distances(np.stack(vis), np.stack(nir))
    assert by_landmarks(vis, nir) == [(0, 0), (1, 1), (2, 2)]
    assert by_landmarks(vis, nir, reject=float(costs[2, 2]) * 0.99) == [(0, 0), (1, 1)]
    assert by_landmarks(vis, nir, reject=float(costs[2, 2]) * 1.01) == [(0, 0), (1, 1), (2, 2)]


def test_frames_without_landmarks_are_left_out_and_the_others_keep_their_places() -> None:
    vis, nir = film(0, 0.5, 1), film(0, 0.5, 1)
    nir[1][40] = np.nan
    assert by_landmarks(vis, nir) == [(0, 0), (2, 2)]
    vis = film(0, 0.5, 1)
    vis[0][:] = 7.0  # all in one place: there is no scale
    assert 0 not in [i for i, _ in by_landmarks(vis, nir)]
    assert by_landmarks(vis, [np.full((68, 2), np.nan, np.float32)]) == []


def test_the_report_on_lengths_counts_and_names_the_worst() -> None:
    lengths = {"a": (10, 10), "b": (10, 11), "c": (12, 10), "d": (72, 22), "e": (9, 13)}
    first, second = compare_lengths(lengths)
    assert "of 5 recordings" in first and "equally long in 1, within 1 frame in 2, within 2 in 3" in first
    assert "median 2, greatest 50" in first
    assert (
        second
        == "furthest apart in length: d (72 VIS, 22 NIR), e (9 VIS, 13 NIR), c (12 VIS, 10 NIR), b (10 VIS, 11 NIR)"
    )
    assert len(compare_lengths({"a": (3, 3)})) == 1, "nothing is worst where all are equal"


def test_the_report_on_shapes_takes_its_numbers_from_the_pairs_with_landmarks() -> None:
    vis, nir = film(0, 0, 0), film(0, 1, 0)
    nir[2][:] = np.nan
    apart = distances(vis[1][None], nir[1][None])[0, 0]
    line = compare_shapes(["a", "b", "c"], vis, nir)
    assert "in 2 pairs" in line and f"median {apart / 2:.3f}, 90th percentile {apart * 0.9:.3f}" in line
    assert f"{apart:.3f} (b)" in line and "(c)" not in line
    assert compare_shapes(["c"], vis[2:], nir[2:]) == "1 pairs, none with the landmarks of both faces"


def test_long_lists_are_cut() -> None:
    assert some(list("abc")) == "a, b, c"
    assert some(list("abcdefg")) == "a, b, c, d, e and 2 more"
