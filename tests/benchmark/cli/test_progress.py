"""The live display on terminals of any width."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import pytest
from rich.cells import cell_len
from rich.console import Console

from nferbench.cli.progress import LiveReporter, PlainReporter, fitted
from nferbench.engine.worker import Finished
from nferbench.planning.plugins import load_plugins
from nferbench.planning.settings import Request, resolve
from nferbench.workspace.stages import HeldOut, PrepareFaces, Recognise, Translate


def stages() -> list[Any]:
    plugins = load_plugins(installed=False)
    settings = resolve(Request(methods=("cond+eh+ef",), preset="quick"), plugins)
    faces = PrepareFaces(plugins.datasets["synthetic-hfe"], "content", 32, "given", 68)
    extra = PrepareFaces(plugins.datasets["synthetic-vis-nir"], "content", 32, "given", 68)
    fold = HeldOut(4, ("s000",))
    return [
        faces,
        Recognise(settings.fer, faces, fold, 0, Translate(settings.rows[0].translator, (), extra, "all", fold, 0)),
    ]


@pytest.mark.parametrize("width", [60, 80, 120])
def test_the_times_and_the_fold_are_shown_whole(monkeypatch: pytest.MonkeyPatch, width: int) -> None:
    moment = [0.0]
    console = Console(
        file=io.StringIO(), width=width, force_terminal=True, color_system=None, get_time=lambda: moment[0]
    )
    listed = stages()
    reporter = LiveReporter(console, listed * 500)
    for stage in listed:
        reporter.started(stage)
        reporter.progress(stage, 0, 2048)
    moment[0] = 3 * 3600 + 25 * 60 + 45
    for stage in listed:
        reporter.progress(stage, 1024, 2048)
    with console.capture() as shown:
        console.print(reporter._progress.get_renderable())
    lines = shown.get().splitlines()
    assert len(lines) == 3 and all(cell_len(line) <= width for line in lines)
    assert all("3:25:45" in line for line in lines)
    assert "0/1000" in lines[0] and lines[0].startswith("all stages")
    assert "1024/2048" in lines[2] and "recognition" in lines[2] and "-fold4" in lines[2]


@pytest.mark.parametrize(
    "label", ["short", "recognition smallcnn-pix2pix-synthetic-hfe-fold4", "one" * 40, "名" * 60, "a " * 50]
)
def test_a_label_fits(label: str) -> None:
    assert cell_len(fitted(label, 24)) <= 24
    assert fitted(label, 200) == label


def test_a_label_is_no_markup(tmp_path: Path) -> None:
    console = Console(file=io.StringIO(), width=80, force_terminal=True, color_system=None)
    reporter = LiveReporter(console, [])
    reporter._progress.add_task("[/red] [bold]x")
    with console.capture() as shown:
        console.print(reporter._progress.get_renderable())
    assert "[/red] [bold]x" in shown.get()


@pytest.mark.parametrize("kind", [LiveReporter, PlainReporter])
def test_who_is_waited_for_is_said(kind: type[LiveReporter] | type[PlainReporter]) -> None:
    console = Console(file=io.StringIO(), width=120, force_terminal=kind is LiveReporter, color_system=None)
    faces, recognition = stages()
    reporter = kind(console, [faces, recognition])
    reporter.started(faces)
    reporter.left(faces)
    reporter.waits(faces, "process 12 on node-3 since 2026-01-02 10:00:00 UTC")
    reporter.waits(faces, "process 13 on node-3 since 2026-01-02 11:00:00 UTC")  # the first one died
    assert isinstance(console.file, io.StringIO)
    text = console.file.getvalue()
    assert text.count("faces synthetic-hfe-32px: waiting for process 1") == 2
    assert "process 13 on node-3 since 2026-01-02 11:00:00 UTC" in text
    if isinstance(reporter, LiveReporter):
        assert [task.description for task in reporter._progress.tasks[1:]] == ["  waiting: faces synthetic-hfe-32px"]
    reporter.ended(faces, Finished("done", "done by another run"))
    if isinstance(reporter, LiveReporter):
        assert len(reporter._progress.tasks) == 1
    else:
        assert "1/2 faces synthetic-hfe-32px  done by another run" in console.file.getvalue()
