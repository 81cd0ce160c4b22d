"""Which metrics a run measures by: from words to values, stages and what a record says."""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, ClassVar

import pytest

from nferbench.contract.errors import UsageError
from nferbench.contract.metric import ImageMetric, MetricLibrary
from nferbench.planning.again import again
from nferbench.planning.costs import cost_key, units
from nferbench.planning.plan import Work, plan_work
from nferbench.planning.plugins import Plugins, load_plugins
from nferbench.planning.records import write_record
from nferbench.planning.settings import Request, Settings, resolve
from nferbench.planning.status import Status
from nferbench.workspace.stages import MeasureTranslation, ScoreTranslation, description, key
from nferbench.workspace.store import Store

FOLDER = Path(__file__).parents[2] / "plugins"
PLUGINS = load_plugins([str(FOLDER / "toy.py"), str(FOLDER / "toy_metrics.py")], installed=False)
LPIPS = "lpips-0.1-alexnet-7be5be79"


@dataclass(frozen=True)
class Named(ImageMetric):
    """One of a library's."""

    better: ClassVar = "lower"

    name: str = field(compare=False)
    title: str = field(compare=False)
    which: str = ""

    def load(self, device: Any) -> Any: ...


@dataclass(frozen=True)
class Shelf(MetricLibrary):
    name: str = field(default="shelf", compare=False)
    title: str = field(default="A library", compare=False)

    def metric(self, name: str) -> ImageMetric:
        if name == "raises":
            raise KeyError("a bug")
        if name == "none":
            raise UsageError("shelf:none is not there; choose another")
        return Named(f"shelf:{name}", name, name)


def with_library() -> Plugins:
    items = {**PLUGINS.metrics.items, "shelf": Shelf()}
    return replace(PLUGINS, metrics=replace(PLUGINS.metrics, items=items))


def settings(*metrics: str, changes: tuple[str, ...] = (), **request: Any) -> Settings:
    chosen = {"dataset": "toy", "extra": "none", "methods": ("none", "toy-regression"), "folds": 2, **request}
    return resolve(Request(**chosen, metrics=metrics, changes=changes), with_library())


def problem(*metrics: str, changes: tuple[str, ...] = (), **request: Any) -> str:
    with pytest.raises(UsageError) as raised:
        settings(*metrics, changes=changes, **request)
    return str(raised.value)


def work(path: Path, *metrics: str, changes: tuple[str, ...] = (), **request: Any) -> Work:
    return plan_work(settings(*metrics, changes=changes, **request), {}, Store(path), LPIPS)


def test_by_default_nothing_is_measured_beside_what_every_run_scores(tmp_path: Path) -> None:
    found = work(tmp_path)
    assert found.settings.metrics == ()
    assert not any(isinstance(stage, MeasureTranslation) for stage in found.stages)
    assert work(tmp_path, "lpips", "psnr", "ssim").stages == found.stages


def test_keys_of_what_was_stored_before_there_were_other_metrics_are_kept(tmp_path: Path) -> None:
    request = Request("synthetic-hfe", ("none", "cond"), preset="quick", changes=("datasets.synthetic-hfe.subjects=6",))
    found = plan_work(resolve(request, load_plugins(installed=False)), {}, Store(tmp_path), LPIPS)
    scores = [stage for stage in found.stages if isinstance(stage, ScoreTranslation)]
    assert [key(stage)[:16] for stage in scores[:2]] == ["4b245e792fe83620", "b1de63db80d27b69"]
    assert set(description(scores[0])) == {"kind", "version", "lpips", "needs"}


def test_a_metric_adds_a_stage_a_row_and_fold_and_changes_no_other(tmp_path: Path) -> None:
    before, after = work(tmp_path), work(tmp_path, "toy-gap", "toy-bright", "toy-gap")
    more = [stage for stage in after.stages if stage not in before.stages]
    assert [stage for stage in after.stages if stage in before.stages] == list(before.stages)
    assert len(more) == 2 * 2 * 2 and all(isinstance(stage, MeasureTranslation) for stage in more)
    assert len({key(stage) for stage in after.stages}) == len(after.stages)
    first = more[0]
    assert isinstance(first, MeasureTranslation) and first.kind == "quality"
    assert units(first, after) == units(first.translation, after)
    assert cost_key(first, "cpu") != cost_key(more[1], "cpu")


def test_fields_of_a_metric_are_part_of_its_key_and_names_are_not(tmp_path: Path) -> None:
    def keys(*changes: str) -> set[str]:
        stages = work(tmp_path, "toy-gap", changes=changes).stages
        return {key(stage) for stage in stages if isinstance(stage, MeasureTranslation)}

    assert keys() != keys("metrics.toy-gap.factor=2")
    assert keys() == keys("metrics.toy-gap.title=Another")


def test_a_detector_of_a_metric_is_named_like_any_other_with_its_own_settings() -> None:
    (metric,) = settings(
        "landmarks", changes=("metrics.landmarks.detector=toy-disc", "detectors.toy-disc.radius=7")
    ).metrics
    assert (metric.detector.name, metric.detector.radius) == ("toy-disc", 7)  # type: ignore[attr-defined]
    (metric,) = settings("landmarks", changes=("detectors.mesh.threshold=0.3",)).metrics
    assert metric.detector.threshold == 0.3  # type: ignore[attr-defined]
    (metric,) = settings("landmarks", changes=("metrics.landmarks.detector.threshold=0.2",)).metrics
    assert metric.detector.threshold == 0.2  # type: ignore[attr-defined]
    said = problem("landmarks", changes=("metrics.landmarks.detector=toy-disk",))
    assert "metrics.landmarks.detector: unknown face detector 'toy-disk'; did you mean 'toy-disc'?" in said


def test_a_preset_sets_fields_of_metrics(tmp_path: Path) -> None:
    preset = tmp_path / "mine.yaml"
    preset.write_text("base: quick\nmetrics: {toy-gap: {factor: 3}, 'shelf:one': {title: One of them}}\n")
    gap, one = settings("toy-gap", "shelf:one", preset=str(preset)).metrics
    assert (gap.factor, one.title, one.which) == (3, "One of them", "one")  # type: ignore[attr-defined]


def test_a_metric_of_a_library_is_called_by_both_names(tmp_path: Path) -> None:
    found = work(tmp_path, "shelf:one", "shelf:two")
    assert [metric.name for metric in found.settings.metrics] == ["shelf:one", "shelf:two"]
    assert all(":" not in stage.label() for stage in found.stages)


def test_all_are_the_metrics_that_are_registered_by_themselves() -> None:
    names = [metric.name for metric in settings("all").metrics]
    assert names == ["landmarks", "faces-missed", "toy-gap", "toy-bright", "toy-relative"]


@pytest.mark.parametrize(
    ("metrics", "changes", "reason"),
    [
        (("toy-gab",), (), "unknown metric 'toy-gab'; did you mean 'toy-gap'? (nferbench metrics lists all)"),
        (("toy-gap:x",), (), "unknown metric 'toy-gap:x'; did you mean 'toy-gap'?"),
        (("shelf",), (), "shelf is a library of metrics; name one of them, as in shelf:NAME"),
        (("shelf:",), (), "shelf is a library of metrics"),
        (("shelf:none",), (), "shelf:none is not there; choose another"),
        (("shelf:raises",), (), "metric shelf:raises: KeyError: 'a bug'"),
        (("toy-gap",), ("metrics.toy-gap.faktor=2",), "metrics.toy-gap has no field 'faktor'; did you mean 'factor'?"),
        (("toy-gap",), ("metrics.toy-gap.factor=much",), "metrics.toy-gap.factor: 'much' is not allowed"),
        (("landmarks",), ("metrics.landmarks.missed=0",), "missed is 0.0; a distance above 0 is due"),
        (("toy-gap",), ("metrics.landmarks.missed=2",), "--set metrics.landmarks.missed changes nothing"),
        ((), ("metrics.psnr.convention=paper",), "metrics.psnr: the protocol sets LPIPS, PSNR and SSIM"),
        ((), ("metrics.nowhere.x=1",), "unknown metric 'nowhere'"),
        (("toy-gap",), ("metrics.toy-gap.title=lpips",), "metric toy-gap has the title of another column, lpips"),
        (("toy-gap",), ("metrics.toy-gap.title=' '",), "metric toy-gap: the title is ' '; one printable line"),
    ],
)
def test_what_cannot_be_measured_by_is_told_in_a_line(
    metrics: tuple[str, ...], changes: tuple[str, ...], reason: str
) -> None:
    (line,) = [line for line in problem(*metrics, changes=changes).splitlines() if reason in line]
    assert line


def test_a_metric_can_be_asked_for_again(tmp_path: Path) -> None:
    found = work(tmp_path, "toy-gap", "toy-bright")
    done = [Status(stage, "done") for stage in found.stages]
    wanted = [each.stage for each in again(found, done, ["toy-gap"]) if each.state == "again"]
    assert len(wanted) == 4
    assert {stage.metric.name for stage in wanted if isinstance(stage, MeasureTranslation)} == {"toy-gap"}


METRIC = (
    "from dataclasses import dataclass\nimport nferbench\n\n@dataclass(frozen=True)\n"
    "class Mine(nferbench.ImageMetric):\n    better = 'lower'\n    name: str = 'mine'\n    title: str = 'Mine'\n"
    "    {}\n    def load(self, device): ...\n"
    "@nferbench.hookimpl\ndef nferbench_metrics():\n    return [Mine()]\n"
)


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("name: str = 'lpips'", "both register 'lpips'"),
        ("name: str = 'Accuracy'", "the name 'Accuracy' means something else"),
        ("name: str = 'psnr_paper'", "the name 'psnr_paper' means something else"),
        ("name: str = 'all'", "the name 'all' means something else"),
        ("name: str = 'lib:x'", "the name is 'lib:x'"),
        ("better = 'up'", "better is 'up'; allowed: higher, lower"),
        ("reference = 1", "reference is 1; True or False is due"),
        ("decimals = -1", "decimals is -1; a whole number of at least 0"),
        ("decimals = 12", "decimals is 12; at most 9"),
        ("lacking = 3", "lacking is 3; one printable line"),
        ("note = 'a\\nb'", "the note is"),
        ("x: list = None", ""),
        ("x: object = print", "no plain value"),
    ],
)
def test_a_metric_is_held_to_its_contract_when_it_registers(tmp_path: Path, line: str, reason: str) -> None:
    file = tmp_path / f"mine_{abs(hash(line))}.py"
    file.write_text(METRIC.format(line))
    failures = load_plugins([str(file)], installed=False).failures
    assert [reason in failure.reason for failure in failures] == ([True] if reason else [])


def recorded(path: Path, *metrics: str, changes: tuple[str, ...] = (), **request: Any) -> dict[str, Any]:
    name = write_record(work(path, *metrics, changes=changes, **request), Store(path), "nferbench run")
    rows: list[dict[str, Any]] = json.loads((path / "records" / f"{name}.json").read_text())["rows"]
    return {row["name"]: row for row in rows}


def test_a_record_says_of_each_row_what_it_is_measured_by(tmp_path: Path) -> None:
    rows = recorded(tmp_path, "toy-gap", "toy-bright")
    assert "metrics" not in rows["nir-only"]
    gap, bright = rows["none"]["metrics"]
    assert (gap["name"], gap["title"], gap["better"], gap["decimals"]) == ("toy-gap", "Gap", "lower", 3)
    assert gap["identity"] != bright["identity"]
    for fold in rows["none"]["folds"]:
        assert [each["name"] for each in fold["metrics"]] == ["toy-gap", "toy-bright"]
        assert all(each["path"].startswith("quality/") for each in fold["metrics"])


def test_what_was_measured_stays_with_its_translation_where_another_run_does_not_name_it(tmp_path: Path) -> None:
    first = recorded(tmp_path, "toy-gap", "toy-bright")
    assert recorded(tmp_path)["none"] == first["none"]
    second = recorded(tmp_path, "toy-gap", changes=("metrics.toy-gap.factor=2",))["none"]
    assert {each["name"] for each in second["metrics"]} == {"toy-gap", "toy-bright"}
    before, after = ({m["name"]: m for m in row["folds"][0]["metrics"]} for row in (first["none"], second))
    assert before["toy-gap"]["key"] != after["toy-gap"]["key"]
    assert before["toy-bright"] == after["toy-bright"]
    other = recorded(tmp_path, methods=("toy-regression",), changes=("methods.toy-regression.grain=0.1",))
    assert "metrics" not in other["toy-regression"] and other["none"] == second
