"""The leak guard through the command line."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from program import program

PEOPLE = ("p1", "p2", "p3", "p4")


def run(*arguments: str, code: int = 0) -> str:
    done = program(*arguments)
    assert done.returncode == code, done.stdout + done.stderr
    return done.stdout + done.stderr


def tree(root: Path, people: tuple[str, ...], modalities: tuple[str, ...] = ("vis", "nir")) -> Path:
    """Blurred noise of each person's own for faces."""
    for person in people:
        for expression in ("anger", "happiness"):
            rng = np.random.default_rng([ord(letter) for letter in person + expression])
            coarse = rng.integers(0, 256, (6, 6, 3), np.uint8)
            for modality in modalities:
                file = root / modality / person / expression / "1.png"
                file.parent.mkdir(parents=True, exist_ok=True)
                Image.fromarray(coarse).resize((48, 48), Image.Resampling.BICUBIC).save(file)
    return root


@pytest.fixture(scope="module")
def sets(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("sets")
    tree(root / "target", PEOPLE)
    tree(root / "extra", ("q1", "q2"), ("vis",))
    return root


def bench(root: Path, workspace: Path, *more: str, code: int = 0) -> str:
    return run(
        *("run", "--methods", "none", "--dataset", str(root / "target"), "--extra", str(root / "extra")),
        *("--preset", "quick", "--folds", "2", "--set", "fer-models.smallcnn.epochs=1", "--workspace", str(workspace)),
        *more,
        code=code,
    )


def test_a_planted_leak_stops_the_run_with_names_and_is_stamped_when_allowed(sets: Path, tmp_path: Path) -> None:
    shutil.copytree(sets, tmp_path / "sets")
    for other in PEOPLE[1:]:  # whoever is in the other fold
        vis = tmp_path / "sets" / "target" / "vis"
        shutil.copy(vis / "p1" / "anger" / "1.png", vis / other / "anger" / "1.png")
    workspace = tmp_path / "runs"
    said = bench(tmp_path / "sets", workspace, code=2)
    assert "leaks between tested and fitted faces; name these people alike" in said
    assert "vis/p1/anger/1.png and vis/p" in said and "of the training part are identical pictures" in said
    assert not list(workspace.glob("recognition/*"))  # nothing was trained
    assert bench(tmp_path / "sets", workspace, code=2).count("identical pictures") == said.count("identical pictures")
    bench(tmp_path / "sets", workspace, "--allow-leaks")
    (record,) = (workspace / "records").glob("*.json")
    stamps = {stamp for row in json.loads(record.read_text())["rows"] for stamp in row["stamps"]}
    assert len(stamps) == 1 and "known leaks between tested and fitted faces (--allow-leaks)" in stamps.pop()
    assert "known leaks between tested" in run("report", "--markdown", "--workspace", str(workspace))


def test_honest_data_pass_and_carry_no_stamp(sets: Path, tmp_path: Path) -> None:
    bench(sets, tmp_path)
    (record,) = (tmp_path / "records").glob("*.json")
    assert not any(row["stamps"] for row in json.loads(record.read_text())["rows"])


def test_a_person_of_the_extra_set_who_is_tested_stops_the_run(sets: Path, tmp_path: Path) -> None:
    root = tmp_path / "one"
    shutil.copytree(sets / "target", root)
    tree(root, ("p5",), ("vis",))
    rows = ["path,modality,subject,expression,pair"]
    for file in sorted(root.glob("*/p[1-4]/*/*.png")):
        modality, person, expression, _ = file.relative_to(root).parts
        rows.append(f"{file.relative_to(root)},{modality},{person},{expression},{person}-{expression}")
    (root / "target.csv").write_text("\n".join(rows))
    others = [f"vis/p5/{expression}/1.png,vis,p3,{expression}," for expression in ("anger", "happiness")]
    (root / "more.csv").write_text("\n".join(["path,modality,subject,expression,pair", *others]))
    said = run(
        *("run", "--methods", "none", "--dataset", str(root / "target.csv"), "--extra", str(root / "more.csv")),
        *("--data-root", str(root), "--preset", "quick", "--folds", "2", "--workspace", str(tmp_path / "runs")),
        code=2,
    )
    assert "subject p3 is tested and is also in the extra set" in said
