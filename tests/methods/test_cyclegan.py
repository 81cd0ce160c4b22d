"""The CycleGAN method: what it refuses, how it learns without pairs, how it translates."""

from __future__ import annotations

import io
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate

from nferbench import Batch, FaceSpec, UsageError
from nferbench.contract.noise import ImageNoise
from nferbench.engine.fitting import _order
from nferbench_methods.cyclegan import CycleGAN, CycleGANRecipe, nferbench_translators
from nferbench_methods.gan.cyclegan_objective import CycleGANObjective

TINY = CycleGANRecipe(width=2, blocks=1, discriminator_width=2, pool=2, epochs=4)
FACES = FaceSpec(size=24)


def parameters(network: nn.Module) -> int:
    return sum(parameter.numel() for parameter in network.parameters())


def noise(*shape: int, seed: int = 0) -> Tensor:
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed)) * 2 - 1


def domains(count: int, size: int = 24) -> Batch:
    """Smooth coloured VIS images and smooth grey NIR images that have nothing to do with each other."""
    vis, nir = (
        interpolate(noise(count, 3, 4, 4, seed=seed), (size, size), mode="bicubic").clamp(-1, 1) for seed in (7, 8)
    )
    return Batch(vis=vis, nir=nir.mean(dim=1, keepdim=True).expand_as(nir))


def fresh(recipe: CycleGANRecipe, faces: FaceSpec = FACES, count: int = 4, seed: int = 0):
    torch.manual_seed(seed)
    network = recipe.build(faces)
    return network, recipe.learner(network, faces, count)


def objective_of(learner) -> CycleGANObjective:
    """The objective that the recipe gave its learner."""
    return learner._update.__self__


def train(learner, batch: Batch, updates: range) -> list[dict[str, float]]:
    """What the harness does around a learner of batch size 1: deal faces out apart, seed, step."""
    order = _order(TINY, len(batch.vis), seed=3)
    rng = torch.Generator()
    history = []
    for k in updates:
        torch.manual_seed(1000 + k)
        rng.manual_seed(2000 + k)
        i, j = order(k)
        history.append(
            {name: float(loss) for name, loss in learner.step(Batch(batch.vis[i], batch.nir[j]), rng, k).items()}
        )
    return history


def tensors(state, path=""):
    """Every leaf of a nested state by its path."""
    if isinstance(state, dict | list):
        items = state.items() if isinstance(state, dict) else enumerate(state)
        return {name: leaf for key, value in items for name, leaf in tensors(value, f"{path}/{key}").items()}
    return {path: state}


def test_the_defaults_build_the_published_networks():
    recipe = CycleGANRecipe()
    with torch.device("meta"):
        generator = recipe.build(FaceSpec(size=256))
        learner = recipe.learner(generator, FaceSpec(size=256), pairs=10)
    counts = {name: parameters(network) for name, network in learner.networks().items()}
    assert counts == {
        "generator": 11_378_179,
        "inverse": 11_378_179,
        "nir_discriminator": 2_764_737,
        "vis_discriminator": 2_764_737,
    }
    assert learner.networks()["generator"] is generator
    assert len(set(map(id, learner.networks().values()))) == 4


@pytest.mark.parametrize("size", [20, 16, 4, 30, 250, 254])
def test_sizes_that_the_networks_do_not_take_are_refused_in_one_line(size):
    with pytest.raises(UsageError, match=rf"{size} px .* multiples of 4 px, at least 24 px") as caught:
        TINY.build(FaceSpec(size=size))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("size", [24, 28, 52])
def test_the_smallest_and_uneven_sizes_can_be_trained_on(size):
    _, learner = fresh(TINY, FaceSpec(size=size))
    (losses,) = train(learner, domains(1, size), range(1))
    assert all(np.isfinite(loss) for loss in losses.values())


def test_a_training_sees_every_face_once_an_epoch():
    assert CycleGANRecipe().updates(640) == 200 * 640
    assert CycleGANRecipe(epochs=10, batch_size=4).updates(10) == 25
    assert CycleGANRecipe(epochs=1, batch_size=4).updates(3) == 1


def test_the_rate_of_all_four_networks_follows_the_epochs_of_the_training():
    _, learner = fresh(TINY, count=3)  # 2 constant epochs, then 2/3 and 1/3
    batch, rates = domains(1), []
    for k in range(12):
        train(learner, batch, range(k, k + 1))
        state = learner.state_dict()
        rates.append([state[f"{part}_optimiser"]["param_groups"][0]["lr"] for part in ("generator", "discriminator")])
    expected = [1] * 6 + [2 / 3] * 3 + [1 / 3] * 3
    assert rates == [pytest.approx([2e-4 * factor] * 2) for factor in expected]


def test_an_epoch_is_counted_in_faces_whatever_the_batch():
    _, learner = fresh(replace(TINY, batch_size=2), count=3)  # faces 6 to 8 belong to epoch 3, the first that decays
    for k, factor in ((2, 1), (3, 2 / 3)):
        train(learner, domains(1), range(k, k + 1))
        assert learner.state_dict()["generator_optimiser"]["param_groups"][0]["lr"] == pytest.approx(2e-4 * factor)


def test_all_networks_start_apart_from_the_published_weights():
    _, learner = fresh(replace(TINY, width=16, discriminator_width=16))
    drawn = []
    for network in learner.networks().values():
        state = network.state_dict()
        drawn.append(torch.cat([value.flatten() for value in state.values() if value.ndim == 4]))
        assert drawn[-1].std().item() == pytest.approx(0.02, rel=0.03)
        assert all(value.eq(0).all() for value in state.values() if value.ndim == 1)
    assert not torch.equal(drawn[0], drawn[1])
    assert not torch.equal(drawn[2], drawn[3])


def test_two_adams_share_the_four_networks():
    _, learner = fresh(TINY)
    networks = learner.networks()
    for part, names in (
        ("generator", ("generator", "inverse")),
        ("discriminator", ("nir_discriminator", "vis_discriminator")),
    ):
        (group,) = learner.state_dict()[f"{part}_optimiser"]["param_groups"]
        assert (group["lr"], group["betas"], group["weight_decay"]) == (2e-4, (0.5, 0.999), 0)
        assert len(group["params"]) == sum(len(list(networks[name].parameters())) for name in names)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [({}, (False, False)), ({"tie_grey": True}, (True, False)), ({"grey_source": True}, (False, True))],
)
def test_colour_leaves_nir_fakes_or_vis_faces_only_when_the_recipe_says_so(changes, expected):
    _, learner = fresh(replace(TINY, **changes))
    seen: dict[str, Tensor] = {}
    for name in ("nir_discriminator", "generator"):
        learner.networks()[name].register_forward_pre_hook(
            lambda module, args, name=name: seen.update({name: seen.get(name, args[0].detach())})
        )
    vis = noise(1, 3, 24, 24)
    learner.step(Batch(vis, vis), torch.Generator(), 0)
    assert tuple(seen[name].std(dim=1).max() < 1e-6 for name in ("nir_discriminator", "generator")) == expected


def dealt(pairs: int, epochs: int, seed: int = 0, batch_size: int = 1) -> tuple[np.ndarray, np.ndarray]:
    """Pair numbers of all VIS and of all NIR faces that some epochs show, (epochs, pairs) each."""
    recipe = CycleGANRecipe(epochs=epochs, batch_size=batch_size)
    order = _order(recipe, pairs, seed)
    vis, nir = np.concatenate([order(k) for k in range(recipe.updates(pairs))], axis=1)
    return vis.reshape(epochs, pairs), nir.reshape(epochs, pairs)


@pytest.mark.parametrize("batch_size", [1, 4])
def test_every_epoch_shows_every_face_of_both_domains_once_in_an_order_of_its_own(batch_size):
    for domain in dealt(12, 6, batch_size=batch_size):
        assert all(sorted(epoch) == list(range(12)) for epoch in domain)
        assert len({tuple(epoch) for epoch in domain}) == 6


def test_true_partners_meet_as_often_as_chance_has_it():
    vis, nir = dealt(50, 400)
    assert (vis == nir).sum() == pytest.approx(400, abs=4 * 20)  # once an epoch, with variance 1


def test_which_nir_face_comes_does_not_depend_on_the_vis_face():
    vis, nir = dealt(5, 2000)
    met = np.zeros((5, 5))
    np.add.at(met, (vis.ravel(), nir.ravel()), 1)
    assert ((met - 400) ** 2 / 400).sum() < 39  # chi-squared with at most 16 degrees of freedom: 0.1 % above
    assert abs(np.corrcoef(vis.ravel(), nir.ravel())[0, 1]) < 0.04


def test_the_order_follows_from_seed_and_update_alone():
    forwards, backwards = _order(TINY, 7, 3), _order(TINY, 7, 3)
    first = [forwards(k).tolist() for k in range(21)]
    assert [backwards(k).tolist() for k in reversed(range(21))] == first[::-1]
    assert [_order(TINY, 7, 4)(k).tolist() for k in range(21)] != first


def test_each_half_of_an_update_leaves_the_other_networks_alone():
    _, learner = fresh(TINY)
    nets, objective = list(learner.networks().values()), objective_of(learner)
    generators, judges = nets[:2], nets[2:]
    v, n = domains(1).vis, domains(1).nir

    def snapshot(networks):
        return [parameter.detach().clone() for network in networks for parameter in network.parameters()]

    def gradients(networks):
        return [parameter.grad for network in networks for parameter in network.parameters()]

    before = snapshot(generators), snapshot(judges)
    objective.improve(v, n)
    objective.generator_optimiser.step()
    assert all(gradient is None for gradient in gradients(judges))
    assert all(map(torch.equal, snapshot(judges), before[1]))
    assert all(gradient is not None for gradient in gradients(generators))
    assert all(gradient.abs().max() > 0 for gradient in gradients(generators) if gradient.ndim == 4)
    assert not any(map(torch.equal, snapshot(generators)[::2], before[0][::2]))  # weights; most biases feed a norm

    for network in generators:
        network.zero_grad(set_to_none=True)
    before = snapshot(generators), snapshot(judges)
    objective.judge(v, n, generators[1](n), generators[0](v))
    objective.discriminator_optimiser.step()
    assert all(gradient is None for gradient in gradients(generators))
    assert all(map(torch.equal, snapshot(generators), before[0]))
    assert all(gradient is not None for gradient in gradients(judges))
    assert not any(map(torch.equal, snapshot(judges)[::2], before[1][::2]))


def test_a_resumed_training_ends_bit_for_bit_where_an_undisturbed_one_ends():
    batch = domains(4)
    _, straight = fresh(TINY)
    train(straight, batch, range(12))

    _, first = fresh(TINY)
    train(first, batch, range(6))
    file = io.BytesIO()
    torch.save(first.state_dict(), file)
    file.seek(0)
    _, second = fresh(TINY, seed=99)  # other weights and other stored fakes: all that counts must come from the file
    train(second, batch, range(20, 23))
    second.load_state_dict(torch.load(file, weights_only=True))
    train(second, batch, range(6, 12))

    expected, got, stopped = (tensors(learner.state_dict()) for learner in (straight, second, first))
    assert expected.keys() == got.keys()
    for name, value in expected.items():
        assert torch.equal(value, got[name]) if isinstance(value, Tensor) else value == got[name], name
    for part in ("generator", "inverse", "nir_discriminator", "vis_discriminator", "nir_pool", "vis_pool"):
        names = [name for name in expected if name.startswith(f"/{part}/")]
        assert any(not torch.equal(stopped[name], expected[name]) for name in names), part
    assert len(first.state_dict()["nir_pool"]["images"]) == len(first.state_dict()["vis_pool"]["images"]) == 2


def test_a_training_depends_on_the_stored_fakes():
    batch = domains(4)
    ends = []
    for forget in (False, True):
        _, learner = fresh(TINY)
        train(learner, batch, range(6))
        state = learner.state_dict()
        if forget:
            state["nir_pool"] = {"images": [torch.zeros_like(image) for image in state["nir_pool"]["images"]]}
            learner.load_state_dict(state)
        train(learner, batch, range(6, 12))
        ends.append(tensors(learner.state_dict()["nir_discriminator"]))
    assert any(not torch.equal(ends[0][name], ends[1][name]) for name in ends[0])


def test_the_weights_are_a_copy_of_the_generator_alone():
    network, learner = fresh(TINY)
    weights = learner.weights()
    TINY.build(FACES).load_state_dict(weights)
    train(learner, domains(1), range(1))
    assert not torch.equal(network.state_dict()["layers.1.weight"], weights["layers.1.weight"])


def test_it_learns_to_come_back_and_to_leave_its_own_domain_alone():
    recipe = CycleGANRecipe(width=8, blocks=1, discriminator_width=8, lr=1e-3, epochs=60)
    _, learner = fresh(recipe, FaceSpec(size=32))
    history = train(learner, domains(4, 32), range(120))

    def mean(rows: list[dict[str, float]], kind: str) -> float:
        return sum(row[f"{kind}_vis"] + row[f"{kind}_nir"] for row in rows) / len(rows)

    for kind in ("cycle", "identity"):
        assert mean(history[-8:], kind) < 0.85 * mean(history[:8], kind)  # 0.62 at most from eight starts
    assert mean(history[-20:], "discriminator") < 0.5  # that of scores that always are 0.5, in two domains


@pytest.fixture(scope="module")
def fitted() -> nn.Module:
    network, learner = fresh(replace(TINY, width=4))
    train(learner, domains(4), range(4))
    return network.eval().requires_grad_(False)


def translate(network: nn.Module, vis: Tensor, seeds, recipe: CycleGANRecipe = TINY) -> Tensor:
    with torch.inference_mode():
        return CycleGAN(generator=recipe).translate(vis, {"generator": network}, ImageNoise(seeds))


def test_a_translation_is_one_pass_of_the_generator_whatever_the_seed(fitted):
    vis = domains(1).vis
    out = translate(fitted, vis, [1])
    with torch.inference_mode():
        assert torch.equal(out, fitted(vis))
    assert torch.equal(out, translate(fitted, vis, [2]))
    assert out.shape == vis.shape and out.abs().max() <= 1


def test_a_face_does_not_depend_on_its_neighbours_or_their_order(fitted):
    vis = domains(5).vis
    out = translate(fitted, vis, [1, 2, 3, 4, 5])
    assert torch.equal(out.flip(0), translate(fitted, vis.flip(0), [5, 4, 3, 2, 1]))
    assert torch.equal(out[2:3], translate(fitted, vis[2:3], [3]))


def test_the_grey_variant_translates_the_luma_of_a_face(fitted):
    vis = domains(2).vis
    weights = torch.tensor([0.299, 0.587, 0.114])[:, None, None]
    luma = (vis * weights).sum(dim=1, keepdim=True).expand_as(vis)
    out = translate(fitted, vis, [1, 2], replace(TINY, grey_source=True))
    assert torch.allclose(out, translate(fitted, luma, [1, 2]), atol=1e-4)
    assert not torch.allclose(out, translate(fitted, vis, [1, 2]), atol=1e-2)


def test_it_is_registered_as_a_method_that_does_not_know_the_pairs():
    (method,) = nferbench_translators()
    assert (method.name, method.title, method.group, method.grey) == ("cyclegan", "CycleGAN", "gan", True)
    assert not method.generator.paired
    assert method.networks() == {"generator": CycleGANRecipe()}
    assert replace(method, name="cg", title="Cycle") == method
