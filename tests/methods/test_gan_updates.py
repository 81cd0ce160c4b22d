"""What the updates of all GANs have in common on a GPU: bfloat16 where it is harmless, and no waiting."""

from __future__ import annotations

import importlib
from collections.abc import Iterator

import pytest
import torch
from torch import Generator, Tensor, nn
from torch.overrides import TorchFunctionMode
from unread import Unread

from nferbench import Batch, Divisible, FaceSpec, Learner, NetworkRecipe
from nferbench.contract import precision
from nferbench_methods.cyclegan import CycleGANRecipe
from nferbench_methods.gan import vgg
from nferbench_methods.hifacegan import HiFaceGANRecipe
from nferbench_methods.pix2pix import Pix2PixRecipe

RECIPES: dict[str, tuple[NetworkRecipe, int]] = {
    "pix2pix": (Pix2PixRecipe(levels=3, width=4, discriminator_width=4), 24),
    "cyclegan": (CycleGANRecipe(width=4, blocks=1, discriminator_width=4, pool=1), 24),
    "hifacegan": (HiFaceGANRecipe(width=4, halvings=2, discriminator_width=4, perceptual="none"), 24),
    "perceptual": (HiFaceGANRecipe(width=2, halvings=2, discriminator_width=2), 64),
}
LAST = {  # the convolutions that make images or scores
    "pix2pix": {"generator.decoder.0.1", "discriminator.layers.11"},
    "cyclegan": {
        "generator.layers.18",
        "inverse.layers.18",
        "nir_discriminator.layers.11",
        "vis_discriminator.layers.11",
    },
    "hifacegan": {"generator.output", "discriminator.judges.0.score", "discriminator.judges.1.score"},
}


@pytest.fixture(autouse=True)
def _vgg19(monkeypatch: pytest.MonkeyPatch) -> None:
    """A VGG19 of random weights, thin enough to be quick."""

    def features(images: Tensor) -> list[Tensor]:
        return [images * (1 + tap) for tap in range(5)]

    monkeypatch.setattr(vgg, "pretrained_vgg", lambda trunk: features)


@pytest.fixture
def bfloat16(monkeypatch: pytest.MonkeyPatch) -> None:
    """A CPU that computes as a GPU does."""
    monkeypatch.setattr(precision, "precision_on", lambda device: "bf16")


def fresh(name: str, device: str = "cpu") -> Learner:
    recipe, size = RECIPES[name]
    torch.manual_seed(0)
    network = recipe.build(FaceSpec(size)).to(device)
    return recipe.learner(network, FaceSpec(size), 8)


def batch(name: str, device: str = "cpu", count: int = 2) -> Batch:
    size = RECIPES[name][1]
    vis, nir = (torch.rand(2, count, 3, size, size, generator=Generator().manual_seed(1)) * 2 - 1).to(device)
    return Batch(vis, nir)


def step(learner: Learner, name: str, k: int = 0) -> dict[str, Tensor]:
    torch.manual_seed(k)
    return dict(learner.step(batch(name), Generator().manual_seed(k), k))


@pytest.mark.parametrize("name", RECIPES)
def test_an_update_reads_nothing_back(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    optimizer = importlib.import_module("torch.optim.optimizer")  # no attribute of torch.optim
    monkeypatch.setattr(optimizer, "_get_fused_kernels_supported_devices", lambda: ["meta"])
    learner, rng = fresh(name, "meta"), Generator()
    learner.step(batch(name, "meta"), rng, 0)  # makes the optimiser's state and fills the pool
    state = learner.state_dict()
    learner.load_state_dict(state)
    with Unread(host=True):
        losses = learner.step(batch(name, "meta"), rng, 1)
    assert all(loss.is_meta and loss.ndim == 0 for loss in losses.values())


def convolutions(learner: Learner) -> Iterator[tuple[str, nn.Module]]:
    for name, network in learner.networks().items():
        for place, module in network.named_modules():
            if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
                yield f"{name}.{place}", module


@pytest.mark.parametrize("name", LAST)
def test_all_but_the_last_layers_of_each_network_compute_in_bfloat16(name: str, bfloat16: None) -> None:
    learner = fresh(name)
    dtypes: dict[str, torch.dtype] = {}
    for place, module in convolutions(learner):
        module.register_forward_hook(lambda _, args, out, place=place: dtypes.update({place: out.dtype}))
    step(learner, name)
    assert {place for place, dtype in dtypes.items() if dtype == torch.float32} == LAST[name]
    assert set(dtypes.values()) == {torch.float32, torch.bfloat16}


@pytest.mark.parametrize("name", RECIPES)
def test_losses_and_weights_are_float32_and_close_to_those_of_float32(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = fresh(name)
    expected = [step(plain, name, k) for k in range(2)][-1]
    monkeypatch.setattr(precision, "precision_on", lambda device: "bf16")
    learner = fresh(name)
    inside = []
    for optimiser in learner._optimisers.values():
        optimiser.register_step_pre_hook(lambda *_: inside.append(torch.is_autocast_enabled("cpu")))
    found = [step(learner, name, k) for k in range(2)][-1]
    assert inside == [False] * 4  # a context that spans a step would go on with the weights before it
    assert {loss.dtype for loss in found.values()} == {torch.float32}
    assert {parameter.dtype for _, module in convolutions(learner) for parameter in module.parameters()} == {
        torch.float32
    }
    for term, loss in expected.items():
        assert found[term].item() == pytest.approx(loss.item(), rel=0.03), term
    assert any(not torch.equal(found[term], loss) for term, loss in expected.items())


class Watching(TorchFunctionMode):
    """Notes in which precision power iterations and importances are computed."""

    def __init__(self) -> None:
        super().__init__()
        self.iterated: list[bool] = []
        self.exponents: list[torch.dtype] = []

    def __torch_function__(self, func, types, args=(), kwargs=None):
        if func is torch.mv:
            self.iterated.append(torch.is_autocast_enabled("cpu"))
        if func is torch.exp:
            self.exponents.append(args[0].dtype)
        return func(*args, **(kwargs or {}))


def test_power_iterations_and_importances_are_float32(bfloat16: None) -> None:
    learner = fresh("hifacegan")
    with Watching() as seen:
        step(learner, "hifacegan")
    assert seen.iterated and not any(seen.iterated)
    assert set(seen.exponents) == {torch.float32}


def test_maps_of_vgg19_come_back_in_the_precision_of_the_images(bfloat16: None) -> None:
    state = vgg.vgg19(weights=None, init_weights=False).features[:30].state_dict(prefix="features.")
    network = vgg.VGGFeatures("vgg19", state)
    computed = []
    for layer in network.layers:
        layer.register_forward_hook(lambda module, args, out: computed.append(out.dtype))
    maps = network(torch.rand(1, 3, 16, 16))
    assert {each.dtype for each in maps} == {torch.float32}
    assert set(computed) == {torch.bfloat16}


def test_only_trainings_that_do_not_normalise_over_a_batch_can_be_divided() -> None:
    learners = {name: fresh(name) for name in RECIPES}
    assert all(isinstance(learner, Divisible) for learner in learners.values())
    assert {name for name, learner in learners.items() if learner.divide(1)} == {"cyclegan"}


@pytest.mark.parametrize("piece", [1, 2, 4])
def test_pieces_of_cyclegan_change_nothing_but_rounding(piece: int) -> None:
    ends = []
    for rows in (0, piece):
        learner = fresh("cyclegan")
        for network in learner.networks().values():
            network.double()
        assert learner.divide(rows)
        given = batch("cyclegan", count=5)
        history = []
        for k in range(3):
            torch.manual_seed(k)
            doubled = Batch(given.vis.double(), given.nir.double())
            losses = learner.step(doubled, Generator().manual_seed(k), k)
            history.append(torch.stack(list(losses.values())))
        ends.append((history, learner.state_dict()))
    (expected, whole), (found, pieces) = ends
    assert torch.allclose(torch.stack(found), torch.stack(expected), rtol=1e-9)
    for name in ("generator", "inverse", "nir_discriminator", "vis_discriminator"):
        for place, value in whole[name].items():
            # Biases before an instance norm have gradients of rounding alone: 1e-9 is 1e-7 of what weights are.
            assert torch.allclose(pieces[name][place], value, rtol=1e-6, atol=1e-9), (name, place)
    for a, b in zip(whole["nir_pool"]["images"], pieces["nir_pool"]["images"], strict=True):
        assert torch.allclose(a, b, rtol=1e-9)


def test_a_training_can_be_told_to_do_whole_updates_again() -> None:
    rows: list[int] = []
    learner = fresh("cyclegan")
    learner.networks()["inverse"].register_forward_hook(lambda module, args, out: rows.append(len(out)))
    for piece in (1, 0):
        learner.divide(piece)
        step(learner, "cyclegan")
    assert rows == [1] * 6 + [2] * 3
