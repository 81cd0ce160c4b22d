"""The errors that nferbench raises on purpose. The command line prints each as one line; anything else is a bug."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches


class NferbenchError(Exception):
    """Something a user can act on. The message names the thing, what came, what was allowed and the next step."""

    exit_code = 1  # of the command line: 2 for bad use or bad input, 1 for work that failed


class UsageError(NferbenchError):
    """A request that cannot be carried out as it stands: unknown name, wrong value, missing data."""

    exit_code = 2


class DataError(NferbenchError):
    """Data that cannot be used: an unreadable image, pairs that do not match, a class absent from a fold."""

    exit_code = 2


class PluginError(NferbenchError):
    """A plugin that does not keep the contract: fails to import, repeats a name, returns a wrong shape."""

    exit_code = 2


class ExhaustedError(NferbenchError):
    """Memory ran out in an update before anything was changed by it: the same update can be tried again in pieces."""


class DivergedError(NferbenchError):
    """Training or sampling that produced NaN or infinity."""


class StoppedError(NferbenchError):
    """Work that was asked by a signal to stop, and did."""

    exit_code = 143  # as a shell tells of a process that SIGTERM ended


def unknown(kind: str, name: str, known: Iterable[str], command: str) -> UsageError:
    """The error for a name that does not exist, with the nearest match and the command that lists what does.

    >>> str(unknown("method", "nfersde", ["nfer-sde", "pix2pix"], "nferbench methods"))
    "unknown method 'nfersde'; did you mean 'nfer-sde'? (nferbench methods lists all)"
    """
    known = list(known)
    near = get_close_matches(name, known, n=1, cutoff=0.5)
    hint = f"did you mean '{near[0]}'?" if near else f"known: {', '.join(known) or 'none'}"
    return UsageError(f"unknown {kind} '{name}'; {hint} ({command} lists all)")
