"""Any text as one line that every terminal, log and CSV file can take: names of files may hold anything."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence

SHOWN = 5  # of many names, those that a message has

Plain = str | int | float | bool | None  # what YAML writes as one word

# What spreadsheets take for a formula, after any number of apostrophes; a plain number with a sign is none.
_FORMULA = re.compile(r"'*(?:[=@\t\r\uff1d\uff0b\uff0d\uff20]|[+-](?!\d+(?:\.\d+)?$))")


def one_line(text: str) -> str:
    r"""The text with all that is not printable written as an escape.

    Bytes of file names that are not UTF-8 (which Python holds as lone surrogates) are written as they are on the disk.

    >>> print(one_line("a\nb"), one_line("Ren\udce9.png"), one_line("Ren\u00e9, \"2\".png"))
    a\nb Ren\xe9.png René, "2".png
    """
    return text if text.isprintable() else "".join(map(_printable, text))


def first_of(names: Sequence[str], between: str = ", ") -> str:
    """The first few of some names in one line, and how many more there are.

    >>> first_of(["a", "b"]), first_of(list("abcdefg"))
    ('a, b', 'a, b, c, d, e and 2 more')
    """
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return between.join(map(one_line, names[:SHOWN])) + more


def plain(value: Plain) -> str:
    """A value as a person writes it in YAML; a text stays as it is.

    >>> plain(100.0), plain(0.5), plain(None), plain("linear")
    ('100', '0.5', 'null', 'linear')
    """
    return value if isinstance(value, str) else json.dumps(value).removesuffix(".0")


def cell(text: str) -> str:
    """Text as a cell of a CSV file that no spreadsheet takes for a formula: an apostrophe before what looks like one.

    >>> cell("=1+1"), cell("-1"), cell("P1")
    ("'=1+1", '-1', 'P1')
    """
    return f"'{text}" if _FORMULA.match(text) else text


def from_cell(text: str) -> str:
    """The text that `cell` was given."""
    return text[1:] if text.startswith("'") and _FORMULA.match(text) else text


def _printable(character: str) -> str:
    if character.isprintable():
        return character
    code = ord(character)
    if 0xDC80 <= code <= 0xDCFF:  # os.fsdecode
        return f"\\x{code - 0xDC00:02x}"
    return character.encode("unicode_escape").decode()
