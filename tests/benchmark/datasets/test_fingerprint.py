"""The fingerprint of a data set: what changes it, what does not, and the cache behind it."""

from __future__ import annotations

import errno
import hashlib
import json
import os
from dataclasses import replace
from io import BufferedReader
from pathlib import Path

import pytest

from nferbench.contract.dataset import Face, Listing
from nferbench.contract.errors import DataError
from nferbench.datasets.fingerprint import fingerprint

FACES = (
    Face("a", "vis", "P1", "fear", "1", ("a.png", "a.npy")),
    Face("b", "nir", "P1", "fear", "1", ("b.png",)),
)
LISTING = Listing(FACES, 68)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = tmp_path / "data"
    root.mkdir()
    for name in ("a.png", "a.npy", "b.png"):
        (root / name).write_bytes(name.encode() * 100)
    return root


def test_it_depends_on_contents_and_not_on_place_or_time(root: Path, tmp_path: Path) -> None:
    before = fingerprint(LISTING, root, None)
    os.utime(root / "a.png", ns=(1, 1))
    assert fingerprint(LISTING, root, None) == before
    assert fingerprint(LISTING, root.rename(tmp_path / "moved"), None) == before


@pytest.mark.parametrize("name", ["a.png", "a.npy", "b.png"])
def test_one_changed_byte_of_any_file_changes_it(root: Path, name: str) -> None:
    before = fingerprint(LISTING, root, None)
    (root / name).write_bytes((root / name).read_bytes()[:-1] + b"!")
    assert fingerprint(LISTING, root, None) != before


@pytest.mark.parametrize(
    "change",
    [
        {"id": "c"},
        {"modality": "nir"},
        {"subject": "P2"},
        {"expression": "anger"},
        {"pair": ""},
        {"split": "test"},
        {"box": (0.0, 0.0, 1.0, 1.0)},
        {"files": ("a.png",)},
    ],
)
def test_every_field_of_a_face_changes_it(root: Path, change: dict[str, object]) -> None:
    changed = replace(LISTING, faces=(replace(FACES[0], **change), FACES[1]))  # type: ignore[arg-type]
    assert fingerprint(changed, root, None) != fingerprint(LISTING, root, None)


def test_the_order_of_faces_and_what_was_left_out_do_not_matter(root: Path) -> None:
    shuffled = Listing(FACES[::-1], 68)
    assert fingerprint(shuffled, root, None) == fingerprint(LISTING, root, None)


def test_exchanged_contents_change_it(root: Path) -> None:
    before = fingerprint(LISTING, root, None)
    (root / "a.png").rename(root / "c")
    (root / "b.png").rename(root / "a.png")
    (root / "c").rename(root / "b.png")
    assert fingerprint(LISTING, root, None) != before


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the files that were hashed."""
    names: list[str] = []
    hashed = hashlib.file_digest

    def noting(file: BufferedReader, method: str) -> object:
        names.append(Path(file.name).name)
        return hashed(file, method)

    monkeypatch.setattr(hashlib, "file_digest", noting)
    return names


def test_an_unchanged_file_is_not_read_again(root: Path, tmp_path: Path, read: list[str]) -> None:
    cache = tmp_path / "cache" / "hashes.json"
    before = fingerprint(LISTING, root, cache)
    assert sorted(read) == ["a.npy", "a.png", "b.png"]
    assert fingerprint(LISTING, root, cache) == before and len(read) == 3
    status = (root / "a.png").stat()
    os.utime(root / "a.png", ns=(status.st_atime_ns, status.st_mtime_ns + 1))
    assert fingerprint(LISTING, root, cache) == before and read[3:] == ["a.png"]


@pytest.mark.parametrize("aside", [False, True])
def test_a_file_replaced_by_one_of_equal_size_and_time_is_read_again(root: Path, tmp_path: Path, aside: bool) -> None:
    cache = tmp_path / "hashes.json"
    before = fingerprint(LISTING, root, cache)
    status = (root / "a.png").stat()
    written = tmp_path / "other" if aside else root / "a.png"
    while True:  # clocks of file systems tick every few milliseconds
        written.write_bytes(b"x" * status.st_size)
        os.utime(written, ns=(status.st_atime_ns, status.st_mtime_ns))
        if written.stat().st_ctime_ns != status.st_ctime_ns:
            break
    written.replace(root / "a.png")
    now = (root / "a.png").stat()
    assert (now.st_size, now.st_mtime_ns) == (status.st_size, status.st_mtime_ns)
    assert fingerprint(LISTING, root, cache) == fingerprint(LISTING, root, None) != before


def test_a_cache_of_an_earlier_version_is_read_over_once(root: Path, tmp_path: Path, read: list[str]) -> None:
    cache = tmp_path / "hashes.json"
    states = {str(path): (path.stat().st_size, path.stat().st_mtime_ns, "0" * 64) for path in root.iterdir()}
    cache.write_text(json.dumps(states))
    assert fingerprint(LISTING, root, cache) == fingerprint(LISTING, root, None)
    read.clear()
    fingerprint(LISTING, root, cache)
    assert read == []


def test_two_data_sets_share_a_cache_without_confusion(root: Path, tmp_path: Path) -> None:
    cache = tmp_path / "hashes.json"
    other = tmp_path / "other"
    other.mkdir()
    for file in root.iterdir():
        status = file.stat()
        (other / file.name).write_bytes(b"y" * status.st_size)
        os.utime(other / file.name, ns=(status.st_atime_ns, status.st_mtime_ns))
    first, second = (fingerprint(LISTING, place, cache) for place in (root, other))
    assert first != second
    assert [fingerprint(LISTING, place, cache) for place in (root, other)] == [first, second]


@pytest.mark.parametrize(
    "damage", [b"", b"{", b"[]", b"\xff", b'{"a.png": 3}', b'{"a.png": [1, 2]}', b'{"a.png": ["x", [], {}]}', b"null"]
)
def test_a_damaged_cache_is_made_anew(root: Path, tmp_path: Path, damage: bytes) -> None:
    cache = tmp_path / "hashes.json"
    cache.write_bytes(damage.replace(b"a.png", str(root / "a.png").encode()))
    assert fingerprint(LISTING, root, cache) == fingerprint(LISTING, root, None)
    assert cache.read_bytes() != damage
    assert [path.name for path in tmp_path.iterdir() if path.is_file()] == ["hashes.json"]


def test_a_cache_that_cannot_be_written_is_done_without(root: Path, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    assert fingerprint(LISTING, root, tmp_path / "file" / "hashes.json") == fingerprint(LISTING, root, None)


def test_a_file_that_is_missing_is_named_in_one_line(root: Path) -> None:
    (root / "b.png").unlink()
    with pytest.raises(DataError, match=r"b\.png: No such file") as caught:
        fingerprint(LISTING, root, None)
    assert "\n" not in str(caught.value)


def test_a_file_that_cannot_be_read_is_tried_again(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cache = tmp_path / "hashes.json"
    before = fingerprint(LISTING, root, None)

    hashed = hashlib.file_digest

    def refuse(file: BufferedReader, method: str) -> object:
        if file.name.endswith("b.png"):
            raise PermissionError(errno.EACCES, "Permission denied")
        return hashed(file, method)

    with monkeypatch.context() as patch:  # as chmod 0, which stops nobody where the tests run as root
        patch.setattr(hashlib, "file_digest", refuse)
        without = fingerprint(LISTING, root, cache)
        assert without == fingerprint(LISTING, root, cache) != before
    assert fingerprint(LISTING, root, cache) == before


def test_drawn_faces_need_no_root() -> None:
    drawn = Listing((Face("a", "vis", "P1", "fear"),))
    assert len(fingerprint(drawn, None, None)) == 64
    with pytest.raises(DataError, match="--data-root"):
        fingerprint(LISTING, None, None)
