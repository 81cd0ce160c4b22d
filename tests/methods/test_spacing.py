"""Which steps a shortened schedule keeps, against the authors' rule and against what was kept before."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace

import pytest
import torch

from nferbench import UsageError
from nferbench.contract.noise import ImageNoise
from nferbench.contract.values import describe, replaced
from nferbench_methods.diffusion.schedule import head, linear_between, linear_schedule, respace, spread
from nferbench_methods.diffusion.spacing import accumulated, nearest, rounding_of
from nferbench_methods.egsde import EGSDE
from nferbench_methods.ilvr import ILVR
from nferbench_methods.nfer_sde import NFERSDE
from nferbench_methods.sdedit import SDEdit
from nferbench_methods.sr3 import SR3
from nferbench_methods.t2v_ddpm import T2VDDPM

MOVED = (21, 23, 27, 35, 39, 961)  # some counts of 1000 whose steps were not the authors'


def published(available: int, steps: int) -> list[int]:
    """The rule of guided-diffusion for one section, as its description says it."""
    place, kept = 0.0, []
    for _ in range(steps):
        kept.append(round(place))
        place += (available - 1) / (steps - 1)
    return kept


def test_respacing_keeps_the_authors_steps_at_every_count():
    whole = linear_schedule()
    for steps in range(2, 1001):
        assert respace(whole, steps).index.tolist() == published(1000, steps), steps
    assert accumulated(1000, 21)[10] == 499 and nearest(1000, 21)[10] == 500


@pytest.mark.parametrize(
    ("schedule", "of"), [(linear_between(1e-6, 1e-2, 2000), 2000), (head(linear_schedule(), 500), 500)]
)
def test_methods_that_always_took_all_steps_keep_those_that_they_kept(schedule, of):
    for steps in (2, 15, 21, 25, of // 2 + 1, of - 1, of):
        before = torch.linspace(0, of - 1, steps, dtype=torch.float64).round().long()
        assert torch.equal(spread(schedule, steps).index, before), steps


def test_both_ways_keep_the_first_and_the_last_step_and_none_twice():
    for available in (2, 3, 10, 61, 500):
        for steps in range(2, available + 1):
            for kept in (accumulated(available, steps), nearest(available, steps)):
                assert (kept[0], kept[-1], len(set(kept))) == (0, available - 1, steps) and kept == sorted(kept)


@pytest.mark.parametrize("shorten", [respace, spread])
@pytest.mark.parametrize("steps", [0, 1, 1001])
def test_impossible_counts_are_refused(shorten, steps):
    with pytest.raises(UsageError, match=f"to {steps}; allowed: 2 to 1000"):
        shorten(linear_schedule(), steps)


def told(method, size: int = 8) -> list[int]:
    """The indices that the score network of a method is told, in the order of the calls."""
    seen = []

    def network(x, t):
        seen.append(t.item())
        return torch.zeros_like(x[:, :3]), torch.zeros_like(x[:, :3])

    method.translate(torch.zeros(1, 3, size, size), {"score": network}, ImageNoise([1]))
    return seen


@pytest.mark.parametrize("steps", MOVED[:4])
def test_ilvr_and_t2v_tell_their_networks_the_authors_steps(steps):
    assert told(ILVR(steps=steps)) == published(1000, steps)[::-1]
    assert told(T2VDDPM(steps=steps, skip=4)) == published(1000, steps)[: steps - 4][::-1]


def test_results_of_steps_that_moved_have_another_key_and_all_others_keep_theirs():
    for steps in range(2, 1001):
        moved = published(1000, steps) != torch.linspace(0, 999, steps, dtype=torch.float64).round().tolist()
        assert rounding_of(1000, steps, used=steps) == (2 if moved else 1), steps
    for method in (ILVR(), T2VDDPM(skip=0)):
        assert "rounding" not in describe(method) and "rounding" not in describe(replace(method, steps=25))
        for steps in MOVED:
            assert describe(replace(method, steps=steps))["rounding"] == 2
    for method in (SDEdit(), EGSDE(), NFERSDE(), SR3()):
        assert "rounding" not in describe(method)


def test_steps_that_are_skipped_do_not_count():
    """Of 21 steps, step 10 moved; the start of the authors' code lies one step above the first that is taken."""
    for start_level, least in (("code", 12), ("first-step", 11)):
        for skip in range(21):
            method = T2VDDPM(steps=21, skip=skip, start_level=start_level)
            assert ("rounding" in describe(method)) is (skip < least), (start_level, skip)


def test_the_rounding_cannot_be_set():
    with pytest.raises(UsageError, match="has no field 'rounding'"):
        replaced(ILVR(), {"rounding": 2}, "methods.ilvr")


def test_spacing_does_not_load_torch():
    program = "from nferbench_methods.diffusion.spacing import rounding_of; import sys; "
    program += "rounding_of(1000, 21, used=21); print('torch' in sys.modules)"
    path = ":".join(sys.path)
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, env={"PYTHONPATH": path})
    assert run.stdout.strip() == "False", run.stderr
