"""Recognisers that start from a file of weights: what it holds decides, and what would spoil a network is refused."""

from __future__ import annotations

import hashlib
import io
import os
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
import torch
from safetensors.torch import save
from torch import Tensor, nn

from nferbench import UsageError
from nferbench.recognisers.networks import start_from
from nferbench.recognisers.resnet18 import ResNet18

CLASSES = 6


def zipped(state: Mapping[str, Tensor]) -> bytes:
    torch.save(dict(state), stream := io.BytesIO())
    return stream.getvalue()


def legacy(state: Mapping[str, Tensor]) -> bytes:
    torch.save(dict(state), stream := io.BytesIO(), _use_new_zipfile_serialization=False)
    return stream.getvalue()


def given(content: bytes, path: Path) -> dict[str, str]:
    """What resnet18 is told of a file of weights that is written."""
    path.write_bytes(content)
    return {"weights": "file", "file": str(path), "file_sha256": hashlib.sha256(content).hexdigest()}


@pytest.mark.parametrize(
    ("name", "made", "before"),
    [("mine.pth", save, "module."), ("mine.safetensors", zipped, "module."), ("mine.safetensors", legacy, "")],
)
def test_resnet18_starts_from_a_local_file_but_for_its_last_layer_whatever_it_is_called(
    tmp_path: Path, name: str, made: Callable[[Mapping[str, Tensor]], bytes], before: str
) -> None:
    state = ResNet18().build(32, 7).state_dict()
    content = made({f"{before}{key}": value for key, value in state.items()})
    model = ResNet18(**given(content, tmp_path / name))  # type: ignore[arg-type]
    started = model.build(32, CLASSES).state_dict()
    assert all(torch.equal(started[key], state[key]) for key in state if not key.startswith("fc."))
    assert started["fc.weight"].shape == (CLASSES, 512)


def small(classes: int) -> nn.Sequential:
    return nn.Sequential(nn.Linear(3, 3), nn.BatchNorm1d(3), nn.Linear(3, classes))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_weights_of_another_precision_become_float32(dtype: torch.dtype) -> None:
    theirs = small(7).to(dtype).state_dict()
    start_from(mine := small(2), theirs, ("2.",), "it does not fit")
    for name, value in mine.state_dict().items():
        assert value.dtype == small(2).state_dict()[name].dtype
        assert name.startswith("2.") or torch.equal(value, theirs[name].to(value.dtype))


def test_counters_of_batch_norms_may_be_missing_as_in_files_of_old_versions_of_torch() -> None:
    theirs = {name: value + 1 for name, value in small(2).state_dict().items() if "num_batches" not in name}
    start_from(mine := small(2), theirs, ("2.",), "it does not fit")
    assert torch.equal(mine.state_dict()["1.running_mean"], theirs["1.running_mean"])
    with pytest.raises(UsageError, match=r"^it does not fit: '0\.bias' is missing; give weights of that"):
        start_from(
            mine, {name: value for name, value in theirs.items() if name != "0.bias"}, ("2.",), "it does not fit"
        )


@pytest.mark.parametrize(
    ("spoilt", "message"),
    [
        (torch.full((3,), torch.nan), "'1.running_var' is not finite as torch.float32"),
        (torch.full((3,), torch.inf), "'1.running_var' is not finite as torch.float32"),
        (torch.full((3,), 1e300, dtype=torch.float64), "'1.running_var' is not finite as torch.float32"),
        (torch.ones(3, dtype=torch.int8), "'1.running_var' is torch.int8, the network's torch.float32"),
        (torch.ones(4), r"'1.running_var' has shape \(4,\), the network's \(3,\)"),
    ],
)
def test_weights_that_would_spoil_a_network_are_refused_by_name(spoilt: Tensor, message: str) -> None:
    state = {**small(2).state_dict(), "1.running_var": spoilt}
    with pytest.raises(UsageError, match=f"^it does not fit: {message}"):
        start_from(small(2), state, ("2.",), "it does not fit")
    start_from(small(2), {**small(2).state_dict(), "2.bias": spoilt}, ("2.",), "")  # the last layer is not used


def test_weights_that_cannot_be_used_are_one_line_for_the_user(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(name: str, message: str) -> None:
        path = tmp_path / name
        digest = hashlib.sha256(path.read_bytes()).hexdigest() if path.exists() else ""
        model = ResNet18(weights="file", file=str(path), file_sha256=digest)
        with pytest.raises(UsageError, match=message) as caught:
            (ResNet18(weights="imagenet") if name == "imagenet" else model).build(32, CLASSES)
        assert "\n" not in str(caught.value)

    class Code:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return os.mkdir, (str(tmp_path / "trap"),)

    fails("absent.pth", "no weights at .*absent.pth")
    torch.save({"conv1.weight": Code()}, tmp_path / "code.pth")
    fails("code.pth", r"^resnet18: initial weights .*code.pth are not a state dict of tensors: they hold other objects")
    assert not (tmp_path / "trap").exists()
    torch.save({"epoch": 3}, tmp_path / "checkpoint.pth")
    fails("checkpoint.pth", "they hold 'epoch'; save the tensors of the network alone")
    torch.save(ResNet18(stem="small").build(32, CLASSES).state_dict(), tmp_path / "stem.pth")
    fails("stem.pth", r"stem.pth does not fit a ResNet-18 with stem 'imagenet': 'conv1.weight' has shape")
    with pytest.raises(UsageError, match=r"have SHA-256 .*, not 'abc'"):
        ResNet18(weights="file", file=str(tmp_path / "stem.pth"), file_sha256="abc").build(32, CLASSES)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.delenv("TORCH_HOME", raising=False)
    monkeypatch.delenv("NFERBENCH_WEIGHTS", raising=False)
    fails("imagenet", "get them with: nferbench weights get resnet18")


@pytest.mark.parametrize("weights", [None, "imagenet"])
def test_a_file_that_would_not_be_used_is_refused(weights: str | None) -> None:
    with pytest.raises(
        UsageError, match=rf"file is 'mine\.pth' and weights is {weights or 'null'}; set weights to file"
    ):
        ResNet18(weights=weights, file="mine.pth").build(32, CLASSES)  # type: ignore[arg-type]
