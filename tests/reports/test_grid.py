"""The picture grid."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from nferbench_reports.grid import choose, write_grid
from nferbench_reports.records import read_records
from nferbench_reports.results import Missing

CLASSES = ("anger", "fear", "happiness")


def listed(subjects: str = "abcd", skip: tuple[str, ...] = ()) -> list[dict[str, str]]:
    return [
        {
            "id": f"{modality}-{subject}-{expression}-{take}",
            "modality": modality,
            "subject": subject,
            "expression": expression,
            "pair": f"{subject}-{expression}-{take}",
        }
        for subject in subjects
        for expression in CLASSES
        for take in (0, 1)
        for modality in ("vis", "nir")
        if f"{subject}-{expression}" not in skip
    ]


def test_row_j_shows_the_jth_test_subject_counted_round() -> None:
    examples = choose(pd.DataFrame(listed()), ["b", "d"], CLASSES)
    assert [(one.expression, one.subject) for one in examples] == [("anger", "b"), ("fear", "d"), ("happiness", "b")]
    assert examples[1].vis == "vis-d-fear-0" and examples[1].nir == "nir-d-fear-0"


def test_only_subjects_with_the_expression_count() -> None:
    examples = choose(pd.DataFrame(listed(skip=("b-fear",))), ["b", "c", "d"], CLASSES)
    assert examples[1].subject == "d"  # number 1 of c, d


def test_the_same_faces_are_chosen_whatever_the_order_of_the_rows() -> None:
    table = pd.DataFrame(listed())
    shuffled = table.sample(frac=1, random_state=4)
    assert choose(shuffled, ["d", "b"], CLASSES) == choose(table, ["b", "d"], CLASSES)


def test_an_expression_without_a_pair_is_left_out() -> None:
    table = pd.DataFrame(listed())
    table.loc[(table["expression"] == "fear") & (table["modality"] == "nir"), "pair"] = ""
    assert [one.expression for one in choose(table, ["a"], CLASSES)] == ["anger", "happiness"]


@pytest.fixture
def faces(workspace: Any) -> dict[str, str]:
    """Prepared faces: VIS face number i is (i, 0, 0) everywhere, NIR face number i is (i, i, i)."""
    rows = listed()
    pixels = np.zeros((len(rows), 8, 8, 3), np.uint8)
    for i, row in enumerate(rows):
        pixels[i] = (i, i, i) if row["modality"] == "nir" else (i, 0, 0)
    stage: dict[str, str] = workspace.images(workspace.stage("faces-done", {"faces.csv": rows}), pixels)
    return stage


def translation(workspace: Any, key: str, colour: int, seed: int) -> dict[str, str]:
    """Fold 0 of a method, subjects b and d, in an order of its own; a face has (colour, its number, 0)."""
    rows = [(i, row) for i, row in enumerate(listed()) if row["modality"] == "vis" and row["subject"] in "bd"]
    order = np.random.default_rng(seed).permutation(len(rows))
    table = [{name: rows[i][1][name] for name in ("id", "subject", "expression", "pair")} for i in order]
    pixels = np.zeros((len(rows), 8, 8, 3), np.uint8)
    for place, i in enumerate(order):
        pixels[place] = (colour, rows[i][0], 0)
    stage: dict[str, str] = workspace.images(workspace.stage(key, {"faces.csv": table}), pixels)
    return stage


def drawn(workspace: Any, path: Path) -> np.ndarray:
    record = read_records(workspace.root).chosen[0].record
    assert not isinstance(write_grid(workspace.root, record, path), Missing)
    return np.asarray(Image.open(path))


def colours(image: np.ndarray, columns: int) -> list[list[tuple[int, ...]]]:
    """The colour in the middle of each place, by row and column."""
    side, gap = 160, 4
    top, left = image.shape[0] - 3 * (side + gap), image.shape[1] - columns * (side + gap)
    return [
        [
            tuple(int(v) for v in image[top + j * (side + gap) + side // 2, left + i * (side + gap) + side // 2])
            for i in range(columns)
        ]
        for j in range(3)
    ]


def test_each_row_shows_one_face_as_vis_by_every_method_and_as_real_nir(
    workspace: Any, faces: dict[str, str], tmp_path: Path
) -> None:
    rows = [
        workspace.row("sr3", "diffusion", translation=[translation(workspace, "s", 200, 1)]),
        workspace.row("pix2pix", "gan", translation=[translation(workspace, "p", 100, 2)]),
        workspace.row("none", "none", translation=[translation(workspace, "n", 50, 3)]),
    ]
    workspace.record(rows, faces=faces)
    numbers = {row["id"]: i for i, row in enumerate(listed())}
    expected = []
    for subject, expression in (("b", "anger"), ("d", "fear"), ("b", "happiness")):
        vis, nir = numbers[f"vis-{subject}-{expression}-0"], numbers[f"nir-{subject}-{expression}-0"]
        expected.append([(vis, 0, 0), (100, vis, 0), (200, vis, 0), (nir, nir, nir)])
    assert colours(drawn(workspace, tmp_path / "grid.png"), 4) == expected


def test_a_method_without_images_has_hatched_places(workspace: Any, faces: dict[str, str], tmp_path: Path) -> None:
    rows = [
        workspace.row("pix2pix", "gan", translation=[translation(workspace, "p", 100, 2)]),
        workspace.row("sr3", "diffusion", translation=[workspace.missing("x", "diverged", "NaN")]),
    ]
    workspace.record(rows, faces=faces)
    record = read_records(workspace.root).chosen[0].record
    assert write_grid(workspace.root, record, tmp_path / "grid.png") == 3 * 3  # VIS, pix2pix, NIR of three expressions
    image = np.asarray(Image.open(tmp_path / "grid.png")).astype(int)
    x = image.shape[1] - 2 * 164
    place = image[-164:-4, x : x + 160]
    assert {205, 245} <= set(place[..., 0].ravel().tolist())
    assert np.ptp(place, axis=-1).max() == 0  # greys only
    assert (place < 100).any()  # and the reason in dark letters


def test_nothing_to_draw_is_a_reason_not_an_error(workspace: Any, faces: dict[str, str], tmp_path: Path) -> None:
    def reason() -> str:
        record = read_records(workspace.root).chosen[0].record
        outcome = write_grid(workspace.root, record, tmp_path / "grid.png")
        assert isinstance(outcome, Missing)
        return outcome.reason

    workspace.record([workspace.row("sr3", "diffusion", translation=[workspace.missing("x")])], faces=faces)
    assert reason() == "no stage of fold 0 is complete"
    workspace.record([])
    assert reason() == "the prepared faces: not run yet"
    (workspace.root / faces["path"] / "images.npy").write_bytes(b"no array")
    workspace.record([], faces=faces)
    assert "faces-done/images.npy is not what was written" in reason()
    workspace.sealed(faces)
    assert reason() == "faces-done/images.npy is damaged (ValueError)"


def test_the_ablation_has_a_grid_of_its_own_rows(workspace: Any, faces: dict[str, str], tmp_path: Path) -> None:
    rows = [
        workspace.row("pix2pix", "gan", translation=[translation(workspace, "p", 100, 2)]),
        workspace.row("cond", "diffusion", translation=[translation(workspace, "c", 200, 1)], tables=["ablation"]),
    ]
    workspace.record(rows, faces=faces)
    record = read_records(workspace.root).chosen[0].record
    for table, colour in (("comparison", 100), ("ablation", 200)):
        assert write_grid(workspace.root, record, tmp_path / "grid.png", table) == 9  # type: ignore[arg-type]
        shown = colours(np.asarray(Image.open(tmp_path / "grid.png")), 3)
        assert {row[1][0] for row in shown} == {colour}


def test_images_by_others_stand_behind_the_methods(workspace: Any, faces: dict[str, str], tmp_path: Path) -> None:
    rows = [
        workspace.row("mine", "given", translation=[translation(workspace, "m", 50, 3)]),
        workspace.row("sr3", "diffusion", translation=[translation(workspace, "s", 200, 1)]),
    ]
    workspace.record(rows, faces=faces)
    first = colours(drawn(workspace, tmp_path / "grid.png"), 4)[0]
    assert [colour[0] for colour in first[1:3]] == [200, 50]
