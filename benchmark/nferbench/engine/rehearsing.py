"""Rehearsals of trainings and translations on device `meta`: what they would compute and hold on a GPU, in seconds."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, final

import torch
from torch import Generator, Tensor, nn
from torch.utils._pytree import tree_leaves

from nferbench.contract.fer import FERModel, LabelledBatch
from nferbench.contract.noise import ImageNoise
from nferbench.contract.translator import Batch, FaceSpec, NetworkRecipe, Translator
from nferbench.engine.means import Means, given
from nferbench.engine.placing import placed
from nferbench.engine.skeletons import each_tensor, repeated, skeleton
from nferbench.engine.tracing import META, Ledger, following

SAMPLES = 1000  # of a training set; how many there are changes no update


@final
@dataclass(frozen=True)
class Rehearsed:
    """What an update, or a translation of a batch, took."""

    peak: int  # bytes, weights and the optimiser's state included
    bf16: int  # operations whose operands are bfloat16
    float32: int  # the other ones


@final
class Training:
    """A training whose updates are rehearsed.

    Args:
        recipe: of the network.
        spec: of the faces.

    Raises:
        UsageError: the network cannot be built on such faces, or a file to start from is missing.
    """

    def __init__(self, recipe: NetworkRecipe, spec: FaceSpec) -> None:
        self._spec = spec
        self._ledger = Ledger()
        self._started = False
        self._line: dict[bool, tuple[float, float]] = {}
        with following(self._ledger):
            self._network = placed(skeleton(recipe, spec), META)
            self._learner = recipe.learner(self._network, spec, SAMPLES)
        self.parameters = sum(each.numel() for each in self._network.parameters())
        self.divisible = given(self._learner, Means(1), 2).piece == 1
        self.recomputable = given(self._learner, Means(2, recompute=True), 2).recompute

    def update(self, rows: int, means: Means) -> Rehearsed:
        """An update of `rows` rows."""
        with following(self._ledger):
            faces = [torch.empty(rows, 3, self._spec.size, self._spec.size, device=META) for _ in range(2)]
            points = [torch.empty(rows, self._spec.landmarks, 2, device=META) for _ in range(2)]
            batch = Batch(*faces, *points) if self._spec.landmarks else Batch(*faces)
            given(self._learner, means, rows)
            rng = Generator()
            if not self._started:  # the first makes the optimiser's state
                self._learner.step(batch, rng, 0)
                self._started = True
            self._ledger.restart()
            self._learner.step(batch, rng, 1)
        return Rehearsed(self._ledger.peak, self._ledger.bf16, self._ledger.float32)

    def estimate(self, means: Means) -> float:
        """About what an update takes in pieces of some size, in bytes.

        Activations grow with the rows, so that pieces of one and of two rows tell of all others.
        """
        anew = means.recompute
        if anew not in self._line:
            one, two = (self.update(2 * rows, Means(rows, anew)).peak for rows in (1, 2))
            self._line[anew] = (one, two - one)
        first, slope = self._line[anew]
        return first + slope * (means.piece - 1)


def rehearsed_recogniser(fer: FERModel, size: int, classes: int) -> tuple[int, Rehearsed]:
    """The parameters of a recogniser, and an update of it.

    Raises:
        UsageError: weights that were asked for are missing.
    """
    ledger = Ledger()
    with following(ledger):
        network = placed(fer.build(size, classes), META)
        learner = fer.learner(network, SAMPLES)
        images = torch.empty(fer.batch_size, 3, size, size, device=META)
        batch = LabelledBatch(images, torch.empty(fer.batch_size, dtype=torch.int64, device=META))
        rng = Generator()
        learner.step(batch, rng, 0)
        ledger.restart()
        learner.step(batch, rng, 1)
    parameters = sum(each.numel() for each in network.parameters())
    return parameters, Rehearsed(ledger.peak, ledger.bf16, ledger.float32)


def rehearsed_translation(
    translator: Translator, specs: Mapping[str, FaceSpec], size: int, count: int
) -> tuple[int, Rehearsed]:
    """The parameters of all networks of a translator, and a translation of `count` faces of side `size`.

    Args:
        translator: the method.
        specs: what the faces of each network's training look like, by role.
        size: side of the faces in pixels.
        count: faces that are translated at a time.
    """
    ledger = Ledger()
    with following(ledger):
        networks = {
            role: placed(skeleton(recipe, specs[role]).requires_grad_(False).eval(), META)
            for role, recipe in translator.networks().items()
        }
        calls = _Calls(ledger)
        echoes = {role: _Echo(network, calls) for role, network in networks.items()}
        with torch.inference_mode():
            vis = torch.empty(count, 3, size, size, device=META)
            ledger.restart()
            translator.translate(vis, echoes, ImageNoise(range(count), META))
    parameters = sum(each.numel() for network in networks.values() for each in network.parameters())
    return parameters, Rehearsed(ledger.peak, *calls.operations())


@final
class _Calls:
    """What the calls of a translator's networks take, each from its beginning to the next one's.

    So the gradient that a method takes of an answer counts with the call that gave it. Calls are alike that ask the
    same network about as much, in the same words, both with or both without a gradient.
    """

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._counts: Counter[Any] = Counter()
        self._answers: dict[Any, tuple[int, int]] = {}  # operations of the network itself
        self._rests: dict[Any, tuple[int, int]] = {}  # of what followed until the next call
        self._total = (0, 0)
        self._open: Any = None  # the kind of the last call

    def begins(self, kind: Any) -> bool:
        """Close the call before and open one; whether it is one of the first two of its kind, which compute."""
        self._close()
        self._open = kind
        self._counts[kind] += 1
        return self._counts[kind] <= 2

    def answered(self) -> None:
        """The network has given its answer, or given it again."""
        took = self._taken()
        if self._counts[self._open] <= 2:
            self._answers[self._open] = took
        self._add(self._answers[self._open])

    def operations(self) -> tuple[int, int]:
        """All operations: in bfloat16, and others."""
        self._close()
        self._open = None
        return self._total

    def _close(self) -> None:
        took = self._taken()
        if self._open is not None and self._counts[self._open] <= 2:
            self._rests[self._open] = took
        # No gradient goes through an answer that was given again; what else follows it is really computed.
        usual = self._rests.get(self._open, (0, 0))
        self._add((max(took[0], usual[0]), max(took[1], usual[1])))

    def _taken(self) -> tuple[int, int]:
        took = (self._ledger.bf16, self._ledger.float32)
        self._ledger.bf16 = self._ledger.float32 = 0
        return took

    def _add(self, took: tuple[int, int]) -> None:
        self._total = (self._total[0] + took[0], self._total[1] + took[1])


@final
class _Echo(nn.Module):
    """A network that repeats its last answer of a kind once it has given two."""

    def __init__(self, network: nn.Module, calls: _Calls) -> None:
        super().__init__()
        self.network = network
        self._calls = calls
        self._answers: dict[Any, Any] = {}

    def __getattr__(self, name: str) -> Any:
        try:
            return super().__getattr__(name)
        except AttributeError:
            return getattr(super().__getattr__("network"), name)

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        kind = (id(self), *kwargs, *map(_look, tree_leaves((args, kwargs))))
        if self._calls.begins(kind):
            answer = self.network(*args, **kwargs)
            self._answers[kind] = each_tensor(answer, Tensor.detach)
        else:
            answer = repeated(self._answers[kind], (args, kwargs))
        self._calls.answered()
        return answer


def _look(asked: object) -> object:
    """What of an argument may change what a call costs; numbers, such as that of a step, do not."""
    if isinstance(asked, Tensor):
        return tuple(asked.shape), asked.dtype, asked.requires_grad
    return asked if isinstance(asked, str | bool) else type(asked)
