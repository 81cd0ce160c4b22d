"""The domain classifier E_s: its size, its head, how it learns to tell VIS from NIR; and the energy that uses it."""

from __future__ import annotations

import io
from dataclasses import replace

import numpy as np
import pytest
import torch

from nferbench import Batch, FaceSpec, UsageError
from nferbench.contract.pixels import luma, to_float
from nferbench.datasets.drawing import draw
from nferbench_methods.diffusion.domain_energy import independent_gradient, similarity, slope, specific_gradient
from nferbench_methods.diffusion.domain_net import AttentionPool, DomainNet
from nferbench_methods.diffusion.domains import DomainRecipe
from nferbench_methods.diffusion.filters import low_pass
from nferbench_methods.diffusion.schedule import linear_schedule, perturb_each

TINY = DomainRecipe(width=16, multipliers=(1, 2, 2), res_blocks=1, attention=(8,), batch_size=4, steps=20)


@pytest.mark.parametrize(("classes", "count"), [(2, 53_584_386), (1000, 54_096_360)])
def test_the_network_has_the_number_of_parameters_of_the_authors_code(classes, count):
    recipe = DomainRecipe()
    with torch.device("meta"):
        network = DomainNet(
            256,
            classes,
            width=recipe.width,
            multipliers=recipe.multipliers,
            res_blocks=recipe.res_blocks,
            attention=recipe.attention,
            head_channels=recipe.head_channels,
        )
    assert sum(parameter.numel() for parameter in network.parameters()) == count
    assert sum(parameter.numel() for parameter in network.encoder.parameters()) == 52_761_088


def test_features_are_512_maps_of_8_by_8_positions():
    with torch.device("meta"):
        network = DomainRecipe().build(FaceSpec(256))
        features = network(torch.empty(2, 3, 256, 256), torch.empty(1, dtype=torch.long))
        logits = network.logits(torch.empty(2, 3, 256, 256), torch.empty(2, dtype=torch.long))
    assert features.shape == (2, 512, 8, 8) and logits.shape == (2, 2)


@pytest.mark.parametrize(
    ("size", "width", "multipliers", "side"),
    [(64, 32, (1, 2, 3, 4), 8), (64, 24, (1, 2, 2, 3), 8), (32, 16, (1, 2, 2), 8), (32, 16, (1, 1, 2, 2, 4, 4), 1)],
)
def test_narrow_networks_fit_small_faces(size, width, multipliers, side):
    recipe = DomainRecipe(width=width, multipliers=multipliers, res_blocks=1, attention=(8,))
    network = recipe.build(FaceSpec(size))
    x, t = torch.randn(2, 3, size, size), torch.tensor([7, 900])
    assert network(x, t).shape == (2, width * multipliers[-1], side, side)
    assert network.logits(x, t).shape == (2, 2) and network.logits(x, t).isfinite().all()


def test_a_size_that_cannot_be_halved_is_refused():
    with pytest.raises(UsageError, match="side 30; allowed: multiples of 4"):
        TINY.build(FaceSpec(30))


def test_nothing_of_the_way_up_is_left():
    names = [name for name, _ in TINY.build(FaceSpec(32)).named_parameters()]
    assert not [name for name in names if "up_blocks" in name or "conv_out" in name or "norm_out" in name]
    assert [name for name in names if name.startswith("encoder.mid_block")]


def test_the_pool_is_attention_of_the_mean_worked_out_by_hand():
    torch.manual_seed(0)
    pool = AttentionPool(side=2, channels=4, out_channels=3, head_channels=2).double()
    x = torch.randn(1, 4, 2, 2, dtype=torch.float64)
    tokens = [x.mean((2, 3))[0]] + [x[0, :, i, j] for i in (0, 1) for j in (0, 1)]
    tokens = torch.stack(tokens) + pool.positions
    q, k, v = (tokens @ pool.qkv.weight.T + pool.qkv.bias).split(4, dim=1)
    heads = []
    for head in (slice(0, 2), slice(2, 4)):
        weights = torch.softmax(torch.stack([q[0, head] @ k[i, head] / 2**0.5 for i in range(5)]), 0)
        heads.append(sum(weights[i] * v[i, head] for i in range(5)))
    expected = torch.cat(heads) @ pool.out.weight.T + pool.out.bias
    assert torch.allclose(pool(x)[0], expected, rtol=1e-12)


def test_features_know_the_time():
    torch.manual_seed(0)
    network = TINY.build(FaceSpec(32)).eval()
    for parameter in network.parameters():  # residual branches start at zero, and with them the time
        parameter.data.add_(0.1 * torch.randn_like(parameter))
    x = torch.randn(1, 3, 32, 32)
    early, late = (network(x, torch.tensor([t])) for t in (0, 999))
    assert (early - late).abs().max() > 1e-2


class Spy(torch.nn.Module):
    """Answers with zeros of its one parameter, and keeps what it was asked."""

    def __init__(self):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(2))
        self.asked = []

    def logits(self, x, t):
        self.asked.append((x, t))
        return self.weight.expand(len(x), 2)


def test_an_update_sees_as_many_vis_as_nir_faces_with_their_labels_and_noise_levels():
    spy = Spy()
    learner = TINY.learner(spy, FaceSpec(8), pairs=9)
    vis, nir = torch.full((500, 3, 8, 8), 0.75), torch.full((500, 3, 8, 8), -0.75)
    loss = learner.step(Batch(vis, nir), torch.Generator().manual_seed(0), 0)["domain"]
    assert loss.item() == pytest.approx(np.log(2))
    assert spy.weight.grad.abs().max() < 1e-6  # one label to each half: their pulls cancel
    ((x, t),) = spy.asked
    level = linear_schedule().alpha_bar[t].float().view(-1, 1, 1, 1)
    noise = (x - level.sqrt() * torch.cat([vis, nir])) / (1 - level).sqrt()
    assert noise.mean().abs() < 0.02 and noise.std().item() == pytest.approx(1, abs=0.02)
    assert 0 <= t.min() < 10 and 990 <= t.max() < 1000 and t.float().mean().item() == pytest.approx(500, abs=40)


@pytest.mark.parametrize("flip", [True, False])
def test_about_half_of_the_faces_are_mirrored_if_any(flip):
    spy = Spy()
    learner = replace(TINY, flip=flip).learner(spy, FaceSpec(8), pairs=9)
    face = torch.linspace(-40, 40, 8).expand(400, 3, 8, 8)
    learner.step(Batch(face, face), torch.Generator().manual_seed(0), 0)
    x, t = spy.asked[0]
    clear = t < 500
    share = ((x[:, 0, 0, 0] > 0) & clear).sum() / clear.sum()
    assert share.item() == pytest.approx(0.5 if flip else 0.0, abs=0.08 if flip else 0)


def test_a_grey_source_is_learned_from_its_luma():
    vis, nir = torch.rand(2, 6, 3, 8, 8) * 2 - 1
    asked = []
    for recipe, source in ((replace(TINY, grey_source=True), vis), (TINY, luma(vis))):
        spy = Spy()
        learner = recipe.learner(spy, FaceSpec(8), pairs=6)
        learner.step(Batch(source, nir), torch.Generator().manual_seed(3), 0)
        asked.append(spy.asked[0][0])
    assert torch.equal(*asked)


def drawn(subjects, modality, size=16):
    pixels = [draw(f"s{n:03d}", "happiness", f"s{n:03d}-happiness-0", modality, size)[0] for n in subjects]
    return to_float(torch.from_numpy(np.stack(pixels)))


def accuracy(network, vis, nir, first, last):
    """Share of noised faces whose domain is told right, at indices of `first` to `last` of the schedule."""
    x_0 = torch.cat([vis, nir]).repeat(6, 1, 1, 1)
    domain = torch.cat([torch.zeros(len(vis)), torch.ones(len(nir))]).repeat(6)
    generator = torch.Generator().manual_seed(1)
    k = torch.randint(first, last, (len(x_0),), generator=generator)
    e = torch.randn(x_0.shape, generator=generator)
    with torch.no_grad():
        told = network.eval().logits(perturb_each(x_0, e, linear_schedule(), k), k).argmax(1)
    return (told == domain).float().mean().item()


def test_it_learns_to_tell_unseen_vis_from_nir_faces_at_all_but_the_highest_noise():
    torch.manual_seed(0)
    recipe = replace(TINY, steps=60, lr=1e-3)
    network = recipe.build(FaceSpec(16))
    learner = recipe.learner(network, FaceSpec(16), pairs=24)
    vis, nir = (drawn(range(24), modality) for modality in ("vis", "nir"))
    losses = []
    for k in range(recipe.updates(24)):
        rng = torch.Generator().manual_seed(k)
        rows, others = torch.randint(24, (2, 16), generator=rng)
        losses.append(learner.step(Batch(vis[rows], nir[others]), rng, k)["domain"].item())
    network.load_state_dict(learner.weights())
    unseen = [drawn(range(40, 48), modality) for modality in ("vis", "nir")]
    quartiles = [accuracy(network, *unseen, first, first + 250) for first in (0, 250, 500, 750)]
    assert quartiles[0] > 0.9 and quartiles[1] > 0.8 and quartiles[2] > 0.6 and quartiles[0] > quartiles[3]
    assert sum(losses[-8:]) < 0.8 * sum(losses[:8])
    assert learner.state_dict()["optimiser"]["param_groups"][0]["lr"] == pytest.approx(1e-3 / 60)
    assert learner.state_dict()["optimiser"]["param_groups"][0]["weight_decay"] == 0.05


def test_a_resumed_training_ends_bit_for_bit_like_an_undisturbed_one():
    vis, nir = torch.rand(2, 4, 3, 16, 16, generator=torch.Generator().manual_seed(0)) * 2 - 1

    def start(seed):
        torch.manual_seed(seed)
        network = TINY.build(FaceSpec(16))
        return TINY.learner(network, FaceSpec(16), pairs=4)

    def go(learner, updates):
        return [learner.step(Batch(vis, nir), torch.Generator().manual_seed(k), k)["domain"].item() for k in updates]

    whole = start(1)
    losses = go(whole, range(6))
    cut = start(1)
    go(cut, range(3))
    file = io.BytesIO()
    torch.save(cut.state_dict(), file)
    file.seek(0)
    resumed = start(2)
    resumed.load_state_dict(torch.load(file, weights_only=True))
    assert go(resumed, range(3, 6)) == losses[3:]
    assert all(torch.equal(value, resumed.weights()[name]) for name, value in whole.weights().items())


def test_the_recipe_has_the_settings_of_the_authors_and_uses_no_pairs():
    recipe = DomainRecipe()
    assert (recipe.lr, recipe.weight_decay, 2 * recipe.batch_size, recipe.flip) == (3e-4, 0.05, 32, True)
    assert recipe.updates(100) == recipe.updates(5) == 20_000
    assert not recipe.paired


def test_a_learner_can_be_made_without_memory():
    with torch.device("meta"):
        network = DomainRecipe().build(FaceSpec(256))
        learner = DomainRecipe().learner(network, FaceSpec(256), pairs=10)
    assert sum(parameter.numel() for parameter in learner.networks()["network"].parameters()) == 53_584_386


def randomised():
    torch.manual_seed(0)
    network = replace(TINY, width=8, multipliers=(1, 2)).build(FaceSpec(16))
    for parameter in network.parameters():
        scale = parameter[0].numel() ** -0.5 if parameter.ndim > 1 else 0.3
        parameter.data.add_(scale * torch.randn_like(parameter))
    return network.eval().requires_grad_(False)


def doubled():
    network = randomised().double()
    network.encoder.time_proj.register_forward_hook(lambda module, inputs, out: out.double())
    return network


@pytest.mark.parametrize("kind", ["cosine", "neg-l2"])
def test_the_slope_of_a_similarity_is_that_of_finite_differences(kind):
    a, b, direction = torch.randn(3, 2, 5, 3, 3, dtype=torch.float64)
    ahead, behind = (similarity(a + h * direction, b, kind) for h in (1e-5, -1e-5))
    assert torch.allclose((ahead - behind) / 2e-5, (slope(a, b, kind) * direction).sum((1, 2, 3)), rtol=1e-7)


def test_a_cosine_lies_between_its_bounds_and_does_not_feel_scale():
    a, b = torch.randn(2, 50, 4, 3, 3, dtype=torch.float64)
    values = similarity(a, b, "cosine")
    assert values.abs().max() <= 1 and values.std() > 0.05
    scale = torch.rand(50, 1, 3, 3, dtype=torch.float64) + 0.1  # of its own at each position
    assert torch.allclose(similarity(scale * a, 3 * b, "cosine"), values, rtol=1e-12)
    assert torch.allclose(similarity(a, a, "cosine"), torch.ones(50, dtype=torch.float64))
    assert torch.allclose(similarity(a, -a, "cosine"), -torch.ones(50, dtype=torch.float64))


def test_a_cosine_is_a_mean_over_positions_and_a_distance_a_sum():
    a, b = torch.randn(2, 1, 3, 2, 2)
    by_hand = [torch.dot(a[0, :, i, j], b[0, :, i, j]) for i in (0, 1) for j in (0, 1)]
    norms = [a[0, :, i, j].norm() * b[0, :, i, j].norm() for i in (0, 1) for j in (0, 1)]
    expected = sum(dot / norm for dot, norm in zip(by_hand, norms, strict=True)) / 4
    assert similarity(a, b, "cosine").item() == pytest.approx(expected.item(), rel=1e-5)
    assert similarity(a, b, "neg-l2").item() == pytest.approx(-(torch.dist(a, b) ** 2).item(), rel=1e-5)


def test_features_without_length_give_no_infinite_slope():
    zero, b = torch.zeros(1, 4, 2, 2), torch.zeros(1, 4, 2, 2)
    assert similarity(zero, b, "cosine") == 0 and not slope(zero, b, "cosine").any()


@pytest.mark.parametrize("kind", ["cosine", "neg-l2"])
def test_g_s_is_the_slope_of_s_s_with_the_source_held_fixed(kind):
    network, t = doubled(), torch.tensor([250])
    y, x_i, direction = torch.randn(3, 2, 3, 16, 16, dtype=torch.float64)
    with torch.inference_mode():  # as it is called
        gradient = specific_gradient(network, y, x_i, t, kind)
    ahead, behind = (similarity(network(y + h * direction, t), network(x_i, t), kind) for h in (1e-5, -1e-5))
    assert torch.allclose((ahead - behind) / 2e-5, (gradient * direction).sum((1, 2, 3)), rtol=1e-5)


@pytest.mark.parametrize("kind", ["cosine", "neg-l2"])
def test_g_s_is_zero_at_the_source(kind):
    network, t = doubled(), torch.tensor([250])
    y = torch.randn(2, 3, 16, 16, dtype=torch.float64)
    assert specific_gradient(network, y, y, t, kind).abs().max() < 1e-12
    assert specific_gradient(network, y, y.flip(0), t, kind).abs().max() > 1e-6


def test_a_small_step_against_g_s_makes_the_sample_less_like_the_source():
    network, t = doubled(), torch.tensor([100])
    y, x_i = torch.randn(2, 5, 3, 16, 16, dtype=torch.float64)
    gradient = specific_gradient(network, y, x_i, t)
    step = 1e-3 / gradient.flatten(1).norm(dim=1).view(-1, 1, 1, 1)
    before, after = (similarity(network(x, t), network(x_i, t), "cosine") for x in (y, y - step * gradient))
    assert (after < before).all()


@pytest.mark.parametrize("kind", ["cosine", "neg-l2"])
def test_guidance_of_an_image_is_the_same_to_the_bit_in_any_batch(kind):
    network, t = randomised(), torch.tensor([40])
    y, x_i = torch.randn(2, 7, 3, 16, 16)
    whole = specific_gradient(network, y, x_i, t, kind)
    for batch in (1, 2, 3, 5):
        parts = zip(y.split(batch), x_i.split(batch), strict=True)
        assert torch.equal(torch.cat([specific_gradient(network, a, b, t, kind) for a, b in parts]), whole)
    assert whole.abs().max() > 0


def test_no_gradient_goes_through_the_source_or_into_the_weights():
    class Features(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.weight, self.tracked = torch.nn.Parameter(torch.ones(1)), []

        def forward(self, x, t):
            out = self.weight * x * x
            self.tracked.append(out.requires_grad)
            return out

    network, y, x_i = Features(), torch.randn(2, 3, 4, 4), torch.randn(2, 3, 4, 4)
    with torch.inference_mode():
        gradient = specific_gradient(network, y, x_i, torch.tensor([1]), "neg-l2")
    assert network.tracked == [False, True] and network.weight.grad is None
    assert torch.allclose(gradient, -4 * y * (y * y - x_i * x_i), atol=1e-5) and not gradient.requires_grad


@pytest.mark.parametrize("kernel", ["linear", "bicubic", "box"])
def test_g_i_is_the_slope_of_the_distance_after_the_filter(kernel):
    y, x_i, direction = torch.randn(3, 2, 3, 8, 8, dtype=torch.float64)
    for kind in ("neg-l2", "cosine"):
        ahead, behind = (
            similarity(low_pass(y + h * direction, 4, kernel), low_pass(x_i, 4, kernel), kind) for h in (1e-5, -1e-5)
        )
        gradient = independent_gradient(y, x_i, 4, kernel, kind)
        assert torch.allclose((ahead - behind) / 2e-5, (gradient * direction).sum((1, 2, 3)), rtol=1e-6)


def test_g_i_is_zero_at_the_source_and_twice_a_constant_offset():
    y = torch.randn(2, 3, 8, 8, dtype=torch.float64)
    assert not independent_gradient(y, y, 4, "linear").any()
    away = independent_gradient(y + 0.3, y, 4, "linear")
    assert torch.allclose(away, torch.full_like(y, -0.6), rtol=1e-10)  # of S_i; lambda_i enters with a minus
