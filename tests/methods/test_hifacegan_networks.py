"""The networks of HiFaceGAN: pooling, encoder, SPADE, generator, discriminators, initialisation."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from nferbench_methods.gan.multiscale import MultiscaleDiscriminator
from nferbench_methods.gan.replenishment import SPADE, HiFaceGenerator, SPADEResBlock, doubled, initialise
from nferbench_methods.gan.suppression import LocalImportancePooling, SuppressionEncoder, pyramid_channels


def count(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


def noise(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def normalised(module: nn.Module) -> list[nn.Module]:
    return [m for m in module.modules() if isinstance(m, nn.Conv2d) and hasattr(m, "weight_orig")]


def seeded(build, *args, **kwargs):
    torch.manual_seed(0)
    return build(*args, **kwargs)


@pytest.fixture(scope="module")
def published() -> HiFaceGenerator:
    """Shapes of the published generator, without values."""
    with torch.device("meta"):
        return HiFaceGenerator()


# Local importance pooling


def test_pooling_is_the_mean_of_each_window_weighted_by_exponential_importance():
    pool = seeded(LocalImportancePooling, 2)
    x = noise(1, 2, 5, 6)
    out = pool(x)[0]
    convolved = nn.functional.conv2d(x, pool.importance[0].weight, padding=1)[0].detach()
    for c in range(2):
        mean, variance = convolved[c].mean(), convolved[c].var(unbiased=False)
        a = 12 * torch.sigmoid((convolved[c] - mean) / torch.sqrt(variance + 1e-5))
        for i in range(3):
            for j in range(3):
                window = (slice(max(0, 2 * i - 1), 2 * i + 2), slice(max(0, 2 * j - 1), 2 * j + 2))
                w = a[window].double().exp()
                expected = (w * x[0, c][window].double()).sum() / w.sum()
                assert out[c, i, j].item() == pytest.approx(expected.item(), rel=1e-4, abs=1e-5)


def test_pooling_lies_between_the_extremes_of_its_window_and_rounds_the_side_up():
    pool = seeded(LocalImportancePooling, 3)
    x = 5 * noise(2, 3, 17, 16)
    out = pool(x)
    assert out.shape == (2, 3, 9, 8)
    padded = nn.functional.pad(x, (1, 1, 1, 1), value=float("nan"))
    windows = padded.unfold(2, 3, 2).unfold(3, 3, 2).flatten(4)
    low = windows.nan_to_num(nan=math.inf).amin(-1)
    high = windows.nan_to_num(nan=-math.inf).amax(-1)
    assert (out >= low - 1e-4).all() and (out <= high + 1e-4).all()
    assert not torch.allclose(out, windows.nanmean(-1), atol=0.1)  # not a plain average


def test_pooling_keeps_a_constant():
    pool = seeded(LocalImportancePooling, 3)
    assert torch.allclose(pool(torch.full((1, 3, 8, 8), 0.7)), torch.full((1, 3, 4, 4), 0.7))


def test_pooling_without_importance_averages_the_valid_pixels():
    pool = LocalImportancePooling(1)
    nn.init.zeros_(pool.importance[0].weight)
    out = pool(torch.arange(16.0).view(1, 1, 4, 4))
    # Windows of rows and columns {0, 1} and {1, 2, 3}: (0 + 1 + 4 + 5) / 4, (1 + 2 + 3 + 5 + 6 + 7) / 6, ...
    assert torch.allclose(out[0, 0], torch.tensor([[2.5, 4.0], [8.5, 10.0]]))


def test_importance_is_bounded_by_twelve_and_each_channel_has_its_own():
    pool = seeded(LocalImportancePooling, 3)
    importance = 12 * pool.importance(noise(2, 3, 16, 16))
    assert importance.min() > 0 and importance.max() < 12
    assert importance.max() - importance.min() > 6
    assert not torch.allclose(importance[:, 0], importance[:, 1])
    assert count(pool) == 9 * 3**2 + 2 * 3


# Encoder


def test_the_published_encoder_gives_six_maps_the_coarsest_first(published):
    shapes = [tuple(f.shape[1:]) for f in published.encoder(torch.empty(1, 3, 256, 256, device="meta"))]
    expected = [(1024, 8, 8), (1024, 16, 16), (512, 32, 32), (256, 64, 64), (128, 128, 128), (64, 256, 256)]
    assert shapes == expected


def test_all_features_but_the_coarsest_are_rectified():
    coarsest, *finer = seeded(SuppressionEncoder, 4, 5)(torch.rand(2, 3, 64, 64))
    assert coarsest.min() < 0
    assert all(f.min() == 0 and f.max() > 0 for f in finer)


def test_channels_double_with_every_halving_up_to_sixteen_widths():
    assert pyramid_channels(64, 5) == [1024, 1024, 512, 256, 128, 64]
    assert pyramid_channels(4, 3) == [32, 16, 8, 4]
    assert pyramid_channels(4, 7) == [64, 64, 64, 64, 32, 16, 8, 4]


def test_each_face_is_encoded_by_itself():
    encoder = seeded(SuppressionEncoder, 4, 2)
    u = torch.rand(2, 3, 16, 16)
    for together, alone in zip(encoder(u), encoder(u[:1]), strict=True):
        assert torch.allclose(together[:1], alone, atol=1e-4)


# SPADE


@pytest.mark.parametrize("normalisation", ["batch", "instance"])
def test_features_of_zero_erase_the_state(normalisation):
    spade = seeded(SPADE, 4, 3, normalisation)
    nn.init.zeros_(spade.hidden[0].bias)
    out = spade(noise(2, 4, 8, 8), torch.zeros(2, 3, 8, 8))
    assert torch.equal(out, torch.zeros_like(out))  # Park et al.'s would give the normalised state


@pytest.mark.parametrize("normalisation", ["batch", "instance"])
def test_a_constant_added_to_the_state_changes_nothing(normalisation):
    spade = seeded(SPADE, 4, 3, normalisation)
    x, f = noise(2, 4, 8, 8), noise(2, 3, 8, 8, seed=1)
    shifted = x + torch.tensor([1.0, -2.0, 3.0, 4.0])[:, None, None]
    assert torch.allclose(spade(x, f), spade(shifted, f), atol=1e-5)
    assert not torch.allclose(spade(x, f), spade(x, 2 * f), atol=1e-2)


@pytest.mark.parametrize(("normalisation", "dims"), [("batch", (0, 2, 3)), ("instance", (2, 3))])
def test_modulation_is_gamma_times_the_normalised_state_plus_beta(normalisation, dims):
    spade = seeded(SPADE, 4, 3, normalisation)
    x, f = noise(2, 4, 8, 8), noise(2, 3, 8, 8, seed=1)
    normal = (x - x.mean(dims, keepdim=True)) / torch.sqrt(x.var(dims, unbiased=False, keepdim=True) + 1e-5)
    hidden = nn.functional.conv2d(f, spade.hidden[0].weight, spade.hidden[0].bias, padding=1).clamp(min=0)
    gamma = nn.functional.conv2d(hidden, spade.gamma.weight, padding=1)
    beta = nn.functional.conv2d(hidden, spade.beta.weight, padding=1)
    assert torch.allclose(spade(x, f), gamma * normal + beta, atol=1e-5)
    assert torch.allclose(spade.eval()(x, f), gamma * normal + beta, atol=1e-5)


@pytest.mark.parametrize(("channels", "features"), [(1024, 1024), (256, 64), (64, 3)])
def test_the_hidden_layer_of_a_spade_is_no_wider_than_its_state(channels, features):
    with torch.device("meta"):
        spade = SPADE(channels, features, "batch")
    h = min(128, channels)
    assert count(spade) == 9 * features * h + h + 18 * h * channels


def test_the_shortcut_of_a_block_is_learned_only_where_the_channels_change():
    x, f = noise(2, 8, 8, 8), noise(2, 3, 8, 8, seed=1)
    same = seeded(SPADEResBlock, 8, 8, 3, "batch")
    initialise(same)
    assert torch.equal(same(x, torch.zeros_like(f)), x)  # the modulated path is erased, the shortcut is not
    narrowing = seeded(SPADEResBlock, 8, 4, 3, "batch")
    initialise(narrowing)
    assert torch.equal(narrowing(x, torch.zeros_like(f)), torch.zeros(2, 4, 8, 8))
    assert narrowing(x, f).shape == (2, 4, 8, 8)


# Generator


def test_every_part_of_the_published_generator_has_its_published_size(published):
    parts = [published.seed, published.head, *published.middle, *published.up, published.output]
    assert [count(part) for part in parts] == [
        28_672, 25_954_560, 25_954_560, 25_954_560, 15_271_296, 5_735_296, 2_392_704, 967_104, 1_731
    ]  # fmt: skip
    assert count(published.encoder.stem) == 1_728
    assert [count(s) for s in published.encoder.stages] == [110_848, 442_880, 1_770_496, 7_079_936, 18_877_440]
    assert count(published) == 130_543_811


def test_eighteen_norms_without_scale_and_eighteen_spectrally_normalised_convolutions(published):
    norms = [module for module in published.modules() if isinstance(module, nn.BatchNorm2d)]
    assert len(norms) == 18
    assert all(not norm.affine and norm.running_mean is None for norm in norms)
    assert len(normalised(published)) == 18


@pytest.mark.parametrize("size", [64, 96, 128])
def test_the_side_is_kept(size):
    generator = seeded(HiFaceGenerator, width=2)
    out = generator(torch.rand(1, 3, size, size))
    assert out.shape == (1, 3, size, size)
    assert out.abs().max() <= 1


@pytest.mark.parametrize(("halvings", "size", "blocks"), [(1, 4, 0), (2, 8, 1), (3, 16, 2), (4, 32, 3), (6, 128, 5)])
def test_every_depth_has_a_head_two_middle_blocks_and_a_block_for_each_finer_map(halvings, size, blocks):
    generator = seeded(HiFaceGenerator, width=2, halvings=halvings)
    assert (len(generator.middle), len(generator.up)) == (2, blocks)
    assert generator(torch.rand(1, 3, size, size)).shape == (1, 3, size, size)


def test_the_seed_sees_every_thirty_second_pixel_and_nothing_else():
    generator = seeded(HiFaceGenerator, width=2)
    seen = []
    generator.seed.register_forward_pre_hook(lambda module, args: seen.append(args[0]))
    u = torch.rand(1, 3, 96, 96)
    generator(u)
    assert torch.equal(seen[0], u[:, :, [0, 32, 64]][:, :, :, [0, 32, 64]])


def test_each_block_is_led_by_the_features_of_its_own_side_and_both_middle_blocks_by_the_same():
    generator = seeded(HiFaceGenerator, width=2)
    features, led = [], []
    generator.encoder.register_forward_hook(lambda module, args, out: features.extend(out))
    for block in [generator.head, *generator.middle, *generator.up]:
        block.register_forward_pre_hook(lambda module, args: led.append((args[0].shape[-1], args[1])))
    generator(torch.rand(1, 3, 64, 64))
    assert [side for side, _ in led] == [2, 4, 4, 8, 16, 32, 64]
    for (_, f), k in zip(led, [0, 1, 1, 2, 3, 4, 5], strict=True):
        assert f is features[k]


def test_doubling_repeats_pixels():
    out = doubled(torch.tensor([[[[1.0, 2.0]]]]))
    assert out.tolist() == [[[[1, 1, 2, 2], [1, 1, 2, 2]]]]


def test_an_untrained_generator_is_flat_whatever_it_is_shown():
    generator = seeded(HiFaceGenerator, width=8)
    initialise(generator)
    for u in (torch.zeros(1, 3, 64, 64), torch.rand(1, 3, 64, 64)):
        assert generator(u).abs().max() < 1e-3


def test_every_parameter_of_an_untrained_generator_receives_a_finite_gradient():
    generator = seeded(HiFaceGenerator, width=8)
    initialise(generator)
    (generator(torch.rand(2, 3, 64, 64)) - torch.rand(2, 3, 64, 64)).abs().mean().backward()
    for name, parameter in generator.named_parameters():
        assert parameter.grad is not None and parameter.grad.isfinite().all(), name
    assert generator.output.weight.grad.abs().max() > 0


# Spectral norm and initialisation


@pytest.mark.parametrize("network", ["generator", "discriminator"])
def test_effective_weights_tend_to_a_largest_singular_value_of_one(network):
    if network == "generator":
        module, x = seeded(HiFaceGenerator, width=4, halvings=2), torch.rand(2, 3, 8, 8)
    else:
        module, x = seeded(MultiscaleDiscriminator, width=4), torch.rand(2, 6, 16, 16)
    spectral = normalised(module)
    assert len(spectral) == {"generator": 9, "discriminator": 6}[network]
    with torch.no_grad():
        for convolution in spectral:  # moved far from the vectors that were found when it was made
            original = convolution.weight_orig
            original.copy_(3 * noise(*original.shape, seed=5))
        for _ in range(100):
            module(x)
    for convolution in spectral:
        assert torch.linalg.svdvals(convolution.weight.flatten(1))[0].item() == pytest.approx(1, rel=1e-2)


@pytest.mark.parametrize("network", ["generator", "discriminator"])
def test_each_forward_updates_v_and_then_u_of_the_weights_as_they_are_now(network):
    module = (
        seeded(SPADEResBlock, 4, 6, 3, "batch") if network == "generator" else seeded(MultiscaleDiscriminator, width=2)
    )
    convolutions = [
        m for m in module.modules() if isinstance(m, nn.Conv2d) and any("_u" in b for b, _ in m.named_buffers())
    ]
    assert len(convolutions) == {"generator": 3, "discriminator": 6}[network]
    for convolution in convolutions:
        weight, bias = next(p for p in convolution.parameters() if p.ndim == 4), convolution.bias
        u = next(buffer for name, buffer in convolution.named_buffers() if name.endswith("_u")).clone()
        x = noise(2, convolution.in_channels, 6, 6)
        for update in range(4):
            w = weight.detach().flatten(1)
            v = w.T @ u / (w.T @ u).norm()
            u = w @ v / (w @ v).norm()
            effective = weight.detach() / (u @ w @ v)
            expected = nn.functional.conv2d(x, effective, bias, convolution.stride, convolution.padding)
            assert torch.allclose(convolution(x), expected, rtol=1e-4, atol=1e-5), update
            with torch.no_grad():
                weight.add_(0.5 * weight.std() * noise(*weight.shape, seed=update))


def test_power_iterations_stand_still_in_eval_mode():
    generator = seeded(HiFaceGenerator, width=2, halvings=2)
    before = {name: value.clone() for name, value in generator.state_dict().items()}
    generator.eval()(torch.rand(1, 3, 8, 8))
    assert all(torch.equal(value, before[name]) for name, value in generator.state_dict().items())
    generator.train()(torch.rand(1, 3, 8, 8))
    moved = {name for name, value in generator.state_dict().items() if not torch.equal(value, before[name])}
    assert moved and all(name.endswith(("weight_u", "weight_v")) for name in moved)


def test_convolutions_start_from_xavier_unless_spectrally_normalised_and_biases_from_zero():
    generator = seeded(HiFaceGenerator, width=8, halvings=3)
    spectral = {
        name: module.weight_orig.clone()
        for name, module in generator.named_modules()
        if isinstance(module, nn.Conv2d) and hasattr(module, "weight_orig")
    }
    initialise(generator)
    for name, module in generator.named_modules():
        if not isinstance(module, nn.Conv2d):
            continue
        assert module.bias is None or not module.bias.any(), name
        if name in spectral:
            assert torch.equal(module.weight_orig, spectral[name]), name
        elif module.weight.numel() > 2000:
            fans = 9 * (module.in_channels + module.out_channels)
            assert module.weight.std().item() == pytest.approx(0.02 * math.sqrt(2 / fans), rel=0.1), name
    scale = generator.encoder.stages[0][0].importance[1]
    assert (scale.weight == 1).all() and not scale.bias.any()


# Discriminators


@pytest.mark.parametrize(("width", "expected"), [(64, 5_533_826), (32, 1_390_658), (16, 351_266), (8, 89_618)])
def test_the_discriminators_have_the_published_size(width, expected):
    discriminator = MultiscaleDiscriminator(width=width)
    assert count(discriminator) == expected
    assert count(discriminator.judges[0]) == count(discriminator.judges[1]) == expected / 2
    for judge in discriminator.judges:
        norms = [module for module in judge.modules() if isinstance(module, nn.InstanceNorm2d)]
        assert len(norms) == 3 and not any(norm.affine for norm in norms)
        convolutions = [m for m in judge.modules() if isinstance(m, nn.Conv2d)]
        assert [hasattr(m, "weight_orig") for m in convolutions] == [False, *[True] * 3, False]


@pytest.mark.parametrize(
    ("size", "fine", "coarse"),
    [(256, [129, 65, 33, 34, 35], [65, 33, 17, 18, 19]), (64, [33, 17, 9, 10, 11], [17, 9, 5, 6, 7])],
)
def test_activations_and_scores_have_the_published_sides(size, fine, coarse):
    with torch.device("meta"):
        judgements = MultiscaleDiscriminator()(torch.empty(2, 6, size, size))
    for judgement, sides in zip(judgements, (fine, coarse), strict=True):
        channels = [64, 128, 256, 512, 1]
        maps = [*judgement.activations, judgement.scores]
        assert [tuple(m.shape) for m in maps] == [(2, c, s, s) for c, s in zip(channels, sides, strict=True)]


@pytest.mark.parametrize(("scale", "field"), [(0, 70), (1, 141)])
def test_a_score_depends_on_a_patch_of_the_published_side(scale, field):
    discriminator = seeded(MultiscaleDiscriminator, width=2).double()
    for judge in discriminator.judges:
        for layer in judge.layers[1:]:
            layer[1] = nn.Identity()  # an instance norm would let every pixel reach every score
    x = torch.rand(1, 6, 320, 320, dtype=torch.float64, requires_grad=True)
    scores = discriminator(x)[scale].scores
    middle = scores.shape[-1] // 2
    (gradient,) = torch.autograd.grad(scores[0, 0, middle, middle], x)
    for axis in (0, 1):
        reached = gradient[0].abs().sum(0).sum(axis).nonzero()
        assert (reached.max() - reached.min() + 1).item() == field


def test_the_coarse_discriminator_averages_only_pixels_inside_the_image():
    discriminator = seeded(MultiscaleDiscriminator, width=2)
    seen = []
    discriminator.judges[1].register_forward_pre_hook(lambda module, args: seen.append(args[0]))
    discriminator(torch.full((1, 6, 16, 16), 0.5))
    assert torch.equal(seen[0], torch.full((1, 6, 8, 8), 0.5))


def test_activations_are_taken_after_the_leaky_relu_and_halves_split_the_batch():
    discriminator = seeded(MultiscaleDiscriminator, width=2).eval()
    x = noise(4, 6, 32, 32)
    fine = discriminator(x)[0]
    first = nn.functional.conv2d(x, fine_weight(discriminator), discriminator.judges[0].layers[0][0].bias, 2, 2)
    assert torch.allclose(fine.activations[0], torch.where(first > 0, first, 0.2 * first), atol=1e-6)
    fake, real = fine.halves()
    for whole, one, other in zip(fine.activations, fake.activations, real.activations, strict=True):
        assert torch.equal(whole, torch.cat([one, other]))
    assert torch.equal(fine.scores, torch.cat([fake.scores, real.scores]))


def fine_weight(discriminator: MultiscaleDiscriminator) -> torch.Tensor:
    return discriminator.judges[0].layers[0][0].weight
