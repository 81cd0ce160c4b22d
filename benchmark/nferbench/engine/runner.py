"""Walks a plan with worker processes: what can run runs, one failure stops nothing that does not need it."""

from __future__ import annotations

import multiprocessing
import os
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from typing import Protocol

from nferbench.contract.printable import one_line
from nferbench.engine.others import Others
from nferbench.engine.worker import Finished, Progress, Setup, Told, serve
from nferbench.machine.visible import VARIABLE
from nferbench.workspace.owners import Owner
from nferbench.workspace.stages import Stage, readable
from nferbench.workspace.store import Store

LOSSES = 3  # workers that lose one card, with no stage finished on it in between, after which it is not used any more
IDLE = 0.25  # seconds between two rounds of a run that only waits for others


class Reporter(Protocol):
    """What the runner tells of its work; the command line shows it."""

    def started(self, stage: Stage) -> None: ...

    def progress(self, stage: Stage, done: int, total: int) -> None: ...

    def told(self, stage: Stage, text: str) -> None: ...

    def left(self, stage: Stage) -> None:
        """A stage that was started is another run's after all."""

    def waits(self, stage: Stage, holder: str) -> None:
        """Nothing else is to do; said once of each holder."""

    def ended(self, stage: Stage, finished: Finished) -> None: ...


@dataclass
class _Worker:
    process: SpawnProcess
    connection: Connection
    card: str  # its CUDA_VISIBLE_DEVICES; "" leaves that as it is
    stage: Stage | None = None
    since: float = field(default_factory=time.monotonic)


@dataclass(frozen=True)
class Outcome:
    """How a run ended: stages by what became of them."""

    done: tuple[Stage, ...]
    failed: dict[Stage, Finished]  # with their status and reason; those that wait for a failed one as "waiting"


def run_stages(
    stages: Sequence[Stage],
    setup: Setup,
    store: Store,
    reporter: Reporter,
    *,
    jobs: int,
    timeout: float | None = None,
    gate: Callable[[], None] | None = None,
    wait_for_others: bool = True,
) -> Outcome:
    """Do stages that are not in the store, each as soon as what it needs is there.

    Any number of runs may do so in one workspace. A stage that another one is at work on is left to it, and whatever
    else is ready is done first. When nobody is at work on it any more, it is done, has failed, or is taken up here.

    Args:
        stages: in an order in which each follows what it needs; stages that are done already are left out.
        setup: of the workers; what they share is set here.
        store: of the workspace.
        reporter: told of everything.
        jobs: worker processes, dealt out to the cards of the setup in turn. A worker that ends or loses its card is
            replaced when there is work for another; a card that loses `LOSSES` workers in a row is not used any more,
            and without a card left nothing more is begun.
        timeout: seconds after which a stage is stopped; None never stops one.
        gate: called once when the stages that need no other are done, before any other starts; what it raises ends
            the run.
        wait_for_others: False ends a stage that another run is at work on as "held".

    Raises:
        KeyboardInterrupt: after all workers were stopped; what they had committed stays.
    """
    pending = dict.fromkeys(stages)
    open_stages = set(pending)
    failed: dict[Stage, Finished] = {}
    done: list[Stage] = []
    workers: list[_Worker] = []
    cards = setup.cards or ("",)
    shares = {card: max(1, len(range(place, jobs, len(cards)))) for place, card in enumerate(cards)}  # workers on each
    losses: Counter[str] = Counter()  # in a row, by card
    others = Others(store) if wait_for_others else None
    told: dict[Stage, Owner] = {}  # who is waited for, as far as the reporter knows

    def end(stage: Stage, finished: Finished) -> None:
        open_stages.discard(stage)
        if finished.status == "done":
            done.append(stage)
        else:
            failed[stage] = finished
        reporter.ended(stage, finished)

    try:
        while pending or any(worker.stage for worker in workers):
            for stage in list(pending):  # each follows what it needs, so that what waits for a waiting one waits too
                if not any(need in failed for need in stage.needs()):
                    continue
                del pending[stage]
                need = next(need for need in stage.needs() if need in failed)
                cause = failed[need]
                root = (
                    cause.reason
                    if cause.status == "waiting"
                    else f"needs {readable(need)}: {cause.status}, {cause.reason}"
                )
                _lose(store, stage, Finished("waiting", root), end)
            usable = [card for card in cards if losses[card] < LOSSES]
            if not usable:
                gone = ", ".join(map(_called, cards))
                lost = f"no GPU is left, {LOSSES} workers in a row lost {gone}"
                for stage in pending:
                    advice = "see nvidia-smi, then start the same command again"
                    _lose(store, stage, Finished("waiting", f"{lost}; {advice}"), end)
                pending.clear()
            ready = [stage for stage in pending if not any(need in open_stages for need in stage.needs())]
            if gate is not None:
                if any(not stage.needs() for stage in open_stages):
                    ready = [stage for stage in ready if not stage.needs()]
                else:
                    gate()
                    gate = None
            moved = False
            waited: dict[Stage, Owner] = {}
            for stage in ready:
                worker = next((worker for worker in workers if worker.stage is None), None)
                on = Counter(worker.card for worker in workers)
                roomy = [card for card in usable if on[card] < shares[card]] if len(workers) < jobs else []
                if worker is None and not roomy:
                    break
                if others is not None:
                    if (owner := others.at_work(stage)) is not None:
                        waited[stage] = owner
                        continue
                    if (finished := others.ended(stage)) is not None:
                        moved = True
                        del pending[stage]
                        end(stage, finished)
                        continue
                if worker is None:
                    card = min(roomy, key=lambda card: on[card])
                    worker = _start(replace(setup, sharing=shares[card]), card)
                    workers.append(worker)
                del pending[stage]
                worker.stage, worker.since = stage, time.monotonic()
                reporter.started(stage)
                worker.connection.send(stage)
            if moved:
                continue
            busy = sum(worker.stage is not None for worker in workers)
            for stage, owner in waited.items():
                if busy < jobs and told.get(stage) != owner:
                    told[stage] = owner
                    reporter.waits(stage, owner.told())
            if waited and not busy:
                time.sleep(IDLE)
            for worker in _talking(workers):
                finished = _heard(worker, reporter)
                if finished is None or worker.stage is None:
                    continue
                stage, worker.stage = worker.stage, None
                if finished.device_lost:
                    _stop(worker)
                    losses[worker.card] += bool(worker.card)
                    finished = _after_loss(finished, worker.card, losses[worker.card])
                elif finished.status == "done" and losses[worker.card] < LOSSES:
                    losses[worker.card] = 0
                if finished.status == "held" and others is not None:
                    others.meet(stage)
                    pending[stage] = None
                    reporter.left(stage)
                elif finished.device_lost or finished.status == "killed":
                    _lose(store, stage, finished, end)
                else:
                    end(stage, finished)
            for worker in workers:
                if worker.stage and timeout is not None and time.monotonic() - worker.since > timeout:
                    stage, worker.stage = worker.stage, None
                    _lose(store, stage, Finished("timeout", f"stopped after {timeout:.0f} s (--timeout)"), end)
                    _stop(worker)  # which frees its lock: those who wait for it find why
            for worker in [worker for worker in workers if worker.stage is None]:
                if losses[worker.card] >= LOSSES or not worker.process.is_alive():
                    _stop(worker)
                    workers.remove(worker)
    finally:
        for worker in workers:
            _stop(worker, gently=worker.stage is None)
    return Outcome(tuple(done), failed)


def _talking(workers: Sequence[_Worker]) -> list[_Worker]:
    busy = [worker for worker in workers if worker.stage]
    if not busy:
        return []
    ready = wait([worker.connection for worker in busy] + [worker.process.sentinel for worker in busy], timeout=0.5)
    # A process that a worker forked keeps pipe and sentinel open when the worker is dead; so it is asked for as well.
    return [
        worker
        for worker in busy
        if worker.connection in ready or worker.process.sentinel in ready or not worker.process.is_alive()
    ]


def _heard(worker: _Worker, reporter: Reporter) -> Finished | None:
    """How the stage of a worker ended, None while it has not; tells the reporter of anything else that it says."""
    stage = worker.stage
    if stage is None:
        return None
    try:
        while worker.connection.poll():
            message = worker.connection.recv()
            if isinstance(message, Progress):
                reporter.progress(stage, message.done, message.total)
            elif isinstance(message, Told):
                reporter.told(stage, message.text)
            elif isinstance(message, Finished):
                return message
    except (EOFError, OSError):
        pass
    worker.process.join(timeout=0 if worker.process.is_alive() else 1)
    if worker.process.is_alive():
        return None
    code = worker.process.exitcode
    how = f"signal {-code}" if code is not None and code < 0 else f"exit code {code}"
    hint = "; the system may have run out of memory" if code == -9 else ""
    return Finished("killed", f"its process ended with {how}{hint}")


def _after_loss(finished: Finished, card: str, in_a_row: int) -> Finished:
    what = "the worker was replaced"
    if in_a_row >= LOSSES:
        what = f"{_called(card)} was lost {in_a_row} times in a row and is not used any more by this run"
    return replace(finished, reason=f"{finished.reason}; {what}")


def _called(card: str) -> str:
    return f"GPU {card}" if card.isdecimal() else one_line(card)


def _lose(store: Store, stage: Stage, finished: Finished, end: Callable[[Stage, Finished], None]) -> None:
    with _tolerant():
        store.fail(stage, finished.status, finished.reason)
    end(stage, finished)


def _start(setup: Setup, card: str) -> _Worker:
    context = multiprocessing.get_context("spawn")
    mine, theirs = context.Pipe()
    process = context.Process(target=serve, args=(theirs, setup), name="nferbench-worker", daemon=True)
    with _environment(card):
        process.start()
    theirs.close()
    return _Worker(process, mine, card)


@contextmanager
def _environment(card: str) -> Iterator[None]:
    """What a worker inherits: its GPU, and one thread for the libraries below torch."""
    before = dict(os.environ)
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    if card:
        os.environ[VARIABLE] = card
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


def _stop(worker: _Worker, gently: bool = False) -> None:
    if gently:
        try:
            worker.connection.send(None)
            worker.process.join(timeout=2)
        except OSError:
            pass
    if worker.process.is_alive():
        worker.process.kill()
    worker.process.join(timeout=5)
    worker.connection.close()


@contextmanager
def _tolerant() -> Iterator[None]:
    """A failure that cannot be noted (a full disk) is still told to the user; the run goes on."""
    with suppress(OSError):
        yield
