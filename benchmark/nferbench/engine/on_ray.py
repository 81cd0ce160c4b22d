"""Walks a plan with the tasks of a Ray cluster, one a stage; results go to the workspace, which all nodes share."""

from __future__ import annotations

import itertools
import os
import pickle
import signal
import socket
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cache
from typing import Any, final

from nferbench.contract.errors import DataError
from nferbench.contract.printable import one_line
from nferbench.engine.agenda import IDLE, Agenda, Outcome, Reporter, stopped
from nferbench.engine.cluster import View, cause, lacking, nodes, sees
from nferbench.engine.computing import computes
from nferbench.engine.stopping import GRACE, late, requests_to_stop, run_stopped
from nferbench.engine.worker import Finished, Line, Progress, Setup, Told, attempt, settled
from nferbench.workspace.stages import Stage
from nferbench.workspace.store import Store

LOOK = 0.5  # seconds between two looks at what tasks say
COUNT = 10.0  # seconds between two looks at which nodes are left


@dataclass(frozen=True)
class _Began:
    host: str


@dataclass
class _Task:
    stage: Stage
    gpus: float
    result: Any  # what Ray has it under
    host: str = ""  # where it is done; "" while it waits for its turn
    since: float = 0.0

    def age(self) -> float:
        return time.monotonic() - self.since


def run_stages_on_ray(
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
    view: View,
    gpus: float,
) -> Outcome:
    """Do stages that are not in the store, as `engine.runner.run_stages` does, on the cluster that is connected.

    Args:
        stages, setup, store, reporter, timeout, gate, wait_for_others, stopping: as there; a timeout counts from when a
            task has begun.
        jobs: tasks that are given to Ray at a time.
        view: what the nodes were compared by; a process that does not see the workspace does nothing.
        gpus: that a stage takes if it computes on one, more than 0 and at most 1.

    Raises:
        KeyboardInterrupt: after all tasks were stopped; what they had committed stays.
        StoppedError: after a signal asked to stop and tasks wrote checkpoints, for at most `GRACE` seconds.
    """
    import ray

    agenda = Agenda(stages, store, reporter, gate, wait_for_others=wait_for_others)
    board = _board()
    tasks: dict[int, _Task] = {}
    numbers = itertools.count()
    counted = time.monotonic()
    try:
        while agenda.is_open():
            if name := stopping():
                _wind_up(tasks, board, name, agenda, reporter)
                raise run_stopped(name)
            while len(tasks) < jobs and (stage := agenda.take()) is not None:
                number = next(numbers)
                tasks[number] = _submit(stage, setup, gpus, _Line(board, number), view)
            if len(tasks) < jobs:
                agenda.tell_waits()
            if not tasks and agenda.is_open():
                time.sleep(IDLE)
            results = [task.result for task in tasks.values()]
            ready = set(ray.wait(results, timeout=LOOK)[0]) if results else set()
            for number, message in _heard(board):
                if number in tasks:
                    _tell(tasks[number], message, reporter)
            for number in [number for number, task in tasks.items() if task.result in ready]:
                task = tasks.pop(number)
                if not task.host:
                    reporter.started(task.stage)
                finished, is_noted = _finished(task)
                (agenda.end if is_noted else agenda.lose)(task.stage, finished)
            if timeout is not None:
                late = [number for number, task in tasks.items() if task.host and task.age() > timeout]
                _stop([tasks.pop(number) for number in late], stopped(timeout), agenda)
            if time.monotonic() - counted > COUNT:
                counted = time.monotonic()
                _stop_stranded(tasks, agenda)
    finally:
        _cancel(list(tasks.values()))
        ray.kill(board)
    return agenda.outcome()


def _wind_up(tasks: dict[int, _Task], board: Any, name: str, agenda: Agenda, reporter: Reporter) -> None:
    """Have tasks write checkpoints and end; who takes too long stays among them, to be stopped."""
    import ray

    until = time.monotonic() + GRACE
    for task in tasks.values():
        ray.cancel(task.result)  # those that have begun hear it as Ctrl-C
    while tasks and time.monotonic() < until:
        ready = set(ray.wait([task.result for task in tasks.values()], timeout=LOOK)[0])
        for number, message in _heard(board):
            if number in tasks:
                _tell(tasks[number], message, reporter)
        for number in [number for number, task in tasks.items() if task.result in ready]:
            task = tasks.pop(number)
            if task.host:
                agenda.end(task.stage, _finished(task)[0])
    for task in tasks.values():
        if task.host:
            agenda.end(task.stage, Finished("killed", late(name)))


def gpus_of(stage: Stage, setup: Setup, gpus: float) -> float:
    """GPUs that a stage takes of those that one that computes may: all or none."""
    return gpus if computes(stage) and setup.device == "cuda" else 0.0


def _submit(stage: Stage, setup: Setup, gpus: float, line: _Line, view: View) -> _Task:
    taken = gpus_of(stage, setup, gpus)
    mine = replace(setup, cards=(), sharing=int(1 / gpus + 1e-6), device=setup.device if taken else "cpu")
    # Bytes, not the stage: values of a plugin file can be read once that file is loaded.
    result = _remote(taken > 0).options(num_gpus=taken).remote(pickle.dumps(stage), mine, line, view)
    return _Task(stage, taken, result)


@cache
def _remote(on_gpu: bool) -> Any:
    """What Ray calls for a stage; made once, as Ray sends each that is made to all processes."""
    import ray

    # A process that had a GPU is not used again: it keeps memory there, and may have lost the device.
    return ray.remote(num_cpus=1, max_retries=0, max_calls=1 if on_gpu else 0)(_do)


def _do(stage: bytes, setup: Setup, line: Line, view: View) -> Finished:
    """One stage, in a process of Ray."""
    line.send(_Began(socket.gethostname()))
    with suppress(OSError):
        os.chdir(view.directory)
    if not sees(view):  # on a node that came later
        raise DataError(f"{socket.gethostname()} does not see the workspace {view.workspace} of this run")
    with requests_to_stop((signal.SIGINT,), then_at_once=False) as asked:  # all others are Ray's
        device = settled(setup)
        return attempt(pickle.loads(stage), setup, line, device, {}, lambda: "the run" if asked() else "")


def _finished(task: _Task) -> tuple[Finished, bool]:
    """How a task ended whose result is there, and whether the workspace says so where it failed."""
    import ray
    from ray.exceptions import RayError, RayTaskError

    try:
        finished: Finished = ray.get(task.result)
    except RayTaskError as error:
        return Finished("failed", one_line(cause(error))), False
    except RayError as error:
        where = f" on {task.host}" if task.host else ""
        return Finished("killed", one_line(f"its process{where} is gone: {cause(error)}")), False
    if finished.device_lost:
        return replace(finished, reason=f"{finished.reason}; its process on {task.host} was ended"), False
    return finished, True


def _stop_stranded(tasks: dict[int, _Task], agenda: Agenda) -> None:
    """Do not wait for ever where the nodes are lost that had what a stage needs."""
    left = nodes()
    for gpus in {task.gpus for task in tasks.values()}:
        if not any(node.slots(gpus) for node in left):
            stranded = [number for number, task in tasks.items() if not task.host and task.gpus == gpus]
            why = Finished("waiting", f"{lacking(left, gpus)}; start a node that has, then the same command again")
            _stop([tasks.pop(number) for number in stranded], why, agenda)


def _stop(tasks: Sequence[_Task], finished: Finished, agenda: Agenda) -> None:
    for task in tasks:
        agenda.lose(task.stage, finished)
    _cancel(tasks)  # which frees their locks: those who wait for them find why


def _cancel(tasks: Sequence[_Task]) -> None:
    """Stop tasks, and wait a little until their processes are gone."""
    import ray

    for task in tasks:
        ray.cancel(task.result, force=True)
    if tasks:
        ray.wait([task.result for task in tasks], num_returns=len(tasks), timeout=10)


@final
@dataclass(frozen=True)
class _Line:
    """What stands for the pipe of a worker process."""

    board: Any
    number: int  # of the task

    def send(self, message: Any, /) -> None:
        import ray
        from ray.exceptions import RayError

        with suppress(RayError):  # what cannot be told is no harm to a stage
            sent = self.board.write.remote(self.number, message)
            if not isinstance(message, Progress):
                ray.get(sent, timeout=10)  # it may be the last that is said


@final
class _Board:
    """Where tasks write and the run reads, in a process of its own beside it."""

    def __init__(self) -> None:
        self._lines: list[tuple[int, Any]] = []

    def write(self, number: int, message: Any) -> None:
        self._lines.append((number, message))

    def read(self) -> list[tuple[int, Any]]:
        lines, self._lines = self._lines, []
        return lines


def _board() -> Any:
    import ray
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    here = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=False)
    return ray.remote(num_cpus=0, scheduling_strategy=here)(_Board).remote()


def _heard(board: Any) -> list[tuple[int, Any]]:
    import ray
    from ray.exceptions import RayError

    with suppress(RayError):
        return list(ray.get(board.read.remote(), timeout=10))
    return []


def _tell(task: _Task, message: Any, reporter: Reporter) -> None:
    if isinstance(message, _Began):
        task.host, task.since = message.host, time.monotonic()
        reporter.started(task.stage)
    elif isinstance(message, Told):
        reporter.told(task.stage, message.text)
    elif isinstance(message, Progress) and task.host:
        reporter.progress(task.stage, message.done, message.total)
