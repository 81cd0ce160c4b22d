"""Networks, losses, schedule and jitter that the GAN translators share."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from nferbench import UsageError
from nferbench_methods.gan.jitter import jitter
from nferbench_methods.gan.losses import discriminator_loss, generator_loss
from nferbench_methods.gan.networks import PatchDiscriminator, UNetGenerator, as_in_training, initialise
from nferbench_methods.gan.schedule import linear_decay


def parameters(network: nn.Module) -> int:
    return sum(parameter.numel() for parameter in network.parameters())


def count(network: nn.Module, kind: type[nn.Module]) -> int:
    return sum(isinstance(module, kind) for module in network.modules())


def faces(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed)) * 2 - 1


@pytest.mark.parametrize(
    ("channels", "levels", "width", "expected"),
    [
        ((3, 3), 8, 64, 54_413_955),  # what the authors' code prints: 54.414 M
        ((3, 1), 8, 64, 54_409_857),
        ((1, 1), 8, 64, 54_407_809),
        ((3, 3), 7, 64, 41_828_995),
        ((3, 3), 8, 32, 13_608_259),
        ((3, 3), 8, 16, 3_404_451),
        ((3, 3), 8, 8, 852_307),
    ],
)
def test_the_generator_has_the_published_number_of_parameters(channels, levels, width, expected):
    with torch.device("meta"):
        assert parameters(UNetGenerator(*channels, levels=levels, width=width)) == expected


def test_the_generator_is_made_of_the_published_layers():
    with torch.device("meta"):
        network = UNetGenerator()
    kinds = (nn.Conv2d, nn.ConvTranspose2d, nn.BatchNorm2d, nn.Dropout)
    assert [count(network, kind) for kind in kinds] == [8, 8, 13, 3]
    biased = [
        module
        for module in network.modules()
        if isinstance(module, nn.Conv2d | nn.ConvTranspose2d) and module.bias is not None
    ]
    assert biased == [network.decoder[0][1]]
    assert {module.p for module in network.modules() if isinstance(module, nn.Dropout)} == {0.5}
    assert sum(parameters(module) for module in network.modules() if isinstance(module, nn.BatchNorm2d)) == 9_856


def test_the_outermost_and_innermost_encoder_levels_have_no_norm():
    network = UNetGenerator(levels=4, width=2)
    assert [count(level, nn.BatchNorm2d) for level in network.encoder] == [0, 1, 1, 0]


@pytest.mark.parametrize("size", [256, 512])
def test_the_generator_keeps_the_size_and_stays_in_range(size):
    torch.manual_seed(0)
    network = UNetGenerator(width=2)
    for parameter in network.parameters():
        parameter.data.mul_(20)  # far into the tanh
    with torch.inference_mode():
        out = network(faces(1, 3, size, size))
    assert out.shape == (1, 3, size, size)
    assert out.abs().max() <= 1
    assert out.abs().max() > 0.9


def test_every_level_reaches_the_output_through_its_skip():
    torch.manual_seed(0)
    network = UNetGenerator(levels=4, width=4, dropout=()).eval()
    x = faces(1, 3, 16, 16)
    whole = network(x)
    for level in range(4):
        handle = network.encoder[level].register_forward_hook(lambda module, args, out: torch.zeros_like(out))
        assert not torch.equal(network(x), whole)
        handle.remove()
    assert torch.equal(network(x), whole)


def test_a_two_level_generator_equals_the_formula_written_out():
    torch.manual_seed(0)
    network = UNetGenerator(levels=2, width=3, dropout=())
    x = faces(2, 3, 8, 8)
    (e1,), (_, e2), (_, d1, _), (_, d2, norm) = (*network.encoder, *network.decoder)
    h1 = e1(x)
    h2 = e2(torch.where(h1 > 0, h1, 0.2 * h1))
    u2 = norm(d2(h2.clamp(min=0)))
    assert torch.allclose(network(x), torch.tanh(d1(torch.cat([h1, u2], dim=1).clamp(min=0))), atol=1e-6)


def test_dropout_acts_on_the_decoder_half_of_the_chosen_levels_only():
    torch.manual_seed(0)
    network = UNetGenerator(levels=5, width=4, dropout=(4, 2))
    seen = {}
    for level in range(1, 6):
        network.decoder[level - 1].register_forward_hook(
            lambda module, args, out, level=level: seen.update({level: (args[0], out)})
        )
    network(faces(1, 3, 64, 64))
    dropped = {level: (out == 0).float().mean().item() for level, (_, out) in seen.items()}
    assert all(0.3 < dropped[level] < 0.7 for level in (4, 2))
    assert all(dropped[level] == 0 for level in (5, 3, 1))
    entering, _ = seen[3]  # 16 channels of skip, then 16 that level 4 dropped from
    assert (entering[:, :16] != 0).all()
    assert (entering[:, 16:] == 0).any()


@pytest.mark.parametrize(
    ("channels", "width", "norm", "expected"),
    [
        (6, 64, "batch", 2_768_705),  # what the authors' code prints: 2.769 M
        (4, 64, "batch", 2_766_657),
        (2, 64, "batch", 2_764_609),
        (6, 32, "batch", 696_225),
        (6, 16, "batch", 176_081),
        (6, 8, "batch", 45_033),
        (3, 64, "instance", 2_764_737),
        (1, 64, "instance", 2_762_689),
        (3, 8, "instance", 44_537),
    ],
)
def test_the_discriminator_has_the_published_number_of_parameters(channels, width, norm, expected):
    with torch.device("meta"):
        assert parameters(PatchDiscriminator(channels, width=width, norm=norm)) == expected


@pytest.mark.parametrize(("size", "side"), [(24, 1), (64, 6), (128, 14), (256, 30), (286, 33), (512, 62)])
def test_the_discriminator_gives_one_logit_per_patch(size, side):
    with torch.device("meta"):
        assert PatchDiscriminator(6)(torch.empty(1, 6, size, size)).shape == (1, 1, side, side)


def test_each_logit_sees_seventy_pixels():
    network = PatchDiscriminator(6, width=2).eval()
    for parameter in network.parameters():
        nn.init.constant_(parameter, 0.05)
    image = torch.ones(1, 6, 256, 256, requires_grad=True)
    network(image)[0, 0, 15, 15].backward()
    seen = image.grad[0].ne(0)
    rows, columns = (seen.any(0).any(axis).nonzero().squeeze() for axis in (1, 0))
    assert (rows.min(), rows.max()) == (columns.min(), columns.max()) == (97, 166)
    assert seen.sum() == 6 * 70 * 70


def test_logits_are_not_squashed():
    torch.manual_seed(0)
    network = PatchDiscriminator(6, width=2)
    nn.init.constant_(network.layers[-1].bias, 7.0)
    assert network(faces(1, 6, 32, 32)).max() > 1


def test_initial_weights_have_the_published_statistics():
    torch.manual_seed(0)
    for network in (UNetGenerator(width=16), PatchDiscriminator(6, width=32)):
        for parameter in network.parameters():
            nn.init.constant_(parameter, 9.0)  # nothing may keep what it had
        initialise(network)
        convolutions = [module for module in network.modules() if isinstance(module, nn.Conv2d | nn.ConvTranspose2d)]
        weights = torch.cat([module.weight.flatten() for module in convolutions])
        assert weights.mean().abs() < 2e-4
        assert weights.std().item() == pytest.approx(0.02, rel=0.02)
        assert all(module.bias.eq(0).all() for module in convolutions if module.bias is not None)
        norms = [module for module in network.modules() if isinstance(module, nn.BatchNorm2d)]
        scales = torch.cat([module.weight for module in norms])
        assert scales.mean().item() == pytest.approx(1.0, abs=0.004)
        assert scales.std().item() == pytest.approx(0.02, rel=0.15)
        assert all(module.bias.eq(0).all() for module in norms)


def test_as_in_training_uses_the_statistics_of_the_input_and_leaves_no_trace():
    torch.manual_seed(0)
    network = nn.Sequential(nn.BatchNorm2d(3), nn.Dropout(0.5)).eval()
    before = {name: value.clone() for name, value in network.state_dict().items()}
    x = 5 + 3 * torch.randn(1, 3, 40, 40)
    with as_in_training(network, nn.BatchNorm2d):
        out = network(x)
    assert out.mean(dim=(2, 3)).abs().max() < 1e-5
    assert out.std(dim=(2, 3)).sub(1).abs().max() < 1e-2
    with as_in_training(network, nn.BatchNorm2d, nn.Dropout):
        assert 0.4 < network(x).eq(0).float().mean() < 0.6
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())
    assert not any(module.training for module in network.modules())
    assert torch.allclose(network(x), x, rtol=1e-4)  # back on the running averages, mean 0 and variance 1


def test_as_in_training_restores_the_network_when_the_block_fails():
    network = nn.BatchNorm2d(3).eval()
    with pytest.raises(RuntimeError), as_in_training(network, nn.BatchNorm2d):
        raise RuntimeError
    assert (network.training, network.track_running_stats) == (False, True)


def test_undecided_logits_cost_ln_two():
    zero = torch.zeros(2, 1, 6, 6)
    assert discriminator_loss(zero, zero).item() == pytest.approx(math.log(2))
    assert generator_loss(zero).item() == pytest.approx(math.log(2))


def test_losses_are_the_cross_entropies_of_the_formula():
    real, fake = torch.tensor([0.3, -2.0]), torch.tensor([1.5, 0.1])
    of = torch.sigmoid
    expected = 0.5 * (-of(real).log().mean() - (1 - of(fake)).log().mean())
    assert discriminator_loss(real, fake).item() == pytest.approx(expected.item())
    assert generator_loss(fake).item() == pytest.approx(-of(fake).log().mean().item())


def test_a_generator_that_is_caught_still_gets_a_gradient():
    logits = torch.full((1, 1, 2, 2), -20.0, requires_grad=True)
    generator_loss(logits).backward()
    assert logits.grad.sum().item() == pytest.approx(-1, abs=1e-6)


@pytest.mark.parametrize(("epoch", "expected"), [(1, 1), (100, 1), (101, 100 / 101), (150, 51 / 101), (200, 1 / 101)])
def test_the_rate_is_constant_for_half_the_epochs_and_never_zero(epoch, expected):
    assert linear_decay(epoch, 100, 100) == pytest.approx(expected)


RATIO = 286 / 256


@pytest.mark.parametrize("seed", range(5))
def test_one_image_given_as_both_of_a_pair_comes_back_as_two_equal_ones(seed):
    image = faces(3, 3, 64, 64)
    out = jitter(torch.cat([image, image], dim=1), torch.Generator().manual_seed(seed), RATIO)
    assert torch.equal(out[:, :3], out[:, 3:])
    assert not torch.equal(out[:, :3], image)


def test_two_calls_move_images_apart_and_one_seed_repeats():
    image = faces(4, 3, 64, 64)
    rng = torch.Generator().manual_seed(0)
    first, second = jitter(image, rng, RATIO), jitter(image, rng, RATIO)
    assert not torch.equal(first, second)
    assert torch.equal(first, jitter(image, torch.Generator().manual_seed(0), RATIO))


def test_images_of_a_batch_draw_their_own_offsets():
    out = jitter(faces(1, 3, 64, 64).expand(16, 3, 64, 64), torch.Generator().manual_seed(0), RATIO)
    assert len({tuple(row.flatten()[:8].tolist()) for row in out}) > 8


def test_all_offsets_and_both_flips_occur_equally_often():
    size, ratio = 8, 1.25  # enlarged to 10: offsets 0, 1, 2
    ramp = torch.arange(size, dtype=torch.float32)
    coordinates = torch.stack(torch.meshgrid(ramp, ramp, indexing="ij")) / size  # row, column
    count = 3600
    out = jitter(coordinates.expand(count, 2, size, size), torch.Generator().manual_seed(0), ratio)
    flipped = out[:, 1, 0, 0] > out[:, 1, 0, -1]
    assert flipped.float().mean().item() == pytest.approx(0.5, abs=0.05)
    corner = torch.where(flipped, out[:, 1, 0, -1], out[:, 1, 0, 0])
    for values in (out[:, 0, 0, 0], corner):
        seen, times = values.mul(1e4).round().unique(return_counts=True)
        assert len(seen) == 3
        assert times.float().div(count).sub(1 / 3).abs().max() < 0.04


def test_enlarging_agrees_with_bicubic_resizing_by_pillow():
    size, enlarged = 64, round(64 * RATIO)
    pixels = np.random.default_rng(0).uniform(-1, 1, (size, size)).astype(np.float32)
    large = np.asarray(Image.fromarray(pixels).resize((enlarged, enlarged), Image.Resampling.BICUBIC)).clip(-1, 1)
    out = jitter(torch.from_numpy(pixels)[None, None], torch.Generator().manual_seed(3), RATIO)[0, 0].numpy()
    windows = [
        large[top : top + size, left : left + size][:, ::flip]
        for top in range(enlarged - size + 1)
        for left in range(enlarged - size + 1)
        for flip in (1, -1)
    ]
    assert min(np.abs(window - out).max() for window in windows) < 1e-5


def test_sharp_edges_do_not_overshoot_the_range():
    image = torch.where(torch.arange(32) % 8 < 4, 1.0, -1.0).expand(1, 1, 32, 32)
    assert jitter(image, torch.Generator(), RATIO).abs().max() <= 1


def test_ratio_one_only_flips_and_less_is_refused():
    image = faces(8, 3, 16, 16)
    out = jitter(image, torch.Generator().manual_seed(0), 1.0)
    same = [torch.equal(a, b) for a, b in zip(out, image, strict=True)]
    mirrored = [torch.equal(a, b.flip(2)) for a, b in zip(out, image, strict=True)]
    assert all(a != b for a, b in zip(same, mirrored, strict=True))
    assert any(same)
    assert any(mirrored)
    with pytest.raises(UsageError, match=r"allowed is 1"):
        jitter(image, torch.Generator(), 0.9)
