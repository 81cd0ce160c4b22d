"""nferbench: one protocol for methods that translate visible faces to near-infrared. The public names.

All that a plugin needs is imported from here: `from nferbench import Translator, GradientLearner, luma`. The names that
need torch are imported when they are first asked for, so that `import nferbench` stays quick.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from nferbench import former_paths
from nferbench.contract.dataset import (
    EXPRESSIONS,
    NEUTRAL,
    Dropped,
    Face,
    FaceDataset,
    Finding,
    Listing,
    Modality,
    Picture,
)
from nferbench.contract.detector import Detection, FaceDetector
from nferbench.contract.errors import DataError, DivergedError, NferbenchError, PluginError, UsageError
from nferbench.contract.fer import FERLearner, FERModel, LabelledBatch
from nferbench.contract.hookspecs import hookimpl
from nferbench.contract.metric import ImageMetric, MetricLibrary
from nferbench.contract.translator import Batch, Divisible, FaceSpec, Group, Learner, NetworkRecipe, Paced, Translator
from nferbench.contract.values import LATER, LIKE
from nferbench.contract.weight_files import StoredWeights

if TYPE_CHECKING:
    from nferbench.contract.captured import Captured, Parts, can_capture, do_parts
    from nferbench.contract.fused import fuse, load_optimiser
    from nferbench.contract.initial import load_initial, note_initial
    from nferbench.contract.learning import GradientLearner
    from nferbench.contract.noise import ImageNoise, derive_seed
    from nferbench.contract.piecewise import PiecewiseLoss
    from nferbench.contract.pixels import grey, luma
    from nferbench.contract.precision import full_precision, mixed_precision
    from nferbench.contract.pushes import hear_pushes, note_pushes

__version__ = "0.1.0"

_WITH_TORCH = {
    "Captured": "captured",
    "GradientLearner": "learning",
    "ImageNoise": "noise",
    "Parts": "captured",
    "PiecewiseLoss": "piecewise",
    "can_capture": "captured",
    "derive_seed": "noise",
    "do_parts": "captured",
    "full_precision": "precision",
    "fuse": "fused",
    "grey": "pixels",
    "hear_pushes": "pushes",
    "load_initial": "initial",
    "load_optimiser": "fused",
    "luma": "pixels",
    "mixed_precision": "precision",
    "note_initial": "initial",
    "note_pushes": "pushes",
}

former_paths.install()


def __getattr__(name: str) -> Any:
    if name not in _WITH_TORCH:
        raise AttributeError(f"module 'nferbench' has no attribute '{name}'")
    value = getattr(import_module(f"nferbench.contract.{_WITH_TORCH[name]}"), name)
    globals()[name] = value
    return value


__all__ = [
    "EXPRESSIONS",
    "LATER",
    "LIKE",
    "NEUTRAL",
    "Batch",
    "Captured",
    "DataError",
    "Detection",
    "DivergedError",
    "Divisible",
    "Dropped",
    "FERLearner",
    "FERModel",
    "Face",
    "FaceDataset",
    "FaceDetector",
    "FaceSpec",
    "Finding",
    "GradientLearner",
    "Group",
    "ImageMetric",
    "ImageNoise",
    "LabelledBatch",
    "Learner",
    "Listing",
    "MetricLibrary",
    "Modality",
    "NetworkRecipe",
    "NferbenchError",
    "Paced",
    "Parts",
    "Picture",
    "PiecewiseLoss",
    "PluginError",
    "StoredWeights",
    "Translator",
    "UsageError",
    "__version__",
    "can_capture",
    "derive_seed",
    "do_parts",
    "full_precision",
    "fuse",
    "grey",
    "hear_pushes",
    "hookimpl",
    "load_initial",
    "load_optimiser",
    "luma",
    "mixed_precision",
    "note_initial",
    "note_pushes",
]
