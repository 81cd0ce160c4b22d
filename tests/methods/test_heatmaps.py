"""The landmark network H: its targets, its loss, its recipe, and the energy E_h."""

from __future__ import annotations

import math

import pytest
import torch

from nferbench import Batch, DataError, FaceSpec, UsageError
from nferbench_methods.diffusion.energy import heatmap_energy, heatmap_gradient
from nferbench_methods.diffusion.heatmap_net import (
    MIRRORED_68,
    heat_map_error,
    heat_maps,
    mirror,
    share_of_pixels,
)
from nferbench_methods.diffusion.heatmaps import HeatmapRecipe

TINY = HeatmapRecipe(stride=2, width=8, multipliers=(1, 2), res_blocks=1, batch_size=2, steps=20)


def test_the_network_has_the_intended_size_at_256_px():
    with torch.device("meta"):
        network = HeatmapRecipe().build(FaceSpec(256, landmarks=68))
        maps = network(torch.empty(2, 3, 256, 256), torch.empty(1, dtype=torch.long))
    assert 15e6 < sum(parameter.numel() for parameter in network.parameters()) < 25e6
    assert maps.shape == (2, 68, 64, 64)


def test_faces_without_landmarks_are_refused_with_a_way_out():
    with pytest.raises(UsageError, match="set lambda_h=0") as caught:
        HeatmapRecipe().build(FaceSpec(256))
    assert "\n" not in str(caught.value)


def test_a_stride_that_does_not_divide_the_face_is_refused():
    with pytest.raises(UsageError, match="stride 4 do not fit faces of side 30"):
        HeatmapRecipe().build(FaceSpec(30, landmarks=5))


def test_a_heat_map_is_a_gaussian_around_the_exact_place():
    place = torch.tensor(
        [[[13.5, 21.5], [14.3, 20.1]]]
    )  # the corner of four pixels is the centre of a cell of stride 4
    maps = heat_maps(place, grid=16, stride=4, sigma=1.75)
    assert maps.shape == (1, 2, 16, 16)
    assert maps[0, 0].argmax().item() == 5 * 16 + 3 and maps[0, 0].max() == 1
    cells = torch.arange(16.0)
    x, y = (14.3 + 0.5) / 4 - 0.5, (20.1 + 0.5) / 4 - 0.5
    expected = torch.exp(-((cells[None, :] - x) ** 2 + (cells[:, None] - y) ** 2) / (2 * 1.75**2))
    assert torch.allclose(maps[0, 1], expected, atol=1e-6)


def test_the_sum_of_a_squared_map_is_that_of_the_detector_s_targets():
    maps = heat_maps(torch.tensor([[[127.0, 131.0]]]), grid=64, stride=4, sigma=1.75)
    assert maps.square().sum().item() == pytest.approx(math.pi * 1.75**2, rel=1e-5)


def test_mirroring_twice_changes_nothing_and_midline_points_stay():
    assert [MIRRORED_68[MIRRORED_68[i]] for i in range(68)] == list(range(68))
    assert [i for i in range(68) if MIRRORED_68[i] == i] == [8, 27, 28, 29, 30, 33, 51, 57, 62, 66]
    images, landmarks = torch.rand(3, 3, 8, 8), torch.rand(3, 68, 2) * 7
    landmarks[1, 4] = torch.nan
    both = torch.ones(3, dtype=torch.bool)
    again = mirror(*mirror(images, landmarks, both), both)
    assert torch.equal(again[0], images) and torch.allclose(again[1], landmarks, atol=1e-5, equal_nan=True)


def test_mirrored_landmarks_lie_where_the_mirrored_face_has_them():
    images, landmarks = torch.rand(2, 3, 16, 16), torch.rand(2, 68, 2) * 15
    flipped, points = mirror(images, landmarks, torch.tensor([True, False]))
    assert torch.equal(flipped[0], images[0].flip(-1)) and torch.equal(flipped[1], images[1])
    assert torch.equal(points[1], landmarks[1])
    maps, mirrored = (heat_maps(p, 16, 1, 1.0)[0] for p in (landmarks, points))
    assert torch.allclose(mirrored, maps.flip(-1)[list(MIRRORED_68)], atol=1e-5)


def error_of(maps, targets):
    return heat_map_error(maps, targets, 10.0, share_of_pixels(targets).sum())


def test_missing_landmarks_take_no_part_in_the_error():
    place = torch.tensor([[[3.0, 4.0], [6.0, 1.0]]])
    some = place.clone()
    some[0, 1, 0] = torch.nan
    maps = torch.rand(1, 2, 8, 8, requires_grad=True)
    error = error_of(maps, heat_maps(some, 8, 1, 1.0))
    assert error.item() == pytest.approx(error_of(maps[:, :1], heat_maps(place, 8, 1, 1.0)[:, :1]).item())
    error.backward()
    assert not maps.grad[:, 1].any() and maps.grad[:, 0].abs().min() > 0
    none = torch.full_like(place, torch.nan)
    assert error_of(maps, heat_maps(none, 8, 1, 1.0)).item() == 0


def test_an_error_at_a_landmark_weighs_ten_times_that_far_from_all():
    targets = heat_maps(torch.tensor([[[8.0, 8.0]]]), 32, 1, 1.0)
    costs = []
    for row, column in ((8, 8), (30, 30)):
        maps = targets.clone()
        maps[0, 0, row, column] += 0.1
        costs.append(error_of(maps, targets).item())
    assert costs[0] == pytest.approx(10 * costs[1], rel=1e-4)


def dots(n, landmarks=5, size=16):
    """Faces that are dark but for a bright dot at each landmark."""
    generator = torch.Generator().manual_seed(0)
    points = torch.rand(n, landmarks, 2, generator=generator) * (size - 4) + 2
    vis = (heat_maps(points, size, 1, 1.0).amax(1, keepdim=True) * 2 - 1).expand(-1, 3, -1, -1).contiguous()
    return Batch(vis, vis * 0.5, points, points)


@pytest.mark.parametrize("landmarks", [5, 68])
def test_learning_lowers_the_error_and_ends_with_the_planned_rate(landmarks):
    torch.manual_seed(0)
    recipe = HeatmapRecipe(**{**vars(TINY), "lr": 3e-3, "steps": 40})
    network = recipe.build(FaceSpec(16, landmarks))
    learner = recipe.learner(network, FaceSpec(16, landmarks), pairs=4)
    batch = dots(4, landmarks)
    errors = [learner.step(batch, torch.Generator().manual_seed(k), k)["maps"].item() for k in range(40)]
    assert sum(errors[-5:]) < 0.9 * sum(errors[:5])  # 0.78 at most from eight starts
    assert learner.state_dict()["optimiser"]["param_groups"][0]["lr"] == pytest.approx(3e-3 / 40)


def test_learning_sees_both_modalities():
    network = TINY.build(FaceSpec(16, 5))
    seen = []
    network.register_forward_pre_hook(lambda module, inputs: seen.append(inputs))
    TINY.learner(network, FaceSpec(16, 5), 4).step(dots(3), torch.Generator().manual_seed(0), 0)
    ((x, k),) = seen
    assert len(x) == len(k) == 6 and len(set(k.tolist())) > 1


def test_learning_without_landmarks_is_refused():
    batch = dots(2)
    learner = TINY.learner(TINY.build(FaceSpec(16, 5)), FaceSpec(16, 5), 2)
    with pytest.raises(DataError, match="without landmarks"):
        learner.step(Batch(batch.vis, batch.nir), torch.Generator().manual_seed(0), 0)


class LinearMaps(torch.nn.Module):
    """H(x, t) = W x."""

    def __init__(self, maps, side):
        super().__init__()
        generator = torch.Generator().manual_seed(0)
        self.weight = torch.randn(maps, 3 * side * side, generator=generator, dtype=torch.float64)

    def forward(self, x, t):
        return (x.flatten(1) @ self.weight.T).unflatten(1, (-1, 1, 1))


@pytest.mark.parametrize("reduction", ["sum", "mean"])
def test_g_h_of_linear_maps_has_its_closed_form(reduction):
    network = LinearMaps(maps=7, side=4)
    x, c_t = torch.randn(2, 5, 3, 4, 4, dtype=torch.float64)
    expected = ((x - c_t).flatten(1) @ network.weight.T @ network.weight).view_as(x)
    with torch.inference_mode():  # as it is called
        gradient = heatmap_gradient(network, x, c_t, torch.tensor([3]), reduction)
    assert torch.allclose(gradient, expected if reduction == "sum" else expected / 7, rtol=1e-10)


def test_e_h_is_half_the_squared_distance_of_each_image():
    h_x, h_c = torch.randn(2, 3, 5, 4, 4)
    expected = torch.stack([0.5 * torch.linalg.vector_norm(a - b) ** 2 for a, b in zip(h_x, h_c, strict=True)])
    assert torch.allclose(heatmap_energy(h_x, h_c), expected, rtol=1e-5)


def test_g_h_of_the_network_is_the_slope_of_e_h_and_zero_at_the_source():
    torch.manual_seed(0)
    network = TINY.build(FaceSpec(16, 5)).double().eval().requires_grad_(False)
    for parameter in network.parameters():
        parameter.data.add_(0.2 * torch.randn_like(parameter))
    network.unet.net.time_proj.register_forward_hook(lambda module, inputs, out: out.double())
    x, c_t, direction = torch.randn(3, 2, 3, 16, 16, dtype=torch.float64)
    t = torch.tensor([250])
    slope = (heatmap_gradient(network, x, c_t, t) * direction).sum((1, 2, 3))
    ahead, behind = (heatmap_energy(network(x + h * direction, t), network(c_t, t)) for h in (1e-5, -1e-5))
    assert torch.allclose((ahead - behind) / 2e-5, slope, rtol=1e-6)
    assert heatmap_gradient(network, x, x, t).abs().max() < 1e-12 < slope.abs().min()


def test_g_h_is_the_same_to_the_bit_in_any_batch():
    torch.manual_seed(0)
    network = TINY.build(FaceSpec(16, 5)).eval().requires_grad_(False)
    for parameter in network.parameters():
        parameter.data.add_(0.2 * torch.randn_like(parameter))
    x, c_t = torch.randn(2, 6, 3, 16, 16)
    t = torch.tensor([40])
    whole = heatmap_gradient(network, x, c_t, t)
    for batch in (1, 2, 5):
        pairs = zip(x.split(batch), c_t.split(batch), strict=True)
        assert torch.equal(torch.cat([heatmap_gradient(network, a, b, t) for a, b in pairs]), whole)
    assert whole.abs().max() > 0
