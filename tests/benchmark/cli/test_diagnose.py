"""`diagnose` end to end: a guided method of a plugin file that trains, samples in steps and overshoots."""

from __future__ import annotations

from pathlib import Path

import pytest
from program import program
from typer.testing import CliRunner

from nferbench import UsageError
from nferbench.cli.app import app

TOY = Path(__file__).parents[2] / "plugins" / "toy.py"
WHERE = ("--dataset", "toy", "--extra", "toy-extra", "--folds", "2")
GUIDED = """
from dataclasses import dataclass, field
from typing import ClassVar

import torch
from nferbench import Translator, hookimpl, note_pushes
from nferbench.planning.plugins import import_file

RegressionRecipe = import_file(r"{toy}").RegressionRecipe


@dataclass(frozen=True)
class Guided(Translator):
    group: ClassVar = "diffusion"

    name: str = field(default="guided", compare=False)
    title: str = field(default="Guided", compare=False)
    network: RegressionRecipe = RegressionRecipe()
    lambda_a: float = 30.0
    steps: int = 12

    def networks(self):
        return {{"network": self.network}}

    def translate(self, vis, networks, noise):
        x = vis
        for k in reversed(range(self.steps)):
            score = 0.1 * (networks["network"](vis) - x)
            energy = -self.lambda_a * 0.01 * torch.ones_like(x) * k / self.steps
            note_pushes(k, 10 * k, lambda: {{"score": score, "E_a": energy, "noise": 0 * x}})
            x = x + score
        return x


@hookimpl
def nferbench_translators():
    return [Guided()]
"""


@pytest.fixture(scope="module")
def guided(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("plugin") / "guided.py"
    file.write_text(GUIDED.format(toy=TOY))
    return file


def call(command: str, plugin: Path, workspace: Path, *words: str, code: int = 0) -> str:
    plugins = ("--plugin", str(TOY), "--plugin", str(plugin))
    done = program(command, *plugins, *WHERE, "--workspace", workspace, *words)
    assert done.returncode == code, done.stdout + done.stderr
    assert "Traceback" not in done.stdout + done.stderr
    return done.stdout + done.stderr


@pytest.fixture(scope="module")
def diagnosed(guided: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    workspace = tmp_path_factory.mktemp("diagnosed")
    return workspace, call("diagnose", guided, workspace, "guided", "toy-regression", "--faces", "4")


def test_pushes_are_shown_and_an_overshoot_is_named(diagnosed: tuple[Path, str]) -> None:
    workspace, text = diagnosed
    assert "the first 4 test faces of fold 0; 3 stages, 3 to run" in text
    lines = [line.split() for line in text.splitlines()]
    assert ["t", "score", "E_a", "noise"] in lines
    assert [line[0] for line in lines if len(line) == 4 and line[0].isdecimal()] == [
        *("110", "100", "90", "70", "60", "50", "40", "20", "10", "0")
    ]
    assert "times as hard as the score at t = " in text
    assert "the weight lambda_a = 30 overshoots in 12 steps; try more steps or a smaller weight" in text
    found = {path.name for path in (workspace / "diagnosis").iterdir()}
    assert found == {"guided.csv", "pushes.png", "faces.png"}
    stored = next(workspace.glob("translations/guided-toy-test-fold0-first4-*/pushes.csv"))
    assert (workspace / "diagnosis" / "guided.csv").read_bytes() == stored.read_bytes()
    assert not list(workspace.glob("records/*"))  # few faces make no table


def test_again_it_does_nothing_anew_and_a_run_finds_the_networks(diagnosed: tuple[Path, str], guided: Path) -> None:
    workspace, before = diagnosed
    out = workspace / "elsewhere"
    again = call("diagnose", guided, workspace, "guided", "--faces", "4", "--out", str(out))
    assert "3 stages, 0 to run" in again and (out / "pushes.png").is_file()
    notes = [[line for line in text.splitlines() if "overshoots" in line] for text in (before, again)]
    assert notes[0] == notes[1] != []
    planned = call("plan", guided, workspace, "--methods", "guided")
    assert "done     networks network-toy-fold0\n" in planned
    assert "to run   translations guided-toy-test-fold0  (new)" in planned


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("toy-regression",), "nothing to diagnose: toy-regression: a face is not moved step by step there"),
        (("guided", "--fold", "0,1"), "--fold 0,1: one fold is looked at; write --fold 0"),
        (("guided", "--fold", "2"), "there is no fold 2; allowed: 0 to 1"),
        (("guided", "--methods", "none"), "--methods none: methods are named twice, also as guided; keep one"),
        (("gided",), "unknown method 'gided'; did you mean 'guided'?"),
    ],
)
def test_bad_use_is_one_clear_line(guided: Path, tmp_path: Path, words: tuple[str, ...], told: str) -> None:
    whole = ["diagnose", "--plugin", str(TOY), "--plugin", str(guided), *WHERE, "--workspace", str(tmp_path), *words]
    error = CliRunner().invoke(app, whole).exception
    assert isinstance(error, UsageError) and told in str(error) and "\n" not in str(error)
    assert not list(tmp_path.glob("*/*/stage.json"))
