from __future__ import annotations

import os
from pathlib import Path

from nferbench.datasets.tree import folders_in, images_below, natural


def touch(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"x")
    return path


def test_images_come_in_natural_order_and_clutter_is_told(tmp_path: Path) -> None:
    for name in ("a/10.JPEG", "a/9.jpeg", "a/Thumbs.db", "a/notes.txt", "a/.DS_Store", ".git/1.png", "b/1.png"):
        touch(tmp_path / name)
    found, dropped = images_below(tmp_path, tmp_path)
    assert [path.relative_to(tmp_path).as_posix() for path in found] == ["a/9.jpeg", "a/10.JPEG", "b/1.png"]
    assert {drop.what: drop.reason for drop in dropped} == {
        "a/Thumbs.db": "left behind by a file manager",
        "a/notes.txt": "not the name of an image file",
    }


def test_links_are_followed_inside_the_root_only_and_never_in_circles(tmp_path: Path) -> None:
    outside, root = touch(tmp_path / "elsewhere" / "1.png").parent, tmp_path / "root"
    touch(root / "a" / "1.png")
    (root / "away").symlink_to(outside)
    (root / "a" / "2.png").symlink_to(outside / "1.png")
    (root / "a" / "3.png").symlink_to(root / "a" / "1.png")
    (root / "a" / "circle").symlink_to(root)
    (root / "a" / "4.png").symlink_to(root / "a" / "gone.png")
    found, dropped = images_below(root, root)
    assert [path.relative_to(root).as_posix() for path in found] == ["a/1.png", "a/3.png"]
    assert {drop.what: drop.reason for drop in dropped} == {
        "a/2.png": "a link out of the data root",
        "a/4.png": "not a file, or a link to nothing",
        "a/circle": "a folder that was read by another name",
        "away": "a link out of the data root",
    }
    assert [drop.what for drop in images_below(root, root / "away")[1]] == ["away"]
    (root / ".hidden").mkdir()
    (root / "__MACOSX").mkdir()
    assert [path.name for path in folders_in(root, root)] == ["a"]


def test_links_that_lead_to_themselves_and_odd_names_are_named(tmp_path: Path) -> None:
    touch(tmp_path / "a/1.png")
    (tmp_path / "a/2.png").symlink_to("2.png")
    (tmp_path / "a/Icon\r").touch()
    (tmp_path / "b.png").mkdir()
    os.mkfifo(tmp_path / "c.png")
    odd = Path(os.fsdecode(os.fsencode(tmp_path) + b"/Ren\xe9"))
    touch(odd / "1.png")
    found, dropped = images_below(tmp_path, tmp_path)
    assert [path.name for path in found] == ["1.png"]
    assert {drop.what: drop.reason for drop in dropped} == {
        "a/2.png": "not a file, or a link to nothing",
        "a/Icon\\r": "its name holds a line break or another control character; rename it",
        "b.png": "a folder with the name of an image file",
        "c.png": "not a file, or a link to nothing",
        "Ren\\xe9": "its name is not UTF-8; rename it",
    }
    assert [folder.name for folder in folders_in(tmp_path, tmp_path)] == ["a", "b.png"]


def test_a_root_that_is_itself_a_link_is_fine(tmp_path: Path) -> None:
    touch(tmp_path / "real" / "1.png")
    (tmp_path / "link").symlink_to(tmp_path / "real")
    found, dropped = images_below(tmp_path / "link", tmp_path / "link")
    assert [path.name for path in found] == ["1.png"] and not dropped


def test_digits_are_compared_as_numbers() -> None:
    assert sorted(["P10", "P9", "A1", "p", "10", "9"], key=natural) == ["9", "10", "A1", "P9", "P10", "p"]


def test_what_zip_files_of_macos_add_is_passed_over_at_any_depth(tmp_path: Path) -> None:
    for name in ("a/1.png", "a/._1.png", "__MACOSX/a/1.png", "a/__MACOSX/1.png", "__MACOSX2/1.png"):
        touch(tmp_path / name)
    found, dropped = images_below(tmp_path, tmp_path)
    assert [path.relative_to(tmp_path).as_posix() for path in found] == ["__MACOSX2/1.png", "a/1.png"]
    assert not dropped
    assert [path.name for path in folders_in(tmp_path, tmp_path)] == ["__MACOSX2", "a"]
