"""Images that a user gives to be translated, as the stage that prepares them like the faces of a method."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import final

from nferbench.contract import ibug
from nferbench.contract.dataset import FaceDataset, Listing
from nferbench.contract.detector import FaceDetector
from nferbench.contract.errors import UsageError
from nferbench.datasets.detected import Detected
from nferbench.datasets.fingerprint import fingerprint
from nferbench.datasets.levels import FULL, Levels, Range, levels_of, with_levels
from nferbench.datasets.manifest import dataset_from_path, is_face_set
from nferbench.datasets.photographs import Photographs
from nferbench.datasets.visible import VisibleFaces
from nferbench.faces.crops import ALL_POINTS
from nferbench.planning.levelling import remembered
from nferbench.planning.plugins import Plugins
from nferbench.planning.settings import CROPS, crop_for
from nferbench.workspace.stages import PrepareFaces
from nferbench.workspace.store import Store


@final
@dataclass(frozen=True)
class Preparation:
    """How faces are found, cropped and scaled."""

    size: int  # side in pixels
    crop: str  # recipe, see `nferbench.faces.crops`
    detector: FaceDetector | None
    smooth: bool = False
    vis_levels: Range | None = None  # black and white of VIS files of more than 8 bits; None leaves that to the files


@final
@dataclass(frozen=True)
class Inputs:
    """Images that are to be translated."""

    faces: PrepareFaces
    root: Path
    listing: Listing


def preparation_of(faces: PrepareFaces) -> Preparation:
    """How the faces of a method were prepared."""
    detector = faces.dataset.detector if isinstance(faces.dataset, Detected) else None
    vis = (levels_of(faces.dataset) or Levels()).vis
    return Preparation(faces.size, faces.crop, detector, faces.smooth, None if vis == FULL else vis)


def changed(preparation: Preparation, detector: str | None, crop: str | None, plugins: Plugins) -> Preparation:
    """Another detector or crop recipe by name, None leaving what there is; "given" is no detector.

    Raises:
        UsageError: there is none of this name.
    """
    finder = preparation.detector
    if detector is not None:
        finder = None if detector == "given" else plugins.detectors[detector]
    recipe = crop_for(crop or preparation.crop, finder) if detector or crop else preparation.crop
    if recipe not in CROPS:
        raise UsageError(f"unknown crop '{recipe}'; known: {', '.join(CROPS)}")
    smooth, levels = preparation.smooth, preparation.vis_levels
    return Preparation(preparation.size, recipe, finder, smooth, levels)


def check_apart(source: Path, out: Path) -> None:
    """Refuse to write where the next command would read.

    Raises:
        UsageError: the output lies in the folder of the images, or is it.
    """
    if source.is_dir() and out.resolve().is_relative_to(source.resolve()):
        raise UsageError(
            f"{out} lies in {source}, so that what is written there would be translated next; name another"
        )


def inputs_at(path: Path, preparation: Preparation, store: Store) -> Inputs:
    """The images at a path: a manifest, a folder that holds a data set, or any other folder or file of images.

    Args:
        path: where they lie.
        preparation: how they are to be prepared.
        store: of the workspace, for its cache of file hashes.

    Raises:
        UsageError, DataError: there is nothing, no image, or a manifest that cannot be used.
    """
    dataset = _dataset(path)
    root = dataset.base(None)
    if preparation.detector is not None:
        preparation.detector.ready()
        dataset = Detected(dataset, preparation.detector)
    listing = dataset.listing(root)
    content = fingerprint(listing, root, store.workspace / "cache" / "hashes.json", sequences=preparation.smooth)
    if preparation.vis_levels is not None:
        dataset = with_levels(dataset, Levels(vis=preparation.vis_levels)) or dataset
    else:
        dataset, listing = remembered(dataset, listing, root, content, {}, store)
    if preparation.crop in ALL_POINTS:
        ibug.require(listing.landmarks, f"crop '{preparation.crop}'", dataset.name)
    size, crop = preparation.size, preparation.crop
    stage = PrepareFaces(dataset, content, size, crop, listing.landmarks, smooth=preparation.smooth)
    return Inputs(stage, root or path, listing)


def _dataset(path: Path) -> FaceDataset:
    path = path.absolute()
    if path.suffix.lower() == ".csv" or is_face_set(path):
        return VisibleFaces(dataset_from_path(path))
    return Photographs(path=str(path))
