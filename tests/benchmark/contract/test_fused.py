"""Optimisers are fused on a GPU, and whatever they were where a training began."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import Generator, nn
from torch._subclasses import FakeTensorMode
from torch.optim import Adam, AdamW, RMSprop

from nferbench import Batch, GradientLearner, fuse, load_optimiser
from nferbench_methods.gan.adversarial import AdversarialLearner

CONTIGUOUS, CHANNELS_LAST = torch.contiguous_format, torch.channels_last


def weights(device: str) -> list[nn.Parameter]:
    return [nn.Parameter(torch.zeros(2, device=device))]


@pytest.mark.parametrize(
    ("device", "settings", "expected"),
    [("cuda", {}, True), ("cuda", {"fused": False}, False), ("cuda", {"foreach": True}, None), ("cpu", {}, None)],
)
def test_what_was_left_open_is_fused_on_a_gpu_alone(device: str, settings: dict[str, bool], expected: bool) -> None:
    with FakeTensorMode():
        optimiser = Adam(weights(device), **settings)
        fuse(optimiser)
    assert optimiser.param_groups[0]["fused"] is expected


def test_weights_in_two_places_are_left_alone() -> None:
    with FakeTensorMode():
        optimiser = Adam(weights("cuda") + weights("cpu"))
        fuse(optimiser)
    assert optimiser.param_groups[0]["fused"] is None


def test_the_learner_of_gans_fuses_what_lies_on_a_gpu() -> None:
    with FakeTensorMode():
        network = nn.Linear(2, 2, device="cuda")
        optimiser = Adam(network.parameters())
        AdversarialLearner({"generator": network}, {"optimiser": optimiser}, lambda *_: iter(()), rate=lambda k: 1.0)
    assert optimiser.param_groups[0]["fused"] is True


def after_a_step(fused: bool | None) -> dict:
    (weight,) = weights("cpu")
    optimiser = AdamW([weight], lr=0.5, fused=fused)
    weight.grad = torch.ones(2)
    optimiser.step()
    return optimiser.state_dict()


@pytest.mark.parametrize("mine", [True, None])
@pytest.mark.parametrize("theirs", [True, None])
def test_a_state_changes_all_but_whether_an_optimiser_is_fused(mine: bool | None, theirs: bool | None) -> None:
    state = after_a_step(theirs)
    optimiser = AdamW(weights("cpu"), lr=0.1, fused=mine)
    load_optimiser(optimiser, state)
    assert optimiser.param_groups[0]["fused"] is mine
    assert optimiser.param_groups[0]["lr"] == 0.5
    (held,) = optimiser.state.values()
    assert held["step"].item() == 1 and held["exp_avg"].abs().min() > 0
    assert state["param_groups"][0]["fused"] is theirs


@pytest.mark.parametrize(("mine", "where"), [(True, "meta"), (None, "cpu")])
def test_counters_of_steps_lie_beside_the_weights_where_one_kernel_reads_them(mine: bool | None, where: str) -> None:
    optimiser = Adam(weights("meta"))
    optimiser.param_groups[0]["fused"] = mine
    load_optimiser(optimiser, after_a_step(None))
    (held,) = optimiser.state.values()
    assert held["step"].device.type == where


def test_optimisers_that_cannot_be_fused_are_restored_as_ever() -> None:
    optimiser = RMSprop(weights("cpu"), lr=0.1)
    fuse(optimiser)
    load_optimiser(RMSprop(weights("cpu"), lr=0.2), optimiser.state_dict())
    assert "fused" not in optimiser.param_groups[0]


def test_groups_of_another_optimiser_are_refused() -> None:
    with pytest.raises(ValueError):
        load_optimiser(Adam(weights("cpu")), {"state": {}, "param_groups": []})


def test_learners_stay_fused_after_a_state_that_was_not() -> None:
    network = nn.Linear(2, 2)
    plain, fused = Adam(network.parameters()), Adam(network.parameters(), fused=True)
    learners = [GradientLearner(network, each, lambda batch, rng: {}) for each in (plain, fused)]
    learners[1].load_state_dict(learners[0].state_dict())
    assert fused.param_groups[0]["fused"] is True
    gans = [
        AdversarialLearner({"generator": network}, {"optimiser": each}, lambda *_: iter(()), rate=lambda k: 1.0)
        for each in (plain, fused)
    ]
    gans[1].load_state_dict(gans[0].state_dict())
    assert fused.param_groups[0]["fused"] is True


@pytest.mark.parametrize(("begun", "resumed"), [(CONTIGUOUS, CHANNELS_LAST), (CHANNELS_LAST, CONTIGUOUS)])
def test_a_training_goes_on_where_weights_lie_otherwise(
    begun: torch.memory_format, resumed: torch.memory_format
) -> None:
    """As between a CPU and a GPU: the averages of a fused optimiser are those of their own weights."""

    def learner(layout: torch.memory_format) -> GradientLearner:
        torch.manual_seed(0)
        network = nn.Conv2d(3, 4, 3).to(memory_format=layout)  # type: ignore[call-overload]
        network.weight.data = network.weight.data.double().contiguous(memory_format=layout)
        network.bias.data = network.bias.data.double()
        optimiser = AdamW(network.parameters(), 0.1, fused=True)
        return GradientLearner(network, optimiser, lambda batch, rng: {"l": network(batch.nir).square().mean()})

    def updated(one: GradientLearner, updates: range) -> GradientLearner:
        for k in updates:
            faces = torch.randn(2, 3, 4, 4, generator=Generator().manual_seed(k), dtype=torch.float64)
            one.step(Batch(faces, faces), Generator(), k)
        return one

    whole = updated(learner(begun), range(4))
    half, rest = updated(learner(begun), range(2)), learner(resumed)
    rest.load_state_dict(copy.deepcopy(half.state_dict()))
    for name, value in updated(rest, range(2, 4)).weights().items():
        assert torch.allclose(value, whole.weights()[name], rtol=1e-9), name
