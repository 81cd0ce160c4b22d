"""The detector that the paper names: S3FD boxes and 68 landmarks by FAN, from the package face-alignment.

Bulat & Tzimiropoulos, "How far are we from solving the 2D & 3D face alignment problem?", ICCV 2017. The package fetches
its weights when it is first used; here it is not called before they lie where torch.hub keeps them.
"""

from __future__ import annotations

import hashlib
import logging
import threading
from dataclasses import dataclass, field
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, final

from nferbench.contract.detector import Detection, FaceDetector
from nferbench.contract.errors import UsageError
from nferbench.contract.hookspecs import hookimpl
from nferbench.weights import hub_directory

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

# The digits in their names are the first of their SHA-256.
BOXES = "s3fd-619a316812.pth"
LANDMARKS = ("2DFAN4-11f355bf06.pth.tar", "2DFAN4-cd938726ad.zip")  # of package 1.5, and of 1.3 and 1.4


@final
@dataclass(frozen=True)
class Fan(FaceDetector):
    """FAN on S3FD boxes, 68 landmarks (iBUG order)."""

    points: ClassVar[int] = 68

    name: str = field(default="fan", compare=False)
    title: str = field(default="FAN (face-alignment)", compare=False)
    threshold: float = 0.5  # least score of a box
    flip: bool = True  # average with the landmarks of the mirrored face
    device: str = field(default="cpu", compare=False)  # "cpu" or "cuda"

    def ready(self) -> None:
        if find_spec("face_alignment") is None:
            raise UsageError("detector 'fan' needs the package face-alignment; pip install face-alignment")
        folder = hub_directory()
        there = [file for file in (BOXES, *LANDMARKS) if (folder / file).is_file()]
        for file in there:
            try:
                right = _is_named_one(folder / file)
            except OSError as error:
                raise UsageError(
                    f"detector 'fan': {file} in {folder} cannot be read ({error.strerror}); let this user read it"
                ) from None
            if not right:
                raise UsageError(
                    f"detector 'fan': {file} in {folder} is not what its name says (another SHA-256); remove it, and "
                    "have it fetched anew"
                )
        missing = [] if BOXES in there else [BOXES]
        if not any(file in there for file in LANDMARKS):
            missing.append(LANDMARKS[0])
        if missing:
            raise UsageError(
                f"detector 'fan' needs {' and '.join(missing)} in {folder}; its package fetches them with: python -c "
                "\"import face_alignment as f; f.FaceAlignment(f.LandmarksType.TWO_D, device='cpu', compile=False)\""
            )

    def find(self, pixels: NDArray[np.uint8]) -> tuple[Detection, ...]:
        import warnings

        import numpy as np

        network = _network(self.threshold, self.flip, self.device)
        with _ONE_AT_A_TIME, warnings.catch_warnings():
            warnings.simplefilter("ignore")  # "No faces were detected."
            landmarks, _, boxes = network.get_landmarks_from_image(np.ascontiguousarray(pixels), return_bboxes=True)
        return tuple(
            Detection((float(b[0]), float(b[1]), float(b[2]), float(b[3])), np.asarray(points, np.float32))
            for points, b in zip(landmarks or (), boxes if landmarks else (), strict=True)
        )


def _is_named_one(path: Path) -> bool:
    """Whether a file has the SHA-256 whose first digits are in its name.

    Raises:
        OSError: it cannot be read.
    """
    digits = path.name.partition("-")[2].partition(".")[0]
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest().startswith(digits)


_ONE_AT_A_TIME = threading.Lock()  # the package does not say that threads may share its networks


@lru_cache(maxsize=1)
def _network(threshold: float, flip: bool, device: str) -> Any:
    import inspect

    import face_alignment  # type: ignore[import-not-found, import-untyped, unused-ignore]

    logging.getLogger("face_alignment").setLevel(logging.ERROR)
    kinds = face_alignment.LandmarksType
    kind = getattr(kinds, "TWO_D", None) or kinds._2D  # the name before version 1.4
    known = inspect.signature(face_alignment.FaceAlignment).parameters
    more = {"compile": False} if "compile" in known else {}  # compiling costs minutes and changes the last bits
    return face_alignment.FaceAlignment(
        kind, flip_input=flip, device=device, face_detector_kwargs={"filter_threshold": threshold}, **more
    )


@hookimpl
def nferbench_detectors() -> list[FaceDetector]:
    return [Fan()]
