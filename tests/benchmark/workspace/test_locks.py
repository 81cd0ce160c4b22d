"""A lock has one owner: whoever is held up, wherever clocks stand, and whatever happens between looking and acting."""

from __future__ import annotations

import json
import os
import re
import socket
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from nferbench.contract.errors import DataError
from nferbench.workspace import locks, owners
from nferbench.workspace.locks import Claim, HeldError, LostError, claim, holder, turn
from nferbench.workspace.owners import Owner, read_owner, this_process

TOKEN = "0123456789abcdef" * 2
GONE = 2**22 + 1  # no process has this number
ELSEWHERE = Owner("elsewhere", 1, "1", "boot", "pid:[1]", "2026-01-01 10:00:00 UTC")


def put(lock: Path, owner: Owner | str, age: float = 0.0) -> Path:
    """A lock that somebody took so many seconds ago, and gave no sign of life since."""
    lock.mkdir(parents=True)
    sign = lock / TOKEN
    sign.write_text(owner if isinstance(owner, str) else owner.written())
    os.utime(sign, (time.time() - age,) * 2)
    return sign


def put_old(lock: Path, **owner: Any) -> None:
    """A lock as earlier versions wrote it."""
    lock.parent.mkdir(parents=True, exist_ok=True)
    lock.write_text(json.dumps(owner))


def is_taken(lock: Path) -> bool:
    """Whether a lock that nobody of this test holds can be taken; it is free afterwards."""
    try:
        with claim(lock, "work"):
            assert owner_in(lock) is not None
    except HeldError:
        return False
    assert not list(lock.parent.iterdir())
    return True


def owner_in(lock: Path) -> Owner | None:
    (sign,) = lock.iterdir()
    return read_owner(sign.read_text())


@pytest.fixture
def lock(tmp_path: Path) -> Path:
    return tmp_path / "locks" / "key"


def test_a_lock_says_who_holds_it_and_is_gone_afterwards(lock: Path) -> None:
    with claim(lock, "work"):
        owner = holder(lock)
        assert owner == owner_in(lock) and owner == replace(this_process(), since=owner.since)
        refusal = (
            rf"work is held by process {os.getpid()} on {re.escape(socket.gethostname())} since \d{{4}}-.* UTC; wait"
        )
        with pytest.raises(HeldError, match=refusal), claim(lock, "work"):
            pass
    assert holder(lock) is None and not list(lock.parent.iterdir())


def test_a_process_that_ended_holds_nothing(lock: Path) -> None:
    put(lock, replace(this_process(), process=GONE))
    assert is_taken(lock)
    put(lock, replace(this_process(), process=os.getppid(), started="1"))  # numbers are used again
    assert is_taken(lock)


@pytest.mark.parametrize("other", [{"boot": "before"}, {"namespace": "pid:[7]"}, {"host": "twin"}, {"boot": ""}])
@pytest.mark.parametrize("process", [GONE, os.getpid()], ids=["gone", "alive"])
def test_a_process_number_of_another_boot_or_namespace_says_nothing(
    lock: Path, other: dict[str, str], process: int
) -> None:
    stranger = replace(this_process(), process=process, **other)
    put(lock, stranger)
    assert not is_taken(lock) and holder(lock) == stranger
    os.utime(lock / TOKEN, (0, 0))
    assert holder(lock) is None and is_taken(lock)


@pytest.mark.parametrize("skew", [-120.0, 120.0, 86400.0])
def test_clocks_of_machines_may_be_minutes_apart(lock: Path, monkeypatch: pytest.MonkeyPatch, skew: float) -> None:
    put(lock, ELSEWHERE, age=locks.STALE - 30)
    true = time.time
    monkeypatch.setattr(time, "time", lambda: true() + skew)
    assert not is_taken(lock)
    os.utime(lock / TOKEN, (true() - locks.STALE - 30,) * 2)
    assert is_taken(lock)


def test_age_is_judged_by_the_clock_that_stamps_the_files(lock: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sign, utime = put(lock, ELSEWHERE), os.utime

    def of_the_server(path: Any, times: Any = None) -> None:
        utime(path, times or (time.time() - 3600,) * 2)

    monkeypatch.setattr(os, "utime", of_the_server)
    os.utime(sign)
    assert not is_taken(lock)


@pytest.mark.parametrize("content", ["", "[1]", "{}", "[" * 100_000, '{"host": 1, "process": 1, "started": "1"}'])
def test_an_owner_that_cannot_be_read_is_void_after_a_while(lock: Path, content: str) -> None:
    sign = put(lock, content)
    assert not is_taken(lock) and holder(lock) is owners.UNREADABLE
    os.utime(sign, (0, 0))
    assert is_taken(lock)


def test_locks_of_earlier_versions_are_held_or_void_as_they_were(lock: Path) -> None:
    here = {"host": socket.gethostname(), "process": os.getpid(), "started": this_process().started}
    put_old(lock, **here)
    with pytest.raises(HeldError, match=f"process {os.getpid()} on"), claim(lock, "work"):
        pass
    put_old(lock, **{**here, "process": GONE})
    assert is_taken(lock)
    put_old(lock, **{**here, "host": "elsewhere", "process": 1})
    assert not is_taken(lock)
    os.utime(lock, (0, 0))
    assert is_taken(lock)
    lock.write_text("{")
    os.utime(lock, (0, 0))
    assert is_taken(lock)


def test_what_is_no_lock_is_told_in_one_line(lock: Path) -> None:
    lock.mkdir(parents=True)
    (lock / "note\n.txt").write_text("")
    with pytest.raises(DataError, match=r"is no lock \(it holds note\\n.txt\); move it away"), claim(lock, "work"):
        pass
    (lock / "note\n.txt").unlink()
    assert is_taken(lock)


def elsewhere(lock: Path, monkeypatch: pytest.MonkeyPatch, stack: ExitStack) -> Claim:
    """A claim of another machine, which was held up for long."""
    with monkeypatch.context() as patch:
        patch.setattr(owners, "_here", lambda: ("elsewhere", "boot", "pid:[1]"))
        mine = stack.enter_context(claim(lock, "work"))
    os.utime(lock / mine.token, (0, 0))
    return mine


def test_an_owner_that_was_held_up_loses_its_lock_knows_it_and_leaves_that_of_the_next_alone(
    lock: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with ExitStack() as stalled, ExitStack() as next_one:
        first = elsewhere(lock, monkeypatch, stalled)
        second = next_one.enter_context(claim(lock, "work"))
        with pytest.raises(LostError, match=f"the lock of work was lost to process {os.getpid()} on"):
            first.check()
        assert first.lost.is_set()
        stalled.close()  # it releases what it believes to hold
        second.check()
        assert holder(lock) is not None


def test_a_lock_that_is_lost_to_what_is_no_lock_is_lost(lock: Path) -> None:
    with claim(lock, "work") as mine:
        (lock / mine.token).unlink()
        (lock / "note.txt").write_text("")
        with pytest.raises(LostError, match="the lock of work was lost, as"):
            mine.check()


def test_an_owner_that_was_held_up_and_not_missed_keeps_its_lock(lock: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with ExitStack() as stack:
        elsewhere(lock, monkeypatch, stack).check()
        assert not is_taken(lock)


def test_the_heartbeat_notices_a_lost_lock_and_touches_no_other(lock: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(locks, "HEARTBEAT", 0.01)
    with claim(lock, "work") as mine:
        (lock / mine.token).unlink()
        sign = lock / TOKEN
        sign.write_text(ELSEWHERE.written())
        os.utime(sign, (0, 0))
        assert mine.lost.wait(10)
        assert sign.stat().st_mtime == 0
    assert sign.exists()


@pytest.mark.parametrize("old", [False, True])
@pytest.mark.parametrize("released", [False, True])
@pytest.mark.parametrize("step", ["_judged", "unlink", "rmdir", "mkdir", "rename"])
@pytest.mark.parametrize("when", ["before", "after"])
def test_taking_over_never_removes_a_live_lock(
    lock: Path, monkeypatch: pytest.MonkeyPatch, step: str, when: str, released: bool, old: bool
) -> None:
    """One finds a lock void and is held up at each of its steps, where another takes the lock over."""
    if old:
        put_old(lock, host="elsewhere", process=1, started="1")
        os.utime(lock, (0, 0))
    else:
        put(lock, ELSEWHERE, age=1000)
    with ExitStack() as other:
        taken: list[Claim] = []

        def overtake() -> None:
            if not taken:
                with monkeypatch.context() as patch:
                    patch.setattr(*target, original)
                    try:
                        taken.append(other.enter_context(claim(lock, "work")))
                    except HeldError:
                        return  # the first was faster
                if released:
                    other.close()

        def held_up(*arguments: Any, **named: Any) -> Any:
            if when == "before":
                overtake()
            try:
                return original(*arguments, **named)
            finally:
                if when == "after":
                    overtake()

        target: tuple[Any, str] = (locks if step == "_judged" else Path, step)
        original: Callable[..., Any] = getattr(*target)
        monkeypatch.setattr(*target, held_up)
        with ExitStack() as mine:
            try:
                first = mine.enter_context(claim(lock, "work"))
            except HeldError:
                assert taken and not released
                taken[0].check()
                return
            first.check()
            assert released or not taken
            assert len(list(lock.iterdir())) == 1


def test_of_many_that_find_a_lock_void_one_has_it_at_a_time(lock: Path) -> None:
    inside, most, done = [0], [0], [0]
    guard = threading.Lock()
    put(lock, ELSEWHERE, age=1000)

    def worker() -> None:
        for _ in range(5):
            with turn(lock, "work", patience=60):
                with guard:
                    inside[0] += 1
                    most[0] = max(most[0], inside[0])
                time.sleep(0.001)
                with guard:
                    inside[0] -= 1
                    done[0] += 1

    threads = [threading.Thread(target=worker) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert (most, done) == ([1], [30]) and not list(lock.parent.iterdir())


def test_an_answer_that_was_lost_on_the_way_takes_no_lock_away(lock: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A server of files may have renamed, and be asked again by a client that did not hear of it."""
    rename = Path.rename

    def twice(self: Path, target: Path) -> Path:
        rename(self, target)
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", twice)
    with claim(lock, "work") as mine:
        mine.check()
