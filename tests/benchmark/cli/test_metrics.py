"""Measuring a workspace that is finished: only the new stages run, and their columns stand in the tables."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pandas as pd
import pytest
from program import program
from typer.testing import CliRunner

from nferbench.cli.app import app

PLUGINS = Path(__file__).parents[2] / "plugins"
WORDS = (
    *("--plugin", str(PLUGINS / "toy.py"), "--plugin", str(PLUGINS / "toy_metrics.py"), "--dataset", "toy"),
    *("--extra", "none", "--folds", "2", "--methods", "none,toy-regression", "--jobs", "1"),
)


def run(workspace: Path, *more: str, code: int = 0) -> str:
    words = ("run", *WORDS, "--workspace", str(workspace), *more)
    done = program(*words)
    assert done.returncode == code, done.stdout + done.stderr
    assert "Traceback" not in done.stdout + done.stderr
    return done.stdout + done.stderr


def stored(workspace: Path) -> dict[str, tuple[int, str]]:
    """When each file of a stage was written, and what is in it."""
    kinds = ("faces", "networks", "translations", "quality", "recognition")
    files = [file for kind in kinds for file in (workspace / kind).glob("*/*")]
    return {
        str(file.relative_to(workspace)): (file.stat().st_mtime_ns, hashlib.sha256(file.read_bytes()).hexdigest())
        for file in files
    }


def test_a_metric_is_added_to_a_finished_workspace_and_stays_there(tmp_path: Path) -> None:
    workspace = tmp_path / "w"
    run(workspace)
    before = stored(workspace)
    metrics = ("--metrics", "toy-gap,landmarks", "--set", "metrics.landmarks.detector=toy-disc")
    assert "8 to run" in (said := run(workspace, *metrics)) and "8 stages done, 0 not" in said
    after = stored(workspace)
    assert {name: after[name] for name in before} == before
    new = {name.partition("/")[0] for name in after if name not in before}
    assert new == {"quality"} and len(after) == len(before) + 8 * 2
    assert "nothing to do" in run(workspace)  # by a run that does not name them
    done = CliRunner().invoke(app, ["report", "--workspace", str(workspace), "--out", str(tmp_path / "r")])
    assert done.exit_code == 0 and "Landmarks ↓" in done.output and "Gap ↓" in done.output
    table = pd.read_csv(tmp_path / "r" / "tables.csv").set_index(["method", "metric"])["pooled"]
    assert table["none", "landmarks"] == 1 > table["toy-regression", "landmarks"] >= 0
    assert table["none", "toy-gap"] > table["toy-regression", "toy-gap"] > 0


BROKEN = """
from dataclasses import dataclass
import nferbench

@dataclass(frozen=True)
class Unready(nferbench.ImageMetric):
    better = "lower"
    name: str = "unready"
    title: str = "Unready"
    def ready(self):
        raise nferbench.UsageError("metric 'unready' needs the package nowhere; pip install nowhere")
    def load(self, device): ...

@dataclass(frozen=True)
class Undefined(Unready):
    name: str = "undefined"
    title: str = "Undefined"
    def ready(self): ...
    def load(self, device):
        return lambda translated, real: 0 / (translated - translated).sum((1, 2, 3))

@nferbench.hookimpl
def nferbench_metrics():
    return [Unready(), Undefined()]
"""


def test_a_metric_that_is_not_ready_stops_a_run_and_one_that_fails_costs_its_own_column(tmp_path: Path) -> None:
    plugin = tmp_path / "broken_metrics.py"
    plugin.write_text(BROKEN)
    more = ("--plugin", str(plugin), "--methods", "none")
    said = run(tmp_path / "w", *more, "--metrics", "unready", code=2)
    assert "metric 'unready' needs the package nowhere; pip install nowhere" in said
    assert not list((tmp_path / "w").glob("translations/*"))
    said = run(tmp_path / "w", *more, "--metrics", "undefined", code=1)
    assert "metric 'undefined' gives nan for face p0" in said and "2 not" in said
    done = CliRunner().invoke(
        app, ["report", "--markdown", "--workspace", str(tmp_path / "w"), "--out", str(tmp_path / "r")]
    )
    assert "none of 2 folds: fold 0: failed: metric 'undefined' gives nan for face p0" in done.output
    table = pd.read_csv(tmp_path / "r" / "tables.csv").set_index(["method", "metric"])["pooled"]
    assert pd.isna(table["none", "undefined"]) and table["none", "psnr"] > 0


def test_metrics_are_listed_with_direction_and_what_they_lack() -> None:
    done = CliRunner().invoke(app, ["metrics", "--plugin", str(PLUGINS / "toy_metrics.py"), "--json"])
    assert done.exit_code == 0
    listed = {each["name"]: each for each in json.loads(done.output)["metrics"]}
    assert {"lpips", "psnr", "ssim", "landmarks", "faces-missed", "torchmetrics", "pyiqa", "toy-gap"} <= set(listed)
    assert [listed[name]["in_every_run"] for name in ("lpips", "psnr", "ssim", "landmarks")] == [True] * 3 + [False]
    assert (listed["toy-gap"]["better"], listed["toy-bright"]["reference"]) == ("lower", False)
    assert listed["toy-gap"]["settings"]["factor"] == 1 and listed["torchmetrics"]["library"]
    plain = CliRunner().invoke(app, ["metrics"])
    assert plain.exit_code == 0 and "torchmetrics:NAME" in plain.output


@pytest.mark.parametrize("word", ["landmark", "torchmetrics"])
def test_a_wrong_name_is_one_line(tmp_path: Path, word: str) -> None:
    said = run(tmp_path / "w", "--metrics", word, code=2)
    assert ("did you mean 'landmarks'?" if word == "landmark" else "name one of them, as in torchmetrics:NAME") in said
    assert len([line for line in said.splitlines() if line]) == 1
