"""The pushes of the first faces of a translation: the same for any batch, kept over a kill, left out where none are."""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any, ClassVar

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from nferbench import NetworkRecipe, PluginError, Translator, note_pushes
from nferbench.contract.noise import ImageNoise
from nferbench.contract.pushes import Push
from nferbench.engine import pushing, translating
from nferbench.engine.how import AS_USUAL
from nferbench.workspace.unfinished import Unfinished

FACES = 13


@dataclass(frozen=True)
class Guided(Translator):
    """Two steps; how hard each face is pushed follows from the face alone."""

    group: ClassVar = "diffusion"
    ends_after: ClassVar[int] = FACES  # faces, for attempts that are cut off
    translated: ClassVar[int] = 0

    name: str = field(default="guided", compare=False)
    title: str = field(default="Guided", compare=False)
    singly: bool = False  # takes its faces one after the other
    notes: bool = True

    def networks(self) -> Mapping[str, NetworkRecipe]:
        return {}

    def translate(self, vis: Tensor, networks: Mapping[str, nn.Module], noise: ImageNoise) -> Tensor:
        Guided.translated += len(vis)
        if Guided.translated > Guided.ends_after:
            raise KeyboardInterrupt
        for part in vis.split(1) if self.singly else [vis]:
            for k in (1, 0):
                if self.notes:
                    pushes = {"score": part, "E_a": (k + 1) * part * part, "noise": torch.full_like(part, k)}
                    note_pushes(k, 100 * k, lambda pushes=pushes: pushes)
        return vis / 2


@pytest.fixture
def partial(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    levels = np.random.default_rng(0).integers(0, 256, (FACES, 8, 8, 3), dtype=np.uint8)
    people = [SimpleNamespace(id=f"{i}", modality="vis", subject="a", expression="fear", pair="") for i in range(FACES)]
    prepared = SimpleNamespace(images=levels, landmarks=None, faces=tuple(people))
    monkeypatch.setattr(translating, "prepared_faces", lambda *_: prepared)
    monkeypatch.setattr(translating, "fitted", lambda *_: {})
    (tmp_path / "partial").mkdir()
    return tmp_path / "partial"


def attempt(
    folder: Path, batch: int, ends_after: int = FACES, first: int | None = None, tell: Any = pytest.fail, **change: bool
) -> None:
    """Translate, or be cut off when more faces are asked for."""
    Guided.ends_after, Guided.translated = ends_after, 0
    stage: Any = SimpleNamespace(
        source=SimpleNamespace(size=8),
        part="all",
        fold=None,
        seed=0,
        first=first,
        only=None,
        translator=Guided(**change),
        networks=(),
    )
    context: Any = SimpleNamespace(
        unfinished=lambda _: Unfinished(folder, "key", "", folder.parent / "damaged"),
        batch=batch,
        fitting={},
        device=torch.device("cpu"),
        how=AS_USUAL,
        progress=lambda *_: None,
        reached=lambda *_: None,
        tell=tell,
    )
    if ends_after < FACES:
        with pytest.raises(KeyboardInterrupt):
            translating.translate_faces(stage, context)
    else:
        translating.translate_faces(stage, context)


def emptied(folder: Path) -> bytes:
    """The pushes of a finished attempt, whose folder is then as good as new."""
    content = (folder / "pushes.csv").read_bytes()
    for file in folder.iterdir():
        file.unlink()
    return content


@pytest.fixture
def expected(partial: Path) -> bytes:
    attempt(partial, FACES)
    return emptied(partial)


def test_the_table_has_a_row_a_step_and_term(expected: bytes, partial: Path) -> None:
    rows = list(csv.DictReader(expected.decode().splitlines()))
    assert [(row["t"], row["k"], row["term"]) for row in rows] == [
        (t, k, term) for t, k in (("100", "1"), ("0", "0")) for term in ("score", "E_a", "noise")
    ]
    levels = np.random.default_rng(0).integers(0, 256, (FACES, 8, 8, 3), dtype=np.uint8)[: pushing.LISTENED]
    x = levels.reshape(pushing.LISTENED, -1) / 127.5 - 1
    sizes = {"score": np.sqrt((x**2).mean(1)), "E_a": 2 * np.sqrt((x**4).mean(1))}
    for row in rows[:2]:
        mine = sizes[row["term"]]
        found = [float(row[name]) for name in ("rms_mean", "rms_low", "rms_high")]
        assert found == pytest.approx([mine.mean(), *np.percentile(mine, (10, 90))], rel=1e-5)
        assert float(row["relative"]) == pytest.approx(mine.mean() / sizes["score"].mean(), rel=1e-5)
    cosines = (x**3).sum(1) / np.sqrt((x**2).sum(1) * (x**4).sum(1))
    assert float(rows[1]["cosine"]) == pytest.approx(cosines.mean(), abs=1e-6)
    assert rows[0]["cosine"] == rows[2]["cosine"] == "" and rows[0]["relative"] == "1" and rows[5]["rms_mean"] == "0"


@pytest.mark.parametrize("batch", [1, 4, 12])
def test_any_batch_gives_the_same_table(expected: bytes, partial: Path, batch: int) -> None:
    attempt(partial, batch)
    assert emptied(partial) == expected
    attempt(partial, batch, singly=True)
    assert emptied(partial) == expected


@pytest.mark.parametrize(("batch", "ends_after"), [(4, 4), (4, 8), (4, 12), (12, 12)])
def test_what_the_first_part_heard_is_kept(expected: bytes, partial: Path, batch: int, ends_after: int) -> None:
    attempt(partial, batch, ends_after)
    attempt(partial, 5)
    assert Guided.translated == FACES - ends_after
    assert (partial / "pushes.csv").read_bytes() == expected


def test_killed_in_the_first_batch_it_is_done_anew(expected: bytes, partial: Path) -> None:
    attempt(partial, 12, ends_after=0)
    attempt(partial, 12)
    assert Guided.translated == FACES and (partial / "pushes.csv").read_bytes() == expected


@pytest.mark.parametrize("fault", ["changed", "gone"])
def test_half_done_pushes_that_are_not_what_was_written_are_done_anew(
    expected: bytes, partial: Path, fault: str
) -> None:
    attempt(partial, 4, ends_after=8)
    path = max(partial.glob("checkpoint-pushes-*"))
    path.write_text(path.read_text().replace("1", "2")) if fault == "changed" else path.unlink()
    told: list[str] = []
    attempt(partial, 4, tell=told.append)
    assert len(told) == 1 and "earlier images not used" in told[0]
    assert Guided.translated == FACES and (partial / "pushes.csv").read_bytes() == expected


def test_half_done_work_of_an_earlier_version_goes_on_without_pushes(partial: Path) -> None:
    attempt(partial, 12, ends_after=12, notes=False)
    assert json.loads((partial / "checkpoint.json").read_text())["file"] == ""
    attempt(partial, 12)
    assert Guided.translated == 1 and not (partial / "pushes.csv").exists()


def test_a_method_that_notes_nothing_has_no_table(partial: Path) -> None:
    attempt(partial, 12, notes=False)
    assert sorted(file.name for file in partial.iterdir()) == ["checkpoint.json", "faces.csv", "images.npy"]


def test_the_first_faces_alone_are_those_of_the_whole(expected: bytes, partial: Path) -> None:
    attempt(partial, 12)
    whole = np.load(partial / "images.npy")
    assert emptied(partial) == expected
    attempt(partial, 12, first=10)
    assert np.array_equal(np.load(partial / "images.npy"), whole[:10])
    assert (partial / "pushes.csv").read_bytes() == expected


def heard(*rms: float) -> list[Push]:
    return [Push(0, 0, "score", torch.tensor(rms), None)]


def test_passes_are_averaged() -> None:
    (series,) = pushing.by_face([*heard(1, 2, 3), *heard(3, 2, 1)], faces=3, kept=2)
    assert series.rms == (2, 2)


def test_a_push_of_another_number_of_faces_is_told() -> None:
    with pytest.raises(PluginError, match="the push of score in step 0 was noted for 4 of 3 faces; note each of them"):
        pushing.by_face(heard(1, 2, 3, 4), faces=3, kept=3)


def test_where_the_score_does_not_push_nothing_is_relative_to_it() -> None:
    series = (pushing.Series(0, 0, "score", (0.0,), None), pushing.Series(0, 0, "E", (1.0,), (float("nan"),)))
    score, energy = pushing.table(series)
    assert score["relative"] == energy["relative"] == energy["cosine"] == "" and energy["rms_mean"] == "1"
