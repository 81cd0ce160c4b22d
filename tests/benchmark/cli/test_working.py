"""What is to be done anew is set aside once, however many runs are asked to."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path

import pytest
from processes import TOY

from nferbench.cli import working
from nferbench.planning.status import Status
from nferbench.workspace.stages import PrepareFaces
from nferbench.workspace.store import Store

STAGE = PrepareFaces(TOY.Blobs(), "content", 32, "given", 0)


def done(store: Store, text: str) -> Path:
    (store.partial(STAGE) / "data.txt").write_text(text)
    return store.commit(STAGE, {"result": {"text": text}}).path


def test_a_result_is_set_aside_to_be_done_again(tmp_path: Path) -> None:
    store = Store(tmp_path)
    done(store, "old")
    store.partial(STAGE)
    working._make_room(Status(STAGE, "again", entry=store.find(STAGE)), store)
    assert store.find(STAGE) is None and len(list(tmp_path.glob("replaced/*"))) == 1
    assert not list(tmp_path.glob("partial/*"))


def test_a_result_that_another_run_did_again_meanwhile_stays(tmp_path: Path) -> None:
    store = Store(tmp_path)
    done(store, "old")
    state = Status(STAGE, "again", entry=store.find(STAGE))
    store.set_aside(STAGE, "replaced")
    working._make_room(state, store)  # another one is at it
    done(store, "new")
    working._make_room(state, store)
    entry = store.find(STAGE)
    assert entry is not None and entry.info["result"] == {"text": "new"}


def test_what_is_damaged_is_set_aside_unless_another_run_did_so(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    store = Store(tmp_path)
    (done(store, "old") / "data.txt").write_text("odd")
    state = Status(STAGE, "damaged", "damaged: it has changed")
    working._make_room(state, store)
    assert "damaged: " in capsys.readouterr().out and len(list(tmp_path.glob("damaged/*"))) == 1
    done(store, "new")
    working._make_room(state, store)
    assert store.find(STAGE) is not None and not capsys.readouterr().out


def test_a_result_that_is_looked_at_by_another_run_is_set_aside_afterwards(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = Store(tmp_path)
    done(store, "old")
    with ExitStack() as other:
        other.enter_context(Store(tmp_path).claim(STAGE))
        monkeypatch.setattr(working.time, "sleep", lambda _: other.close())
        working._make_room(Status(STAGE, "again", entry=store.find(STAGE)), store)
    assert store.find(STAGE) is None
