"""Text without the names of files."""

from __future__ import annotations

import pytest

from nferbench.contract.unnamed import unnamed


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("/data/Ann Lee/one two.png is black", "… is black"),
        ("P001/Happiness/00.jpeg: no face (of 3)", "…: no face (of 3)"),
        ("no space left in /home/ann/runs; make room", "no space left in …; make room"),
        ("C:\\faces\\Ann.bmp, D:/x.tif", "…, …"),
        ("it lies in ../runs or ~ann/runs", "it lies in … or …"),
        ("file '/a b/c.NPY' is damaged", "file '…' is damaged"),
        ("VIS/NIR, 1 / 2 of [-1, 1], fold0-seed1, 0.5", "VIS/NIR, 1 / 2 of [-1, 1], fold0-seed1, 0.5"),
        ("RuntimeError: shape (1/2) (means.py, line 3)", "RuntimeError: shape (1/2) (means.py, line 3)"),
    ],
)
def test_files_become_an_ellipsis_and_nothing_else_does(text: str, expected: str) -> None:
    assert unnamed(text) == expected
