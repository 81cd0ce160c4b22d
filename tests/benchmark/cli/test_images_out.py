"""`export` and `translate` end to end: a tiny set of drawn photographs, a method that trains, and pictures out."""

from __future__ import annotations

import csv
import shutil
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image
from program import program
from typer.testing import CliRunner

from nferbench.cli.app import app
from nferbench.contract.errors import NferbenchError
from nferbench.engine.agenda import Outcome
from nferbench.engine.worker import Setup, attempt, settled
from nferbench.faces.prepared import read_prepared
from nferbench.faces.translated import read_translated
from nferbench.workspace.stages import Stage
from nferbench.workspace.store import Store

TOY = Path(__file__).parents[2] / "plugins" / "toy.py"
PEOPLE = ("p0", "p1", "p2", "p3")
METHOD = "toy-regression"


def drawn(path: Path, seed: int) -> Path:
    """A photograph of nothing, larger than a face."""
    path.parent.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(seed)
    small = Image.fromarray(rng.integers(60, 256, (5, 4, 3), dtype=np.uint8))
    small.resize((30, 40), Image.Resampling.BICUBIC).save(path)
    return path


def manifest(folder: Path, rows: list[dict[str, str]], name: str = "manifest.csv") -> Path:
    with (folder / name).open("w", newline="") as file:
        writer = csv.DictWriter(file, ("path", "modality", "subject", "expression", "pair", "split"), restval="")
        writer.writeheader()
        writer.writerows(rows)
    return folder / name


def by_processes(*words: str) -> str:
    done = program(*words)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def run(*words: str, code: int = 0) -> str:
    """What a command says that does its stages in this process, without the time that workers take to start."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("nferbench.engine.runner.run_stages", here)
        done = CliRunner().invoke(app, words)
    assert done.exit_code == code, done.output
    return done.output


def here(stages: Sequence[Stage], setup: Setup, store: Store, *_: object, **__: object) -> Outcome:
    device = settled(setup)
    ended = {stage: attempt(stage, setup, SimpleNamespace(send=lambda message: None), device, {}) for stage in stages}
    failed = {stage: finished for stage, finished in ended.items() if finished.status != "done"}
    return Outcome(tuple(stage for stage in ended if stage not in failed), failed)


def refused(*words: str) -> str:
    """The one line of a command that ends with an error."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("nferbench.engine.runner.run_stages", here)
        error = CliRunner().invoke(app, words).exception
    assert isinstance(error, NferbenchError) and "\n" not in str(error), error
    return str(error)


def table(folder: Path) -> list[dict[str, str]]:
    with (folder / "faces.csv").open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def pixels(path: Path) -> np.ndarray:
    return np.asarray(Image.open(path))


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a data set, `set`, and a workspace, `ws`, in which two folds of it are done."""
    folder = tmp_path_factory.mktemp("made")
    rows = []
    for place, person in enumerate(PEOPLE):
        for number, label in enumerate(("happy", "sad")):
            for modality in ("vis", "nir"):
                file = f"{modality}/{person}/{label}.png"
                drawn(folder / "set" / file, 100 * place + 10 * number + (modality == "nir"))
                rows.append(
                    {
                        "path": file,
                        "modality": modality,
                        "subject": person,
                        "expression": label,
                        "pair": f"{person}-{label}",
                        "split": str(place // 2),
                    }
                )
    where = manifest(folder / "set", rows)
    words = ("--methods", f"none,{METHOD}", "--dataset", str(where), "--extra", "none", "--preset", "quick")
    sizes = ("--set", "size=16", "--folds", "2", "--jobs", "1", "--plugin", str(TOY))
    by_processes("run", *words, *sizes, "--workspace", str(folder / "ws"))
    return folder


def stored(made: Path, row: str, fold: int) -> Path:
    (path,) = (made / "ws" / "translations").glob(f"{row}-*-test-fold{fold}-*")
    return path


def translate(made: Path, source: Path, out: Path, *words: str) -> str:
    return run("translate", METHOD, str(source), str(out), *common(made), *words)


def common(made: Path) -> tuple[str, ...]:
    return ("--workspace", str(made / "ws"), "--plugin", str(TOY), "--device", "cpu", "--jobs", "1")


def not_translated(made: Path, source: Path, out: Path, *words: str) -> str:
    return refused("translate", METHOD, str(source), str(out), *common(made), *words)


# export


def test_exported_faces_are_the_stored_ones(made: Path, tmp_path: Path) -> None:
    words = ("export", "--workspace", str(made / "ws"), "--out", str(tmp_path), "--with-originals")
    told = run(*words)
    (folder,) = tmp_path.iterdir()
    assert f"32 faces of {folder.name}" in told and "32 of them written now" in told and "licence" in told
    rows = table(folder)
    assert len(rows) == len({row["file"].casefold() for row in rows}) == 32
    for name in ("none", METHOD):
        for fold in (0, 1):
            there = read_translated(stored(made, name, fold))
            mine = [row for row in rows if (row["row"], row["fold"]) == (name, str(fold))]
            assert [(row["id"], row["subject"]) for row in mine] == [(face.id, face.subject) for face in there.faces]
            for row, image in zip(mine, there.images, strict=True):
                assert row["file"] == f"{name}/fold{fold}/{row['id']}"
                assert stored(made, name, fold).name.endswith(row["stage"][:12])
                np.testing.assert_array_equal(pixels(folder / row["file"]), image)
    (faces,) = (made / "ws" / "faces").glob("set-*")
    prepared = read_prepared(faces)
    images = {face.id: image for face, image in zip(prepared.faces, prepared.images, strict=True)}
    originals = [row for row in rows if row["row"] in ("vis", "nir")]
    assert {row["id"] for row in originals} == set(images)
    for row in originals:
        np.testing.assert_array_equal(pixels(folder / row["file"]), images[row["id"]])
    assert "32 faces" in (again := run(*words)) and ", 0 of them written now" in again


def test_rows_and_folds_are_chosen_and_what_is_not_there_is_told(made: Path, tmp_path: Path) -> None:
    words = ("export", "--workspace", str(made / "ws"), "--out", str(tmp_path / "out"))
    assert "4 faces of" in run(*words, "--methods", METHOD, "--fold", "1")
    assert "unknown row 'toy'" in refused(*words, "--methods", "toy")
    assert "has no fold 2; it has 0, 1" in refused(*words, "--fold", "2")
    assert "unknown record 'x'" in refused(*words, "x")
    assert "row 'nir-only' of" in refused(*words, "--methods", "nir-only")
    assert "no finished translation of the extra set" in refused(*words, "--part", "extra")
    assert "no workspace at" in refused("export", "--workspace", str(tmp_path / "none"))
    assert not (tmp_path / "none").exists()


def test_nothing_is_exported_over_other_files_or_from_changed_ones(made: Path, tmp_path: Path) -> None:
    shutil.copytree(made / "ws", tmp_path / "ws")
    words = ("export", "--workspace", str(tmp_path / "ws"), "--out", str(tmp_path / "out"), "--methods", METHOD)
    run(*words, "--fold", "0")
    assert "faces.csv is there with other content" in refused(*words, "--fold", "1")
    (damaged,) = (tmp_path / "ws" / "translations").glob(f"{METHOD}-*-test-fold1-*/images.npy")
    content = bytearray(damaged.read_bytes())
    content[-1] ^= 1
    damaged.write_bytes(content)
    assert "images.npy has changed since it was written" in refused(*words[:-2], "--out", str(tmp_path / "second"))
    assert not (tmp_path / "second").exists()


def test_a_fold_that_is_not_done_is_noted_or_refused_where_it_is_named(made: Path, tmp_path: Path) -> None:
    shutil.copytree(made / "ws", tmp_path / "ws")
    shutil.rmtree(next((tmp_path / "ws" / "translations").glob(f"{METHOD}-*-test-fold1-*")))
    words = ("export", "--workspace", str(tmp_path / "ws"), "--out", str(tmp_path / "out"))
    told = run(*words)
    assert f"note: row '{METHOD}' of" in told and "fold 1 of the test faces is not done" in told and "12 faces" in told
    assert "fold 1 of the test faces is not done; start its run again" in refused(*words, "--fold", "1")


# translate


def test_the_set_itself_is_translated_as_in_the_run_by_the_fold_that_held_each_person_out(
    made: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    words = ("translate", METHOD, str(made / "set" / "manifest.csv"), str(out), *common(made), "--fold", "auto")
    assert "8 faces in" in by_processes(*words)
    rows = {row["source"]: row for row in table(out)}
    for fold in (0, 1):
        there = read_translated(stored(made, METHOD, fold))
        for face, image in zip(there.faces, there.images, strict=True):
            row = rows.pop(face.id)
            assert (row["fold"], row["seed"], row["trained_on"], row["subject"]) == (str(fold), "0", "", face.subject)
            np.testing.assert_array_equal(pixels(out / row["file"]), image)
    assert not rows
    before = {path: path.stat().st_mtime_ns for path in out.rglob("*.png")}
    assert "0 of them written now" in run(*words)
    assert {path: path.stat().st_mtime_ns for path in out.rglob("*.png")} == before


def test_a_photograph_that_was_trained_on_is_refused_or_marked(made: Path, tmp_path: Path) -> None:
    photos = tmp_path / "photos"
    photos.mkdir()
    shutil.copy(made / "set" / "vis/p0/sad.png", photos / "holiday.png")  # fold 0 held p0 out
    drawn(photos / "sub" / "stranger.jpg", 999)
    out = tmp_path / "out"
    assert "1 images show people whom fold 1 trained on (holiday.png: p0 by file" in not_translated(
        made, photos, out, "--fold", "1"
    )
    assert not out.exists()
    assert "2 faces in" in translate(made, photos, out, "--fold", "1", "--trained-on")
    rows = {row["file"]: row for row in table(out)}
    assert rows["holiday.png"]["trained_on"] == "file picture" and rows["sub/stranger.png"]["trained_on"] == ""
    assert (rows["sub/stranger.png"]["left"], rows["sub/stranger.png"]["side"]) == ("0.00", "30.00")
    assert "1 images show nobody of whom it is known" in not_translated(made, photos, out, "--fold", "auto")
    assert "fitted on folds 0, 1; name one with --fold, or --fold auto" in not_translated(made, photos, out)


def test_a_person_is_known_by_name_in_a_manifest(made: Path, tmp_path: Path) -> None:
    drawn(tmp_path / "in" / "new.png", 555)
    row = {"path": "new.png", "modality": "vis", "subject": "p3", "expression": "happy"}
    where = manifest(tmp_path / "in", [row], "more.csv")
    assert "(new.png: p3 by name)" in not_translated(made, where, tmp_path / "out", "--fold", "0")
    translate(made, where, tmp_path / "out", "--fold", "auto")
    assert [row["fold"] for row in table(tmp_path / "out")] == ["1"]


def test_what_shows_no_face_is_listed_and_if_nothing_is_left_it_fails(made: Path, tmp_path: Path) -> None:
    photos = tmp_path / "photos"
    drawn(photos / "a.png", 7)
    (photos / "b.png").write_text("no image")
    Image.new("RGB", (20, 20)).save(photos / "black.png")
    told = translate(made, photos, tmp_path / "out", "--fold", "0")
    assert "1 faces in" in told and "2 left out" in told and "black" in told
    left = {row["source"]: row["left_out"] for row in table(tmp_path / "out") if not row["file"]}
    assert set(left) == {"b.png", "black.png"} and all(left.values())
    words = ("translate", METHOD, str(photos / "b.png"), str(tmp_path / "none"), *common(made), "--fold", "0")
    assert "no face can be used: 1 left out: not an image" in run(*words, code=1)
    assert not (tmp_path / "none").exists()


def test_given_weights_need_no_run_and_translate_alike(made: Path, tmp_path: Path) -> None:
    photo = drawn(tmp_path / "a.png", 7)
    (weights,) = (made / "ws" / "networks").glob("network-*-fold0-*/weights.safetensors")
    words = ("translate", METHOD, str(photo), str(tmp_path / "out"), "--workspace", str(tmp_path / "ws"))
    more = ("--plugin", str(TOY), "--device", "cpu", "--preset", "quick", "--size", "16", "--set", f"{GRAIN}=0")
    told = run(*words, *more, "--weights", f"network={weights}")
    assert "network: " in told and "SHA-256 " in told and "1 faces in" in told
    (row,) = table(tmp_path / "out")
    assert (row["file"], row["fold"], row["seed"], row["trained_on"]) == ("a.png", "", "0", "")
    assert ", 0 of them written now" in run(*words, *more, "--weights", str(weights))  # the only network: no role due
    translate(made, photo, tmp_path / "noisy", "--fold", "0")
    difference = pixels(tmp_path / "out" / "a.png").astype(int) - pixels(tmp_path / "noisy" / "a.png")
    assert 0 < np.abs(difference).mean() < 10  # the same network, here without its grain


GRAIN = f"methods.{METHOD}.grain"


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("--weights", "generator=x"), f"there is no network 'generator'; {METHOD} has the networks network"),
        (("--weights", "network=/nowhere"), "/nowhere is not a file; give the safetensors file of network"),
        (("--weights", "network=", "--preset", "quick"), "nothing is not a file"),
        (("--weights", "x", "--fold", "0"), "--fold has no effect with --weights"),
        (("--preset", "quick"), "--preset has no effect without --weights"),
        (("--size", "16"), "--size has no effect without --weights"),
        (("--fold", "7"), "fold 7 is not fitted; fitted: 0, 1"),
        (("--fold", "x"), "--fold x: write a number, or auto"),
        (("--fold", "0", "--record", "x"), "unknown record 'x'"),
        (("--fold", "0", "--crop", "x"), "unknown crop 'x'"),
        (("--fold", "0", "--detector", "x"), "unknown face detector 'x'"),
        (("--fold", "0"), "does not exist; name an image, a folder of images or a manifest"),
    ],
)
def test_bad_use_is_one_clear_line(made: Path, tmp_path: Path, words: tuple[str, ...], told: str) -> None:
    if "--weights" in words and "--preset" not in words:
        words = (*words, "--preset", "quick")
    assert told in not_translated(made, tmp_path / "nothing", tmp_path / "out", *words)
    assert not (tmp_path / "out").exists()


def test_weights_that_do_not_fit_are_refused(made: Path, tmp_path: Path) -> None:
    from safetensors.numpy import save_file

    photo = drawn(tmp_path / "a.png", 7)
    save_file({"weight": np.zeros((3, 3, 5, 5), np.float32), "bias": np.zeros(3, np.float32)}, tmp_path / "w.st")
    words = ("translate", METHOD, str(photo), str(tmp_path / "out"), "--workspace", str(tmp_path / "ws"))
    told = run(*words, "--plugin", str(TOY), "--preset", "quick", "--weights", str(tmp_path / "w.st"), code=1)
    assert "do not fit network at 32 px: 'weight' has shape (3, 3, 5, 5), the network's (3, 3, 3, 3)" in told
    assert not (tmp_path / "out").exists()


def test_rows_of_no_method_and_rows_of_several_records_are_refused(made: Path, tmp_path: Path) -> None:
    shutil.copytree(made / "ws", tmp_path / "ws")
    (record,) = (tmp_path / "ws" / "records").iterdir()
    shutil.copy(record, record.with_name("another.json"))
    words = ("translate", METHOD, str(tmp_path / "in"), str(tmp_path / "out"), "--workspace", str(tmp_path / "ws"))
    told = refused(*words, "--plugin", str(TOY), "--fold", "0")
    assert told == f"row '{METHOD}' is in 2 records; choose one with --record: another, {record.stem}"
    assert "is not registered now; give the file of its plugin" in refused(*words, "--record", "another", "--fold", "0")


BRIGHT = """
from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np
from nferbench import Detection, FaceDetector, hookimpl


@dataclass(frozen=True)
class Bright(FaceDetector):
    points: ClassVar[int] = 68

    name: str = field(default="bright", compare=False)
    title: str = field(default="Bright", compare=False)

    def find(self, pixels):
        y, x = np.nonzero(pixels[:, :, 0] > 200)
        if not len(y):
            return ()
        box = (x.min(), y.min(), x.max(), y.max())
        points = np.linspace(box[:2], box[2:], 68).astype(np.float32)
        return (Detection(tuple(map(float, box)), points),)


@hookimpl
def nferbench_detectors():
    return [Bright()]
"""


def test_a_detector_finds_the_face_in_a_photograph(made: Path, tmp_path: Path) -> None:
    (tmp_path / "bright.py").write_text(BRIGHT)
    photos = tmp_path / "photos"
    photos.mkdir()
    scene = np.full((60, 90, 3), 60, np.uint8)
    Image.fromarray(scene).save(photos / "nobody.png")
    scene[20:41, 50:71] = 240
    Image.fromarray(scene).save(photos / "face.png")
    words = ("--plugin", str(tmp_path / "bright.py"), "--detector", "bright", "--fold", "0")
    told = translate(made, photos, tmp_path / "out", *words)
    assert "crop box68, found by Bright" in told and "1 left out: no face found by bright (nobody.png)" in told
    face, left = table(tmp_path / "out")
    side = 1.3 * 20
    expected = (60.5 - side / 2, 30.5 - side / 2 - 0.08 * side, side)
    assert [float(face[name]) for name in ("left", "top", "side")] == pytest.approx(expected, abs=0.01)
    assert (left["source"], left["file"]) == ("nobody.png", "")
