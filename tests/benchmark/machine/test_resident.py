"""The memory that a process has held at most, as far as its system tells."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from nferbench.machine import resident

MB = 1_000_000


# In a process of its own: what the tests before have left may be freed at any time.
ALONE = """
from nferbench.machine import resident
assert resident.forget_peak()
print(resident.peak())
held = bytearray(b"1" * 64_000_000)
del held
print(resident.peak())
assert resident.forget_peak()
print(resident.peak())
"""


@pytest.mark.skipif(not resident.forget_peak(), reason="this system does not let the peak begin anew")
def test_a_peak_is_that_since_it_was_forgotten() -> None:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run([sys.executable, "-c", ALONE], capture_output=True, text=True, env=environment)
    before, grown, after = map(int, done.stdout.split())
    assert grown - before > 50 * MB and after < grown - 50 * MB


@pytest.mark.parametrize(
    "status", [None, "", "VmRSS: 5 kB\n", "VmHWM:\n", "VmHWM: many kB\n", "VmHWM: 5 pages\n", "VmHWM: 5 kB\n"]
)
def test_where_nothing_is_told_there_is_no_peak(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, status: str | None
) -> None:
    monkeypatch.setattr(resident, "_OWN", tmp_path / "self")
    assert not resident.forget_peak()
    (tmp_path / "self").mkdir()
    if status is not None:
        (tmp_path / "self" / "status").write_text(status)
    assert resident.peak() == (5 * 1024 if status == "VmHWM: 5 kB\n" else None)
