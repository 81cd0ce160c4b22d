"""Pushes are measured where somebody listens, and nowhere else."""

from __future__ import annotations

import threading
from math import isnan, sqrt
from typing import Any

import pytest
import torch

from nferbench import PluginError, hear_pushes, note_pushes


def pattern(*values: float) -> torch.Tensor:
    """Images of two pixels, one a pair of values."""
    return torch.tensor(values, dtype=torch.float32).view(-1, 1, 1, 2)


def test_nothing_is_measured_where_nobody_listens() -> None:
    note_pushes(0, 0, lambda: pytest.fail("measured"))
    with hear_pushes():
        pass
    note_pushes(0, 0, lambda: pytest.fail("measured after the block"))


def test_size_and_cosine_are_those_of_each_image() -> None:
    score, energy = pattern(3, 4, 0, 0), pattern(-3, -4, 1, 7)
    with hear_pushes() as heard:
        note_pushes(5, torch.tensor([70]), lambda: {"score": score, "E": energy, "noise": torch.full_like(score, 0.5)})
    assert [(push.step, push.t, push.term) for push in heard] == [(5, 70, term) for term in ("score", "E", "noise")]
    of_score, of_energy, of_noise = heard
    assert of_score.rms.dtype == torch.float32 and of_score.rms.tolist() == pytest.approx([sqrt(12.5), 0])
    assert of_energy.rms.tolist() == pytest.approx([sqrt(12.5), 5])
    assert of_noise.rms.tolist() == [0.5, 0.5]
    assert of_score.cosine is None and of_noise.cosine is None
    assert of_energy.cosine is not None
    assert of_energy.cosine[0] == pytest.approx(-1) and isnan(of_energy.cosine[1])  # no angle to no push


def test_no_tensor_of_a_sampler_is_kept() -> None:
    push = pattern(1, 2).requires_grad_()
    with hear_pushes() as heard:
        note_pushes(0, 0, lambda: {"score": push})
    assert heard[0].rms.shape == (1,) and not heard[0].rms.requires_grad


def test_without_a_score_there_is_no_cosine() -> None:
    with hear_pushes() as heard:
        note_pushes(0, 0, lambda: {"E": pattern(1, 2)})
    assert heard[0].cosine is None


def test_listening_ends_with_its_block_and_stays_in_its_thread() -> None:
    with hear_pushes() as outer:
        with pytest.raises(ZeroDivisionError), hear_pushes() as inner:
            note_pushes(0, 0, lambda: {"score": pattern(1, 1)})
            raise ZeroDivisionError
        other = threading.Thread(target=note_pushes, args=(1, 1, lambda: pytest.fail("measured")))
        other.start()
        other.join()
        note_pushes(2, 2, lambda: {"score": pattern(1, 1)})
    assert [push.step for push in inner] == [0] and [push.step for push in outer] == [2]


@pytest.mark.parametrize(
    ("pushes", "told"),
    [
        ({"E\nh": pattern(1, 1)}, r"called 'E\\nh'; a letter and up to 31 letters"),
        ({"": pattern(1, 1)}, "called ''"),
        ({"=1+1": pattern(1, 1)}, "called '=1"),
        ({"E" * 33: pattern(1, 1)}, "called 'EEE"),
        ({3: pattern(1, 1)}, "called 3"),
        ({"E": 0.5}, r"the push of E is float; floating point of shape \(B, C, H, W\) is due"),
        ({"E": torch.ones(2)}, r"torch.float32 of shape \(2,\)"),
        ({"E": pattern(1, 1).int()}, "torch.int32"),
    ],
)
def test_what_is_no_push_is_told_in_one_line(pushes: Any, told: str) -> None:
    with hear_pushes(), pytest.raises(PluginError, match=told) as caught:
        note_pushes(0, 0, lambda: pushes)
    assert "\n" not in str(caught.value)
