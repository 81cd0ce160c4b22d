"""nferbench data verify and data prepare, plan --splits and --division."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from program import program

from nferbench.contract.errors import UsageError
from nferbench.datasets.manifest import dataset_from_path
from nferbench.faces.folds import folds_of, split, splits_fingerprint
from nferbench.faces.prepared import read_prepared
from nferbench.faces.verify import CROPS_SHOWN, verify
from nferbench.planning.plugins import load_plugins
from nferbench.planning.settings import Request, resolve

PLUGINS = load_plugins(installed=False)


def run(*arguments: str, code: int = 0) -> str:
    done = program(*arguments)
    assert done.returncode == code, done.stdout + done.stderr
    return done.stdout + done.stderr


def tree(root: Path, people: int = 4) -> Path:
    rng = np.random.default_rng(0)
    for person in range(people):
        for expression in ("anger", "happiness"):
            for modality in ("vis", "nir"):
                file = root / modality / f"p{person}" / expression / "1.png"
                file.parent.mkdir(parents=True)
                Image.fromarray(rng.integers(40, 200, (30, 24, 3), np.uint8)).save(file)
    return root


def test_verify_counts_reports_and_shows(tmp_path: Path) -> None:
    tree(tmp_path)
    (tmp_path / "vis" / "p0" / "anger" / "1.png").write_bytes(b"")
    (tmp_path / "vis" / "p1" / "anger" / "Thumbs.db").write_bytes(b"x")
    verdict = verify(dataset_from_path(tmp_path), tmp_path, 16, "given")
    text = "\n".join(verdict.lines)
    assert "vis: 8 faces of 4 subjects: anger 4, happiness 4" in text and "8 VIS-NIR pairs" in text
    assert "faces a subject: 4\n" in text
    assert "could not be cropped: vis/p0/anger/1.png" in text and "15 of 16 faces that were tried" in text
    assert verdict.usable and verdict.sheet is not None
    assert verdict.sheet.shape == (3 * 20 + 4, 6 * 20 + 4, 3)


def test_a_copy_of_which_no_face_can_be_cropped_is_not_usable(tmp_path: Path) -> None:
    for file in tree(tmp_path).rglob("*.png"):
        file.write_text("no image")
    verdict = verify(dataset_from_path(tmp_path), tmp_path, 16, "given")
    assert not verdict.usable and verdict.sheet is None
    assert "serious: none of the faces that were tried could be cropped" in verdict.lines


def manifest(root: Path, people: int, columns: str = "path,modality,subject,expression,pair") -> Path:
    """A manifest of a tree, without the columns that are not wanted."""
    rows = [columns]
    for file in sorted(tree(root, people).rglob("*.png")):
        modality, person, expression, _ = file.relative_to(root).parts
        cells = (str(file.relative_to(root)), modality, person, expression, f"{person}-{expression}")
        rows.append(",".join(cells[: columns.count(",") + 1]))
    (root / "manifest.csv").write_text("\n".join(rows))
    return root


def verdict_of(root: Path) -> tuple[bool, str]:
    verdict = verify(dataset_from_path(root), root, 16, "given")
    return verdict.usable, "\n".join(verdict.lines)


def test_a_set_without_a_pair_is_not_usable(tmp_path: Path) -> None:
    usable, said = verdict_of(manifest(tmp_path, 5, "path,modality,subject,expression"))
    assert not usable and "serious: no VIS face has a NIR partner; a data set needs pairs" in said
    assert "not usable as it is" in said.splitlines()[-1]


def test_a_set_of_one_modality_says_what_it_is_usable_for(tmp_path: Path) -> None:
    shutil.rmtree(tree(tmp_path / "vis-only") / "nir")
    usable, said = verdict_of(tmp_path / "vis-only")
    assert usable and "vis-only: usable as an extra set; " in said
    shutil.rmtree(tree(tmp_path / "nir-only") / "vis")
    usable, said = verdict_of(tmp_path / "nir-only")
    assert not usable and "serious: there are NIR faces only" in said


def test_half_of_the_faces_failing_is_not_usable(tmp_path: Path) -> None:
    for file in (tree(tmp_path, 5) / "vis").rglob("*.png"):
        if file.parts[-3] in ("p0", "p1"):
            file.write_bytes(b"")
    assert verdict_of(tmp_path)[0]
    for file in (tmp_path / "nir").rglob("*.png"):
        if file.parts[-3] in ("p2", "p3", "p4"):
            file.write_bytes(b"")
    usable, said = verdict_of(tmp_path)
    assert not usable and "serious: 10 of 20 faces that were tried could not be cropped" in said


def test_a_class_without_a_face_that_decodes_is_not_usable(tmp_path: Path) -> None:
    files = sorted((tree(tmp_path, 20) / "vis").rglob("anger/*.png"))
    for file in files[1:]:
        file.write_text("<html>")
    assert verdict_of(tmp_path)[0]  # one is left, and is found
    files[0].write_text("<html>")
    usable, said = verdict_of(tmp_path)
    assert not usable and "VIS faces of class `anger` that were tried could be cropped" in said


def test_people_and_classes_must_make_folds(tmp_path: Path) -> None:
    usable, said = verdict_of(tree(tmp_path / "four", 4))
    assert usable and "note: 4 subjects cannot make 5 folds" in said and "(--folds 2 would do)" in said
    usable, said = verdict_of(tree(tmp_path / "one", 1))
    assert not usable and "serious: one subject cannot make 2 folds" in said
    for file in tree(tmp_path / "class", 5).glob("*/*/anger"):
        shutil.rmtree(file)
    usable, said = verdict_of(tmp_path / "class")
    assert not usable and "serious: only 'happiness' occurs" in said


def test_verify_says_how_deep_files_are_read(tmp_path: Path) -> None:
    for file in (tree(tmp_path) / "nir").rglob("*.png"):
        Image.fromarray(np.asarray(Image.open(file).convert("L")).astype(np.uint16) << 4).save(file)
    usable, said = verdict_of(tmp_path)
    assert usable and "NIR files of more than 8 bits use 12: 0 becomes black and 4095 white" in said


def test_plan_and_prepare_say_how_deep_files_are_read_and_take_other_levels(tmp_path: Path) -> None:
    data = tree(tmp_path / "deep")
    for file in (data / "nir").rglob("*.png"):
        Image.fromarray(np.asarray(Image.open(file).convert("L")).astype(np.uint16) << 4).save(file)
    options = ("--dataset", str(data), "--extra", "none", "--preset", "quick", "--workspace", str(tmp_path / "runs"))
    for command in (("plan", "--methods", "none", "--folds", "2", "--splits"), ("data", "prepare")):
        assert "note: deep: NIR files of more than 8 bits use 12: 0 becomes" in run(*command, *options)
    said = run("data", "prepare", *options, "--set", "nir_levels=0-8191")
    assert "0 becomes black and 8191 white, as set" in said
    bright, dark = sorted((tmp_path / "runs" / "faces").iterdir(), key=lambda folder: -nir_mean(folder))
    assert abs(nir_mean(bright) / nir_mean(dark) - 2) < 0.02


def nir_mean(folder: Path) -> float:
    prepared = read_prepared(folder)
    return float(prepared.images[[face.modality == "nir" for face in prepared.faces]].mean())


def test_every_problem_of_a_manifest_is_listed(tmp_path: Path) -> None:
    rows = [
        "path,modality,subject,expression,pair",
        *(f"gone{i}.png,vis,a,anger," for i in range(8)),
        "../x,vis,a,joy,",
    ]
    (tmp_path / "manifest.csv").write_text("\n".join(rows))
    verdict = verify(dataset_from_path(tmp_path), tmp_path, 16, "given")
    assert not verdict.usable and len(verdict.lines) == 10
    assert any("'..'" in line for line in verdict.lines)


def test_drawn_faces_fill_a_contact_sheet() -> None:
    verdict = verify(PLUGINS.datasets["synthetic-vis"], None, 32, "given")
    assert verdict.usable and f"{CROPS_SHOWN} of {CROPS_SHOWN}" in verdict.lines[-1]


def test_verify_and_prepare_from_the_command_line(tmp_path: Path) -> None:
    data, workspace = tree(tmp_path / "faces"), tmp_path / "runs"
    said = run("data", "verify", str(data), "--preset", "quick", "--workspace", str(workspace))
    assert "faces: usable" in said and (workspace / "verify" / "faces.png").is_file()
    options = ("--dataset", str(data), "--extra", "none", "--preset", "quick", "--workspace", str(workspace))
    said = run("data", "prepare", *options)
    (folder,) = (workspace / "faces").iterdir()
    assert str(folder) in said and (folder / "images.npy").is_file()
    before = (folder / "images.npy").stat().st_mtime_ns
    assert str(folder) in run("data", "prepare", *options)
    assert (folder / "images.npy").stat().st_mtime_ns == before
    planned = run("plan", "--methods", "none", "--folds", "2", "--splits", *options)
    assert "fold 0: 2 of 4 subjects are tested: p" in planned and "fingerprint of these splits: " in planned
    for file in data.rglob("*.png"):
        file.write_bytes(b"")
    assert "not usable" in run("data", "verify", str(data), "--workspace", str(workspace), code=1)


def test_sets_of_one_name_are_prepared_each_from_its_own_folder(tmp_path: Path) -> None:
    one, other = tree(tmp_path / "one" / "faces"), tree(tmp_path / "two" / "faces")
    for file in other.rglob("*.png"):
        Image.fromarray(255 - np.asarray(Image.open(file))).save(file)
    options = ("--preset", "quick", "--workspace", str(tmp_path / "runs"))
    said = run("data", "prepare", "--dataset", str(one), "--extra", str(other), *options)
    folders = [line.split(": ")[1] for line in said.splitlines() if line.startswith("faces faces-32px: ")]
    stored = [np.load(Path(folder) / "images.npy").mean(axis=(1, 2, 3)) for folder in folders]
    assert len(stored) == 2 and np.abs(stored[0] + stored[1] - 255).max() < 1


def test_what_may_be_one_person_is_told_by_verify_and_splits(tmp_path: Path) -> None:
    data = tree(tmp_path / "faces")
    for modality in ("vis", "nir"):
        (data / modality / "p1").rename(data / modality / "P003")
    lines = verify(dataset_from_path(data), data, 16, "given").lines
    (note,) = (line for line in lines if "same person" in line)
    assert note.startswith("note: perhaps the same person under several names: 'P003' and 'p3'; give each")
    options = ("--preset", "quick", "--folds", "2", "--workspace", str(tmp_path / "runs"), "--methods", "none")
    said = run("plan", "--splits", "--dataset", str(data), *options)
    assert "note: faces: perhaps the same person under several names: 'P003' and 'p3'; give each" in said
    assert "note: no extra set was named" in said


def test_repeats_are_independent_draws_of_a_fifth() -> None:
    faces = PLUGINS.datasets["synthetic-hfe"].listing(None).faces
    repeats = [split(faces, fold) for fold in folds_of(faces, 5, 3, "repeats")]
    assert all(len(parts.test) == 8 and not set(parts.test) & set(parts.train) for parts in repeats)
    tested = [subject for parts in repeats for subject in parts.test]
    assert len(set(tested)) < len(tested)  # as good as certain for draws, impossible for folds
    assert len({parts.test for parts in repeats}) == 5
    again = folds_of(faces, 5, 3, "repeats")
    assert [split(faces, fold) for fold in again] == repeats
    assert splits_fingerprint(faces, again) != splits_fingerprint(faces, folds_of(faces, 5, 3))


def test_the_division_is_a_setting() -> None:
    assert resolve(Request(division="repeats"), PLUGINS).division == "repeats"
    assert resolve(Request(), PLUGINS).division == "folds"
    with pytest.raises(UsageError, match="unknown division 'repeat'; known: folds, repeats"):
        resolve(Request(changes=("division=repeat",)), PLUGINS)
