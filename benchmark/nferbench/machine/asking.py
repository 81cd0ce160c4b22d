"""What another program says of this computer, within a time that holds whatever becomes of the program."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping, Sequence
from contextlib import suppress

_DYING = 1.0  # seconds that a killed program has


def answer(call: Sequence[str], patience: float, environment: Mapping[str, str] | None = None) -> tuple[int, str]:
    """The exit code of a program and what it wrote to stdout.

    A program that waits inside of a driver that hangs cannot be killed: it is left behind, as it is.

    Args:
        call: the program and its words.
        patience: seconds that it has.
        environment: its variables; those of this process by default.

    Raises:
        TimeoutError: it took longer.
        OSError: it cannot be started.
    """
    program = subprocess.Popen(call, env=environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    assert program.stdout is not None
    try:
        said, _ = program.communicate(timeout=patience)
    except BaseException as error:
        program.kill()
        with suppress(subprocess.TimeoutExpired):
            program.wait(_DYING)
        program.stdout.close()
        if isinstance(error, subprocess.TimeoutExpired):
            raise TimeoutError(f"no answer within {patience:.0f} s") from None
        raise
    return program.returncode, said.decode("utf-8", "replace")
