"""What tests run in processes of their own, in a module that those can import."""

from __future__ import annotations

import os
import signal
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from nferbench.engine import execute, worker
from nferbench.engine.cluster import View, look
from nferbench.engine.stopping import requests_to_stop
from nferbench.engine.worker import ELSEWHERE, Finished, Setup, Told
from nferbench.planning.plan import Work, plan_work
from nferbench.planning.plugins import import_file, load_plugins
from nferbench.planning.records import write_record
from nferbench.planning.settings import Request, resolve
from nferbench.workspace.locks import HeldError
from nferbench.workspace.store import Store

TOY = import_file(str(Path(__file__).parent / "plugins" / "toy.py"))


def fails(connection: Any, setup: Setup) -> None:
    """A worker all of whose stages fail."""
    while (task := connection.recv()) is not None:
        connection.send(Finished("failed", "on purpose") if task.kind == "faces" else Finished("failed", "not waited"))


def loses_its_device(connection: Any, setup: Setup) -> None:
    """A worker that loses its device in every stage but preparing faces and fold 9, and says where it was."""
    while (task := connection.recv()) is not None:
        if task.kind == "faces" or task.fold.index == 9:
            connection.send(Finished("done", ELSEWHERE if task.kind != "faces" and task.seed else ""))
            continue
        card = os.environ.get("CUDA_VISIBLE_DEVICES")
        connection.send(Finished("failed", f"lost {card} shared by {setup.sharing}", device_lost=True))
        time.sleep(600)  # a worker that cannot end by itself either


def loses_card_7(connection: Any, setup: Setup) -> None:
    """A worker that loses its device if that is card 7."""
    while connection.recv() is not None:
        card = os.environ.get("CUDA_VISIBLE_DEVICES")
        connection.send(Finished("failed", "gone", device_lost=True) if card == "7" else Finished("done"))


def commits(connection: Any, setup: Setup) -> None:
    """A worker whose stages are done as soon as they are claimed."""
    store = Store(setup.workspace)
    while (task := connection.recv()) is not None:
        try:
            with store.claim(task):
                done = store.find(task) is not None
                if not done:
                    store.commit(task, {"result": {}})
            connection.send(Finished("done", ELSEWHERE if done else ""))
        except HeldError as error:
            connection.send(Finished("held", str(error)))


def hangs(connection: Any, setup: Setup) -> None:
    """A worker whose stages never end."""
    connection.recv()
    time.sleep(600)


def leaves_a_child(connection: Any, setup: Setup) -> None:
    """A worker that forks and is killed; the child keeps its pipes open."""
    connection.recv()
    if os.fork() == 0:
        time.sleep(30)
        os._exit(0)
    os.kill(os.getpid(), signal.SIGKILL)


def stops(connection: Any, setup: Setup) -> None:
    """A worker that ends its stage when it is asked to stop."""
    while connection.recv() is not None:
        with requests_to_stop(then_at_once=False) as stopping:
            connection.send(Told("begun"))
            while not stopping():
                time.sleep(0.01)
            connection.send(Finished("stopped", f"stopped by {stopping()}"))
        return


def stops_unasked(connection: Any, setup: Setup) -> None:
    """A worker that somebody else asks to stop, one stage of which is done before."""
    while (task := connection.recv()) is not None:
        connection.send(Finished("done") if task.dataset.first == 0 else Finished("stopped", "stopped by SIGTERM"))


def is_deaf(connection: Any, setup: Setup) -> None:
    """A worker that cannot be asked."""
    with requests_to_stop(then_at_once=False):
        connection.recv()
        connection.send(Told("begun"))
        time.sleep(600)


def starts_slowly(connection: Any, setup: Setup) -> None:
    """A worker that is still loading what it needs."""
    time.sleep(600)


def one_row(workspace: Path, name: str) -> Work:
    """A run with one row of this name."""
    request = Request("synthetic-hfe", ("none",), "none", "quick", changes=("datasets.synthetic-hfe.subjects=6",))
    work = plan_work(resolve(request, load_plugins(installed=False)), {}, Store(workspace), "")
    return replace(work, rows=(replace(work.rows[-1], name=name),))


def write_as(name: str, workspace: str, start: Any) -> None:
    """Write the record of that run once all others are ready to."""
    work = one_row(Path(workspace), name)
    start.wait()
    write_record(work, Store(Path(workspace)), "nferbench run")


@dataclass(frozen=True)
class Waiting(TOY.Blobs):  # type: ignore[misc, name-defined]
    """A data set that cannot be read before a file is there."""

    until: str = ""

    def load(self, face: Any, root: Path | None, size: int) -> Any:
        while not Path(self.until).exists():
            time.sleep(0.05)
        return super().load(face, root, size)


def view_of_another_workspace(view: View, name: str) -> dict[str, str]:
    """What a node finds that has another folder where the workspace lies."""
    return look(view if name == "driver" else replace(view, workspace=view.workspace / "elsewhere"), name) | {
        f"the workspace {view.workspace}": "shared" if name == "driver" else "another on vm"
    }


def serves_nobody(connection: Any, other: Any, setup: Setup) -> None:
    """Has its stage, and no runner any more when it first tells of it."""

    def executing(_: Any, context: Any) -> None:
        other.close()
        context.progress(1, 2)

    execute.execute = executing  # type: ignore[assignment]
    worker.serve(connection, setup)
