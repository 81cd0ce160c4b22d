"""Rules of whatever is trained, networks of methods and recognisers alike: a few updates of a few drawn faces."""

from __future__ import annotations

import io
import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, fields, replace
from functools import cached_property
from typing import Any, Protocol, final

import torch
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.utils._pytree import tree_leaves, tree_map

from nferbench.checking import readiness
from nferbench.checking.absent import AbsentDevice, Mixed, Waits, absent
from nferbench.checking.chance import apart, drawn_from, seed_globals, states
from nferbench.checking.rules import Broken, Rule, Skipped, told
from nferbench.contract.noise import derive_seed
from nferbench.contract.translator import Divisible
from nferbench.engine.placing import placed
from nferbench.engine.tracing import META, Ledger, following
from nferbench.engine.training import Steps

CPU = torch.device("cpu")
UPDATES = 4  # half of them before a training is interrupted
CLOSE = (
    0.01  # of the way that weights go in an update, or of a loss; statistics of pieces move them by a tenth and more
)
ROUGH = 0.2  # of the way in single precision, where an optimiser may blow up the rounding of gradients that are none


class Learning(Steps, Protocol):
    """What the rules ask of a learner (`nferbench.Learner` and `nferbench.FERLearner` both give it)."""

    def weights(self) -> dict[str, Tensor]: ...


@final
@dataclass(frozen=True)
class Trainee:
    """Something that can be trained."""

    build: Callable[[], nn.Module]  # from torch's global generator
    learner: Callable[[nn.Module], Learning]
    batch: Callable[[torch.device], Any]  # the same faces on any device
    updates: int  # of a full training
    ready: Callable[[], None]  # raises what `ready` raises

    def begun(self, seed: int = 1) -> Learning:
        """A fresh training on the CPU."""
        torch.manual_seed(seed)
        return self.learner(self.build())

    @cached_property
    def initial(self) -> dict[str, Tensor]:
        """Weights before the first update, which a learner may have read from a file."""
        with apart():
            return self.begun().weights()

    @cached_property
    def straight(self) -> dict[int, dict[str, Tensor]]:
        """Weights of an undisturbed training after half of the updates and after all, by the number of updates."""
        after = {}
        with apart():
            learner = self.begun()
            for k in range(UPDATES):
                update(learner, self.batch(CPU), k)
                if k + 1 in (UPDATES // 2, UPDATES):
                    after[k + 1] = copied(learner.weights())
        return after


def update(learner: Steps, batch: Any, k: int) -> Mapping[str, Tensor]:
    """Update k as the training loop does it."""
    torch.manual_seed(derive_seed("check", "update", k))
    rng = torch.Generator().manual_seed(derive_seed("check", "draws", k))
    return learner.step(batch, rng, k)


def copied(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Weights that later updates do not change."""
    return {name: value.detach().clone() for name, value in weights.items()}


def different(ones: Mapping[str, Tensor], others: Mapping[str, Tensor]) -> str:
    """The first tensor that two sets of weights do not share to the bit; "" where there is none."""
    if ones.keys() != others.keys():
        return sorted(ones.keys() ^ others.keys())[0]
    return next((name for name, value in ones.items() if not torch.equal(value, others[name])), "")


def draws_initial_weights(trainee: Trainee) -> None:
    with apart():
        made = []
        for others in (1, 2):
            seed_globals(7, others)
            before = states()
            made.append(trainee.build().state_dict())
            if foreign := [name for name in drawn_from(before) if name != "torch"]:
                raise Broken(f"build draws from the global generator of {' and '.join(foreign)}; torch's is due")
    if name := different(*made):
        raise Broken(f"built twice from one seed of torch, '{name}' differs; torch's global generator is due")


def learns(trainee: Trainee) -> str | None:
    if trainee.updates == 0:
        raise Skipped("a full training has no updates")
    with apart():
        losses = update(trainee.begun(), trainee.batch(CPU), 0)
    if not isinstance(losses, Mapping) or not losses:
        raise Broken(f"step returns {told(repr(losses))}; losses by name are due")
    for name, loss in losses.items():
        if not isinstance(loss, Tensor) or loss.ndim or loss.requires_grad:
            raise Broken(
                f"step returns the loss '{name}' as {_form(loss)}; a detached tensor without dimensions is due"
            )
        if not bool(torch.isfinite(loss)):
            raise Broken(f"the loss '{name}' is {loss.item()} in the first update")
    after = trainee.straight[UPDATES]
    if spoilt := [name for name, value in after.items() if not bool(torch.isfinite(value).all())]:
        raise Broken(f"after {UPDATES} updates '{spoilt[0]}' is not finite")
    if not different(trainee.initial, after):
        raise Broken(f"{UPDATES} updates change no weight")
    return None


def _form(loss: object) -> str:
    if not isinstance(loss, Tensor):
        return type(loss).__name__
    return f"a tensor of shape {tuple(loss.shape)}{', which requires a gradient' if loss.requires_grad else ''}"


def gives_weights(trainee: Trainee) -> None:
    with apart():
        network = trainee.build()
    try:
        network.load_state_dict(trainee.straight[UPDATES])
    except (RuntimeError, TypeError, AttributeError) as error:
        raise Broken(f"weights do not fit what build makes: {told(' '.join(str(error).split()))}") from None


def keeps_no_chance(trainee: Trainee) -> None:
    with apart():
        learner, batch = trainee.begun(), trainee.batch(CPU)
        for k in range(UPDATES // 2):
            seed_globals(0, others=k + 100)
            before = states()
            update(learner, batch, k)
            if foreign := [name for name in drawn_from(before) if name != "torch"]:
                raise Broken(
                    f"step draws from the global generator of {' and '.join(foreign)}; `rng` or torch's is due"
                )
    if name := different(learner.weights(), trainee.straight[UPDATES // 2]):
        raise Broken(
            f"the same seeds give another '{name}'; randomness is to come from `rng` or torch's global generators"
        )


def resumes(trainee: Trainee) -> None:
    with apart():
        first, batch = trainee.begun(), trainee.batch(CPU)
        for k in range(UPDATES // 2):
            update(first, batch, k)
        file = io.BytesIO()
        torch.save(dict(first.state_dict()), file)
        file.seek(0)
        try:
            state = torch.load(file, map_location="cpu", weights_only=True)
        except Exception as error:
            reason = told(str(error).strip().splitlines()[0])
            raise Broken(f"state_dict is more than tensors, numbers, lists and dicts: {reason}") from None
        second = trainee.begun(seed=99)
        second.load_state_dict(state)
        for k in range(UPDATES // 2, UPDATES):
            update(second, batch, k)
    if name := different(second.weights(), trainee.straight[UPDATES]):
        raise Broken(f"interrupted and gone on with, '{name}' ends otherwise than undisturbed")


def fuses(trainee: Trainee) -> str | None:
    with apart():
        unfused = trainee.begun()
        update(unfused, trainee.batch(CPU), 0)
    with followed("meta") as device:
        learner = _elsewhere(trainee, device)
        optimisers = _optimisers(learner)
        learner.load_state_dict(_on(device.device, unfused.state_dict()))
        for optimiser in optimisers:
            for group in optimiser.param_groups:
                if group.get("fused", 0) is None and group.get("foreach") is None:
                    raise Broken(
                        f"{type(optimiser).__name__} is not fused on a GPU, or no longer when a training is resumed; "
                        "make it with `fuse`, and take its state with `load_optimiser`"
                    )
    return None if optimisers else "no optimiser was found in the learner"


def _optimisers(learner: object) -> list[Optimizer]:
    parts = vars(learner) if hasattr(learner, "__dict__") else {}
    return [leaf for leaf in tree_leaves(parts) if isinstance(leaf, Optimizer)]


def stays_on_its_device(trainee: Trainee) -> str | None:
    with followed("meta") as device:
        rng, batch = torch.Generator(device.device), trainee.batch(device.device)
        learner = _elsewhere(trainee, device)
        learner.step(batch, rng, 0)
        device.settled = True  # what an update needs belongs there by now
        losses = learner.step(batch, rng, 1)
        device.settled = False
        for name, loss in losses.items():
            if loss.device.type != device.device.type:
                raise Broken(f"the loss '{name}' comes back on {loss.device}; it is to stay on the device")
        resumed = _elsewhere(trainee, device)
        resumed.load_state_dict(_on(device.device, learner.state_dict()))
        resumed.step(batch, rng, 2)
    return None


@contextmanager
def followed(kind: Any) -> Iterator[AbsentDevice]:
    """Compute on a device that this machine lacks, and tell what would fail or wait there.

    Raises:
        Broken: an operation on tensors of both sides.
        Skipped: the host asks for a value of the device, which has none here.
    """
    try:
        with apart(), absent(kind) as device:
            yield device
    except Mixed as error:
        raise Broken(f"{error}; move it with .to(x.device), or make it a buffer of the network") from None
    except Waits as error:
        raise Skipped(f"{error}: a GPU would be slow there, and cannot be followed without one") from None


def _elsewhere(trainee: Trainee, device: AbsentDevice) -> Learning:
    torch.manual_seed(1)
    return trainee.learner(placed(trainee.build(), device.device))


def _on(device: torch.device, state: Any) -> Any:
    """A checkpoint as it is read: onto a device as a whole, with what the learner had on the host."""
    return tree_map(lambda leaf: leaf.to(device) if isinstance(leaf, Tensor) else leaf, state)


def divides(trainee: Trainee) -> str | None:
    with apart():
        learner = trainee.begun()
        if not isinstance(learner, Divisible) or not learner.divide(1):
            return "cannot be divided"
        try:
            close, (whole, pieces) = CLOSE, [_divided(trainee, piece, torch.float64) for piece in (0, 1)]
        except RuntimeError:  # it casts to float32 somewhere
            close, (whole, pieces) = ROUGH, [_divided(trainee, piece, torch.float32) for piece in (0, 1)]
    for name, loss in whole.losses.items():
        other = pieces.losses.get(name, float("nan"))
        if not abs(loss - other) <= CLOSE * abs(loss) + 1e-6:
            raise Broken(f"in pieces the loss '{name}' is {other:.6g} where the whole gives {loss:.6g}")
    way, off = _norm(whole.moved), _norm(w - p for w, p in zip(whole.moved, pieces.moved, strict=True))
    if not off <= close * way:
        raise Broken(
            f"an update in pieces takes weights {off:.3g} away from where the whole does, on a way of {way:.3g}"
        )
    return None


@final
@dataclass(frozen=True)
class _Moved:
    """An update."""

    losses: dict[str, float]
    moved: list[Tensor]  # by how much, each weight


def _divided(trainee: Trainee, piece: int, dtype: torch.dtype) -> _Moved:
    """An update whose networks, those that the learner makes too, are of a type: in double, rounding hides nothing."""
    batch, usual = _cast(trainee.batch(CPU), dtype), torch.get_default_dtype()
    torch.set_default_dtype(dtype)
    try:
        learner = trainee.begun()
        assert isinstance(learner, Divisible)
        learner.divide(piece)
        before = copied(learner.weights())
        losses = update(learner, batch, 0)
    finally:
        torch.set_default_dtype(usual)
    moved = [value.double() - before[name].double() for name, value in learner.weights().items()]
    return _Moved({name: float(loss) for name, loss in losses.items()}, moved)


def _norm(tensors: Iterable[Tensor]) -> float:
    return math.sqrt(sum(float(each.square().sum()) for each in tensors))


def _cast(batch: Any, dtype: torch.dtype) -> Any:
    """A batch whose numbers, but for labels, are of a type."""
    given = {field.name: getattr(batch, field.name) for field in fields(batch)}
    floating = {name: x for name, x in given.items() if isinstance(x, Tensor) and x.is_floating_point()}
    return replace(batch, **{name: x.to(dtype) for name, x in floating.items()})


def mixes_precisions(trainee: Trainee) -> str | None:
    ledger = Ledger()
    with apart(), following(ledger):
        torch.manual_seed(1)
        losses = trainee.learner(placed(trainee.build(), META)).step(trainee.batch(META), torch.Generator(), 0)
    narrow = [name for name, loss in losses.items() if loss.dtype != torch.float32]
    if narrow:
        raise Broken(
            f"on a GPU the loss '{narrow[0]}' is {losses[narrow[0]].dtype}; cast answers of networks to float32"
        )
    if not ledger.bf16:
        return "computes in float32 on a GPU too; `with mixed_precision(x.device):` is faster there"
    return None


RULES: tuple[Rule[Trainee], ...] = (
    Rule("ready", readiness.SAYS, lambda trainee: readiness.is_ready(trainee.ready)),
    Rule("initial", "`build` draws initial weights from torch's global generator alone", draws_initial_weights),
    Rule("trains", "an update returns finite losses as detached 0-d tensors, and weights change", learns, ("ready",)),
    Rule("weights", "`weights` is a state dict of what `build` makes", gives_weights, ("trains",)),
    Rule(
        "chance",
        "equal seeds give equal updates, whatever numpy's and Python's generators hold",
        keeps_no_chance,
        ("trains",),
    ),
    Rule(
        "resumes",
        "a training resumed from its `state_dict` ends bit for bit like an undisturbed one",
        resumes,
        ("chance",),
    ),
    Rule(
        "divides",
        "where `divide` answers True, an update in pieces is that of the whole but for rounding",
        divides,
        ("trains",),
    ),
    Rule("device", "no operation mixes tensors of device and host", stays_on_its_device, ("trains",)),
    Rule("fused", "optimisers are made with `fuse` and resumed with `load_optimiser`", fuses, ("trains",)),
    Rule(
        "precision",
        "what a network computes in bfloat16 is float32 again before a loss sees it",
        mixes_precisions,
        ("device",),
    ),
)
