"""The start of a reverse process: what is refused in which words, and the levels that are left."""

from __future__ import annotations

import subprocess
import sys

import pytest

from nferbench import UsageError
from nferbench_methods.diffusion import sampling
from nferbench_methods.diffusion.schedule import linear_schedule
from nferbench_methods.diffusion.start import check_start_step, check_steps, levels_from


@pytest.mark.parametrize("start_step", [-1, 1001])
def test_a_start_outside_of_the_schedule_is_refused(start_step):
    with pytest.raises(UsageError) as caught:
        check_start_step("row", start_step)
    assert str(caught.value) == f"row: start_step is {start_step}; allowed: 0 to 1000"


@pytest.mark.parametrize(
    ("steps", "available"), [(501, 500), (1, 500), (0, 500), (-2, 500), (1, 0), (2, 1), (1001, 1000)]
)
def test_steps_that_cannot_be_spread_over_those_available_are_refused(steps, available):
    with pytest.raises(UsageError) as caught:
        check_steps("row", steps, available)
    assert str(caught.value) == f"row: steps is {steps}; allowed: 2 to {available}, or null for all"


@pytest.mark.parametrize("start_step", [0, 1, 2, 500, 1000])
def test_whatever_is_allowed_has_its_levels(start_step):
    check_start_step("row", start_step)
    for steps in {None, start_step, *range(2, start_step + 1, 83)}:
        check_steps("row", steps, start_step)
        assert len(levels_from(start_step, steps, "cpu")) == (start_step if steps is None else steps)


@pytest.mark.parametrize("steps", [None, 2, 25, 500])
def test_fewer_steps_start_and_end_at_the_same_noise_levels(steps):
    whole = sampling.levels(linear_schedule(), "cpu")
    levels = levels_from(500, steps, "cpu")
    assert [level.k for level in levels] == list(range(steps or 500))  # cleanest first
    for level, expected in ((levels[0], whole[0]), (levels[-1], whole[499])):
        assert (level.t.item(), level.alpha_bar) == (expected.t.item(), expected.alpha_bar)
    assert levels[0].alpha_bar_prev == 1


def test_a_start_at_the_last_index_takes_the_whole_schedule():
    found, expected = levels_from(1000, None, "cpu"), sampling.levels(linear_schedule(), "cpu")
    for level, other in zip(found, expected, strict=True):
        assert level.t.item() == other.t.item()
        for name in ("k", "beta", "alpha_bar", "alpha_bar_prev", "posterior_variance"):
            assert getattr(level, name) == getattr(other, name)


def test_checking_settings_does_not_load_torch():
    program = "from nferbench_methods.diffusion.start import check_start_step, check_steps; import sys; "
    program += "check_start_step('row', 500); check_steps('row', None, 500); print('torch' in sys.modules)"
    path = ":".join(sys.path)
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, env={"PYTHONPATH": path})
    assert run.stdout.strip() == "False", run.stderr
