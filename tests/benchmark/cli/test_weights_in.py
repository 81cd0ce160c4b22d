"""Weights of another workspace: looked at before any work, used as they are without updates, and told in the table."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from program import program
from safetensors.torch import load_file, save_file

TINY = ("--methods", "pix2pix", "--preset", "quick-cold")
FEW = ("--set", "datasets.synthetic-hfe.subjects=2", "--folds", "2", "--fold", "0", "--extra", "none")
OTHERS = ("--dataset", "synthetic-others", "--set", "datasets.synthetic-others.subjects=2", *FEW[2:])
EPOCHS = "methods.pix2pix.generator.epochs"
INIT = "methods.pix2pix.generator.init"


def run(*arguments: str, code: int = 0) -> str:
    done = program(*arguments)
    assert done.returncode == code, done.stdout + done.stderr
    return done.stdout + done.stderr


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    workspace = tmp_path_factory.mktemp("elsewhere")
    run("run", *TINY, *OTHERS, "--set", f"{EPOCHS}=1", "--workspace", str(workspace))
    (file,) = workspace.glob("networks/pix2pix-*/weights.safetensors")
    return file


def test_without_updates_weights_of_another_workspace_are_used_as_they_are(weights: Path, tmp_path: Path) -> None:
    frozen = (*TINY, *FEW, "--set", f"{EPOCHS}=0", "--set", f"{INIT}={weights}", "--workspace", str(tmp_path))
    told = run("plan", *frozen)
    assert "note: pix2pix: not in " in told and "started from nothing: discriminator" in told
    assert "training pix2pix: not timed" not in told and "could not be timed" not in told
    run("run", *frozen)
    (file,) = tmp_path.glob("networks/pix2pix-*/weights.safetensors")
    used, given = load_file(file), load_file(weights)
    assert used.keys() == given.keys() and all(torch.equal(used[name], given[name]) for name in given)
    (record,) = tmp_path.glob("records/*.json")
    assert "pix2pix: weights as released, not trained on this set" in record.read_text("utf-8")


def test_weights_of_a_fold_are_refused_for_people_that_it_trained_on(weights: Path, tmp_path: Path) -> None:
    start = (*TINY, "--set", f"{EPOCHS}=0", "--set", f"{INIT}={weights}", "--workspace", str(tmp_path))
    other = (*OTHERS[:-4], "--fold", "1", "--extra", "none")
    assert "were trained on people in synthetic-others who are tested now" in run("plan", *start, *other, code=2)


def test_weights_that_do_not_fit_are_refused_before_any_work(tmp_path: Path) -> None:
    other = tmp_path / "other.safetensors"
    save_file({"w": torch.ones(1)}, other)
    told = run("run", *TINY, *FEW, "--set", f"{INIT}={other}", "--workspace", str(tmp_path / "ws"), code=2)
    assert "do not fit: 'encoder.0.0.weight' is missing" in told
    assert not list((tmp_path / "ws").glob("faces/*"))
