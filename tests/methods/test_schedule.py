"""The noise schedule against published numbers, and respacing against its definition."""

from __future__ import annotations

import pytest
import torch

from nferbench import UsageError
from nferbench_methods.diffusion.schedule import (
    head,
    linear_between,
    linear_schedule,
    log_variance_range,
    perturb,
    perturb_each,
    previous,
    respace,
)

PUBLISHED = {0: 0.9999, 1: 0.99978009, 99: 0.89701815, 249: 0.52408537, 299: 0.39641976, 399: 0.19514644}
PUBLISHED |= {499: 0.07858724, 599: 0.02587939, 699: 0.00696611, 799: 0.00153209, 899: 0.00027521, 999: 4.0358e-5}


@pytest.mark.parametrize(("i", "alpha_bar"), PUBLISHED.items())
def test_the_linear_schedule_has_the_published_noise_levels(i, alpha_bar):
    assert linear_schedule().alpha_bar[i].item() == pytest.approx(alpha_bar, abs=5.001e-9)


def test_a_linear_schedule_of_other_length_scales_its_betas():
    schedule = linear_schedule(500)
    assert schedule.beta[0].item() == pytest.approx(2e-4) and schedule.beta[-1].item() == pytest.approx(4e-2)


def test_the_schedule_of_sr3_has_the_published_noise_levels():
    schedule = linear_between(1e-6, 1e-2, 2000)
    assert schedule.alpha_bar[999].item() == pytest.approx(0.08178379, abs=5.001e-9)
    assert schedule.alpha_bar[1999].item() == pytest.approx(4.38598e-5, abs=5.001e-11)
    roots = torch.cat([torch.ones(1, dtype=torch.float64), schedule.alpha_bar]).sqrt()
    assert len(roots) == 2001 and roots[0] == 1 and (roots.diff() < 0).all()
    assert roots[-1].item() == pytest.approx(0.00662267, abs=5.001e-9)


@pytest.mark.parametrize(("steps", "left"), [(100, 0.605), (200, 0.367), (500, 0.081)])
def test_betas_between_two_ends_are_not_scaled_with_their_number(steps, left):
    short = linear_between(1e-6, 1e-2, steps)
    assert (short.beta[0].item(), short.beta[-1].item()) == pytest.approx((1e-6, 1e-2))
    assert short.alpha_bar[-1].item() == pytest.approx(left, abs=6e-4)
    full = linear_between(1e-6, 1e-2, 2000)
    assert respace(full, steps).alpha_bar[-1] == full.alpha_bar[-1]  # what respacing keeps and fewer betas do not


@pytest.mark.parametrize("steps", [250, 1000, 4000])
def test_the_scaled_schedule_is_the_one_between_its_scaled_ends(steps):
    scaled, plain = linear_schedule(steps), linear_between(1e-4 * (1000 / steps), 2e-2 * (1000 / steps), steps)
    assert torch.equal(scaled.beta, plain.beta) and torch.equal(scaled.alpha_bar, plain.alpha_bar)


def test_respacing_to_100_keeps_the_indices_of_the_published_code():
    schedule = respace(linear_schedule(), 100)
    index = schedule.index.tolist()
    assert len(index) == 100 and index[:3] == [0, 10, 20]
    assert [index[k] for k in (20, 21, 40, 59, 60, 99)] == [202, 212, 404, 595, 605, 999]
    assert schedule.beta[99].item() == pytest.approx(0.18218, abs=5e-6)
    levels = schedule.alpha_bar[[20, 21, 59, 60]].tolist()
    assert levels == pytest.approx([0.650958, 0.623919, 0.027160, 0.024056], abs=5e-7)


@pytest.mark.parametrize("steps", [2, 7, 100, 999, 1000])
def test_respaced_betas_lead_through_the_original_noise_levels(steps):
    full, schedule = linear_schedule(), respace(linear_schedule(), steps)
    assert torch.equal(schedule.alpha_bar, full.alpha_bar[schedule.index])
    assert torch.allclose((1 - schedule.beta).cumprod(0), full.alpha_bar[schedule.index], rtol=1e-12, atol=0)
    assert schedule.index[0] == 0 and schedule.index[-1] == 999 and (schedule.index.diff() > 0).all()


def test_the_head_of_a_schedule_is_its_cleanest_part():
    schedule = head(linear_schedule(), 500)
    assert len(schedule) == 500 and schedule.index[-1] == 499
    with pytest.raises(UsageError, match="step 1001"):
        head(linear_schedule(), 1001)


def test_the_variance_range_lies_between_the_posterior_and_beta():
    schedule = linear_schedule()
    smallest, largest = log_variance_range(schedule)
    posterior = schedule.beta * (1 - previous(schedule.alpha_bar)) / (1 - schedule.alpha_bar)
    assert torch.allclose(smallest[1:].exp(), posterior[1:], rtol=1e-12) and smallest[0] == smallest[1]
    assert torch.allclose(largest.exp(), schedule.beta, rtol=1e-12) and (smallest < largest).all()


def test_perturbed_images_have_the_mean_and_the_spread_of_their_level():
    schedule = linear_schedule()
    x_0, e = torch.full((3, 3, 2, 2), 0.5, dtype=torch.float64), torch.ones(3, 3, 2, 2, dtype=torch.float64)
    k = torch.tensor([0, 499, 999])
    noisy = perturb_each(x_0, e, schedule, k)
    for row, i in zip(noisy, k.tolist(), strict=True):
        level = schedule.alpha_bar[i].item()
        assert torch.allclose(row, torch.full_like(row, 0.5 * level**0.5 + (1 - level) ** 0.5), rtol=1e-14)
        assert torch.allclose(row, perturb(x_0[0], e[0], level), rtol=1e-14)
