"""The YAML or JSON file beside a manifest."""

from __future__ import annotations

from pathlib import Path

import pytest

from nferbench.contract.errors import DataError
from nferbench.datasets.manifest import ManifestDataset, dataset_from_path

HEADER = "path,modality,subject,expression,pair"
PAIR = ("a.png,vis,P1,happy,a", "b.png,nir,P1,happy,a")
YAML = """name: own
title: Our own set
licence: research only
aliases: {1: surprise, froh: happy}
expect: {images: 2, subjects: 2, nir: 0}
"""
JSON = """{
\t"name": "own", "title": "Our own set", "licence": "research only",
\t"aliases": {"1": "surprise", "froh": "happy"},
\t"expect": {"images": 2, "subjects": 2, "nir": 0}
}"""


def write(root: Path, *rows: str) -> ManifestDataset:
    (root / "manifest.csv").write_text("\n".join([HEADER, *rows]), encoding="utf-8")
    for row in rows:
        (root / row.split(",")[0]).touch()
    return ManifestDataset()


def refusal(dataset: ManifestDataset, root: Path) -> str:
    with pytest.raises(DataError) as caught:
        dataset.listing(root)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize(("ending", "text"), [(".yaml", YAML), (".yml", YAML), (".json", JSON)])
@pytest.mark.parametrize("mark", ["", "\ufeff"])
def test_it_names_maps_and_counts(tmp_path: Path, ending: str, text: str, mark: str) -> None:
    write(tmp_path, "a.png,vis,P1,1,", "b.png,vis,P2,Froh,")
    (tmp_path / f"manifest{ending}").write_text(mark + text, encoding="utf-8")
    dataset = dataset_from_path(tmp_path)
    assert isinstance(dataset, ManifestDataset)
    assert (dataset.name, dataset.title, dataset.licence) == ("own", "Our own set", "research only")
    assert [face.expression for face in dataset.listing(None).faces] == ["surprise", "happiness"]


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("expect: {images: 1}", "manifest.yaml expects 1 images, the manifest has 2"),
        ("expect: {vis: 0}", "manifest.yaml expects 0 vis, the manifest has 1"),
        ("expect: {nir: 7}", "manifest.yaml expects 7 nir, the manifest has 1"),
        ("expect: {subjects: 2}", "manifest.yaml expects 2 subjects, the manifest has 1"),
        ("expect: {pairs: 2}", "manifest.yaml expects 2 pairs, the manifest has 1"),
        ("expect: {people: 2}", "whole numbers for some of images, vis, nir, subjects, pairs"),
        ("alias: {a: fear}", "unknown key 'alias'; did you mean 'aliases'?"),
        ("aliases: {angst: terror}", "alias 'angst' stands for 'terror'"),
        ("aliases: {no: fear}", "put both in quotes"),
        ("name: 3", "name is 3; it must be text"),
        ("- a\n- b", "holds list"),
        ("a: [", "not YAML"),
        ("name: 2020-13-45", "not YAML in UTF-8 (month must be in 1..12)"),
        ("name: !!bool x", "not YAML in UTF-8 ('x')"),
        ("title: &t own\nname: *t", "has anchors"),
        ("a: &a [1]\nb: &b [*a, *a]\nname: [*b, *b]", "has anchors"),
        ("title: " + "[" * 100_000, "nested 21 deep"),
        ("title: " + "x" * 201, "title has 201 characters; at most 200"),
        ("title: " + "x" * 1_000_001, "larger than 1 MB"),
        ("title: [" + "long, " * 1000 + "]", "…; it must be text"),
    ],
)
def test_a_wrong_one_is_refused(tmp_path: Path, text: str, complaint: str) -> None:
    (tmp_path / "manifest.yaml").write_text(text, encoding="utf-8")
    assert complaint in refusal(write(tmp_path, *PAIR), tmp_path)


def test_a_wrong_json_file_is_refused_by_its_own_name(tmp_path: Path) -> None:
    dataset = write(tmp_path, *PAIR)
    for content, complaint in ((b"{", "manifest.json: not JSON"), (b'{"name": "\xff"}', "manifest.json: not JSON")):
        (tmp_path / "manifest.json").write_bytes(content)
        assert complaint in refusal(dataset, tmp_path)
    (tmp_path / "manifest.json").write_text('{"expect": {"pairs": 2}}')
    assert "manifest.json expects 2 pairs, the manifest has 1" in refusal(dataset, tmp_path)


def test_two_of_them_are_refused(tmp_path: Path) -> None:
    dataset = write(tmp_path, *PAIR)
    (tmp_path / "manifest.yaml").write_text("name: one")
    (tmp_path / "manifest.json").write_text('{"name": "other"}')
    assert "manifest.yaml and manifest.json lie beside it; keep one" in refusal(dataset, tmp_path)


def test_unknown_people_are_no_subject_to_be_expected(tmp_path: Path) -> None:
    dataset = write(tmp_path, *PAIR, "c.png,vis,?,sad,")
    (tmp_path / "manifest.yaml").write_text("expect: {subjects: 1, images: 3}")
    assert len(dataset.listing(tmp_path).faces) == 3


def test_json_that_is_nested_without_end_is_refused(tmp_path: Path) -> None:
    (tmp_path / "manifest.json").write_text("[" * 100_000)
    assert "nested too deep" in refusal(write(tmp_path, *PAIR), tmp_path)


def test_control_sequences_in_its_texts_are_shown_and_never_sent(tmp_path: Path) -> None:
    write(tmp_path, *PAIR)
    (tmp_path / "manifest.yaml").write_text('name: "a\\nb"\ntitle: "\\e[31mred\\u202e"\nlicence: "x\\a"')
    dataset = dataset_from_path(tmp_path)
    assert isinstance(dataset, ManifestDataset)
    assert (dataset.name, dataset.title, dataset.licence) == ("a b", "\\x1b[31mred\\u202e", "x\\x07")


def test_a_link_out_of_the_folder_is_refused_and_one_inside_followed(tmp_path: Path) -> None:
    root = tmp_path / "root"
    root.mkdir()
    dataset = write(root, *PAIR)
    (tmp_path / "elsewhere.yaml").write_text("name: secret")
    (root / "manifest.yaml").symlink_to(tmp_path / "elsewhere.yaml")
    assert "manifest.yaml: a link that leads out of the folder" in refusal(dataset, root)
    (root / "inside.yml").write_text("name: known")
    (root / "manifest.yaml").unlink()
    (root / "manifest.yaml").symlink_to("inside.yml")
    assert dataset_from_path(root).name == "known"
