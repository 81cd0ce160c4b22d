"""The 68 landmarks of a face in iBUG order: jaw 0-16, brows 17-26, nose 27-35, eyes 36-47, mouth 48-67."""

from __future__ import annotations

from nferbench.contract.errors import UsageError

POINTS = 68
INNER = 17  # first landmark after the jaw, which a detector places worst
EYE_CORNERS = (36, 45)  # the outer ones


def require(points: int, what: str, name: str) -> None:
    """Check that a data set has these landmarks.

    Args:
        points: landmarks a face that it has.
        what: what needs them, for the message.
        name: of the data set.

    Raises:
        UsageError: it has none, or others.
    """
    if points != POINTS:
        raise UsageError(
            f"{what} needs {POINTS} landmarks a face and {name} has {points}; choose a --detector that finds them "
            f"(nferbench detectors), or do without {what}"
        )
