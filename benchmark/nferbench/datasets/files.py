"""Registers the data sets that are read from plain files: by manifest, or from a tree of folders."""

from __future__ import annotations

from nferbench.contract.dataset import FaceDataset
from nferbench.contract.hookspecs import hookimpl
from nferbench.datasets.folder import FolderDataset
from nferbench.datasets.manifest import ManifestDataset


@hookimpl
def nferbench_datasets() -> list[FaceDataset]:
    return [ManifestDataset(), FolderDataset()]
