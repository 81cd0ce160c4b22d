"""What torch says of the GPUs, asked in a process of its own; here a script stands for Python."""

from __future__ import annotations

from pathlib import Path

import pytest

from nferbench.machine import usable as module
from nferbench.machine.usable import Usable, usable


def python(folder: Path, script: str) -> str:
    path = folder / "python"
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return str(path)


@pytest.mark.parametrize(
    ("script", "names", "expected"),
    [
        ("echo noise; echo nferbench: 0 2; echo noise", ("0", "1"), Usable(("0", "1"))),
        ("echo nferbench: 0 1", ("0", "1"), Usable(("0",))),
        ("echo nferbench: 0 1", ("MIG-1", "MIG-2"), Usable(("MIG-1", "MIG-2"))),
        ("echo nferbench: 0 0", ("0",), Usable((), "torch sees none")),
        ("echo nferbench: 1 3 it is busy", ("2", "0", "1"), Usable(("0", "1"), "it is busy")),
        ('test "$CUDA_VISIBLE_DEVICES" = 3,GPU-1 && echo nferbench: 0 2', ("3", "GPU-1"), Usable(("3", "GPU-1"))),
        (
            "echo nferbench: torch 2.14.1+cpu was built without CUDA",
            ("0",),
            Usable((), "torch 2.14.1+cpu was built without CUDA"),
        ),
        ("exit 3", ("0",), Usable((), "the process that tried it ended with exit code 3")),
        ("kill -9 $$", ("0",), Usable((), "the process that tried it ended with exit code -9")),
    ],
)
def test_what_torch_says(tmp_path: Path, script: str, names: tuple[str, ...], expected: Usable) -> None:
    assert usable(names, python(tmp_path, script)) == expected


def test_no_answer_and_no_python(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "cannot be started (No such file or directory)" in usable(("0",), str(tmp_path / "none")).reason
    monkeypatch.setattr(module, "PATIENCE", 0.05)
    assert usable(("0",), python(tmp_path, "exec sleep 5")) == Usable((), "no answer within 0 s")


@pytest.mark.parametrize(
    ("version", "broken", "said"),
    [
        (None, 0, Usable((), "torch 9.9 was built without CUDA")),
        ("13.0", 0, Usable(("4", "5"))),
        ("13.0", 1, Usable(("5",), "device 0 is busy or unavailable")),
        ("13.0", 2, Usable((), "device 0 is busy or unavailable")),
    ],
)
def test_the_question_is_answered_in_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, version: str | None, broken: int, said: Usable
) -> None:
    """Asked of real Python, with a torch that only pretends; the first devices are broken."""
    (tmp_path / "torch.py").write_text(
        "from types import SimpleNamespace as S\n"
        f"__version__, version, cuda = '9.9', S(cuda={version!r}, hip=None), S(device_count=lambda: 2)\n"
        "def ones(count, device):\n"
        f"    if int(device[-1]) < {broken}:\n"
        "        raise RuntimeError(f'device {device[-1]} is busy or unavailable\\nmore')\n"
        "    return S(sum=lambda: S(item=lambda: count))\n"
    )
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    assert usable(("4", "5")) == said
