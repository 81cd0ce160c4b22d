"""The pix2pix method: what it refuses, how it learns, how it translates."""

from __future__ import annotations

import io
import math
from dataclasses import replace

import pytest
import torch
from torch import nn
from torch.nn.functional import interpolate, softplus
from torch.optim import Adam

from nferbench import Batch, FaceSpec, UsageError
from nferbench.contract.noise import ImageNoise
from nferbench_methods.gan.adversarial import AdversarialLearner
from nferbench_methods.gan.pix2pix_objective import Pix2PixObjective
from nferbench_methods.pix2pix import Pix2Pix, Pix2PixRecipe, nferbench_translators

TINY = Pix2PixRecipe(levels=4, width=4, discriminator_width=4, epochs=4)
FACES = FaceSpec(size=32)


def pairs(count: int, size: int = 32) -> Batch:
    """Smooth VIS images whose NIR partner is the inverted mean of their channels."""
    coarse = torch.rand(count, 3, 4, 4, generator=torch.Generator().manual_seed(7)) * 2 - 1
    vis = interpolate(coarse, (size, size), mode="bicubic").clamp(-1, 1)
    return Batch(vis=vis, nir=-vis.mean(dim=1, keepdim=True).expand_as(vis))


def fresh(recipe: Pix2PixRecipe, faces: FaceSpec = FACES, count: int = 4, seed: int = 0):
    torch.manual_seed(seed)
    network = recipe.build(faces)
    return network, recipe.learner(network, faces, count)


def objective_of(learner) -> Pix2PixObjective:
    """The objective that the recipe gave its learner."""
    return learner._update.__self__


def train(learner, batch: Batch, updates: range):
    """What the harness does around a learner of batch size 1: seed, then step."""
    rng = torch.Generator()
    losses = {}
    for k in updates:
        torch.manual_seed(1000 + k)
        rng.manual_seed(2000 + k)
        i = k % len(batch.vis)
        losses = learner.step(Batch(batch.vis[i : i + 1], batch.nir[i : i + 1]), rng, k)
    return losses


def tensors(state, path=""):
    """Every leaf of a nested state by its path."""
    if isinstance(state, dict | list):
        items = state.items() if isinstance(state, dict) else enumerate(state)
        return {name: leaf for key, value in items for name, leaf in tensors(value, f"{path}/{key}").items()}
    return {path: state}


@pytest.fixture(scope="module")
def fitted():
    """A tiny generator after a few updates, so that its running averages are not those of any one image."""
    network, learner = fresh(TINY)
    train(learner, pairs(4), range(8))
    return network.eval().requires_grad_(False)


def test_the_defaults_build_the_published_networks():
    recipe = Pix2PixRecipe()
    with torch.device("meta"):
        generator = recipe.build(FaceSpec(size=256))
        learner = recipe.learner(generator, FaceSpec(size=256), pairs=10)
    counts = {
        name: sum(parameter.numel() for parameter in network.parameters())
        for name, network in learner.networks().items()
    }
    assert counts == {"generator": 54_413_955, "discriminator": 2_768_705}
    assert learner.networks()["generator"] is generator


@pytest.mark.parametrize("size", [128, 250, 286, 320])
def test_sizes_that_cannot_be_halved_eight_times_are_refused_in_one_line(size):
    with pytest.raises(UsageError, match=rf"{size} px .* multiples of 256 px.*generator\.levels") as caught:
        Pix2PixRecipe(width=2).build(FaceSpec(size=size))
    assert "\n" not in str(caught.value)


def test_faces_too_small_for_a_patch_and_u_nets_without_a_skip_are_refused():
    with pytest.raises(UsageError, match="24 px or more"):
        replace(TINY, levels=4).build(FaceSpec(size=16))
    with pytest.raises(UsageError, match="2 or more"):
        replace(TINY, levels=1).build(FACES)


@pytest.mark.parametrize(("levels", "size"), [(3, 24), (5, 32), (6, 64), (4, 48)])
def test_the_smallest_size_of_a_depth_can_be_trained_on(levels, size):
    _, learner = fresh(replace(TINY, levels=levels), FaceSpec(size=size))
    losses = train(learner, pairs(1, size), range(1))
    assert all(loss.isfinite() for loss in losses.values())


@pytest.mark.parametrize(
    ("levels", "placement", "expected"),
    [
        (8, "code", {7, 6, 5}),
        (8, "paper", {8, 7, 6}),
        (5, "code", {4, 3, 2}),
        (5, "paper", {5, 4, 3}),
        (3, "code", {2}),
    ],
)
def test_three_dropouts_follow_the_bottleneck(levels, placement, expected):
    with torch.device("meta"):
        network = Pix2PixRecipe(levels=levels, dropout=placement, width=2).build(FaceSpec(size=256))
    dropping = {
        level for level, module in enumerate(network.decoder, start=1) if any(isinstance(m, nn.Dropout) for m in module)
    }
    assert dropping == expected


def test_a_training_sees_every_pair_once_an_epoch():
    assert Pix2PixRecipe().updates(640) == 200 * 640
    assert Pix2PixRecipe(epochs=10, batch_size=4).updates(10) == 25
    assert Pix2PixRecipe(epochs=1, batch_size=4).updates(3) == 1


def test_the_rate_follows_the_epochs_of_the_training():
    _, learner = fresh(replace(TINY, epochs=4), count=3)  # 2 constant epochs, then 2/3 and 1/3
    batch, rates = pairs(1), []
    for k in range(12):
        train(learner, batch, range(k, k + 1))
        state = learner.state_dict()
        rates.append([state[f"{part}_optimiser"]["param_groups"][0]["lr"] for part in ("generator", "discriminator")])
    expected = [1] * 6 + [2 / 3] * 3 + [1 / 3] * 3
    assert rates == [pytest.approx([2e-4 * factor] * 2) for factor in expected]


def test_an_epoch_is_counted_in_pairs_whatever_the_batch():
    recipe = replace(TINY, epochs=4, batch_size=2)
    _, learner = fresh(recipe, count=3)  # 6 updates; images 6 to 8 belong to epoch 3, the first that decays
    train(learner, pairs(1), range(2, 3))
    assert learner.state_dict()["generator_optimiser"]["param_groups"][0]["lr"] == pytest.approx(2e-4)
    train(learner, pairs(1), range(3, 4))
    assert learner.state_dict()["generator_optimiser"]["param_groups"][0]["lr"] == pytest.approx(2e-4 * 2 / 3)


def test_both_networks_start_from_the_published_weights():
    network, learner = fresh(replace(TINY, width=8, discriminator_width=16))
    for state in (network.state_dict(), learner.state_dict()["discriminator"]):
        weights = torch.cat([value.flatten() for name, value in state.items() if value.ndim == 4])
        assert weights.std().item() == pytest.approx(0.02, rel=0.03)


def test_both_optimisers_are_the_published_adam():
    _, learner = fresh(TINY)
    for part in ("generator", "discriminator"):
        (group,) = learner.state_dict()[f"{part}_optimiser"]["param_groups"]
        assert (group["lr"], group["betas"], group["weight_decay"]) == (2e-4, (0.5, 0.999), 0)


class Offset(nn.Module):
    """A generator that returns a constant image and counts its calls."""

    def __init__(self, value: tuple[float, float, float]) -> None:
        super().__init__()
        self.value = nn.Parameter(torch.tensor(value))
        self.calls = 0

    def forward(self, x):
        self.calls += 1
        return self.value[:, None, None].expand_as(x)


class Slope(nn.Module):
    """A discriminator whose logit is w times the mean of the target; it records what it was shown."""

    def __init__(self) -> None:
        super().__init__()
        self.w = nn.Parameter(torch.zeros(()))
        self.shown = []

    def forward(self, x):
        self.shown.append(x.detach().clone())
        return self.w * x[:, 3:].mean(dim=(1, 2, 3), keepdim=True)


def stubbed(value=(-1.0, -1.0, -1.0), lr=0.1, tie_grey=False):
    generator, discriminator = Offset(value), Slope()
    optimisers = [Adam(network.parameters(), lr=lr, betas=(0.5, 0.999)) for network in (generator, discriminator)]
    settings = {"l1_weight": 100.0, "jitter_ratio": 1.0, "tie_grey": tie_grey}
    objective = Pix2PixObjective(generator, discriminator, *optimisers, **settings)
    networks = {"generator": generator, "discriminator": discriminator}
    named = dict(zip(("generator_optimiser", "discriminator_optimiser"), optimisers, strict=True))
    return generator, discriminator, AdversarialLearner(networks, named, objective.update, rate=lambda k: 1.0)


def constant_pair(nir: float) -> Batch:
    return Batch(vis=torch.full((2, 3, 8, 8), 0.5), nir=torch.full((2, 3, 8, 8), nir))


def test_an_undecided_discriminator_costs_ln_two_and_a_hundredth_off_costs_one():
    _, _, learner = stubbed((0.29, 0.29, 0.29), lr=0.0)
    losses = learner.step(constant_pair(0.3), torch.Generator(), 0)
    assert losses["discriminator"].item() == pytest.approx(math.log(2))
    assert losses["adversarial"].item() == pytest.approx(math.log(2))
    assert losses["l1"].item() == pytest.approx(1.0, rel=1e-4)
    assert all(loss.ndim == 0 and not loss.requires_grad for loss in losses.values())


def test_a_perfect_generator_has_no_l1_loss():
    _, _, learner = stubbed((0.3, 0.3, 0.3), lr=0.0)
    assert learner.step(constant_pair(0.3), torch.Generator(), 0)["l1"] == 0


def test_the_generator_answers_to_the_discriminator_as_just_updated():
    _, discriminator, learner = stubbed()  # fake is -1, real is +1: the first Adam step takes w from 0 to lr
    losses = learner.step(constant_pair(1.0), torch.Generator(), 0)
    assert discriminator.w.item() == pytest.approx(0.1, rel=1e-5)
    assert losses["discriminator"].item() == pytest.approx(math.log(2))
    assert losses["adversarial"].item() == pytest.approx(softplus(torch.tensor(0.1)).item(), rel=1e-5)


def test_one_fake_is_generated_and_judged_apart_from_the_real_image_with_its_source():
    generator, discriminator, learner = stubbed()
    learner.step(constant_pair(1.0), torch.Generator(), 0)
    assert generator.calls == 1
    assert [shown[:, 3:].unique().tolist() for shown in discriminator.shown] == [[-1.0], [1.0], [-1.0]]
    assert all(shown[:, :3].unique().tolist() == [0.5] for shown in discriminator.shown)


def test_both_images_of_a_pair_are_jittered_alike():
    vis = torch.rand(4, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    discriminator = Slope()
    _, learner = fresh(TINY)
    objective = replace(objective_of(learner), discriminator=discriminator)
    list(objective.update(Batch(vis, vis), torch.Generator().manual_seed(1)))
    _, real, _ = discriminator.shown
    assert torch.equal(real[:, :3], real[:, 3:])
    for moved, still in zip(real[:, :3], vis, strict=True):  # more than a flip
        assert not torch.equal(moved, still) and not torch.equal(moved, still.flip(2))


def test_tied_channels_reach_both_losses_as_grey():
    _, discriminator, learner = stubbed((-0.9, 0.0, 0.3), lr=0.0, tie_grey=True)
    losses = learner.step(constant_pair(-0.2), torch.Generator(), 0)
    fake = discriminator.shown[0][:, 3:]
    assert torch.allclose(fake, torch.full_like(fake, -0.2))
    assert losses["l1"].item() == pytest.approx(0, abs=1e-4)


def test_channels_are_tied_only_when_the_recipe_says_so():
    losses = {}
    for tie_grey in (False, True):
        _, learner = fresh(replace(TINY, tie_grey=tie_grey))
        shown = []
        learner.networks()["discriminator"].register_forward_pre_hook(
            lambda module, args, shown=shown: shown.append(args)
        )
        losses[tie_grey] = train(learner, pairs(1), range(1))["l1"]
        red, green, blue = shown[0][0][0, 3:]
        assert (torch.equal(red, green) and torch.equal(green, blue)) == tie_grey
    assert losses[True] < losses[False]  # the target is grey: averaging can only come closer to it


def test_each_half_of_an_update_leaves_the_other_network_alone():
    network, learner = fresh(TINY)
    batch, objective = pairs(1), objective_of(learner)
    discriminator = learner.networks()["discriminator"]

    def snapshot(module):
        return [parameter.detach().clone() for parameter in module.parameters()]

    fake = network(batch.vis)
    before = snapshot(network), snapshot(discriminator)
    objective.improve(batch.vis, batch.nir, fake)
    objective.generator_optimiser.step()
    assert all(parameter.grad is None for parameter in discriminator.parameters())
    assert all(map(torch.equal, snapshot(discriminator), before[1]))
    assert all(parameter.grad is not None for parameter in network.parameters())
    assert not any(map(torch.equal, snapshot(network), before[0]))

    network.zero_grad(set_to_none=True)
    before = snapshot(network), snapshot(discriminator)
    objective.judge(batch.vis, batch.nir, network(batch.vis))
    objective.discriminator_optimiser.step()
    assert all(parameter.grad is None for parameter in network.parameters())
    assert all(map(torch.equal, snapshot(network), before[0]))
    assert all(parameter.grad is not None for parameter in discriminator.parameters())
    assert not any(map(torch.equal, snapshot(discriminator), before[1]))


def test_a_resumed_training_ends_bit_for_bit_where_an_undisturbed_one_ends():
    batch = pairs(4)
    _, straight = fresh(TINY)
    train(straight, batch, range(6))

    _, first = fresh(TINY)
    train(first, batch, range(3))
    file = io.BytesIO()
    torch.save(first.state_dict(), file)
    file.seek(0)
    _, second = fresh(TINY, seed=99)  # other initial weights: all that counts must come from the file
    second.load_state_dict(torch.load(file, weights_only=True))
    train(second, batch, range(3, 6))

    expected, got = tensors(straight.state_dict()), tensors(second.state_dict())
    assert expected.keys() == got.keys()
    for name, value in expected.items():
        assert torch.equal(value, got[name]) if isinstance(value, torch.Tensor) else value == got[name], name
    stopped = tensors(first.state_dict())
    assert any(not torch.equal(stopped[name], got[name]) for name in got if name.startswith("/generator/"))


def test_the_weights_are_a_copy_of_the_generator_alone():
    network, learner = fresh(TINY)
    weights = learner.weights()
    another = TINY.build(FACES)
    another.load_state_dict(weights)
    train(learner, pairs(1), range(1))
    assert not torch.equal(network.state_dict()["encoder.0.0.weight"], weights["encoder.0.0.weight"])


def test_it_learns_to_invert_faces():
    recipe = Pix2PixRecipe(levels=6, width=8, discriminator_width=8, epochs=20)
    faces, batch = FaceSpec(size=64), pairs(4, 64)
    network, learner = fresh(recipe, faces)
    method = Pix2Pix(generator=recipe)

    def error() -> torch.Tensor:
        network.eval()
        with torch.inference_mode():
            out = method.translate(batch.vis, {"generator": network}, ImageNoise(range(4))).mean(dim=1, keepdim=True)
        return (out - batch.nir[:, :1]).abs().mean()

    before = error()
    train(learner, batch, range(recipe.updates(4)))
    assert error() < 0.5 * before
    assert error() < 0.12


def translate(network, vis, seeds, test_mode="faithful"):
    with torch.inference_mode():
        return Pix2Pix(test_mode=test_mode).translate(vis, {"generator": network}, ImageNoise(seeds))


def test_equal_seeds_give_equal_faces_and_other_seeds_other_ones(fitted):
    vis = pairs(2).vis
    out = translate(fitted, vis, [1, 2])
    assert out.shape == vis.shape
    assert out.abs().max() <= 1
    assert torch.equal(out, translate(fitted, vis, [1, 2]))
    assert not torch.equal(out, translate(fitted, vis, [3, 4]))


@pytest.mark.parametrize("test_mode", ["faithful", "no-dropout", "eval"])
def test_a_face_does_not_depend_on_its_neighbours_or_their_order(fitted, test_mode):
    vis = pairs(4).vis
    out = translate(fitted, vis, [1, 2, 3, 4], test_mode)
    assert torch.equal(out.flip(0), translate(fitted, vis.flip(0), [4, 3, 2, 1], test_mode))
    assert torch.equal(out[2:3], translate(fitted, vis[2:3], [3], test_mode))


@pytest.mark.parametrize("test_mode", ["faithful", "no-dropout", "eval"])
def test_translating_changes_nothing_outside(fitted, test_mode):
    before = {name: value.clone() for name, value in fitted.state_dict().items()}
    torch.manual_seed(5)
    random_state = torch.get_rng_state()
    translate(fitted, pairs(2).vis, [1, 2], test_mode)
    assert all(torch.equal(value, before[name]) for name, value in fitted.state_dict().items())
    assert not any(module.training for module in fitted.modules())
    assert torch.equal(torch.get_rng_state(), random_state)


def test_faithful_translation_is_a_forward_in_training_mode(fitted):
    vis = pairs(1).vis
    twin = TINY.build(FACES)
    twin.load_state_dict(fitted.state_dict())
    torch.manual_seed(11)
    with torch.inference_mode():
        expected = twin.train()(vis)
    assert torch.equal(translate(fitted, vis, [11]), expected)


def test_without_dropout_the_seed_does_not_matter_and_statistics_are_the_images_own(fitted):
    vis = pairs(1).vis
    out = translate(fitted, vis, [1], "no-dropout")
    assert torch.equal(out, translate(fitted, vis, [2], "no-dropout"))
    twin = TINY.build(FACES)
    twin.load_state_dict(fitted.state_dict())
    twin.train()
    for module in twin.modules():
        if isinstance(module, nn.Dropout):
            module.eval()
    with torch.inference_mode():
        assert torch.equal(out, twin(vis))


def test_eval_mode_uses_the_running_averages(fitted):
    vis = pairs(1).vis
    with torch.inference_mode():
        assert torch.equal(translate(fitted, vis, [1], "eval"), fitted(vis))
    assert not torch.equal(translate(fitted, vis, [1], "eval"), translate(fitted, vis, [1], "no-dropout"))


def test_variants_of_the_test_mode_share_one_training_and_labels_do_not_count():
    (method,) = nferbench_translators()
    assert (method.name, method.group, method.generator.paired, method.grey) == ("pix2pix", "gan", True, True)
    assert replace(method, test_mode="eval").networks() == method.networks() == {"generator": Pix2PixRecipe()}
    assert replace(method, test_mode="eval") != method
    assert replace(method, name="p2p", title="Pix") == method
