"""What comes of a run that is accepted, refused or only planned: a record is written in the first case alone."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from nferbench.cli.app import app
from nferbench.contract.errors import NferbenchError, UsageError
from nferbench.planning.costs import Preflight, cost_key

WORDS = ("run", "--methods", "none", "--dataset", "synthetic-hfe", "--extra", "none", "--preset", "quick")


def run(workspace: Path, *more: str) -> BaseException | None:
    return CliRunner().invoke(app, [*WORDS, "--workspace", str(workspace), *more]).exception


def records(workspace: Path) -> dict[str, str]:
    return {path.name: path.read_text() for path in workspace.glob("records/*")}


def look(seconds: float) -> Callable[..., Preflight]:
    def found(work: Any, states: Any, *_: object, **__: object) -> Preflight:
        keys = {state.stage: cost_key(state.stage, "cpu") for state in states}
        return Preflight(seconds=dict.fromkeys(keys.values(), seconds), keys=keys)

    return found


@pytest.fixture
def stopped(monkeypatch: pytest.MonkeyPatch) -> None:
    """Stages that are not done: the run is stopped as soon as its faces are prepared."""

    def stop(*_: object, gate: Callable[[], None], **__: object) -> None:
        gate()
        raise KeyboardInterrupt

    monkeypatch.setattr("nferbench.engine.preflight.preflight", look(0.001))
    monkeypatch.setattr("nferbench.engine.runner.run_stages", stop)


def test_a_run_that_is_stopped_half_way_has_its_record(tmp_path: Path, stopped: None) -> None:
    run(tmp_path)
    (record,) = records(tmp_path).values()
    assert '"name": "none"' in record


@pytest.mark.parametrize(("words", "waits"), [((), True), (("--no-wait",), False)])
def test_a_run_waits_for_others_unless_told_not_to(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stopped: None, words: tuple[str, ...], waits: bool
) -> None:
    asked: list[bool] = []

    def stop(*_: object, wait_for_others: bool, **__: object) -> None:
        asked.append(wait_for_others)
        raise KeyboardInterrupt

    monkeypatch.setattr("nferbench.engine.runner.run_stages", stop)
    run(tmp_path, *words)
    assert asked == [waits]


@pytest.mark.parametrize("before", [False, True])
@pytest.mark.parametrize("reason", ["leaks", "leaks found later", "too long", "cannot be built"])
def test_a_refused_run_changes_no_record(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stopped: None, before: bool, reason: str
) -> None:
    if before:
        run(tmp_path)
    expected = records(tmp_path)
    assert len(expected) == before
    if reason == "leaks":
        monkeypatch.setattr("nferbench.planning.leak_guard.leaks_of", lambda *_: ("a is b",))
    elif reason == "leaks found later":
        answers = iter((None, ("a is b",)))
        monkeypatch.setattr("nferbench.planning.leak_guard.leaks_of", lambda *_: next(answers))
    elif reason == "too long":
        monkeypatch.setattr("nferbench.engine.preflight.preflight", look(1e6))
    else:

        def refuse(*_: object, **__: object) -> None:
            raise UsageError("too small")

        monkeypatch.setattr("nferbench.engine.preflight.preflight", refuse)
    assert isinstance(run(tmp_path, "--set", "seed=0"), NferbenchError)
    assert records(tmp_path) == expected


def test_what_only_a_training_lacks_stops_a_run_and_is_noted_by_a_plan(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def lacking(work: Any, states: Any, *_: object, lenient: bool = False, **__: object) -> Preflight:
        if not lenient:
            raise UsageError("hifacegan: weights vgg19 are missing")
        return replace(look(0.001)(work, states), lacking=("hifacegan: weights vgg19 are missing",))

    monkeypatch.setattr("nferbench.engine.preflight.preflight", lacking)
    planned = CliRunner().invoke(app, ["plan", *WORDS[1:], "--workspace", str(tmp_path)])
    assert planned.exit_code == 0, planned.output
    assert "note: a run stops before any training: hifacegan: weights vgg19 are missing" in planned.output
    assert isinstance(run(tmp_path), UsageError)
