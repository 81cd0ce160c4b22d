"""A Ray cluster as a place for stages: connected to, asked what it has, and refused where it would do other work.

Nothing here starts before it is asked for: Ray is an extra, and slow to load.
"""

from __future__ import annotations

import hashlib
import importlib
import logging
import os
import platform
import secrets
import signal
import socket
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any, final

from nferbench.contract.errors import NferbenchError, UsageError
from nferbench.contract.printable import one_line
from nferbench.engine.worker import Setup
from nferbench.machine.cores import cores
from nferbench.planning.code import code_of, fingerprint
from nferbench.planning.plugins import import_file
from nferbench.workspace.files import sha256
from nferbench.workspace.stages import Stage

PATIENCE = 120.0  # seconds that a node may take to start a process and look around
ANSWER = 10.0  # seconds that the head of a cluster may take to answer
FILES = 10_000  # of a data root, those that a walk finds first, by which it is known again
ROOM = 2**27  # bytes of the object store of a Ray of our own; results go to the workspace
PASSED = ("OMP_NUM_THREADS", "NFERBENCH_WEIGHTS", "TORCH_HOME")  # of the environment, to all processes


@final
@dataclass(frozen=True)
class Node:
    """A machine of a cluster, as far as it can do stages."""

    id: str
    name: str  # for people
    cpus: float
    gpus: float

    def slots(self, gpus: float) -> int:
        """Stages that it can do at a time, of those that take one CPU and so many GPUs each."""
        of_gpus = int(self.gpus / gpus + 1e-6) if gpus else int(self.cpus)
        return min(int(self.cpus), of_gpus)


@final
@dataclass(frozen=True)
class View:
    """What a process is asked to look at; all that do stages have to find the same."""

    workspace: Path
    sign: str  # name of a file that lies in the cache of the workspace as long as the run lasts
    word: str  # what it holds
    directory: Path  # that relative paths start from
    roots: tuple[Path, ...]  # of data
    plugin_files: tuple[str, ...]
    modules: tuple[str, ...]  # by which stages are done


@contextmanager
def connected(address: str | None) -> Iterator[None]:
    """Be the driver of a Ray cluster; of one on this machine, which ends with the context, where none is named.

    Raises:
        UsageError: Ray is not installed; no cluster answers there, or one that this process does not fit.
    """
    try:
        import ray
    except ImportError:
        raise UsageError("--engine ray: Ray is not installed; pip install 'nferbench[ray]'") from None

    if address is not None and (fault := _unanswered(address)):
        raise UsageError(
            f"--ray-address {one_line(address)}: nobody answers there ({fault}); see ray status on its head"
        )
    environment = {name: os.environ[name] for name in PASSED if name in os.environ}
    settings: dict[str, Any] = {
        "runtime_env": {"env_vars": {"OMP_NUM_THREADS": "1", **environment}},
        "log_to_driver": False,
        "logging_level": logging.ERROR,
    }
    if address is None:
        settings |= {"num_cpus": cores(), "include_dashboard": False, "object_store_memory": ROOM}
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # Ray would tell its makers of a cluster that it starts
    before = signal.getsignal(signal.SIGTERM)
    try:
        ray.init(address or "local", **settings)
    except Exception as error:  # of many kinds: no answer, another version of Ray or Python, an extra that is missing
        where = f"--ray-address {address}" if address else "--engine ray"
        said = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise UsageError(one_line(f"{where}: no Ray cluster can be used ({said}); see ray status there")) from None
    finally:
        signal.signal(signal.SIGTERM, before)  # Ray puts one of its own in its place
    try:
        yield
    finally:
        ray.shutdown()


def nodes() -> tuple[Node, ...]:
    """The nodes of the cluster that live and can do a stage."""
    import ray

    return tuple(
        Node(
            node["NodeID"],
            one_line(f"{node['NodeManagerHostname']} ({node['NodeManagerAddress']}, {node['NodeID'][:8]})"),
            node["Resources"].get("CPU", 0.0),
            node["Resources"].get("GPU", 0.0),
        )
        for node in ray.nodes()
        if node["Alive"] and node["Resources"].get("CPU", 0.0) >= 1
    )


def device_of(wanted: str, there: Sequence[Node], gpus: float) -> str:
    """What --device means on a cluster: "cuda" where `auto` finds a node that has the GPUs of a stage, else "cpu".

    Raises:
        UsageError: a device that no node ever has.
    """
    fits = any(node.slots(gpus) for node in there)
    if wanted == "cuda" and not fits:
        raise UsageError(f"--device cuda: {lacking(there, gpus)}; lower --gpus-per-stage, or use --device cpu")
    device = "cuda" if fits and wanted != "cpu" else "cpu"
    if device == "cpu" and not there:
        raise UsageError(f"--engine ray: {lacking(there, 0)}; start a node that has")
    return device


def lacking(there: Sequence[Node], gpus: float) -> str:
    """That no node has what a stage needs, and what each has."""
    what = f"1 CPU and {gpus:g} GPU" if gpus else "1 CPU"
    have = "; ".join(f"{node.name}: {node.cpus:g} CPUs, {node.gpus:g} GPUs" for node in there)
    return f"no node of the Ray cluster has {what} for a stage ({have or 'none has a CPU'})"


@contextmanager
def in_view(setup: Setup, stages: Sequence[Stage]) -> Iterator[View]:
    """What all processes of a run have to find, with the sign in the workspace meanwhile."""
    sign = f"ray-{secrets.token_hex(8)}"
    codes = (code_of(stage).get("modules", {}) for stage in dict.fromkeys(stages))
    modules = sorted({"nferbench.engine.execute", *(name for found in codes for name in found)})
    view = View(
        setup.workspace,
        sign,
        secrets.token_hex(16),
        Path.cwd(),
        tuple(sorted(set(setup.roots.values()))),
        setup.plugin_files,
        tuple(modules),
    )
    cache = setup.workspace / "cache"
    cache.mkdir(parents=True, exist_ok=True)
    try:
        (cache / sign).write_text(view.word, "utf-8")
        yield view
    finally:
        for path in cache.glob(f"{sign}*"):
            path.unlink(missing_ok=True)


def check(view: View, there: Sequence[Node]) -> None:
    """Have every node look, and compare with what this process finds.

    Raises:
        UsageError: a node finds something else, cannot look, or takes too long.
    """
    import ray
    from ray.exceptions import GetTimeoutError, NodeDiedError, RayError, TaskUnschedulableError
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    mine = look(view, "driver")
    asked = ray.remote(num_cpus=0, max_retries=0)(look)
    answers = [
        asked.options(scheduling_strategy=NodeAffinitySchedulingStrategy(node.id, soft=False)).remote(view, node.id)
        for node in there
    ]
    for node, answer in zip(there, answers, strict=True):
        try:
            theirs = ray.get(answer, timeout=PATIENCE)
        except GetTimeoutError:
            raise UsageError(f"Ray node {node.name} did not answer for {PATIENCE:.0f} s; see ray status") from None
        except (NodeDiedError, TaskUnschedulableError):
            raise UsageError(
                f"Ray node {node.name} is gone; start the same command again when ray status does not list it any more"
            ) from None
        except RayError as error:
            said = one_line(cause(error))
            raise UsageError(
                f"Ray node {node.name} cannot do stages: {said}; install nferbench there as here"
            ) from None
        compare(node, mine, theirs)
        if not _reads(view.workspace / "cache" / f"{view.sign}-{node.id}", view.word):
            raise UsageError(
                f"Ray node {node.name}: what it writes to the workspace {view.workspace} is not seen here; "
                "give a --workspace that all nodes share"
            )


def look(view: View, name: str) -> dict[str, str]:
    """What this process finds, by what people call it; leaves an answer of that name beside the sign."""
    found = {
        "Python": ".".join(platform.python_version_tuple()[:2]),
        "nferbench": version("nferbench"),
        "torch": version("torch").partition("+")[0],
    }
    with suppress(OSError):
        os.chdir(view.directory)
    found[f"the workspace {view.workspace}"] = "shared" if sees(view) else f"another on {socket.gethostname()}"
    with suppress(OSError):
        (view.workspace / "cache" / f"{view.sign}-{name}").write_text(view.word, "utf-8")
    found |= {f"the data root {root}": _content(root) for root in view.roots}
    for file in view.plugin_files:
        try:
            found[f"the plugin {file}"] = f"one with SHA-256 {sha256(Path(file))[:16]}"
            import_file(file)
        except Exception as error:  # whatever a plugin raises at import
            found[f"the plugin {file}"] = f"one that cannot be used ({type(error).__name__})"
    for module in view.modules:
        found[f"the code of {module}"] = _said(module)
    return found


def compare(node: Node, mine: Mapping[str, str], theirs: Mapping[str, str]) -> None:
    """Refuse a node that finds something else than this process.

    Raises:
        UsageError: it does.
    """
    for what, here in mine.items():
        there = theirs.get(what, "unknown")
        if there != here:
            raise UsageError(
                one_line(
                    f"Ray node {node.name}: {what} is {there} where this process finds {here}; all nodes need the same "
                    "versions of Python, torch and nferbench, and the same files at the same paths"
                )
            )


def sees(view: View) -> bool:
    """Whether this process sees the workspace of the run."""
    return _reads(view.workspace / "cache" / view.sign, view.word)


def cause(error: Exception) -> str:
    """What went wrong on another machine, in a line."""
    inner = getattr(error, "cause", None) or error
    lines = str(inner).strip().splitlines()
    said = lines[-1][:300] if lines else "no message"
    return said if isinstance(inner, NferbenchError) else f"{type(inner).__name__}: {said}"


def _unanswered(address: str) -> str:
    """Why a HOST:PORT does not answer, if it does not. Ray would try for minutes, and then end the process."""
    host, colon, port = address.removeprefix("ray://").rpartition(":")
    if not colon or not port.isdecimal():
        return ""
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=ANSWER).close()
    except (OSError, OverflowError) as error:
        return one_line(getattr(error, "strerror", None) or str(error))
    return ""


def _reads(path: Path, word: str) -> bool:
    try:
        return path.read_text("utf-8") == word
    except (OSError, ValueError):
        return False


def _said(module: str) -> str:
    try:
        importlib.import_module(module)
    except ImportError:
        return "missing"
    return fingerprint(module)


def _content(root: Path) -> str:
    """A data root, told by the names and sizes of files that a walk in order finds first."""
    if not root.is_dir():
        return "no folder"
    found: list[str] = []
    for folder, folders, files in os.walk(root):
        folders.sort()
        for file in sorted(files):
            path = Path(folder, file)
            found.append(f"{path.relative_to(root)} {path.stat().st_size if path.exists() else 'gone'}")
            if len(found) == FILES:
                break
        if len(found) == FILES:
            break
    said = "\n".join(found).encode(errors="surrogateescape")
    return f"one of {len(found)} files, {hashlib.sha256(said).hexdigest()[:16]}"
