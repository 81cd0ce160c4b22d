"""The losses of HiFaceGAN: least squares over two scales, matched features, the perceptual distance on VGGs."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn.functional import conv2d, max_pool2d

from nferbench import UsageError, weights
from nferbench_methods.gan.hifacegan_objective import adversarial_loss, feature_matching, judging_loss
from nferbench_methods.gan.multiscale import Judgement
from nferbench_methods.gan.vgg import VGGFeatures, perceptual_loss, pretrained_vgg

# Input and output channels of the convolutions by their place in torchvision's stack, and those that open a block.
BLOCKS_1_AND_2 = {0: (3, 64), 2: (64, 64), 5: (64, 128), 7: (128, 128), 10: (128, 256), 12: (256, 256), 14: (256, 256)}
CHANNELS = {
    "vgg19": BLOCKS_1_AND_2
    | {16: (256, 256), 19: (256, 512), 21: (512, 512), 23: (512, 512), 25: (512, 512), 28: (512, 512)},
    "vgg16": BLOCKS_1_AND_2 | {17: (256, 512), 19: (512, 512), 21: (512, 512), 24: (512, 512)},
}
OPEN = {"vgg19": (5, 10, 19, 28), "vgg16": (5, 10, 17, 24)}
VALUES = {"vgg19": 12_944_960, "vgg16": 9_995_072}  # of all weights and biases up to there


def judgements(scores: tuple[float, float], activation: float = 1.0) -> list[Judgement]:
    """Two scales with constant maps of unlike sizes, so that a sum in the place of a mean would show."""
    shapes = [[(2, c, s, s) for c, s in ((2, 9), (4, 5), (8, 3), (16, 4))], [(2, c, 3, 3) for c in (2, 4, 8, 16)]]
    return [
        Judgement(tuple(torch.full(shape, activation) for shape in maps), torch.full((2, 1, 5 - k, 5 - k), score))
        for k, (maps, score) in enumerate(zip(shapes, scores, strict=True))
    ]


@pytest.mark.parametrize(
    ("score", "of_discriminator", "of_generator"), [(0.0, 1.0, 1.0), (1.0, 1.0, 0.0), (0.5, 0.5, 0.25)]
)
def test_undecided_discriminators_cost_what_least_squares_say(score, of_discriminator, of_generator):
    same = judgements((score, score))
    assert judging_loss(same, same).item() == pytest.approx(of_discriminator)
    assert adversarial_loss(same).item() == pytest.approx(of_generator)


def test_both_discriminators_count_by_half():
    fake, real = judgements((0.0, 2.0)), judgements((1.0, 3.0))
    assert adversarial_loss(fake).item() == pytest.approx((1 + 1) / 2)
    assert judging_loss(fake, real).item() == pytest.approx((0 + 4) / 2 + (0 + 4) / 2)


def test_identical_features_match_and_scores_have_no_part_in_it():
    assert feature_matching(judgements((0.0, 0.0)), judgements((5.0, 7.0))).item() == 0


@pytest.mark.parametrize("scale", [0, 1])
@pytest.mark.parametrize("layer", [0, 1, 2, 3])
def test_each_of_the_eight_activations_counts_by_half_whatever_its_size(scale, layer):
    fake, real = judgements((0.0, 0.0)), judgements((0.0, 0.0))
    fake[scale].activations[layer].add_(0.1)
    assert feature_matching(fake, real).item() == pytest.approx(0.05)  # times the weight of 10: 0.5


def test_real_features_receive_no_gradient():
    fake, real = judgements((0.0, 0.0)), judgements((0.0, 0.0), activation=2.0)
    for judgement in fake + real:
        for activation in judgement.activations:
            activation.requires_grad_(True)
    feature_matching(fake, real).backward()
    assert all(a.grad is not None and a.grad.abs().sum() > 0 for j in fake for a in j.activations)
    assert all(a.grad is None for j in real for a in j.activations)


# Perceptual loss


@pytest.fixture(scope="module", params=CHANNELS)
def trunk(request) -> str:
    return request.param


@pytest.fixture(scope="module")
def state(trunk) -> dict[str, torch.Tensor]:
    """Weights of torchvision's shapes at random values that keep the size of the signal."""
    generator = torch.Generator().manual_seed(0)
    made = {}
    for layer, (before, after) in CHANNELS[trunk].items():
        made[f"features.{layer}.weight"] = (
            torch.randn(after, before, 3, 3, generator=generator) * (2 / 9 / before) ** 0.5
        )
        made[f"features.{layer}.bias"] = torch.randn(after, generator=generator) * 0.1
    return made


def by_hand(trunk: str, images: torch.Tensor, state: dict[str, torch.Tensor]) -> list[torch.Tensor]:
    """The first ReLU of each of the five blocks, written out."""
    taps, before = [], 0
    for layer in CHANNELS[trunk]:
        opens_block = layer in OPEN[trunk]
        if opens_block:
            images = max_pool2d(images, 2)
        images = conv2d(images, state[f"features.{layer}.weight"], state[f"features.{layer}.bias"], padding=1).relu()
        if opens_block or layer == before:
            taps.append(images)
    return taps


def test_the_five_maps_are_the_first_relu_of_each_block(trunk, state):
    images = torch.rand(1, 3, 32, 32, generator=torch.Generator().manual_seed(1))
    original = images.clone()
    maps = VGGFeatures(trunk, state)(images)
    assert [tuple(m.shape[1:]) for m in maps] == [(64, 32, 32), (128, 16, 16), (256, 8, 8), (512, 4, 4), (512, 2, 2)]
    for mine, expected in zip(maps, by_hand(trunk, images, state), strict=True):
        assert torch.allclose(mine, expected, atol=1e-4)
    assert torch.equal(images, original)


def test_vgg_is_frozen_and_holds_the_published_number_of_values(trunk, state):
    network = VGGFeatures(trunk, state)
    assert sum(parameter.numel() for parameter in network.parameters()) == VALUES[trunk]
    assert not any(parameter.requires_grad for parameter in network.parameters())
    assert not any(module.inplace for module in network.modules() if isinstance(module, nn.ReLU))
    images = torch.rand(1, 3, 16, 16, requires_grad=True)
    network(images)[-1].sum().backward()
    assert images.grad.abs().sum() > 0


def test_a_whole_checkpoint_is_taken_and_one_that_lacks_a_layer_refused(trunk, state):
    last = OPEN[trunk][-1]
    VGGFeatures(trunk, state | {"classifier.0.weight": torch.zeros(1), "features.30.weight": torch.zeros(1)})
    with pytest.raises(RuntimeError, match=rf"{last}\.bias"):
        VGGFeatures(trunk, {name: value for name, value in state.items() if name != f"features.{last}.bias"})
    with pytest.raises(RuntimeError, match="size mismatch"):
        VGGFeatures(trunk, state | {"features.0.weight": torch.zeros(64, 1, 3, 3)})


def test_the_maps_are_weighted_by_powers_of_two():
    def maps(images):
        return [images.mean() * 10.0**i for i in range(5)]

    loss = perceptual_loss(maps, torch.ones(1, 3, 2, 2), torch.zeros(1, 3, 2, 2))
    assert loss.item() == pytest.approx(1 / 32 + 10 / 16 + 100 / 8 + 1000 / 4 + 10_000)
    same = perceptual_loss(lambda images: [images] * 5, torch.full((1, 3, 2, 2), 3.0), torch.ones(1, 3, 2, 2))
    assert same.item() == pytest.approx(2 * 1.46875)


def test_distances_are_absolute_and_averaged(trunk, state):
    fake, real = torch.rand(2, 1, 3, 32, 32, generator=torch.Generator().manual_seed(2))
    weights_of_maps = (0.03125, 0.0625, 0.125, 0.25, 1)
    expected = sum(
        w * (f - r).abs().mean()
        for w, f, r in zip(weights_of_maps, by_hand(trunk, fake, state), by_hand(trunk, real, state), strict=True)
    )
    network = VGGFeatures(trunk, state)
    assert perceptual_loss(network, fake, real).item() == pytest.approx(expected.item(), rel=1e-4)
    assert perceptual_loss(network, real, real).item() == 0


def test_only_the_fake_image_receives_a_gradient(trunk, state):
    fake, real = (torch.rand(1, 3, 16, 16, requires_grad=True) for _ in range(2))
    perceptual_loss(VGGFeatures(trunk, state), fake, real).backward()
    assert fake.grad.abs().sum() > 0
    assert real.grad is None


def test_pretrained_weights_are_read_at_the_first_call_and_once(trunk, state, monkeypatch):
    reads = []
    monkeypatch.setattr(weights, "require", lambda name: name)
    monkeypatch.setattr(weights, "load", lambda found: reads.append(found) or state)
    features = pretrained_vgg(trunk)
    assert reads == []
    images = torch.rand(1, 3, 16, 16)
    first, second = features(images), features(images)
    assert reads == [trunk]
    assert all(map(torch.equal, first, second))


def test_missing_weights_are_told_of_at_the_first_call(nowhere):
    features = pretrained_vgg("vgg19")
    with pytest.raises(UsageError, match=r"vgg19-dcbb9e9d\.pth"):
        features(torch.rand(1, 3, 16, 16))


@pytest.fixture
def nowhere(tmp_path, monkeypatch):
    for variable in ("NFERBENCH_WEIGHTS", "TORCH_HOME", "XDG_CACHE_HOME"):
        monkeypatch.setenv(variable, str(tmp_path))


def test_on_meta_the_features_have_their_shapes_and_no_weights_are_read(trunk, monkeypatch):
    monkeypatch.setattr(weights, "require", lambda name: pytest.fail(f"{name} is looked for"))
    maps = pretrained_vgg(trunk)(torch.empty(2, 3, 32, 32, device="meta"))
    assert [tuple(each.shape) for each in maps] == [
        (2, channels, side, side) for channels, side in zip((64, 128, 256, 512, 512), (32, 16, 8, 4, 2), strict=True)
    ]
