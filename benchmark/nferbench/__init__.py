"""nferbench: one protocol for methods that translate visible faces to near-infrared. The public names."""

from nferbench.datasets import Face, FaceDataset, Listing, Picture
from nferbench.errors import DataError, DivergedError, NferbenchError, PluginError, UsageError
from nferbench.fer import FERLearner, FERModel, LabelledBatch
from nferbench.hookspecs import hookimpl
from nferbench.translator import Batch, FaceSpec, Learner, NetworkRecipe, Translator

__version__ = "0.1.0"

__all__ = [
    "Batch",
    "DataError",
    "DivergedError",
    "FERLearner",
    "FERModel",
    "Face",
    "FaceDataset",
    "FaceSpec",
    "LabelledBatch",
    "Learner",
    "Listing",
    "NetworkRecipe",
    "NferbenchError",
    "Picture",
    "PluginError",
    "Translator",
    "UsageError",
    "__version__",
    "hookimpl",
]
