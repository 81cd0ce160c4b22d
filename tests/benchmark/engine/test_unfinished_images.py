"""Images of an attempt that was cut off: gone on with where they are what was written, else made anew."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from nferbench.engine.translating import _open_output
from nferbench.workspace.unfinished import Mark, Unfinished

SHAPE = (6, 4, 4, 3)


def begun(tmp_path: Path) -> Unfinished:
    """Four of six images."""
    (tmp_path / "partial").mkdir()
    left = Unfinished(tmp_path / "partial", "key", "", tmp_path / "damaged")
    output, done, so_far = _open_output(left, SHAPE, pytest.fail)
    assert done == 0
    output[:4] = np.arange(4 * 48, dtype=np.uint8).reshape(4, 4, 4, 3)
    output.flush()
    so_far.update(output[:4].tobytes())
    left.write(Mark(4, so_far.hexdigest()))
    return left


def test_images_that_are_what_was_written_are_gone_on_with(tmp_path: Path) -> None:
    left = begun(tmp_path)
    output, done, so_far = _open_output(left, SHAPE, pytest.fail)
    assert done == 4 and output[3].any()
    assert so_far.hexdigest() == hashlib.sha256(output[:4].tobytes()).hexdigest()


def zeroed(left: Unfinished) -> None:
    np.lib.format.open_memmap(left.folder / "images.npy", mode="r+")[2:4] = 0


def cut(left: Unfinished) -> None:
    path = left.folder / "images.npy"
    path.write_bytes(path.read_bytes()[:200])


def of_other_form(left: Unfinished) -> None:
    np.save(left.folder / "images.npy", np.zeros((6, 8, 8, 3), np.uint8))


def gone(left: Unfinished) -> None:
    (left.folder / "images.npy").unlink()


def too_many(left: Unfinished) -> None:
    left.write(Mark(7, ""))


def of_another_stage(left: Unfinished) -> None:
    replace(left, key="other").write(
        Mark(4, hashlib.sha256((left.folder / "images.npy").read_bytes()[128:]).hexdigest())
    )


def of_other_code(left: Unfinished) -> None:
    replace(left, code="other").write(Mark(4, ""))


def odd(left: Unfinished) -> None:
    (left.folder / "checkpoint.json").write_text("[1, 2]")


FAULTS = (zeroed, cut, of_other_form, gone, too_many, of_another_stage, of_other_code, odd)


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.__name__)
def test_images_that_are_not_are_told_and_made_anew(tmp_path: Path, fault: Callable[[Unfinished], None]) -> None:
    left = begun(tmp_path)
    fault(left)
    told: list[str] = []
    output, done, _ = _open_output(left, SHAPE, told.append)
    assert done == 0 and output.shape == SHAPE and not output.any()
    assert len(told) == 1 and "earlier images not used" in told[0] and "\n" not in told[0]
    assert (tmp_path / "damaged").is_dir()
