"""Walks a plan with worker processes: what can run runs, one failure stops nothing that does not need it."""

from __future__ import annotations

import multiprocessing
import os
import signal
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess

from nferbench.contract.printable import one_line
from nferbench.engine.agenda import IDLE, Agenda, Outcome, Reporter, stopped
from nferbench.engine.computing import computes
from nferbench.engine.stopping import GRACE, late, run_stopped
from nferbench.engine.worker import Finished, Progress, Setup, Told, serve
from nferbench.machine.visible import VARIABLE
from nferbench.workspace.stages import Stage
from nferbench.workspace.store import Store

LOSSES = 3  # workers that lose one card, with nothing computed on it in between, after which it is not used any more


@dataclass
class _Worker:
    process: SpawnProcess
    connection: Connection
    card: str  # its CUDA_VISIBLE_DEVICES; "" leaves that as it is
    stage: Stage | None = None
    since: float = field(default_factory=time.monotonic)


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
    stopping: Callable[[], str] = lambda: "",
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
        stopping: gives the signal that asked to stop; "" while none did.

    Raises:
        KeyboardInterrupt: after all workers were stopped; what they had committed stays.
        StoppedError: after a signal asked to stop and workers wrote checkpoints, for at most `GRACE` seconds.
    """
    agenda = Agenda(stages, store, reporter, gate, wait_for_others=wait_for_others)
    workers: list[_Worker] = []
    cards = setup.cards or ("",)
    shares = {card: max(1, len(range(place, jobs, len(cards)))) for place, card in enumerate(cards)}  # workers on each
    losses: Counter[str] = Counter()  # in a row, by card
    try:
        while agenda.is_open():
            if name := stopping():
                _wind_up(workers, name, agenda, reporter)
                raise run_stopped(name)
            usable = [card for card in cards if losses[card] < LOSSES]
            if not usable:
                gone = ", ".join(map(_called, cards))
                lost = f"no GPU is left, {LOSSES} workers in a row lost {gone}"
                agenda.give_up(f"{lost}; see nvidia-smi, then start the same command again")
            while True:
                worker = next((worker for worker in workers if worker.stage is None), None)
                on = Counter(worker.card for worker in workers)
                roomy = [card for card in usable if on[card] < shares[card]] if len(workers) < jobs else []
                if (worker is None and not roomy) or (stage := agenda.take()) is None:
                    break
                if worker is None:
                    card = min(roomy, key=lambda card: on[card])
                    worker = _start(replace(setup, sharing=shares[card]), card)
                    workers.append(worker)
                worker.stage, worker.since = stage, time.monotonic()
                reporter.started(stage)
                with suppress(OSError):  # one that died just now is found so below
                    worker.connection.send(stage)
            busy = sum(worker.stage is not None for worker in workers)
            if busy < jobs:
                agenda.tell_waits()
            if not busy and agenda.is_open():
                time.sleep(IDLE)
            for worker in _talking(workers):
                if stopping():
                    break
                finished = _heard(worker, reporter)
                if finished is None or worker.stage is None:
                    continue
                stage, worker.stage = worker.stage, None
                if finished.device_lost:
                    _stop(worker)
                    losses[worker.card] += bool(worker.card)
                    finished = _after_loss(finished, worker.card, losses[worker.card])
                elif _shows_a_card_at_work(stage, finished) and losses[worker.card] < LOSSES:
                    losses[worker.card] = 0
                if finished.status == "stopped":
                    _stop(worker)  # it was asked to stop, and this run was not
                if finished.device_lost or finished.status == "killed":
                    agenda.lose(stage, finished)
                else:
                    agenda.end(stage, finished)
            for worker in workers:
                if worker.stage and timeout is not None and time.monotonic() - worker.since > timeout:
                    stage, worker.stage = worker.stage, None
                    agenda.lose(stage, stopped(timeout))
                    _stop(worker)  # which frees its lock: those who wait for it find why
            for worker in [worker for worker in workers if worker.stage is None]:
                if losses[worker.card] >= LOSSES or not worker.process.is_alive():
                    _stop(worker)
                    workers.remove(worker)
    finally:
        for worker in workers:
            _stop(worker, gently=worker.stage is None)
    return agenda.outcome()


def _wind_up(workers: Sequence[_Worker], name: str, agenda: Agenda, reporter: Reporter) -> None:
    """Have workers write checkpoints and end; who takes too long keeps its stage."""
    until = time.monotonic() + GRACE
    for worker in workers:
        worker.process.terminate()
    while time.monotonic() < until and any(worker.stage for worker in workers):
        for worker in _talking(workers):
            finished = _heard(worker, reporter)
            if finished is None or worker.stage is None:
                continue
            if worker.process.exitcode == -signal.SIGTERM:
                finished = Finished("stopped", f"stopped by {name} before it began")
            stage, worker.stage = worker.stage, None
            agenda.end(stage, finished)
    for worker in workers:
        if worker.stage:
            agenda.end(worker.stage, Finished("killed", late(name)))


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


def _shows_a_card_at_work(stage: Stage, finished: Finished) -> bool:
    """Whether a stage was done by computing on the card of its worker, and was not found done."""
    return finished.status == "done" and not finished.reason and computes(stage)


def _after_loss(finished: Finished, card: str, in_a_row: int) -> Finished:
    what = "the worker was replaced"
    if in_a_row >= LOSSES:
        what = f"{_called(card)} was lost {in_a_row} times in a row and is not used any more by this run"
    return replace(finished, reason=f"{finished.reason}; {what}")


def _called(card: str) -> str:
    return f"GPU {card}" if card.isdecimal() else one_line(card)


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
