"""Rows that go through networks are counted, and nothing else changes."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from nferbench.engine.counting import counted


def test_rows_of_each_call_of_a_network_count_those_of_its_parts_do_not() -> None:
    twice = nn.Linear(2, 2)
    networks = {"score": nn.Sequential(twice, twice), "other": nn.Linear(2, 1), "idle": nn.Linear(2, 2)}
    x = torch.rand(3, 2)
    expected = networks["score"](x)
    with counted(networks) as rows:
        assert torch.equal(networks["score"](x), expected)
        networks["score"](torch.cat([x, x]))
        networks["other"](input=x)
        twice(x)
    networks["score"](x)
    assert rows == {"score": 9, "other": 3}


def test_a_network_that_fails_is_left_as_it_was() -> None:
    network = nn.Linear(2, 2)
    with pytest.raises(RuntimeError), counted({"network": network}):
        network(torch.rand(3, 5))
    assert not network._forward_pre_hooks
