"""Weights that a training starts from: the right file or none, and all of it."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from nferbench import StoredWeights, UsageError, load_initial, note_initial
from nferbench.contract.initial import hear_initial


def stored(path: Path, tensors: dict[str, Tensor]) -> tuple[str, str]:
    save_file(tensors, path)
    return str(path), hashlib.sha256(path.read_bytes()).hexdigest()


def whole(network: nn.Module, prefix: str = "") -> dict[str, Tensor]:
    return {f"{prefix}{name}": value.clone() for name, value in network.state_dict().items()}


def same(one: nn.Module, other: nn.Module) -> bool:
    return all(torch.equal(a, b) for a, b in zip(one.state_dict().values(), other.state_dict().values(), strict=True))


def test_all_networks_become_those_of_the_file(tmp_path: Path) -> None:
    fitted, judge = nn.BatchNorm2d(3), nn.Linear(2, 1)
    path, sha256 = stored(tmp_path / "w.safetensors", {**whole(fitted), **whole(judge, "judge/")})
    here, against = nn.BatchNorm2d(3), nn.Linear(2, 1)
    nn.init.normal_(here.weight)
    load_initial(path, sha256, here, {"judge": against})
    assert same(here, fitted) and same(against, judge)


def test_half_precision_is_widened_and_counters_stay_whole_numbers(tmp_path: Path) -> None:
    network = nn.BatchNorm2d(3)
    half = {name: value.half() if value.is_floating_point() else value for name, value in whole(network).items()}
    path, sha256 = stored(tmp_path / "w.safetensors", half)
    here = nn.BatchNorm2d(3)
    load_initial(path, sha256, here)
    assert here.weight.dtype == torch.float32 and here.num_batches_tracked is not None
    assert here.num_batches_tracked.dtype == torch.int64


def test_a_file_of_the_fitted_network_alone_leaves_its_opponents_as_they_are(tmp_path: Path) -> None:
    fitted, judge = nn.Linear(2, 2), nn.Linear(2, 1)
    before = whole(judge)
    path, sha256 = stored(tmp_path / "w.safetensors", whole(fitted))
    load_initial(path, sha256, nn.Linear(2, 2), {"judge": judge})
    assert all(torch.equal(value, before[name]) for name, value in judge.state_dict().items())


def test_without_a_file_nothing_happens() -> None:
    network = nn.Linear(2, 2)
    before = whole(network)
    load_initial("", "", network)
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())


def test_a_safetensors_file_is_known_even_where_its_length_begins_like_a_pickle(tmp_path: Path) -> None:
    fitted, file = nn.Linear(2, 2), tmp_path / "w.pth"
    lengths = set()
    for filling in range(0, 256, 8):
        save_file(whole(fitted), file, {"filling": "x" * filling})
        lengths.add(file.read_bytes()[0])
        here = nn.Linear(2, 2)
        load_initial(str(file), hashlib.sha256(file.read_bytes()).hexdigest(), here)
        assert same(here, fitted)
    assert 0x80 in lengths


def test_a_file_of_torch_is_read_only_by_recipes_that_know_its_names(tmp_path: Path) -> None:
    theirs, here = nn.Linear(2, 2), nn.Linear(2, 2)
    torch.save(
        {"module.w": theirs.weight, "module.b": theirs.bias, "module.more": torch.ones(1)}, file := tmp_path / "w"
    )
    sha256 = hashlib.sha256(file.read_bytes()).hexdigest()
    with pytest.raises(UsageError, match=r"in the form of torch; allowed here: a safetensors file of nferbench$"):
        load_initial(str(file), sha256, here)

    def read(stored: StoredWeights) -> dict[str, Tensor]:
        note_initial(f"{len(stored.tensors) - 2} is not used")
        return {"weight": stored.tensors["w"], "bias": stored.tensors["b"]}

    with hear_initial() as heard:
        load_initial(str(file), sha256, here, {"judge": nn.Linear(2, 1)}, {"torch": read})
    assert same(here, theirs)
    assert heard == ["1 is not used", f"not in {file}, and started from nothing: judge"]


WRONG: dict[str, tuple[Callable[[dict[str, Tensor]], object], str]] = {
    "missing": (lambda tensors: tensors.pop("bias"), "'bias' is missing"),
    "left over": (lambda tensors: tensors.update(more=torch.ones(1)), "'more' is left over"),
    "shape": (lambda tensors: tensors.update(bias=torch.ones(3)), r"'bias' has shape \(3,\), the network's \(2,\)"),
    "kind": (lambda tensors: tensors.update(bias=torch.ones(2, dtype=torch.int64)), "'bias' is torch.int64"),
    "finite": (lambda tensors: tensors.update(bias=torch.full((2,), torch.nan)), "'bias' is not finite"),
    "of no network": (lambda tensors: tensors.update({"judge/more": torch.ones(1)}), "'judge/more' is left over"),
}


@pytest.mark.parametrize("kind", WRONG)
def test_weights_that_do_not_fit_are_refused_by_name(tmp_path: Path, kind: str) -> None:
    spoil, reason = WRONG[kind]
    tensors = whole(nn.Linear(2, 2))
    spoil(tensors)
    path, sha256 = stored(tmp_path / "w.safetensors", tensors)
    with pytest.raises(UsageError, match=reason):
        load_initial(path, sha256, nn.Linear(2, 2))


def test_another_file_no_file_and_no_tensors_are_refused(tmp_path: Path) -> None:
    network = nn.Linear(2, 2)
    path, _ = stored(tmp_path / "w.safetensors", whole(network))
    with pytest.raises(UsageError, match="have SHA-256"):
        load_initial(path, "ab", network)
    with pytest.raises(UsageError, match="have SHA-256"):
        load_initial(path, "", network)
    with pytest.raises(UsageError, match="not a file"):
        load_initial("", "ab", network)
    text = tmp_path / "text.safetensors"
    text.write_text("no tensors")
    with pytest.raises(UsageError, match="no safetensors file"):
        load_initial(str(text), hashlib.sha256(text.read_bytes()).hexdigest(), network)
