"""Arrays are read from .npy files alone; whatever else has that name is a fault of the data."""

from __future__ import annotations

import errno
import io
import pickle
from pathlib import Path

import numpy as np
import pytest

from nferbench.contract.errors import DataError
from nferbench.datasets.given import read_given
from nferbench.datasets.manifest import read_landmarks
from nferbench.datasets.npy import mapped


def stored(array: np.ndarray) -> bytes:
    np.save(stream := io.BytesIO(), array, allow_pickle=True)
    return stream.getvalue()


def archive() -> bytes:
    np.savez(stream := io.BytesIO(), points=np.zeros((68, 2)))
    return stream.getvalue()


def with_header(header: str) -> bytes:
    text = header.encode() + b"\n"
    return b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text + bytes(4096)


ZEROS = stored(np.zeros((68, 2)))
OTHERS = {
    "nothing": b"",
    "text": b"<html>",
    "archive": archive(),
    "archive, cut off": archive()[:40],
    "archive, without its end": archive()[:-8],
    "empty archive": b"PK\x05\x06" + bytes(18),
    "pickle": pickle.dumps(np.zeros((68, 2))),
    "objects": stored(np.array([{}])),
    "cut off": ZEROS[:-1],
    "half a header": ZEROS[:40],
    "open bracket": with_header("{'descr': '<f8', 'shape': (68, 2"),
    "open quote": with_header("'''"),
    "nested": with_header("-" * 9000 + "1"),
    "negative": with_header("{'descr': '<f8', 'fortran_order': False, 'shape': (-68, 2)}"),
    "huge": with_header(f"{{'descr': '<f8', 'fortran_order': False, 'shape': ({10**30}, 2)}}"),
    "odd keys": with_header("{b'descr': '<f8', 'fortran_order': False, 'shape': (68, 2)}"),
}


def test_an_array_is_mapped_as_it_was_saved(tmp_path: Path) -> None:
    (tmp_path / "a.npy").write_bytes(ZEROS)
    assert mapped(tmp_path / "a.npy").shape == (68, 2)
    assert (read_landmarks(tmp_path / "a.npy") == 0).all()


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("kind", OTHERS)
def test_what_is_no_array_is_a_fault_of_the_data(tmp_path: Path, kind: str) -> None:
    (tmp_path / "a.npy").write_bytes(OTHERS[kind])
    for read in (mapped, read_given, read_landmarks):
        with pytest.raises(DataError, match=r"a\.npy: not an \.npy file \(.+\); is the copy complete\?$") as caught:
            read(tmp_path / "a.npy")
        assert "\n" not in str(caught.value)


def test_a_lack_of_memory_is_no_fault_of_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def lacking(*_: object, **__: object) -> None:
        raise OSError(errno.ENOMEM, "Cannot allocate memory")

    (tmp_path / "a.npy").write_bytes(ZEROS)
    monkeypatch.setattr("numpy.lib.format.open_memmap", lacking)
    with pytest.raises(OSError, match="Cannot allocate memory"):
        mapped(tmp_path / "a.npy")
