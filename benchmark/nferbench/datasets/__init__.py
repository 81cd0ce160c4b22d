"""The built-in readers of data sets, and the drawn ones.

What a data set is lies in `nferbench.contract.dataset`; plugins may import it from here too.
"""

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

__all__ = ["EXPRESSIONS", "NEUTRAL", "Dropped", "Face", "FaceDataset", "Finding", "Listing", "Modality", "Picture"]
