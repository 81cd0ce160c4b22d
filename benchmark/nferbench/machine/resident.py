"""The most memory that this process has held since it was last asked to forget; Linux alone tells."""

from __future__ import annotations

from pathlib import Path

_OWN = Path("/proc/self")
_FORGET = "5"  # to clear_refs: the peak becomes what is held now


def forget_peak() -> bool:
    """Let the peak begin anew.

    Returns:
        Whether it does; where not, the peak is that of the whole life of the process, or is not told at all.
    """
    try:
        (_OWN / "clear_refs").write_text(_FORGET, encoding="ascii")
    except (OSError, ValueError):
        return False
    return True


def peak() -> int | None:
    """Bytes of memory that were held at most, libraries and mapped files included; None where that is not told."""
    try:
        lines = (_OWN / "status").read_text(encoding="utf-8", errors="replace").splitlines()
        words = next(line.split() for line in lines if line.startswith("VmHWM:"))
        return int(words[1]) * 1024 if words[2] == "kB" else None
    except (OSError, ValueError, IndexError, StopIteration):
        return None
