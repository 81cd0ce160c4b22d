"""Data sets: the interface, the label names, and the built-in readers."""

from nferbench.datasets.base import (
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
