"""Rules of face detectors: what they find in a drawn face, and in none."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import final

import numpy as np
from numpy.typing import NDArray

from nferbench.checking import readiness
from nferbench.checking.chance import apart, drawn_from, states
from nferbench.checking.rules import Broken, Rule, told
from nferbench.contract.detector import Detection, FaceDetector
from nferbench.datasets.detected import check_detections
from nferbench.datasets.drawing import draw

SIZE = 256  # side of the drawn face in pixels


@final
@dataclass(frozen=True)
class Finder:
    """A detector and what it is shown."""

    detector: FaceDetector

    @cached_property
    def face(self) -> NDArray[np.uint8]:
        """A drawn face in the middle of a grey picture."""
        return np.pad(
            draw("s001", "happiness", "s001-happiness-0", "vis", SIZE)[0], ((64, 64), (96, 96), (0, 0)), "edge"
        )


def finds(finder: Finder) -> str | None:
    found = finder.detector.find(finder.face.copy())
    check_detections(finder.detector, found)
    height, width = finder.face.shape[:2]
    for detection in found:
        x1, y1, x2, y2 = detection.box
        if not (x1 < x2 and y1 < y2):
            raise Broken(f"the box {detection.box} is empty; x1, y1, x2, y2 in pixels are due")
        if x2 < 0 or y2 < 0 or x1 > width or y1 > height or max(x2 - x1, y2 - y1) <= 2:
            raise Broken(f"the box {detection.box} is none of a picture of {width} x {height}; pixels are due")
        if (detection.landmarks is None) != (finder.detector.points == 0):
            raise Broken(f"points is {finder.detector.points}, and landmarks are {told(detection.landmarks)}")
    return None if found else "finds no face in a drawn one, so that the form of an answer was not seen"


def finds_none(finder: Finder) -> str | None:
    nothing = np.full((SIZE, SIZE, 3), 128, np.uint8)
    found = finder.detector.find(nothing)
    check_detections(finder.detector, found)
    return f"finds {len(found)} faces in an empty picture" if found else None


def finds_again(finder: Finder) -> None:
    given = finder.face.copy()
    with apart():
        before = states()
        once, again = finder.detector.find(given), finder.detector.find(finder.face.copy())
        if drawn := drawn_from(before):
            raise Broken(f"find draws from the global generator of {' and '.join(drawn)}")
    if not np.array_equal(given, finder.face):
        raise Broken("find changes the pixels that it is given")
    if len(once) != len(again) or not all(map(_alike, once, again)):
        raise Broken("finds another face in the same picture when it is asked again")


def _alike(one: Detection, other: Detection) -> bool:
    points, others = one.landmarks, other.landmarks
    same = points is others or (
        points is not None and others is not None and np.array_equal(points, others, equal_nan=True)
    )
    return tuple(one.box) == tuple(other.box) and same


RULES: tuple[Rule[Finder], ...] = (
    Rule("ready", readiness.SAYS, lambda finder: readiness.is_ready(finder.detector.ready)),
    Rule("finds", "`find` returns a tuple of `Detection`: a box in pixels, and `points` landmarks", finds, ("ready",)),
    Rule("finds-none", "`find` returns an empty tuple where there is no face", finds_none, ("ready",)),
    Rule("finds-again", "the same picture gives the same faces", finds_again, ("finds",)),
)
