"""Metrics of torchmetrics and pyiqa by name: with the packages where they are installed, and with stand-ins."""

from __future__ import annotations

import sys
import urllib.request
from importlib.util import find_spec
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from nferbench.contract.errors import PluginError, UsageError
from nferbench.metrics import of_pyiqa, of_torchmetrics
from nferbench.metrics.of_pyiqa import Pyiqa
from nferbench.metrics.of_torchmetrics import Torchmetrics

CPU = torch.device("cpu")


def faces(seed: int, side: int = 16) -> Tensor:
    return 2 * torch.rand(3, 3, side, side, generator=torch.Generator().manual_seed(seed)) - 1


class Spread(nn.Module):
    """What classes of torchmetrics look like: asked in pieces, and told the range."""

    higher_is_better: Any = False

    def __init__(self, weight: float = 1.0, data_range: float | None = None) -> None:
        super().__init__()
        self.weight, self.data_range = weight, data_range
        self.reset()

    def reset(self) -> None:
        self.seen: list[Tensor] = []

    def update(self, preds: Tensor, target: Tensor) -> None:
        assert self.data_range == 1.0 and preds.shape[:2] == (1, 3) and 0 <= preds.min() <= preds.max() <= 1
        self.seen.append((preds - target).abs().mean())

    def compute(self) -> Tensor:
        return torch.stack(self.seen).mean()


class Alone(Spread):
    higher_is_better = True

    def update(self, img: Tensor) -> None:  # type: ignore[override]
        self.seen.append(img.mean())


class OfSets(Spread):
    def update(self, imgs: Tensor, real: bool) -> None:  # type: ignore[override]
        pass


class Undirected(Spread):
    higher_is_better = None


class Loading(Spread):
    def __init__(self) -> None:
        urllib.request.urlopen("http://127.0.0.1:9/weights.pth", timeout=1)


class Scaled(Spread):
    """Takes [-1, 1] unless it is told otherwise."""

    def __init__(self, normalize: bool = False) -> None:
        assert normalize
        super().__init__(data_range=1.0)


class Named(Spread):
    """Calls something else by that name."""

    def __init__(self, data_range: float | None = None, normalize: str | None = None) -> None:
        assert normalize is None
        super().__init__(data_range=data_range)


class Grey(Spread):
    def update(self, preds: Tensor, target: Tensor) -> None:
        raise ValueError("expects\ngrey images")


class Wide(Spread):
    def update(self, preds: Tensor, target: Tensor) -> None:
        if preds.shape[-1] < 160:
            raise ValueError("height must be larger than 160")
        self.seen.append(preds.mean())


class Whole(Spread):
    def compute(self) -> Tensor:
        return torch.zeros(2, 2)


CLASSES = (Spread, Alone, OfSets, Undirected, Loading, Scaled, Named, Grey, Wide, Whole)


@pytest.fixture
def stand_in(monkeypatch: pytest.MonkeyPatch) -> Torchmetrics:
    package, image = ModuleType("torchmetrics"), ModuleType("torchmetrics.image")
    package.image = image  # type: ignore[attr-defined]
    image.__all__ = [each.__name__ for each in CLASSES]  # type: ignore[attr-defined]
    for each in CLASSES:
        setattr(image, each.__name__, each)
    monkeypatch.setitem(sys.modules, "torchmetrics", package)
    monkeypatch.setitem(sys.modules, "torchmetrics.image", image)
    monkeypatch.setattr(of_torchmetrics, "find_spec", lambda name: name)
    monkeypatch.setattr(of_torchmetrics, "version", lambda name: "7.0")
    return Torchmetrics()


def test_a_class_measures_each_face_by_itself_in_0_to_1(stand_in: Torchmetrics) -> None:
    metric = stand_in.metric("Spread")
    assert (metric.name, metric.title, metric.better, metric.reference) == (
        "torchmetrics:Spread",
        "Spread",
        "lower",
        True,
    )
    assert "torchmetrics 7.0, on faces in 0 to 1" in metric.note
    translated, real = faces(0), faces(1)
    due = [(one - other).abs().mean().item() / 2 for one, other in zip(translated, real, strict=True)]
    measure = metric.load(CPU)
    assert measure(translated, real).tolist() == pytest.approx(due)
    assert measure(translated[2:], real[2:]).tolist() == measure(translated, real).tolist()[2:]


def test_a_class_is_told_the_range_in_its_own_words(stand_in: Torchmetrics) -> None:
    due = stand_in.metric("Spread").load(CPU)(faces(0), faces(1)).tolist()
    for name in ("Scaled", "Named"):
        assert stand_in.metric(name).load(CPU)(faces(0), faces(1)).tolist() == due


def test_a_class_that_looks_at_one_image_needs_no_real_face(stand_in: Torchmetrics) -> None:
    metric = stand_in.metric("Alone")
    assert (metric.better, metric.reference) == ("higher", False)
    assert metric.load(CPU)(faces(0)).tolist() == pytest.approx([(each.mean().item() + 1) / 2 for each in faces(0)])


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("Spred", "unknown metric of torchmetrics 'Spred'; did you mean 'Spread'"),
        ("OfSets", "takes imgs, real; a metric that takes an image"),
        ("Undirected", "does not say whether higher is better"),
    ],
)
def test_what_gives_no_number_a_face_is_refused_by_name(stand_in: Torchmetrics, name: str, reason: str) -> None:
    with pytest.raises(UsageError, match=reason):
        stand_in.metric(name)


def test_weights_are_not_downloaded(stand_in: Torchmetrics) -> None:
    with pytest.raises(UsageError, match="'torchmetrics:Loading' asks for weights that are not on this machine"):
        stand_in.metric("Loading").ready()


def test_an_answer_that_is_no_number_is_refused(stand_in: Torchmetrics) -> None:
    with pytest.raises(PluginError, match="'torchmetrics:Whole' gives shape"):
        stand_in.metric("Whole").load(CPU)(faces(0), faces(1))


def test_a_metric_that_measures_no_face_is_known_before_all_work(stand_in: Torchmetrics) -> None:
    for name in ("Spread", "Alone", "Wide"):
        stand_in.metric(name).ready()
    with pytest.raises(UsageError, match=r"'torchmetrics:Grey' cannot measure .* \(ValueError: expects grey images\)"):
        stand_in.metric("Grey").ready()
    with pytest.raises(PluginError, match="'torchmetrics:Whole' gives shape"):
        stand_in.metric("Whole").ready()


def test_faces_that_are_too_small_are_told_with_the_metric(stand_in: Torchmetrics) -> None:
    with pytest.raises(UsageError, match=r"metric 'torchmetrics:Wide' cannot measure faces of 16x16 pixels \(ValueErr"):
        stand_in.metric("Wide").load(CPU)(faces(0), faces(1))


def test_another_release_is_another_metric(stand_in: Torchmetrics, monkeypatch: pytest.MonkeyPatch) -> None:
    first = stand_in.metric("Spread")
    assert first == stand_in.metric("Spread")
    monkeypatch.setattr(of_torchmetrics, "version", lambda name: "8.0")
    assert first != stand_in.metric("Spread")


@pytest.mark.parametrize(
    ("library", "module"), [(Torchmetrics(), of_torchmetrics), (Pyiqa(), of_pyiqa)], ids=["torchmetrics", "pyiqa"]
)
def test_a_package_that_is_absent_is_named_with_its_extra(
    library: Any, module: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "find_spec", lambda name: None)
    for ask in (library.ready, lambda: library.metric("x")):
        with pytest.raises(UsageError, match=rf"pip install 'nferbench\[{library.name}\]'"):
            ask()


@pytest.mark.skipif(find_spec("torchmetrics") is None, reason="torchmetrics is not installed")
def test_the_metrics_of_the_installed_torchmetrics_measure() -> None:
    from torchmetrics.functional.image import universal_image_quality_index

    library = Torchmetrics()
    translated, real = faces(0, 32), faces(1, 32)
    found = library.metric("UniversalImageQualityIndex").load(CPU)(translated, real)
    due = [
        universal_image_quality_index((a[None] + 1) / 2, (b[None] + 1) / 2)
        for a, b in zip(translated, real, strict=True)
    ]
    assert found.tolist() == pytest.approx([each.item() for each in due])
    ssim = library.metric("StructuralSimilarityIndexMeasure")
    assert (ssim.better, ssim.load(CPU)(real, real).tolist()) == ("higher", pytest.approx([1, 1, 1]))
    assert library.metric("TotalVariation").reference is False
    with pytest.raises(UsageError, match="takes imgs, real"):
        library.metric("MemorizationInformedFrechetInceptionDistance")


@pytest.fixture
def other(monkeypatch: pytest.MonkeyPatch) -> Pyiqa:
    """A stand-in for pyiqa with what is used of it."""
    said = {
        "mad": {"metric_mode": "FR", "lower_better": True},
        "bright": {"metric_mode": "NR"},
        "fid": {"metric_mode": "NR", "lower_better": True},
        "fetched": {"metric_mode": "NR"},
    }

    def create_metric(name: str, device: Any) -> Any:
        if name == "fetched":
            urllib.request.urlopen("http://127.0.0.1:9/weights.pth", timeout=1)
        if name == "mad":
            return lambda image, real: (image - real).abs().mean((1, 2, 3))[:, None]
        return lambda image: image.mean()

    package, configs = ModuleType("pyiqa"), ModuleType("pyiqa.default_model_configs")
    package.create_metric = create_metric  # type: ignore[attr-defined]
    configs.DEFAULT_CONFIGS = said  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "pyiqa", package)
    monkeypatch.setitem(sys.modules, "pyiqa.default_model_configs", configs)
    monkeypatch.setattr(of_pyiqa, "find_spec", lambda name: SimpleNamespace())
    monkeypatch.setattr(of_pyiqa, "version", lambda name: "0.1")
    return Pyiqa()


def test_metrics_of_pyiqa_say_which_way_is_better_and_what_they_need(other: Pyiqa) -> None:
    mad, bright = other.metric("mad"), other.metric("bright")
    assert (mad.name, mad.better, mad.reference) == ("pyiqa:mad", "lower", True)
    assert (bright.better, bright.reference) == ("higher", False)
    due = [(one - two).abs().mean().item() / 2 for one, two in zip(faces(0), faces(1), strict=True)]
    assert mad.load(CPU)(faces(0), faces(1)).tolist() == pytest.approx(due)
    assert bright.load(CPU)(faces(0)).tolist() == pytest.approx([(each.mean().item() + 1) / 2 for each in faces(0)])


def test_metrics_of_pyiqa_that_cannot_be_are_refused(other: Pyiqa) -> None:
    with pytest.raises(UsageError, match="unknown metric of pyiqa 'brigt'; did you mean 'bright'"):
        other.metric("brigt")
    with pytest.raises(UsageError, match="pyiqa:fid compares sets of images"):
        other.metric("fid")
    with pytest.raises(UsageError, match="'pyiqa:fetched' asks for weights that are not on this machine"):
        other.metric("fetched").ready()


@pytest.mark.skipif(find_spec("pyiqa") is None, reason="pyiqa is not installed")
def test_a_metric_of_the_installed_pyiqa_measures() -> None:
    metric = Pyiqa().metric("gmsd")
    values = metric.load(CPU)(faces(0, 32), faces(1, 32))
    assert metric.better == "lower" and values.shape == (3,) and values.isfinite().all()
