"""Which data set a word means: what lies at a path, or what is registered under a name."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from nferbench.contract.dataset import FaceDataset
from nferbench.planning.plugins import Plugins
from nferbench.planning.reach import leaves


@dataclass(frozen=True)
class Named:
    """A data set as it was named, before settings reach it."""

    kind: str  # its name in the sections of presets; "manifest" or "folder" where it was given by path
    value: FaceDataset
    by_path: bool = False
    note: str = ""  # what else the word might have meant

    def settled(self, configured: Mapping[str, FaceDataset]) -> FaceDataset:
        """With the settings of its kind. What one given by path is called and where it lies are no settings."""
        settled = configured[self.kind]
        if not self.by_path:
            return settled
        fields = dataclasses.fields(self.value)  # type: ignore[arg-type]
        own = {field.name: getattr(self.value, field.name) for field in fields if not field.compare}
        return replace(settled, **own)  # type: ignore[type-var]

    def settings(self) -> Iterator[str]:
        """The paths of its settings, as `nferbench.planning.reach` writes them."""
        return leaves(self.value, f"datasets.{self.kind}", labels=not self.by_path)


def named(word: str, plugins: Plugins) -> Named:
    """The data set that a word means: a path where it looks like nothing else, a registered name before a folder.

    Raises:
        UsageError, DataError: there is no such thing, or it is no data set.
    """
    from nferbench.datasets.manifest import dataset_from_path, is_face_set

    if not _is_path(word) and word in plugins.datasets.items:
        found = registered(word, plugins)
        note = f"'{word}' is the registered data set; to read the folder of this name that lies here, write ./{word}"
        return replace(found, note=note) if is_face_set(Path(word)) else found
    if _is_path(word) or Path(word).is_dir():
        dataset = dataset_from_path(Path(word))
        return Named(type(dataset).name, dataset, by_path=True)
    return registered(word, plugins)


def registered(name: str, plugins: Plugins) -> Named:
    """The registered data set of this name, whatever lies in the current folder.

    Raises:
        UsageError: there is none.
    """
    return Named(name, plugins.datasets[name])


def _is_path(word: str) -> bool:
    """Whether a word can only be a path: it holds a separator, starts with a dot or ends in .csv."""
    separators = [each for each in (os.sep, os.altsep) if each]
    return word.startswith(".") or word.lower().endswith(".csv") or any(each in word for each in separators)
