"""A program is asked for a time, and whatever becomes of it the answer comes by then."""

from __future__ import annotations

import subprocess

import pytest

from nferbench.machine import asking
from nferbench.machine.asking import answer


def test_what_a_program_says() -> None:
    assert answer(["sh", "-c", "echo $WORD; echo no >&2; exit 3"], 10.0, {"WORD": "yes"}) == (3, "yes\n")
    with pytest.raises(FileNotFoundError):
        answer(["/nowhere/program"], 1.0)


@pytest.mark.parametrize("mortal", [True, False])
def test_a_program_that_takes_too_long_is_not_waited_for_even_where_it_cannot_be_killed(
    monkeypatch: pytest.MonkeyPatch, mortal: bool
) -> None:
    begun: list[subprocess.Popen[bytes]] = []
    kill, begin = subprocess.Popen.kill, subprocess.Popen.__init__

    def noted(self: subprocess.Popen[bytes], *arguments: object, **named: object) -> None:
        begun.append(self)
        begin(self, *arguments, **named)  # type: ignore[call-overload]

    monkeypatch.setattr(subprocess.Popen, "__init__", noted)
    monkeypatch.setattr(asking, "_DYING", 10.0 if mortal else 0.01)
    if not mortal:  # as one is that waits inside of a driver
        monkeypatch.setattr(subprocess.Popen, "kill", lambda _: None)
    with pytest.raises(TimeoutError, match="no answer within 0 s"):
        answer(["sleep", "60"], 0.05)
    (program,) = begun
    assert (program.poll() is None) is not mortal
    kill(program)
    program.wait()
