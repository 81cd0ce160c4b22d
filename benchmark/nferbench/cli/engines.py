"""Where stages are done: by worker processes of this machine, or by the nodes of a Ray cluster."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Literal, final

from nferbench.cli.devices import device_for
from nferbench.cli.options import RunOptions
from nferbench.cli.output import say
from nferbench.cli.requests import default_jobs
from nferbench.contract.errors import UsageError

if TYPE_CHECKING:
    from nferbench.engine.agenda import Outcome
    from nferbench.engine.worker import Setup
    from nferbench.workspace.stages import Stage

ADDRESS = "RAY_ADDRESS"  # of the environment, as Ray's own commands read it


@final
@dataclass(frozen=True)
class Engine:
    """What does stages."""

    setup: Setup
    workers: int
    ahead: Setup  # of the look ahead, which this machine does
    do: Callable[..., Outcome]  # takes what `engine.runner.run_stages` takes


@final
@dataclass(frozen=True)
class Choice:
    """What does them, as typed."""

    name: Literal["local", "ray"]
    address: str | None
    gpus: float  # that a stage takes on Ray if it computes on one

    def __post_init__(self) -> None:
        if self.name == "local" and (self.address is not None or self.gpus != 1):
            option = f"--gpus-per-stage {self.gpus:g}" if self.address is None else f"--ray-address {self.address}"
            raise UsageError(f"{option}: only --engine ray has a use for it; add that, or leave it out")

    def planning(self, chosen: RunOptions) -> RunOptions:
        """The options that a plan is made with: which devices a cluster has is not asked of this machine."""
        return chosen if self.name == "local" else replace(chosen, device="cpu")


@contextmanager
def engine_of(choice: Choice, chosen: RunOptions, setup: Setup, stages: Sequence[Stage]) -> Iterator[Engine]:
    """An engine for stages that are to run; a cluster stays connected, and its nodes marked, within the context.

    Raises:
        UsageError: a cluster that does not answer, never has what a stage needs, or would do other work.
    """
    if choice.name == "local":
        from nferbench.engine.runner import run_stages

        yield Engine(setup, chosen.jobs or default_jobs(setup), setup, run_stages)
        return

    from nferbench.engine.cluster import check, connected, device_of, in_view, nodes
    from nferbench.engine.on_ray import run_stages_on_ray

    with connected(choice.address or os.environ.get(ADDRESS) or None):
        there = nodes()
        there_on = replace(setup, device=device_of(chosen.device, there, choice.gpus), cards=())
        with in_view(there_on, stages) as view:
            check(view, there)
            cpus, gpus = sum(node.cpus for node in there), sum(node.gpus for node in there)
            say(f"Ray: {len(there)} node{'s' * (len(there) > 1)} with {cpus:g} CPUs and {gpus:g} GPUs")
            ahead = there_on
            if there_on.device == "cuda":
                on, cards = device_for("auto")
                ahead = replace(setup, device=on, cards=cards)
            slots = sum(node.slots(choice.gpus if there_on.device == "cuda" else 0) for node in there)
            do = partial(run_stages_on_ray, view=view, gpus=choice.gpus)
            yield Engine(there_on, chosen.jobs or slots, ahead, do)
