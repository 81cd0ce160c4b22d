"""What is left of a plan, as both ways of doing stages walk it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from processes import TOY

from nferbench.engine.agenda import Agenda
from nferbench.engine.worker import Finished
from nferbench.workspace.stages import HeldOut, PrepareFaces, ScoreTranslation, Stage, Translate
from nferbench.workspace.store import Store

FACES = PrepareFaces(TOY.Blobs(), "content", 32, "given", 0)
OTHERS = PrepareFaces(TOY.Blobs(first=50), "content", 32, "given", 0)


class Silent:
    def __getattr__(self, name: str) -> Any:
        return lambda *_: None


def translation(fold: int, faces: PrepareFaces = FACES) -> Translate:
    return Translate(TOY.Regression(), (), faces, "test", HeldOut(fold, ("p000",)), 0)


def agenda(workspace: Path, stages: Any, gate: Any = None, wait_for_others: bool = False) -> Agenda:
    return Agenda(stages, Store(workspace), Silent(), gate, wait_for_others=wait_for_others)


def test_what_one_more_stage_costs_does_not_grow_with_their_number(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = 0
    needs = Translate.needs

    def counted(self: Translate) -> tuple[Stage, ...]:
        nonlocal asked
        asked += 1
        return needs(self)

    monkeypatch.setattr(Translate, "needs", counted)
    stages = (FACES, *map(translation, range(300)))
    left = agenda(tmp_path, stages)
    while (stage := left.take()) is not None:
        left.end(stage, Finished("done"))
    assert left.outcome().done == stages and not left.is_open()
    assert asked <= 3 * len(stages)


def test_stages_are_taken_in_order_as_soon_as_what_they_need_is_there(tmp_path: Path) -> None:
    first, second = translation(0), translation(1, OTHERS)
    left = agenda(tmp_path, (FACES, first, OTHERS, second, FACES))
    assert (left.take(), left.take(), left.take()) == (FACES, OTHERS, None)
    left.end(OTHERS, Finished("done"))
    left.end(FACES, Finished("done"))
    assert (left.take(), left.take(), left.take()) == (first, second, None) and left.is_open()


def test_what_is_done_already_is_waited_for_by_nobody(tmp_path: Path) -> None:
    assert agenda(tmp_path, (translation(0),)).take() == translation(0)


def test_the_gate_holds_what_could_start_until_the_first_stages_are_done(tmp_path: Path) -> None:
    opened: list[bool] = []
    left = agenda(tmp_path, (FACES, OTHERS, translation(0)), lambda: opened.append(True))
    assert (left.take(), left.take()) == (FACES, OTHERS)
    left.end(FACES, Finished("done"))
    assert left.take() is None and not opened
    left.end(OTHERS, Finished("failed", "on purpose"))
    assert left.take() == translation(0) and opened == [True]


def test_given_up_stages_say_why_and_those_that_waited_for_a_failed_one_say_that(tmp_path: Path) -> None:
    scored = ScoreTranslation(translation(0), "none")
    running, lost = translation(1), translation(2)
    left = agenda(tmp_path, (FACES, translation(0), scored, running, lost))
    left.take()
    left.end(FACES, Finished("done"))
    assert (left.take(), left.take()) == (translation(0), running)
    left.end(translation(0), Finished("diverged", "NaN"))
    left.give_up("no GPU is left")
    assert left.is_open()
    left.end(running, Finished("done"))
    failed = left.outcome().failed
    assert failed[scored].reason == "needs translations toy-regression-toy-test-fold0: diverged, NaN"
    assert failed[lost] == Finished("waiting", "no GPU is left") and not left.is_open()


def test_what_another_run_took_first_comes_last(tmp_path: Path) -> None:
    left = agenda(tmp_path, (FACES, OTHERS), wait_for_others=True)
    assert left.take() == FACES
    left.end(FACES, Finished("held", "by another"))
    assert (left.take(), left.take()) == (OTHERS, FACES)
