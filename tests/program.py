"""The program in a process of its own, forked from one that has loaded what it needs.

A start of the program, and of each of its workers, is else two to five seconds of loading torch and what comes with it,
and tests start hundreds. All else is as in a shell: a group of processes, an environment, output, an exit code, and
workers in processes of their own. What a test says of the start itself, of what is loaded when or of a signal
meanwhile, it says of `[sys.executable, "-m", "nferbench"]`.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
from collections.abc import Mapping
from multiprocessing import forkserver
from pathlib import Path
from subprocess import CompletedProcess
from tempfile import TemporaryDirectory
from typing import final

import pytest

LOADED = (
    *("nferbench.cli.app", "nferbench.engine.execute", "nferbench.engine.timing", "nferbench_reports.report"),
    *("torch._dynamo", "lpips", "skimage.metrics", "scipy.stats", "scipy.sparse.csgraph"),
)
LIMIT = 300.0  # seconds that a run may take


@final
class Program:
    """A run of the program that was begun.

    Args:
        words: its arguments.
        environment: variables beside those of the tests.
    """

    def __init__(self, *words: object, **environment: str) -> None:
        self._words = [str(word) for word in words]
        self._folder = TemporaryDirectory()
        self._said = [Path(self._folder.name) / name for name in ("stdout", "stderr")]
        multiprocessing.set_forkserver_preload(list(LOADED))
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("PYTHONPATH", os.pathsep.join(path for path in sys.path if path))  # it imports as tests do
            forkserver.ensure_running()
        given = (self._words, os.environ | environment, Path.cwd(), self._said)
        self._process = multiprocessing.get_context("forkserver").Process(target=_main, args=given)
        self._process.start()

    @property
    def pid(self) -> int:
        """Of the program, and of its group."""
        assert self._process.pid is not None
        return self._process.pid

    def goes_on(self) -> bool:
        """Whether it has not ended."""
        return self._process.is_alive()

    def ended(self) -> CompletedProcess[str]:
        """What it said and its exit code, once it has ended; it is killed after `LIMIT`."""
        self._process.join(LIMIT)
        if self._process.is_alive():
            self._process.kill()
            self._process.join()
        stdout, stderr = (file.read_text("utf-8") if file.exists() else "" for file in self._said)
        self._folder.cleanup()
        code = self._process.exitcode
        assert code is not None
        return CompletedProcess(self._words, code, stdout, stderr)


def program(*words: object, **environment: str) -> CompletedProcess[str]:
    """A run of the program from its start to its end."""
    return Program(*words, **environment).ended()


def _main(words: list[str], environment: Mapping[str, str], folder: Path, said: list[Path]) -> None:
    os.setsid()
    for number, file in zip((1, 2), said, strict=True):
        os.dup2(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_APPEND), number)
    os.environ.clear()
    os.environ.update(environment)
    if coding := environment.get("PYTHONIOENCODING"):  # which Python itself reads as it starts
        for stream, errors in ((sys.stdout, "strict"), (sys.stderr, "backslashreplace")):
            stream.reconfigure(encoding=coding, errors=errors)  # type: ignore[union-attr]
    os.chdir(folder)
    sys.argv = ["nferbench", *words]
    os.register_at_fork(after_in_child=_hears_nothing)
    fork = multiprocessing.get_context("fork")
    multiprocessing.get_context = lambda method=None: fork  # type: ignore[assignment]
    from nferbench.cli import main

    main()


def _hears_nothing() -> None:
    """A worker takes over no handler of the program, as one that is started anew does not."""
    for number in (signal.SIGTERM, signal.SIGUSR1):
        signal.signal(number, signal.SIG_DFL)
