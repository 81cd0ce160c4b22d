"""What lies in a workspace and is not what was meant: told in a line, never used, and done again."""

from __future__ import annotations

import hashlib
import shutil
from pathlib import Path

import pytest
from program import program

TOY = Path(__file__).parents[2] / "plugins" / "toy.py"
SMALL = ("--dataset", "toy", "--extra", "toy-extra", "--folds", "2", "--set", "fer-models.smallcnn.epochs=1")
METHODS = ("--methods", "none,toy-regression")


def call(*words: str, code: int = 0) -> str:
    done = program(*words)
    assert done.returncode == code, done.stdout + done.stderr
    assert "Traceback" not in done.stdout + done.stderr
    return done.stdout + done.stderr


def run(workspace: Path, *more: str, plugin: Path = TOY, code: int = 0) -> str:
    return call("run", "--plugin", str(plugin), "--workspace", str(workspace), *METHODS, *SMALL, *more, code=code)


def numbers(workspace: Path) -> dict[str, str]:
    kinds = ("faces", "networks", "translations", "quality", "recognition")
    return {
        str(file.relative_to(workspace)): hashlib.sha256(file.read_bytes()).hexdigest()
        for kind in kinds
        for file in sorted((workspace / kind).glob("*/*"))
        if file.name not in ("stage.json", "losses.csv")
    }


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    workspace = tmp_path_factory.mktemp("finished")
    run(workspace)
    return workspace


@pytest.fixture
def copy(finished: Path, tmp_path: Path) -> Path:
    shutil.copytree(finished, tmp_path / "copy")
    return tmp_path / "copy"


def first(workspace: Path, pattern: str) -> Path:
    return sorted(workspace.glob(pattern))[0]


def damage(w: Path) -> int:
    """Faults of every kind, each in an entry of its own, and two entries exchanged; returns how many that makes."""
    scores, predictions = sorted(w.glob("quality/*")), sorted(w.glob("recognition/*"))
    images, weights = sorted(w.glob("translations/*")), sorted(w.glob("networks/*"))
    flip(scores[0] / "scores.csv")
    flip(predictions[0] / "predictions.csv")
    flip(weights[0] / "weights.safetensors")
    flip(first(w, "faces/*/images.npy"))
    (scores[1] / "stage.json").write_text("[1, 2]")
    (images[0] / "stage.json").write_text("[" * 100_000)
    (weights[1] / "stage.json").unlink()
    as_file(predictions[1])
    as_folder(images[1] / "images.npy")
    exchange(images[2], images[3])
    return 11


def as_file(path: Path) -> None:
    shutil.rmtree(path)
    path.write_text("")


def as_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


def exchange(one: Path, other: Path) -> None:
    one.rename(one.with_name("aside"))
    other.rename(one)
    one.with_name("aside").rename(other)


def test_what_is_not_what_was_written_is_told_set_aside_and_made_again(finished: Path, copy: Path) -> None:
    count = damage(copy)
    told = call("verify", str(copy), "--set-aside", code=1)
    assert told.count("damaged: ") == count and all(len(line) < 500 for line in told.splitlines())
    assert len(list((copy / "damaged").iterdir())) == count
    run(copy)
    assert numbers(copy) == numbers(finished)
    assert "0 are not" in call("verify", str(copy))


def test_a_run_sees_by_itself_what_is_small_or_of_another_form(finished: Path, copy: Path) -> None:
    assert run(copy).count("damaged: ") == 0
    count = damage(copy)
    assert run(copy).count("damaged: ") == count
    assert numbers(copy) == numbers(finished)


def test_verify_changes_nothing_unless_asked(copy: Path) -> None:
    flip(first(copy, "networks/*/weights.safetensors"))
    before = sorted(copy.rglob("*"))
    assert "has changed since it was written" in call("verify", str(copy), code=1)
    assert sorted(copy.rglob("*")) == before
    assert "no workspace at" in call("verify", str(copy / "nowhere"), code=2)


def test_odd_caches_are_passed_over(copy: Path) -> None:
    for name, text in (("seconds", "[1, 2]"), ("leaks", "[" * 100_000), ("hashes", '{"x": {}, "y": null}')):
        (copy / "cache" / f"{name}.json").write_text(text)
    assert "nothing to do" in run(copy)


def test_a_file_where_a_folder_is_due_is_one_line(copy: Path) -> None:
    shutil.rmtree(copy / "networks")
    (copy / "networks").write_text("")
    assert "networks is a file where a folder is due" in run(copy, code=2)


def test_an_edited_plugin_is_told_and_its_results_can_be_made_again(tmp_path: Path) -> None:
    plugin = tmp_path / "edited_toy.py"
    plugin.write_text(TOY.read_text())
    workspace = tmp_path / "w"
    assert "has changed" not in run(workspace, plugin=plugin)
    before = numbers(workspace)
    plugin.write_text(plugin.read_text().replace("# standard deviation of the noise", "# how grainy it is"))
    assert "has changed" not in run(workspace, plugin=plugin)
    plugin.write_text(plugin.read_text().replace("return networks[", "return 0.5 * networks["))
    told = run(workspace, plugin=plugin)
    assert "the code of toy-regression has changed since" in told and "--again toy-regression" in told
    assert "nothing to do" in told and numbers(workspace) == before
    plan = call("plan", "--plugin", str(plugin), "--workspace", str(workspace), *METHODS, *SMALL)
    assert "the code of toy-regression has changed since" in plan
    told = run(workspace, "--again", "toy-regression", plugin=plugin)
    after = numbers(workspace)
    changed = {name for name in before if before[name] != after.get(name)}
    assert {name.partition("/")[0] for name in changed} >= {"translations", "quality"}
    assert not any("none" in name or name.startswith("faces") for name in changed)
    assert len(list((workspace / "replaced").iterdir())) > 4
    again = run(workspace, plugin=plugin)
    assert "nothing to do" in again and "of toy-regression has changed" not in again


def test_again_of_something_unknown_is_one_line(copy: Path) -> None:
    assert "did you mean 'toy-regression'?" in run(copy, "--again", "toy-regresion", code=2)
