"""Pre-training: a file for each network, the same bytes every time, from which a run starts and says so."""

from __future__ import annotations

import hashlib
import shutil
from pathlib import Path

import pytest
from program import program

TINY = ("--methods", "pix2pix", "--set", "methods.pix2pix.generator.epochs=1", "--preset", "quick-cold")
OTHERS = ("--set", "datasets.synthetic-others.subjects=2")


def run(*arguments: str, code: int = 0) -> str:
    done = program(*arguments)
    assert done.returncode == code, done.stdout + done.stderr
    return done.stdout + done.stderr


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    folder = tmp_path_factory.mktemp("pretrain")
    told = run("pretrain", *TINY, *OTHERS, "--workspace", str(folder / "ws"), "--half", "--out", str(folder / "one"))
    return folder, told


def test_the_same_command_writes_the_same_bytes(made: tuple[Path, str]) -> None:
    folder, told = made
    file = folder / "one" / "pix2pix.safetensors"
    assert f"12 pairs seen, SHA-256 {hashlib.sha256(file.read_bytes()).hexdigest()}" in told
    run("pretrain", *TINY, *OTHERS, "--workspace", str(folder / "again"), "--half", "--out", str(folder / "two"))
    assert (folder / "two" / "pix2pix.safetensors").read_bytes() == file.read_bytes()


def test_a_run_starts_from_them_and_its_table_says_so(made: tuple[Path, str]) -> None:
    folder, _ = made
    start = f"methods.pix2pix.generator.init={folder / 'one' / 'pix2pix.safetensors'}"
    few = ("--set", "datasets.synthetic-hfe.subjects=2", "--folds", "2", "--fold", "0", "--extra", "none")
    run("run", *TINY, *few, "--set", start, "--workspace", str(folder / "ws"))
    assert "networks pre-trained on Synthetic, other people, 12 pairs seen" in run(
        "report", "--markdown", "--workspace", str(folder / "ws")
    )


def test_weights_of_the_tested_people_are_refused(made: tuple[Path, str]) -> None:
    folder, _ = made
    start = f"methods.pix2pix.generator.init={folder / 'one' / 'pix2pix.safetensors'}"
    same = ("--dataset", "synthetic-others", "--extra", "none", "--folds", "2", *OTHERS, "--set", start)
    assert "trained on everyone in synthetic-others" in run(
        "run", *TINY, *same, "--workspace", str(folder / "ws"), code=2
    )


def test_weights_that_have_changed_since_are_not_exported(made: tuple[Path, str]) -> None:
    folder, _ = made
    copy = folder / "changed"
    shutil.copytree(folder / "ws", copy)
    (stored,) = copy.glob("networks/pix2pix-synthetic-others-*/weights.safetensors")
    content = bytearray(stored.read_bytes())
    content[-4:] = bytes(4)
    stored.write_bytes(content)
    told = run("pretrain", *TINY, *OTHERS, "--workspace", str(copy), "--out", str(folder / "bad"), code=2)
    assert (
        "weights.safetensors has changed since it was written; set aside" in told
        and not (folder / "bad" / "pix2pix.safetensors").exists()
    )


def test_two_networks_of_one_name_are_not_written_over_each_other(tmp_path: Path) -> None:
    two = ("--methods", "sdedit,ilvr", "--set", "methods.ilvr.score.steps=1", "--preset", "quick-cold", *OTHERS)
    told = run("pretrain", *two, "--workspace", str(tmp_path), "--out", str(tmp_path / "w"), code=2)
    assert "two different networks are called u-nir" in told
