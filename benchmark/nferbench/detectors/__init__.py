"""The built-in face detectors.

What a detector is lies in `nferbench.contract.detector`; plugins may import it from here too.
"""

from nferbench.contract.detector import Detection, FaceDetector

__all__ = ["Detection", "FaceDetector"]
