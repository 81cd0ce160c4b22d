"""Bundles: all that tables are made of, nothing else, and only what was written."""

from __future__ import annotations

import hashlib
import json
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from workspaces import SUBJECTS, Made, content, read_table, two_rows

from nferbench.contract.errors import DataError, UsageError
from nferbench.workspace.bundling import CONTENT, bundle, write_bundle
from nferbench.workspace.pseudonyms import pseudonyms, without_places
from nferbench.workspace.unbundling import unpacked
from nferbench_reports import write_report


def written(tmp_path: Path) -> tuple[Made, Path]:
    """A workspace with texts that name people and places, and its bundle."""
    made = Made(tmp_path / "w")
    stages = two_rows(made)
    path = made.root / "records" / "run.json"
    said = json.loads(path.read_text())
    missing = made.named("recognition", "lost0")
    row = made.row("lost", [{"fer": missing, "needs": []}], stamps=[f"Bertha is in {made.root}/x"])
    path.write_text(json.dumps({**said, "rows": [*said["rows"], row]}))
    made.fail(missing, reason=f"Cleo-fear.png of Cleo in {made.root}/Doro dir/b.jpg has no face")
    noted = made.stage(
        "networks", "noted", stages["faces"], result={"note": f"see {made.root}/Ann-Lee.png", "of": ["Doro"]}
    )
    said = json.loads(path.read_text())
    said["rows"][0]["folds"][0]["needs"].append(noted)
    path.write_text(json.dumps(said))
    write_bundle(bundle(made.root, "run"), tmp_path / "b.zip")
    return made, tmp_path / "b.zip"


def test_tables_of_a_bundle_are_those_of_the_workspace(tmp_path: Path) -> None:
    made, file = written(tmp_path)
    here = write_report(made.root, tmp_path / "here")
    with unpacked(file) as inside:
        there = write_report(inside, tmp_path / "there")
    assert not inside.exists() and not there.problems
    tables = [path.name for path in here.paths if path.suffix == ".csv"]
    assert {"tables.csv", "significance.csv", "calibration.csv", "reliability.csv"} <= set(tables)
    for name in tables:
        mine, theirs = ((tmp_path / place / name).read_bytes() for place in ("here", "there"))
        assert mine == theirs if name not in ("images.csv", "subjects.csv") else unnamed(mine) == unnamed(theirs)
    assert "alpha" in (tmp_path / "here" / "significance.csv").read_text()
    assert "bundles have no faces in them" in there.text


def unnamed(table: bytes) -> list[tuple[str, ...]]:
    """The rows of a table of faces without the names that a bundle makes anew, in an order that does not go by them."""
    rows = [{name: text for name, text in row.items() if name not in ("id", "subject")} for row in read_table(table)]
    return sorted(tuple(row.values()) for row in rows)


def test_no_name_no_place_no_image_and_no_weight_is_in_a_bundle(tmp_path: Path) -> None:
    made, file = written(tmp_path)
    with zipfile.ZipFile(file) as members:
        everything = {name: members.read(name) for name in members.namelist()}
    text = b"\n".join([*everything.values(), *(name.encode() for name in everything)])
    for secret in (*SUBJECTS, str(made.root), tmp_path.name, "secret", ".png", "jpg", "pixels", "heavy", "made faces"):
        assert secret.encode() not in text, secret
    assert not [name for name in everything if name.endswith((".npy", ".safetensors", "faces.csv"))]


def test_subjects_are_one_all_through_a_bundle_and_other_in_the_next(tmp_path: Path) -> None:
    made, file = written(tmp_path)
    write_bundle(bundle(made.root, "all"), tmp_path / "again.zip")
    found = []
    for path in (file, tmp_path / "again.zip"):
        with zipfile.ZipFile(path) as members:
            splits = json.loads(members.read("splits/run.json"))
            tables = [members.read(name) for name in members.namelist() if name.endswith(".csv")]
        people = {row["subject"] for table in tables for row in read_table(table)}
        assert people == {name for fold in splits["folds"] for name in fold["test"]} and len(people) == 4
        found.append(people)
    assert not found[0] & found[1]


def test_names_keep_their_order(tmp_path: Path) -> None:
    names = [f"s{number}" for number in range(120)]
    found = pseudonyms(names, [])
    assert [found.subjects[name] for name in sorted(names)] == sorted(found.subjects.values())


@pytest.mark.parametrize(
    ("typed", "expected"),
    [
        ("nferbench run --workspace /home/ann/runs --preset quick", "nferbench run --workspace … --preset quick"),
        ("nferbench run --data-root=../x --dataset '~/my faces'", "nferbench run --data-root=… --dataset …"),
        (
            "nferbench run --set methods.a.b=1 --data-root cfee=C:\\x",
            "nferbench run --set methods.a.b=1 --data-root cfee=…",
        ),
        ("nferbench run --dataset faces.csv", "nferbench run --dataset …"),
        ("nferbench run 'unclosed", "…"),
    ],
)
def test_commands_lose_their_places(typed: str, expected: str) -> None:
    assert without_places(typed.replace("C:\\x", "'C:\\x'")) == expected


def test_what_is_damaged_is_not_bundled(tmp_path: Path) -> None:
    made, _ = written(tmp_path)
    next(made.root.glob("quality/*/scores.csv")).write_text("id,subject\n1,2\n")
    with pytest.raises(DataError, match="is not what was written; nferbench verify"):
        bundle(made.root, "run")


def test_names_and_files_that_cannot_be_are_told(tmp_path: Path) -> None:
    made, file = written(tmp_path)
    with pytest.raises(UsageError, match="unknown record 'runn'; did you mean 'run'"):
        bundle(made.root, "runn")
    with pytest.raises(UsageError, match="no stored results"):
        bundle(tmp_path / "nothing", "all")
    found, before = bundle(made.root, "run.json"), file.read_bytes()
    for out, words in ((file, "is there already"), (tmp_path / "b.tar", "ends in"), (file / "b.zip", "cannot be")):
        with pytest.raises(UsageError, match=words):
            write_bundle(found, out)
    assert file.read_bytes() == before and len(content(tmp_path)) == len(content(made.root)) + 1


Members = dict[str, bytes]


def listed(members: Members) -> Members:
    """The members with a list that fits them."""
    said = {
        name: {"bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}
        for name, data in members.items()
        if name != CONTENT
    }
    return {**members, CONTENT: json.dumps({"version": 1, "members": said}).encode()}


ATTACKS: dict[str, Callable[[Members], Members]] = {
    "leads out": lambda m: listed({**m, "../../evil.json": b"{}"}),
    "from the root": lambda m: listed({**m, "/tmp/evil.json": b"{}"}),
    "of another kind": lambda m: listed({**m, "quality/x/run.py": b"{}"}),
    "hidden": lambda m: listed({**m, "records/.x.json": b"{}"}),
    "below a file": lambda m: listed({**m, "records/run.json/x.json": b"{}"}),
    "changed": lambda m: {**m, "records/run.json": m["records/run.json"].replace(b"alpha", b"omega")},
    "not listed": lambda m: {**m, "records/more.json": b"{}"},
    "not there": lambda m: {name: data for name, data in m.items() if name != "records/run.json"},
    "no list": lambda m: {name: data for name, data in m.items() if name != CONTENT},
    "odd list": lambda m: {**m, CONTENT: b"[" * 100_000},
    "list of another version": lambda m: {**m, CONTENT: b'{"version": 2, "members": {}}'},
    "list of nothing": lambda m: {**m, CONTENT: b'{"version": 1, "members": [1]}'},
}


@pytest.mark.parametrize("attack", ATTACKS)
def test_a_bundle_that_is_none_is_told_in_a_line(tmp_path: Path, attack: str) -> None:
    _, file = written(tmp_path)
    with zipfile.ZipFile(file) as members:
        before = {name: members.read(name) for name in members.namelist()}
    with zipfile.ZipFile(tmp_path / "other.zip", "w") as members:
        for name, data in ATTACKS[attack](before).items():
            members.writestr(name, data)
    refused(tmp_path / "other.zip")


def refused(file: Path) -> None:
    with pytest.raises(DataError) as told, unpacked(file):
        pass
    assert "\n" not in str(told.value) and str(file) in str(told.value)


def test_files_that_are_no_bundles_are_told_in_a_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _, file = written(tmp_path)
    data = file.read_bytes()
    for place, other in enumerate(
        (b"", b"text", data[:-30], data[: len(data) // 2], data.replace(b"\x08\x00", b"\x63\x00"))
    ):
        path = tmp_path / f"odd{place}.zip"
        path.write_bytes(other)
        refused(path)
    twice = tmp_path / "twice.zip"
    with zipfile.ZipFile(twice, "w") as members, pytest.warns(UserWarning):
        for _ in range(2):
            members.writestr(CONTENT, "{}")
    refused(twice)
    monkeypatch.setattr("nferbench.workspace.unbundling.LARGEST", 100)
    refused(file)
    monkeypatch.undo()
    monkeypatch.setattr("nferbench.workspace.unbundling.WHOLE", len(data) + 1)
    refused(file)
    with pytest.raises(UsageError, match="no bundle at"), unpacked(tmp_path / "absent.zip"):
        pass


def test_a_flipped_bit_anywhere_is_noticed_or_changes_nothing(tmp_path: Path) -> None:
    _, file = written(tmp_path)
    data = file.read_bytes()
    with unpacked(file) as inside:
        expected = content(inside)
    for place in range(0, len(data), len(data) // 60):
        changed = bytearray(data)
        changed[place] ^= 4
        file.write_bytes(changed)
        try:
            with unpacked(file) as inside:
                assert content(inside) == expected
        except DataError as error:
            assert "\n" not in str(error)
