"""A worker process: takes one stage after another from a pipe, so that a crash costs one stage and torch loads once."""

from __future__ import annotations

import ctypes
import errno
import os
import signal
import sys
import threading
import time
import traceback
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from nferbench.contract.errors import DataError, DivergedError, NferbenchError
from nferbench.contract.translator import Translator
from nferbench.workspace.locks import HeldError
from nferbench.workspace.stages import Stage, Translate
from nferbench.workspace.store import Store

CPU_MEMORY = "DefaultCPUAllocator"  # in the message of torch's RuntimeError where a CPU has no memory left
PROGRESS_SECONDS = 0.5  # least time between two messages of progress


@dataclass(frozen=True)
class Setup:
    """What a worker process is started with."""

    workspace: Path
    roots: Mapping[str, Path]  # data root by the key of the stage that prepares the faces there
    plugin_files: tuple[str, ...]
    device: str  # "cpu" or "cuda"
    batch: int | None  # images translated at a time; None: as many as the device has memory for
    checkpoint_seconds: float


@dataclass(frozen=True)
class Progress:
    """How far the stage in hand is."""

    done: int
    total: int


@dataclass(frozen=True)
class Told:
    """A line on the stage in hand that a user should know."""

    text: str


@dataclass(frozen=True)
class Finished:
    """How a stage ended."""

    status: str  # "done", "failed", "diverged", "out-of-memory", "damaged" or "held"
    reason: str = ""
    seconds: float = 0.0
    trace: str = ""


def serve(connection: Connection, setup: Setup) -> None:
    """The main function of a worker: do stages until the pipe closes or says None."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; the runner decides
    die_with(os.getppid())
    from nferbench.planning.plugins import import_file

    for file in setup.plugin_files:
        import_file(file)
    import torch

    torch.set_num_threads(1)  # the same sums in the same order with any number of workers
    torch.backends.cudnn.benchmark = setup.device == "cuda"
    fitting: dict[tuple[Translator, int], int] = {}
    while True:
        try:
            task = connection.recv()
        except EOFError:
            return
        if task is None:
            return
        connection.send(_attempt(task, setup, connection, torch.device(setup.device), fitting))


def _attempt(
    task: Stage, setup: Setup, connection: Connection, device: Any, fitting: dict[tuple[Translator, int], int]
) -> Finished:
    import torch

    from nferbench.engine.context import Context
    from nferbench.engine.execute import execute

    told = 0.0

    def progress(done: int, total: int) -> None:
        nonlocal told
        now = time.monotonic()
        if now - told >= PROGRESS_SECONDS:
            told = now
            connection.send(Progress(done, total))

    store = Store(setup.workspace)
    context = Context(
        store,
        setup.roots,
        device,
        setup.batch,
        setup.checkpoint_seconds,
        progress,
        tell=lambda text: connection.send(Told(text)),
        fitting=fitting,
    )
    began = time.monotonic()
    try:
        execute(task, context)
        return Finished("done", seconds=time.monotonic() - began)
    except HeldError as error:
        return Finished("held", str(error))
    except (torch.OutOfMemoryError, MemoryError) as error:
        return _failed(store, task, _out_of_memory(error, device.type, task))
    except DivergedError as error:
        store.discard(task)  # its checkpoint leads to the same place
        return _failed(store, task, Finished("diverged", str(error)))
    except (NferbenchError, DataError) as error:
        return _failed(store, task, Finished("failed", str(error)))
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            return _failed(store, task, _bug(error))
        reason = f"{os.strerror(error.errno)} in {setup.workspace}; make room and start the same command again"
        return _failed(store, task, Finished("failed", reason))
    except Exception as error:  # whatever a plugin raises costs this stage only
        lacked = isinstance(error, RuntimeError) and CPU_MEMORY in str(error)
        return _failed(store, task, _out_of_memory(error, "cpu", task) if lacked else _bug(error))


def _out_of_memory(error: Exception, device: str, task: Stage) -> Finished:
    from nferbench.contract.exhausted import out_of_memory

    helps = "lower --batch, --jobs or the batch_size of the network"
    if isinstance(task, Translate) and out_of_memory(error):  # fewer at a time have been tried
        helps = "not even one face fits; lower --jobs, free memory, or take a smaller size or --preset"
    return Finished("out-of-memory", f"out of memory on {device}: {_first_line(error)}; {helps}")


def _bug(error: Exception) -> Finished:
    place = traceback.extract_tb(error.__traceback__)[-1]
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


def die_with(parent: int) -> None:
    """End this process when the runner is gone, however it went, so that no orphan holds a lock."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(0.5)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
