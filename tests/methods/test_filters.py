"""The low-pass filter phi_N and the high-pass filter I - phi_N."""

from __future__ import annotations

import pytest
import torch

from nferbench import UsageError
from nferbench_methods.diffusion.energy import frequency_energy, frequency_gradient
from nferbench_methods.diffusion.filters import (
    high_pass,
    high_pass_transposed,
    low_pass,
    low_pass_transposed,
    resize_matrix,
    shrink_factor,
)

KERNELS = ["linear", "bicubic", "box"]


def axis_matrix(side: int, n: int, kernel: str) -> torch.Tensor:
    """phi_N on one axis, read off the filter itself: images that are constant along the other axis."""
    columns = torch.eye(side, dtype=torch.float64)[:, None, :, None].expand(side, 1, side, side).contiguous()
    return low_pass(columns, n, kernel)[:, 0, :, 0].T


@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize(("side", "n"), [(256, 32), (64, 8), (32, 4), (48, 3), (30, 4)])
def test_both_directions_have_rows_that_sum_to_one(side, n, kernel):
    small = -(-side // n)
    for matrix in (resize_matrix(side, small, 1 / n, kernel), resize_matrix(small, side, n, kernel)):
        assert torch.allclose(matrix.sum(1), torch.ones(len(matrix), dtype=torch.float64), atol=1e-14)


@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize(("side", "n"), [(256, 32), (64, 8), (48, 3)])
def test_phi_is_symmetric_with_eigenvalues_from_zero_to_one(side, n, kernel):
    phi = axis_matrix(side, n, kernel)
    assert torch.allclose(phi, phi.T, atol=1e-14)
    values = torch.linalg.eigvalsh(phi)
    assert values.min() > -1e-12 and values.max() == pytest.approx(1, abs=1e-12)
    assert torch.linalg.matrix_rank(phi) == side // n


@pytest.mark.parametrize(("kernel", "distance"), [("linear", 0.25), ("bicubic", 0.25), ("box", 0.0)])
def test_only_the_box_kernel_makes_phi_a_projector(kernel, distance):
    phi = axis_matrix(256, 32, kernel)
    assert torch.linalg.matrix_norm(phi @ phi - phi, ord=2).item() == pytest.approx(distance, abs=0.005)


def test_the_box_kernel_gives_means_of_blocks():
    x = torch.randn(2, 3, 12, 12, dtype=torch.float64)
    means = torch.nn.functional.avg_pool2d(x, 4).repeat_interleave(4, 2).repeat_interleave(4, 3)
    assert torch.allclose(low_pass(x, 4, "box"), means, atol=1e-14)


@pytest.mark.parametrize(("kernel", "mode"), [("linear", "bilinear"), ("bicubic", "bicubic")])
def test_inside_the_image_the_filter_is_torch_s_antialiased_resize(kernel, mode):
    x = torch.randn(1, 3, 64, 64, dtype=torch.float64)
    small = torch.nn.functional.interpolate(x, size=16, mode=mode, antialias=True)
    large = torch.nn.functional.interpolate(small, size=64, mode=mode, antialias=True)
    inside = slice(16, -16)  # torch cuts the kernel off at the edge, where we mirror
    assert torch.allclose(low_pass(x, 4, kernel)[..., inside, inside], large[..., inside, inside], atol=1e-12)


@pytest.mark.parametrize("kernel", KERNELS)
def test_the_edge_is_mirrored_with_the_edge_pixel_repeated(kernel):
    x = torch.randn(1, 1, 16, 16, dtype=torch.float64)
    tiled = torch.cat([x.flip(-1), x, x.flip(-1)], dim=-1)
    tiled = torch.cat([tiled.flip(-2), tiled, tiled.flip(-2)], dim=-2)
    assert torch.allclose(low_pass(tiled, 4, kernel)[..., 16:32, 16:32], low_pass(x, 4, kernel), atol=1e-13)


def test_one_cell_a_pixel_leaves_the_image_as_it_is():
    x = torch.randn(2, 3, 8, 8)
    assert all(torch.equal(low_pass(x, 1, kernel), x) for kernel in KERNELS)


@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize("shape", [(2, 3, 32, 32), (1, 1, 30, 22)])
def test_the_transpose_is_the_transpose_for_any_size(shape, kernel):
    x, y = torch.randn(2, *shape, dtype=torch.float64)
    for forward, backward in ((low_pass, low_pass_transposed), (high_pass, high_pass_transposed)):
        assert (forward(x, 4, kernel) * y).sum().item() == pytest.approx((x * backward(y, 4, kernel)).sum().item())


@pytest.mark.parametrize("kernel", KERNELS)
def test_the_high_pass_removes_constants_and_never_amplifies(kernel):
    assert high_pass(torch.full((1, 3, 32, 32), 0.7, dtype=torch.float64), 4, kernel).abs().max() < 1e-14
    phi = axis_matrix(32, 4, kernel)
    high = torch.eye(32 * 32, dtype=torch.float64) - torch.kron(phi, phi)
    assert torch.linalg.matrix_norm(high, ord=2) <= 1 + 1e-12


def test_filtered_images_do_not_depend_on_the_batch():
    x = torch.randn(7, 3, 32, 32)
    whole = high_pass(x, 4, "linear")
    for batch in (1, 2, 5):
        assert torch.equal(torch.cat([high_pass(part, 4, "linear") for part in x.split(batch)]), whole)


@pytest.mark.parametrize("reduction", ["sum", "mean"])
@pytest.mark.parametrize(("side", "n"), [(16, 4), (15, 4)])
def test_g_f_is_the_slope_of_e_f(side, n, reduction):
    x, c_t, direction = torch.randn(3, 2, 3, side, side, dtype=torch.float64)
    slope = (frequency_gradient(x, c_t, n, "linear", reduction) * direction).sum((1, 2, 3))
    ahead, behind = (frequency_energy(x + h * direction, c_t, n, "linear", reduction) for h in (1e-4, -1e-4))
    assert torch.allclose((ahead - behind) / 2e-4, slope, rtol=1e-8)


def test_g_f_is_zero_at_the_source_and_blind_to_brightness():
    x = torch.randn(2, 3, 16, 16, dtype=torch.float64)
    assert not frequency_gradient(x, x, 4, "linear").any()
    assert frequency_gradient(x + 0.3, x, 4, "linear").abs().max() < 1e-13


@pytest.mark.parametrize(("cells", "side", "n"), [(8, 256, 32), (8, 32, 4), (1, 2, 2), (16, 16, 1)])
def test_n_is_the_side_of_a_cell(cells, side, n):
    assert shrink_factor("row", cells, side) == n


@pytest.mark.parametrize(("cells", "side"), [(5, 16), (32, 16)])
def test_cells_that_do_not_divide_the_face_are_refused(cells, side):
    with pytest.raises(UsageError) as caught:
        shrink_factor("row", cells, side)
    assert str(caught.value) == f"row: {cells} cells do not divide faces of {side} px; set cells to a divisor"
