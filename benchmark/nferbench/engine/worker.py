"""A worker process: takes one stage after another from a pipe, so that a crash costs one stage and torch loads once."""

from __future__ import annotations

import ctypes
import errno
import multiprocessing
import os
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, Protocol, final

from nferbench.contract.errors import DivergedError, ExhaustedError, NferbenchError, StoppedError
from nferbench.contract.exhausted import lacking
from nferbench.contract.translator import Translator
from nferbench.engine.how import AS_USUAL, How, settle
from nferbench.engine.stopping import requests_to_stop
from nferbench.workspace.locks import Claim, HeldError, LostError
from nferbench.workspace.stages import MeasureTranslation, ScoreTranslation, Stage, Translate
from nferbench.workspace.store import Store

Fitting = dict[tuple[Translator, int], int]  # see `engine.context.Context`

PROGRESS_SECONDS = 0.5  # least time between two messages of progress
ELSEWHERE = "done by another run"


@dataclass(frozen=True)
class Setup:
    """What a worker process is started with."""

    workspace: Path
    roots: Mapping[str, Path]  # by the key of a stage: the data root of faces, or the file of given weights
    plugin_files: tuple[str, ...]
    device: str  # "cpu" or "cuda"
    batch: int | None  # images translated at a time; None: as many as the device has memory for
    checkpoint_seconds: float
    how: How = AS_USUAL
    cards: tuple[str, ...] = ()  # values of CUDA_VISIBLE_DEVICES, one a GPU; none: workers see what the runner sees
    sharing: int = 1  # workers on the device of this one, itself included, as jobs allow; the runner sets it


@dataclass(frozen=True)
class Progress:
    """How far the stage in hand is."""

    done: int
    total: int


@dataclass(frozen=True)
class Told:
    """A line on the stage in hand that a user should know."""

    text: str


class Line(Protocol):
    """Where a stage in hand is heard: a pipe to the runner, or what stands for one."""

    def send(self, message: Any, /) -> None: ...


@dataclass(frozen=True)
class Finished:
    """How a stage ended."""

    status: str  # "done", "failed", "diverged", "out-of-memory", "damaged", "held" or "stopped"
    reason: str = ""  # of what is done: that it was found so, else nothing
    seconds: float = 0.0
    trace: str = ""
    device_lost: bool = False  # the worker can do nothing more on its device, and ends


def serve(connection: Connection, setup: Setup) -> None:
    """The main function of a worker: do stages until the pipe closes or says None."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; the runner decides
    die_with_parent()
    device = settled(setup)
    line = _Pipe(connection)
    fitting: Fitting = {}
    while True:
        try:
            task = connection.recv()
        except EOFError:
            return
        if task is None:
            return
        with requests_to_stop(then_at_once=False) as stopping:  # of a worker without a stage they are the end
            finished = attempt(task, setup, line, device, fitting, stopping)
            line.send(finished)
        if finished.device_lost:
            sys.stdout.flush()
            os._exit(1)  # not by the interpreter's end: what frees tensors there would call the lost device, and abort
        if stopping():
            return


@final
@dataclass(frozen=True)
class _Pipe:
    """The line of a worker process. Nobody at its other end is no failure of a stage, and the end of the worker."""

    connection: Connection

    def send(self, message: Any, /) -> None:
        try:
            self.connection.send(message)
        except OSError:
            os._exit(1)


def settled(setup: Setup) -> Any:
    """Make this process one that does stages: with the plugins, and computing as was asked for; return its device."""
    from nferbench.planning.plugins import import_file

    for file in setup.plugin_files:
        import_file(file)
    import torch

    device = torch.device(setup.device)
    settle(setup.how, device)
    return device


def attempt(
    task: Stage, setup: Setup, line: Line, device: Any, fitting: Fitting, stopping: Callable[[], str] = lambda: ""
) -> Finished:
    """Do one stage in this process, which `settled` has prepared.

    Args:
        task: the stage.
        setup: of the process.
        line: gets `Progress` and `Told`.
        device: what `settled` returned.
        fitting: kept from one stage of a process to the next.
        stopping: gives the signal that asked to stop; "" while none did.

    Returns:
        How it ended, whatever was raised. A failure is noted in the workspace, but for that of a lost device. That it
        was stopped is no failure.
    """
    store = Store(setup.workspace)
    try:
        with store.claim(task) as claim:
            return _claimed(task, setup, line, device, fitting, store, claim, stopping)
    except LostError as error:
        line.send(Told(str(error)))
        return Finished("held", str(error))
    except HeldError as error:
        return Finished("held", str(error))
    except Exception as error:
        return _failed(store, task, _ended_by(error, setup, task))


def _claimed(
    task: Stage,
    setup: Setup,
    line: Line,
    device: Any,
    fitting: Fitting,
    store: Store,
    claim: Claim,
    stopping: Callable[[], str],
) -> Finished:
    """Do a stage whose lock is held; why it failed is noted before the lock is free, for those who wait for it."""
    from nferbench.engine.context import Context
    from nferbench.engine.execute import execute
    from nferbench.engine.lost import answers, lost_device

    told = 0.0

    def progress(done: int, total: int) -> None:
        nonlocal told
        now = time.monotonic()
        if now - told >= PROGRESS_SECONDS:
            told = now
            if claim.lost.is_set():
                claim.check()
            line.send(Progress(done, total))

    context = Context(
        store,
        setup.roots,
        device,
        setup.batch,
        setup.checkpoint_seconds,
        setup.how,
        setup.sharing,
        progress,
        tell=lambda text: line.send(Told(text)),
        fitting=fitting,
        stopping=stopping,
    )
    began = time.monotonic()
    try:
        done_here = execute(task, context)
        return Finished("done", "" if done_here else ELSEWHERE, time.monotonic() - began)
    except StoppedError as error:
        return Finished("stopped", str(error))
    except Exception as error:  # whatever a plugin raises costs this stage only
        if lost_device(error) or not answers(device):
            return replace(_bug(error), device_lost=True)  # noted by the runner, which knows what comes of it
        claim.check()  # what failed for want of its files has lost them to another owner
        if isinstance(error, DivergedError):
            store.discard(task)  # its checkpoint leads to the same place
        return _failed(store, task, _ended_by(error, setup, task))


def _ended_by(error: Exception, setup: Setup, task: Stage) -> Finished:
    if isinstance(error, DivergedError):
        return Finished("diverged", str(error))
    if isinstance(error, ExhaustedError):
        return Finished("out-of-memory", f"out of memory on {setup.device}: {error}")
    if whose := lacking(error):
        where = "cpu" if whose == "host" else setup.device
        tried = ""  # where fewer at a time were
        if isinstance(task, Translate | ScoreTranslation | MeasureTranslation):
            tried = "not even one face fits; "
        advice = f"{tried}lower --jobs, free memory, or take a smaller size or --preset"
        return Finished("out-of-memory", f"out of memory on {where}: {_first_line(error)}; {advice}")
    if isinstance(error, NferbenchError):
        return Finished("failed", str(error))
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        room = f"{os.strerror(error.errno)} in {setup.workspace}; make room and start the same command again"
        return Finished("failed", room)
    return _bug(error)


def _bug(error: Exception) -> Finished:
    frames = traceback.extract_tb(error.__traceback__)
    # Where torch was called says more than where in torch it ended.
    place = next((each for each in reversed(frames) if "torch" not in Path(each.filename).parts), frames[-1])
    reason = f"{type(error).__name__}: {_first_line(error)} ({Path(place.filename).name}, line {place.lineno})"
    trace = "".join(traceback.format_exception(error))
    return Finished("failed", reason, trace=trace)


def _failed(store: Store, task: Stage, finished: Finished) -> Finished:
    with suppress(OSError):  # a full disk: the message still reaches the runner
        store.fail(task, finished.status, finished.reason)
    return finished


def _first_line(error: BaseException) -> str:
    lines = str(error).strip().splitlines()
    return lines[0] if lines else "no message"


def die_with_parent() -> None:
    """End this process when the one that started it is gone, however it went, so that no orphan holds a lock."""
    started_by = multiprocessing.parent_process()
    parent = started_by.pid if started_by else None  # not who it has now: that one may be gone already
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(0.5)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
