"""Batches of a translation: halved where memory runs out, remembered, recorded, and without a part in any result."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any, ClassVar

import numpy as np
import pytest
import torch
from processes import TOY
from torch import Tensor, nn

from nferbench import NetworkRecipe, Translator
from nferbench.contract.noise import ImageNoise
from nferbench.engine import timing, translating
from nferbench.engine.batches import halving, in_halves, wanted
from nferbench.engine.context import Context
from nferbench.engine.execute import execute
from nferbench.engine.worker import Setup
from nferbench.workspace.stages import PrepareFaces, Translate
from nferbench.workspace.store import Store

FACES = 13


@dataclass(frozen=True)
class Greedy(Translator):
    """Noise of which a device has room for a few faces only."""

    group: ClassVar = "diffusion"
    room: ClassVar[int] = FACES
    tried: ClassVar[list[int]]

    name: str = field(default="greedy", compare=False)
    title: str = field(default="Greedy", compare=False)

    def networks(self) -> Mapping[str, NetworkRecipe]:
        return {}

    def translate(self, vis: Tensor, networks: Mapping[str, nn.Module], noise: ImageNoise) -> Tensor:
        Greedy.tried.append(len(vis))
        drawn = noise.normal(*vis.shape[1:])  # the streams have moved when memory runs out
        if len(vis) > Greedy.room:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 9 GiB.")
        return (vis + 0.1 * drawn).clamp(-1, 1)


STAGE = Translate(Greedy(), (), PrepareFaces(TOY.Blobs(), "content", 8, "given", 0), "all", None, 0)


@pytest.fixture
def prepared(monkeypatch: pytest.MonkeyPatch) -> None:
    levels = np.random.default_rng(0).integers(0, 256, (FACES, 8, 8, 3), dtype=np.uint8)
    people = [SimpleNamespace(id=f"{i}", modality="vis", subject="a", expression="fear", pair="") for i in range(FACES)]
    listed = SimpleNamespace(images=levels, landmarks=None, faces=tuple(people))
    monkeypatch.setattr(translating, "prepared_faces", lambda *_: listed)
    monkeypatch.setattr(Greedy, "tried", [], raising=False)


def translated(workspace: Path, room: int, batch: int | None, fitting: dict[Any, int] | None = None) -> Any:
    """The images of a translation on a device with room for a few, and what was stored of how they were made."""
    Greedy.room = room
    context = Context(Store(workspace), {}, torch.device("cpu"), batch, fitting={} if fitting is None else fitting)
    execute(STAGE, context)
    entry = context.store.find(STAGE)
    assert entry is not None
    assert "made_with" not in entry.info["result"]
    return np.load(entry.path / "images.npy"), entry.info["made_with"]["batch"]


@pytest.mark.parametrize(
    ("room", "batch", "tried", "kept"),
    [
        (FACES, None, [13], 13),
        (5, None, [13, 6, 3, 3, 3, 3, 1], 3),
        (4, 8, [8, 4, 4, 4, 1], 4),
        (1, 4, [4, 2, *[1] * 13], 1),
        (FACES, 1, [1] * 13, 1),
    ],
)
def test_a_batch_without_room_is_halved_and_the_same_faces_are_done_again_with_the_same_noise(
    tmp_path: Path, prepared: None, room: int, batch: int | None, tried: list[int], kept: int
) -> None:
    expected, _ = translated(tmp_path / "undisturbed", FACES, FACES)
    Greedy.tried.clear()
    images, recorded = translated(tmp_path / "short", room, batch)
    assert Greedy.tried == tried and recorded == kept
    assert np.array_equal(images, expected)


def test_what_fitted_is_where_the_next_stage_of_a_worker_begins(tmp_path: Path, prepared: None) -> None:
    fitting: dict[Any, int] = {}
    for fold in ("first", "second"):
        Greedy.tried.clear()
        translated(tmp_path / fold, 4, 8, fitting)
    assert Greedy.tried == [4, 4, 4, 1] and fitting == {(Greedy(), 8): 4}


def test_a_few_faces_left_at_the_end_are_no_batch_to_remember(tmp_path: Path, prepared: None) -> None:
    fitting: dict[Any, int] = {}
    translated(tmp_path, 8, 8, fitting)
    assert fitting == {}


def test_faces_that_were_done_are_kept_when_a_later_batch_finds_no_room(
    tmp_path: Path, prepared: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    def shrinking(self: Greedy, vis: Tensor, networks: Any, noise: ImageNoise) -> Tensor:
        Greedy.room = 4 if Greedy.tried else 0
        if not Greedy.tried:
            Greedy.tried.append(len(vis))
            return vis
        raise torch.OutOfMemoryError("CUDA out of memory.")

    monkeypatch.setattr(Greedy, "translate", shrinking)
    store = Store(tmp_path)
    with pytest.raises(torch.OutOfMemoryError):
        execute(STAGE, Context(store, {}, torch.device("cpu"), 8))
    mark = json.loads((store.partial(STAGE) / "checkpoint.json").read_text())
    assert mark["done"] == 8


def test_other_errors_are_raised_at_once() -> None:
    tried = []

    def failing(count: int) -> None:
        tried.append(count)
        raise RuntimeError("shapes differ")

    with pytest.raises(RuntimeError, match="shapes differ"):
        halving(8, failing)
    assert tried == [8]


def test_what_a_failed_attempt_held_is_free_before_the_next() -> None:
    class Block:
        alive = 0

        def __init__(self) -> None:
            Block.alive += 1

        def __del__(self) -> None:
            Block.alive -= 1

    def work(count: int) -> int:
        assert Block.alive == 0
        held = Block()
        if count > 2:
            raise torch.OutOfMemoryError(f"no room beside {held}")
        return count

    assert halving(8, work) == (2, 2)


@pytest.mark.parametrize(("asked", "device", "first"), [(None, "cpu", 32), (None, "cuda", 256), (7, "cuda", 7)])
def test_a_gpu_is_asked_for_more_than_a_cpu_unless_a_number_was_given(
    asked: int | None, device: str, first: int
) -> None:
    assert wanted(asked, torch.device(device)) == first


def test_a_translation_is_timed_with_the_batch_that_fits(tmp_path: Path, prepared: None) -> None:
    Greedy.room = 2
    seconds = timing._translation_seconds(STAGE, Setup(tmp_path, {}, (), "cpu", None, 1.0), torch.device("cpu"))
    assert Greedy.tried == [8, 4, 2] and 0 < seconds < 10


def test_images_that_do_not_fit_at_once_are_computed_in_halves() -> None:
    seen: list[int] = []

    def work(one: Tensor, other: Tensor) -> Tensor:
        seen.append(len(one))
        if len(one) > 2:
            raise torch.OutOfMemoryError("CUDA out of memory.")
        return one - other

    one, other = torch.arange(7.0), torch.arange(7.0).flip(0)
    assert torch.equal(in_halves(work, one, other), one - other)
    assert seen == [7, 3, 1, 2, 4, 2, 2]


@pytest.mark.parametrize("error", [torch.OutOfMemoryError("CUDA out of memory."), ValueError("shapes differ")])
def test_an_image_that_does_not_fit_alone_and_any_other_error_are_raised(error: Exception) -> None:
    def work(images: Tensor) -> Tensor:
        raise error

    with pytest.raises(type(error), match=str(error)):
        in_halves(work, torch.zeros(3))
