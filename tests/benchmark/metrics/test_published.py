"""LPIPS, PSNR and SSIM as registered metrics give the numbers that they are known for."""

from __future__ import annotations

import pytest
import torch

from nferbench.metrics import perceptual
from nferbench.metrics.published import Lpips, Psnr, Ssim
from nferbench.metrics.quality import psnr, ssim
from nferbench.weights import Found, find

CPU = torch.device("cpu")


def faces(seed: int) -> torch.Tensor:
    return 2 * torch.rand(3, 3, 32, 32, generator=torch.Generator().manual_seed(seed)) - 1


@pytest.mark.parametrize("convention", ["standard", "paper"])
def test_psnr_and_ssim_are_those_of_each_pair_to_the_last_bit(convention: str) -> None:
    translated, real = faces(0), faces(1)
    pairs = list(zip(translated.numpy(), real.numpy(), strict=True))
    for metric, score in ((Psnr(convention=convention), psnr), (Ssim(convention=convention), ssim)):  # type: ignore[arg-type]
        assert metric.load(CPU)(translated, real).tolist() == [score(*pair, convention) for pair in pairs]


def test_an_identical_pair_has_an_infinite_psnr() -> None:
    assert Psnr().load(CPU)(faces(0), faces(0)).tolist() == [float("inf")] * 3


def test_lpips_is_that_of_the_perceptual_metric() -> None:
    if not all(isinstance(find(name), Found) for name in ("alexnet", "lpips-heads")):
        pytest.skip("the weights of LPIPS are not on this machine")
    Lpips().ready()
    due = perceptual.load_lpips(CPU)(faces(0), faces(1))
    assert torch.equal(Lpips().load(CPU)(faces(0), faces(1)), due)
