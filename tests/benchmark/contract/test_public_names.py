"""The names that plugins import: from where they are now, and from where they were."""

from __future__ import annotations

import importlib
import subprocess
import sys
from pathlib import Path

import pytest

import nferbench
from nferbench.former_paths import FORMER
from nferbench.planning.plugins import load_plugins

# As a plugin was written before the core had rooms.
OLD_PLUGIN = """
from dataclasses import dataclass, field
from typing import ClassVar

from nferbench import FaceSpec, Learner, NetworkRecipe, Translator, hookimpl
from nferbench import pixels
from nferbench.datasets import EXPRESSIONS, Face, FaceDataset, Listing, Picture
from nferbench.datasets.base import Finding
from nferbench.detectors import Detection, FaceDetector
from nferbench.errors import DataError, UsageError
from nferbench.fer import FERModel
from nferbench.hookspecs import hookimpl as the_same
from nferbench.learning import GradientLearner
from nferbench.noise import ImageNoise, derive_seed
from nferbench.pixels import grey, luma
from nferbench.translator import Batch, Group
from nferbench.values import LATER
from nferbench.weights import Found, find, load, require

assert the_same is hookimpl and pixels.luma is luma


@dataclass(frozen=True)
class Luma(Translator):
    group: ClassVar[Group] = "none"
    name: str = field(default="luma", compare=False)
    title: str = field(default="Luma", compare=False)
    later: int = field(default=0, metadata={LATER: True})

    def networks(self):
        return {}

    def translate(self, vis, networks, noise: ImageNoise):
        return luma(vis)


@hookimpl
def nferbench_translators():
    return [Luma()]
"""


def test_every_public_name_is_there() -> None:
    for name in nferbench.__all__:
        assert getattr(nferbench, name) is not None
    assert nferbench.ImageNoise is importlib.import_module("nferbench.contract.noise").ImageNoise
    with pytest.raises(AttributeError, match="no attribute 'Translater'"):
        nferbench.Translater  # noqa: B018


def test_a_plugin_written_for_the_former_paths_loads(tmp_path: Path) -> None:
    file = tmp_path / "former_luma.py"
    file.write_text(OLD_PLUGIN)
    plugins = load_plugins([str(file)])
    assert plugins.failures == ()
    assert plugins.translators["luma"].title == "Luma"


@pytest.mark.parametrize("former", FORMER)
def test_a_former_path_is_the_module_itself(former: str) -> None:
    now = importlib.import_module(FORMER[former])
    assert importlib.import_module(former) is now
    assert now.__name__ == now.__spec__.name == FORMER[former]


def test_former_paths_load_nothing_before_they_are_asked_for() -> None:
    code = (
        "import sys, nferbench; print('torch' in sys.modules);"
        "from nferbench.noise import ImageNoise; print(ImageNoise is nferbench.ImageNoise, ImageNoise.__module__)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout.split("\n")[:2] == ["False", "True nferbench.contract.noise"], done.stderr
