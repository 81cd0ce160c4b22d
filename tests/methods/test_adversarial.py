"""The learner of adversarial trainings: what it does around an update, and what it keeps of a training."""

from __future__ import annotations

import io

import pytest
import torch
from torch import nn
from torch.optim import SGD, Adam

from nferbench import Batch, Paced
from nferbench_methods.gan.adversarial import AdversarialLearner
from nferbench_methods.gan.pool import ImagePool

BATCH = Batch(vis=torch.zeros(2, 3, 2, 2), nir=torch.ones(2, 3, 2, 2))


class Game:
    """Two small networks without any sense but of every kind of state: momentum, groups of parameters, a full pool."""

    def __init__(self, seed: int = 0) -> None:
        torch.manual_seed(seed)
        self.generator, self.opponent = nn.Linear(3, 3), nn.Sequential(nn.Linear(3, 8), nn.Dropout())
        inner, outer = self.generator.parameters()
        self.generator_optimiser = SGD([{"params": [inner]}, {"params": [outer], "lr": 0.5}], lr=0.1, momentum=0.9)
        self.opponent_optimiser = Adam(self.opponent.parameters(), lr=0.02)
        self.pool = ImagePool(1)
        self.calls: list[tuple] = []

    def update(self, batch, rng):
        self.calls.append((batch, rng, self.generator.training, self.opponent.training))
        fake = self.generator(torch.rand(2, 3, generator=rng))
        older = self.pool.exchange(fake[:, :, None, None], rng)[..., 0, 0]
        losses = {"generator": self.opponent(fake).mean(), "opponent": self.opponent(older).mean()}
        for optimiser, loss in zip((self.generator_optimiser, self.opponent_optimiser), losses.values(), strict=True):
            optimiser.zero_grad()
            loss.backward(retain_graph=True, inputs=[p for group in optimiser.param_groups for p in group["params"]])
        yield self.generator_optimiser.step, {"generator": losses["generator"].detach()}
        yield self.opponent_optimiser.step, {"opponent": losses["opponent"].detach()}

    def learner(self, rate=lambda k: 1.0) -> AdversarialLearner:
        return AdversarialLearner(
            {"generator": self.generator, "opponent": self.opponent},
            {"generator_optimiser": self.generator_optimiser, "opponent_optimiser": self.opponent_optimiser},
            self.update,
            rate=rate,
            further={"pool": self.pool},
        )


def train(learner: AdversarialLearner, updates: range) -> list[dict[str, float]]:
    history = []
    for k in updates:
        torch.manual_seed(1000 + k)
        losses = learner.step(BATCH, torch.Generator().manual_seed(2000 + k), k)
        history.append({name: loss.item() for name, loss in losses.items()})
    return history


def rates(game: Game) -> list[float]:
    return [g["lr"] for o in (game.generator_optimiser, game.opponent_optimiser) for g in o.param_groups]


def tensors(state, path=""):
    """Every leaf of a nested state by its path."""
    if isinstance(state, dict | list):
        items = state.items() if isinstance(state, dict) else enumerate(state)
        return {name: leaf for key, value in items for name, leaf in tensors(value, f"{path}/{key}").items()}
    return {path: state}


def test_an_update_gets_the_batch_and_the_stream_and_its_losses_come_back():
    game, rng = Game(), torch.Generator()
    losses = game.learner().step(BATCH, rng, 0)
    ((batch, stream, *_),) = game.calls
    assert batch is BATCH and stream is rng
    assert set(losses) == {"generator", "opponent"}


def test_every_network_is_in_train_mode_whatever_it_was_in():
    game = Game()
    game.generator.eval()
    game.opponent.eval()
    game.learner().step(BATCH, torch.Generator(), 0)
    assert game.calls[0][2:] == (True, True)
    assert game.opponent[1].training


def test_rates_are_multiples_of_the_first_rate_of_each_group():
    game = Game()
    learner = game.learner(lambda k: [1.0, 0.5, 0.25, 1.0][k])
    for k, factor in enumerate([1.0, 0.5, 0.25, 1.0]):  # of the first rate, not of the one before
        train(learner, range(k, k + 1))
        assert rates(game) == [0.1 * factor, 0.5 * factor, 0.02 * factor]


def test_rates_after_a_resume_are_multiples_of_the_first_rate_and_not_of_the_stored_one():
    game = Game()
    train(game.learner(lambda k: 0.5), range(1))
    resumed = Game()
    learner = resumed.learner(lambda k: 0.5)
    learner.load_state_dict(game.learner().state_dict())
    assert rates(resumed) == [0.05, 0.25, 0.01]
    train(learner, range(1, 2))
    assert rates(resumed) == [0.05, 0.25, 0.01]


def test_a_state_holds_each_part_under_its_name():
    game = Game()
    learner = game.learner()
    train(learner, range(2))
    state = learner.state_dict()
    assert list(state) == ["generator", "opponent", "generator_optimiser", "opponent_optimiser", "pool"]
    parts = (game.generator, game.opponent, game.generator_optimiser, game.opponent_optimiser, game.pool)
    for found, part in zip(state.values(), parts, strict=True):
        expected, got = tensors(part.state_dict()), tensors(found)
        assert expected.keys() == got.keys()
        for name, value in expected.items():
            assert torch.equal(value, got[name]) if isinstance(value, torch.Tensor) else value == got[name], name
    assert len(state["pool"]["images"]) == 1


def test_a_resumed_training_ends_bit_for_bit_where_an_undisturbed_one_ends():
    straight, first, second = Game().learner(), Game().learner(), Game(seed=99).learner()
    history = train(straight, range(8))
    train(first, range(4))
    file = io.BytesIO()
    torch.save(first.state_dict(), file)
    file.seek(0)
    train(second, range(20, 23))  # other weights, moments and fakes: all that counts must come from the file
    second.load_state_dict(torch.load(file, weights_only=True))
    assert train(second, range(4, 8)) == history[4:]

    expected, got, stopped = (tensors(learner.state_dict()) for learner in (straight, second, first))
    assert expected.keys() == got.keys()
    for name, value in expected.items():
        assert torch.equal(value, got[name]) if isinstance(value, torch.Tensor) else value == got[name], name
    for part in first.state_dict():
        leaves = [name for name in expected if name.startswith(f"/{part}/")]
        moved = [name for name in leaves if isinstance(expected[name], torch.Tensor)]
        assert any(not torch.equal(expected[name], stopped[name]) for name in moved), part


def test_a_state_that_lacks_a_part_is_not_taken_for_a_whole_one():
    learner = Game().learner()
    state = learner.state_dict()
    del state["pool"]
    with pytest.raises(KeyError, match="pool"):
        learner.load_state_dict(state)


def test_networks_go_by_the_names_that_they_were_given():
    game = Game()
    networks = game.learner().networks()
    assert list(networks) == ["generator", "opponent"]
    assert networks["generator"] is game.generator and networks["opponent"] is game.opponent


def test_the_weights_are_detached_copies_of_the_generators_state():
    game = Game()
    learner = game.learner()
    weights = learner.weights()
    before = {name: value.detach().clone() for name, value in game.generator.state_dict().items()}
    assert weights.keys() == before.keys() == {"weight", "bias"}
    assert not any(value.requires_grad for value in weights.values())
    train(learner, range(1))
    for name, value in weights.items():
        assert torch.equal(value, before[name])
        assert not torch.equal(value, game.generator.state_dict()[name])


def test_the_rate_that_is_told_is_the_generators_whatever_the_order_of_optimisers():
    game = Game()
    learner = AdversarialLearner(
        {"generator": game.generator, "opponent": game.opponent},
        {"opponent_optimiser": game.opponent_optimiser, "generator_optimiser": game.generator_optimiser},
        game.update,
        rate=lambda k: 1 / (1 + k),
    )
    assert isinstance(learner, Paced)
    train(learner, range(5))
    assert learner.rate_of_last_update() == pytest.approx(0.1 / 5)
