"""Face detectors: the interface, and the built-in ones."""

from nferbench.detectors.base import Detection, FaceDetector

__all__ = ["Detection", "FaceDetector"]
