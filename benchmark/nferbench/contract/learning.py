"""The learner of most networks: one loss, one optimiser, an optional running average of the weights."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, final

from torch import Generator, Tensor, nn
from torch.nn.utils import clip_grad_norm_
from torch.optim import Optimizer

from nferbench.contract.captured import Captured, Parts, can_capture, do_parts
from nferbench.contract.errors import ExhaustedError
from nferbench.contract.exhausted import out_of_memory
from nferbench.contract.fer import FERLearner, LabelledBatch
from nferbench.contract.fused import fuse, load_optimiser
from nferbench.contract.piecewise import PiecewiseLoss, share_dropout
from nferbench.contract.translator import Batch, Learner

Loss = Callable[[Any, Generator], Mapping[str, Tensor]]

CAPTURED_BELOW = 30_000_000  # parameters; a GPU computes larger networks for longer than it takes to launch kernels


@final
class GradientLearner(Learner, FERLearner):
    """Minimise a loss by gradient descent.

    Args:
        network: the network in training; it is put in train mode at every update.
        optimiser: over the parameters of `network`.
        loss: (batch, rng) to named terms, 0-d tensors; their sum is minimised. Log-only values must be detached. An
            update can be divided where it is a `PiecewiseLoss`.
        rate: learning rate of update k (0-based) as a multiple of the optimiser's initial one; None keeps it constant.
        ema: decay of the running average of the weights, with diffusers' warm-up min(ema, (1 + k) / (10 + k)) so
            that a short training does not keep its initial weights; 0 keeps none and the raw weights are the result.
        clip: largest norm of the gradient; 0 does not clip.
        pure: whether all that `loss` does happens on the device of the batch and follows from batch, rng and weights
            alone, without a number read back or kept in Python; a GPU then replays it for small networks.
    """

    def __init__(
        self,
        network: nn.Module,
        optimiser: Optimizer,
        loss: Loss,
        *,
        rate: Callable[[int], float] | None = None,
        ema: float = 0.0,
        clip: float = 0.0,
        pure: bool = False,
    ) -> None:
        self._network = network
        self._optimiser = optimiser
        self._loss = loss
        self._rate = rate
        self._clip = clip
        self._base_rates = [group["lr"] for group in optimiser.param_groups]
        self._average: Any = None
        self._piece = 0
        self._captured: Captured | None = None
        if isinstance(loss, PiecewiseLoss):
            share_dropout(network)
        on_gpu = next(network.parameters()).is_cuda
        if (
            pure
            and can_capture(network)
            and sum(parameter.numel() for parameter in network.parameters()) < CAPTURED_BELOW
        ):
            self._captured = Captured([network], self._descent)
        fuse(optimiser)
        if ema:
            from diffusers.training_utils import EMAModel

            self._average = EMAModel(network.parameters(), decay=ema, foreach=on_gpu)

    def step(self, batch: Batch | LabelledBatch, rng: Generator, k: int) -> Mapping[str, Tensor]:
        self._network.train()
        if self._rate is not None:
            for group, base in zip(self._optimiser.param_groups, self._base_rates, strict=True):
                group["lr"] = base * self._rate(k)
        try:
            terms = self._gradients(batch, rng)
        except Exception as error:
            if not out_of_memory(error):
                raise
            self._optimiser.zero_grad(set_to_none=True)
            raise ExhaustedError(str(error)) from error
        if self._clip:
            clip_grad_norm_(self._network.parameters(), self._clip)
        self._optimiser.step()
        if self._average is not None:
            self._average.step(self._network.parameters())
        return {name: term.detach() for name, term in terms.items()}

    def rate_of_last_update(self) -> float:
        return float(self._optimiser.param_groups[0]["lr"])

    def divide(self, piece: int) -> bool:
        if not isinstance(self._loss, PiecewiseLoss):
            return False
        self._piece = piece
        if piece:
            self._captured = None  # pieces are for want of memory, and graphs keep what they take
        return True

    def _gradients(self, batch: Batch | LabelledBatch, rng: Generator) -> Mapping[str, Tensor]:
        """Leave the gradients of an update at the parameters; the terms of its loss."""
        if self._piece and isinstance(self._loss, PiecewiseLoss):
            rows = len(batch.nir if isinstance(batch, Batch) else batch.images)
            self._optimiser.zero_grad(set_to_none=True)
            return self._loss.backward(self._network, batch, rng, pieces=-(-rows // self._piece))
        if self._captured is not None:
            return self._captured(batch, rng)
        return do_parts(self._descent(batch, rng))

    def _descent(self, batch: Batch | LabelledBatch, rng: Generator) -> Parts:
        self._network.zero_grad(set_to_none=True)
        terms = self._loss(batch, rng)
        sum(terms.values()).backward()  # type: ignore[union-attr]
        yield _nothing, {name: term.detach() for name, term in terms.items()}

    def state_dict(self) -> dict[str, Any]:
        state: dict[str, Any] = {"network": self._network.state_dict(), "optimiser": self._optimiser.state_dict()}
        if self._average is not None:
            state["average"] = {
                "step": self._average.optimization_step,
                "parameters": [parameter.clone() for parameter in self._average.shadow_params],
            }
        return state

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self._network.load_state_dict(state["network"])
        load_optimiser(self._optimiser, state["optimiser"])
        if self._average is not None:
            self._average.optimization_step = state["average"]["step"]
            for mine, stored in zip(self._average.shadow_params, state["average"]["parameters"], strict=True):
                mine.copy_(stored)

    def networks(self) -> Mapping[str, nn.Module]:
        return {"network": self._network}

    def weights(self) -> dict[str, Tensor]:
        weights = {name: value.detach().clone() for name, value in self._network.state_dict().items()}
        if self._average is not None:
            names = [name for name, _ in self._network.named_parameters()]
            for name, value in zip(names, self._average.shadow_params, strict=True):
                weights[name] = value.detach().clone()
        return weights


def _nothing() -> None:
    """What is done between gradients and the step: clipping and the rate are the learner's."""
