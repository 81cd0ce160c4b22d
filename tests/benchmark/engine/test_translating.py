"""What a translator may return: faces in [-1, 1], with an overshoot that is clamped; other scales are refused."""

from __future__ import annotations

import errno
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any, ClassVar

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from nferbench import NetworkRecipe, Translator
from nferbench.contract.errors import DivergedError, PluginError
from nferbench.contract.noise import ImageNoise
from nferbench.engine import recognising, translating
from nferbench.engine.how import AS_USUAL
from nferbench.engine.translating import translate
from nferbench.workspace.unfinished import Mark, Unfinished


@dataclass(frozen=True)
class Given(Translator):
    """Returns what it is given, on a scale of its own."""

    group: ClassVar = "gan"
    change: ClassVar[Callable[[Tensor], Any]]

    name: str = field(default="given", compare=False)
    title: str = field(default="Given", compare=False)

    def networks(self) -> Mapping[str, NetworkRecipe]:
        return {}

    def translate(self, vis: Tensor, networks: Mapping[str, nn.Module], noise: ImageNoise) -> Tensor:
        return type(self).change(vis)


def faces(count: int = 2) -> Tensor:
    return torch.rand(count, 3, 8, 8, generator=torch.Generator().manual_seed(0)) * 2 - 1


def returned(monkeypatch: pytest.MonkeyPatch, change: Callable[[Tensor], Any]) -> Tensor:
    monkeypatch.setattr(Given, "change", staticmethod(change), raising=False)
    return translate(Given(), faces(), {}, ImageNoise([0, 1], "cpu"))


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda x: (x + 1) * 127.5, r"values in 0\.\d+ to 25\d(\.\d)?; \[-1, 1\] is due"),
        (
            lambda x: ((x + 1) * 127.5).to(torch.uint8),
            r"torch.uint8 in \d+ to 25\d; floating point in \[-1, 1\] is due",
        ),
        (lambda x: ((x + 1) * 127.5).to(torch.int64), "torch.int64 in"),
        (lambda x: x > 0, "torch.bool in"),
        (lambda x: x + 0j, "torch.complex64"),
        (lambda x: x + 1, "values in 0.*; "),
        (lambda x: (x + 1) * 32767.5, "values in"),
        (lambda x: x * 127.5, "values in -12"),
        (lambda x: (x + 1) * 127.5 - 30, "values in -"),
        (lambda x: torch.stack([x[0], (x[1] + 1) * 127.5]), "values in"),  # one face of a batch
        (lambda x: ((x + 1) * 127.5).half(), "values in"),
    ],
)
def test_another_scale_is_refused_by_the_range_that_came(
    monkeypatch: pytest.MonkeyPatch, change: Callable[[Tensor], Tensor], told: str
) -> None:
    with pytest.raises(PluginError, match=f"translator 'given' returned {told}"):
        returned(monkeypatch, change)


@pytest.mark.parametrize(
    "change",
    [
        lambda x: x * 1.4,
        lambda x: x * 27,  # as far as samplers go whose networks have learned nothing
        lambda x: x.double(),
        lambda x: x.half(),
        lambda x: x.bfloat16(),
        lambda x: (x + 1) / 2,
        lambda x: (x + 1) / 2 * 1.4,
        lambda x: torch.zeros_like(x),
        torch.ones_like,
    ],
)
def test_an_overshoot_is_clamped(monkeypatch: pytest.MonkeyPatch, change: Callable[[Tensor], Tensor]) -> None:
    expected = change(faces()).float().clamp(-1, 1).mean(1, keepdim=True)
    torch.testing.assert_close(returned(monkeypatch, change), expected.repeat(1, 3, 1, 1))


def test_a_face_is_judged_by_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    bright = torch.full((1, 3, 8, 8), 1.2)
    translating.check_scale("given", torch.cat([bright, faces(1) * 20]))
    with pytest.raises(PluginError, match=r"values in 1\.6 to 1\.6"):
        translating.check_scale("given", torch.cat([faces(1), bright + 0.4]))


def test_what_is_not_finite_is_told_before_any_range(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(DivergedError):
        returned(monkeypatch, lambda x: x * torch.inf)


def translated(
    folder: Path, monkeypatch: pytest.MonkeyPatch, change: Callable[[Tensor], Tensor], batch: int
) -> dict[str, Any]:
    """What a translation of three faces notes of itself; its images lie in `partial`."""
    monkeypatch.setattr(Given, "change", staticmethod(change), raising=False)
    levels = np.random.default_rng(0).integers(0, 256, (3, 8, 8, 3), dtype=np.uint8)
    listed = tuple(
        SimpleNamespace(id=f"{i}", modality="vis", subject="a", expression="fear", pair="") for i in range(3)
    )
    prepared = SimpleNamespace(images=levels, landmarks=None, faces=listed)
    monkeypatch.setattr(translating, "prepared_faces", lambda *_: prepared)
    monkeypatch.setattr(translating, "fitted", lambda *_: {})
    stage: Any = SimpleNamespace(
        source=SimpleNamespace(size=8),
        part="all",
        fold=None,
        seed=0,
        first=None,
        only=None,
        translator=Given(),
        networks=(),
    )
    (folder / "partial").mkdir(parents=True)
    context: Any = SimpleNamespace(
        unfinished=lambda _: Unfinished(folder / "partial", "key", "", folder / "damaged"),
        batch=batch,
        fitting={},
        device=torch.device("cpu"),
        how=AS_USUAL,
        progress=lambda *_: None,
        reached=lambda *_: None,
        tell=pytest.fail,
    )
    return translating.translate_faces(stage, context)


@pytest.mark.parametrize(("scale", "noted"), [(lambda x: (x + 1) / 2, True), (lambda x: x, False)])
def test_a_scale_of_nought_to_one_is_noted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, scale: Callable[[Tensor], Tensor], noted: bool
) -> None:
    assert ("as if in 0 to 1" in json.dumps(translated(tmp_path, monkeypatch, scale, 2))) == noted


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA out of memory"),
        RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"),
        RuntimeError("cuDNN error: CUDNN_STATUS_ALLOC_FAILED"),
        MemoryError(),
    ],
    ids=str,
)
def test_a_batch_that_does_not_fit_is_halved(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    sizes = []

    def small(vis: Tensor) -> Tensor:
        sizes.append(len(vis))
        if len(vis) > 1:
            raise error
        return vis

    translated(tmp_path / "small", monkeypatch, small, 4)
    translated(tmp_path / "whole", monkeypatch, lambda x: x, 4)
    assert sizes == [3, 1, 1, 1]
    small_images, whole_images = (tmp_path / which / "partial" / "images.npy" for which in ("small", "whole"))
    assert small_images.read_bytes() == whole_images.read_bytes()


def test_one_face_that_does_not_fit_and_other_errors_end_a_translation(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def lacking(vis: Tensor) -> Tensor:
        raise torch.OutOfMemoryError("CUDA out of memory")

    def faulty(vis: Tensor) -> Tensor:
        raise RuntimeError("CUDA error: an illegal memory access was encountered")

    for name, change, batch in (("lacking", lacking, 1), ("faulty", faulty, 4)):
        with pytest.raises(RuntimeError):
            translated(tmp_path / name, monkeypatch, change, batch)


def test_earlier_images_are_kept_that_memory_was_too_short_to_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def lacking(*arguments: Any, **options: Any) -> None:
        raise OSError(errno.ENOMEM, "Cannot allocate memory")

    monkeypatch.setattr(np.lib.format, "open_memmap", lacking)
    earlier: Any = SimpleNamespace(folder=tmp_path, mark=lambda: Mark(2, "sha", ""), put_aside=pytest.fail)
    with pytest.raises(OSError, match="Cannot allocate memory"):
        translating._open_output(earlier, (3, 8, 8, 3), pytest.fail)


@pytest.mark.parametrize(
    ("scores", "told"),
    [
        ([[0.0] * 6] * 4, "list; a tensor of class scores is due"),
        (torch.zeros(4), r"torch.float32 of shape \(4,\); floating point of shape \(4, 6\) is due"),
        (torch.zeros(4, 5), r"shape \(4, 5\)"),
        (torch.zeros(4, 7), r"shape \(4, 7\)"),
        (torch.zeros(1, 6), r"shape \(1, 6\)"),
        (torch.zeros(4, 6, dtype=torch.int64), "torch.int64"),
    ],
)
def test_class_scores_of_another_form_are_refused(scores: object, told: str) -> None:
    with pytest.raises(PluginError, match=f"recogniser 'mine' returned .*{told}"):
        recognising.check_scores("mine", scores, (4, 6))
