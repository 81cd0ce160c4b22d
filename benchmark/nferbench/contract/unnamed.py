"""Text that may go to others: without the names of files, of which reasons of failures are full."""

from __future__ import annotations

import re

GONE = "…"
_SUFFIX = r"\.(?:png|jpe?g|bmp|tiff?|gif|webp|p[gpbn]m|npy|npz|csv|tsv|xlsx?|mat|avi|mp4|zip|pts|txt|json|safetensors)"
_BREAK = r"'\"<>|;"  # what no path goes on behind
_FILES = re.compile(
    # From a root, drive or home to a known ending, blanks and all; to the next blank where there is none.
    rf"(?<![\w.\]/\\])(?:[A-Za-z]:|~\w*|\.{{1,2}})?[/\\][^{_BREAK}\n]*?{_SUFFIX}\b"
    rf"|(?<![\w.\]/\\])(?:[A-Za-z]:|~\w*|\.{{1,2}})?[/\\][^\s{_BREAK},)]+"
    # And any word with such an ending.
    rf"|[^\s{_BREAK}(,=]+?{_SUFFIX}\b",
    re.IGNORECASE,
)


def unnamed(text: str) -> str:
    """The text with every path and every name of a file written as an ellipsis.

    >>> print(unnamed("/data/a b/Ann.png is black"), unnamed("Ann-1.jpg: no face"), unnamed("VIS/NIR, 1 / 2"))
    … is black …: no face VIS/NIR, 1 / 2
    """
    return _FILES.sub(GONE, text)
