"""Names of people: when two spellings are one name, and when they may be."""

from __future__ import annotations

import re
import unicodedata
from collections import defaultdict
from collections.abc import Iterable, Sequence

from nferbench.contract.printable import one_line

UNKNOWN = "?"  # the subject of faces whose identity is unknown: they may train, never be split or tested
NAMED = 5  # groups of look-alikes that a note names

# Marks, fillers and selectors that are shown as nothing or as a blank, beside the characters of category Cf.
_NOTHING = re.compile("[\u034f\u17b4\u17b5\u180b-\u180d\ufe00-\ufe0f\U000e0100-\U000e01ef]")
_BLANK = re.compile("[\u115f\u1160\u2800\u3164\uffa0]")


def plain(name: str) -> str:
    """A name in the one form that all spellings of it share, which are those that look alike.

    Compatibility forms (NFKC) become what they stand for: full-width digits come from an input method and no-break
    spaces from a spreadsheet, and who is merged by mistake only ever lies on the same side of a fold. Characters
    without a width go, blanks of any kind and number become one space.

    >>> plain(" P\\u00a01\\u200b"), plain("\\uff11")
    ('P 1', '1')
    """
    if name.isascii():
        return " ".join(name.split())
    shown = "".join(each for each in name if unicodedata.category(each) != "Cf")
    return " ".join(unicodedata.normalize("NFKC", _BLANK.sub(" ", _NOTHING.sub("", shown))).split())


def spelled_alike(names: Iterable[str]) -> dict[str, str]:
    """One spelling for each name, by every spelling that occurs.

    A name that is spelled in one way keeps it, so that what is stored of such data stays valid; of several the `plain`
    one is taken. Whatever looks like `UNKNOWN` is.
    """
    spellings: dict[str, set[str]] = defaultdict(set)
    for name in names:
        spellings[plain(name)].add(name)
    return {
        name: form if form and (len(same) > 1 or form == UNKNOWN) else name
        for form, same in spellings.items()
        for name in same
    }


def lookalikes(names: Iterable[str]) -> list[tuple[str, ...]]:
    """Groups of names that are equal but for case, blanks, leading zeros or a ".0" at the end, sorted.

    >>> lookalikes(["P7", "p007", "1", "1.0", "10"])
    [('1', '1.0'), ('P7', 'p007')]
    """
    groups: dict[str, list[str]] = defaultdict(list)
    for name in sorted(set(names) - {UNKNOWN}):
        groups[_loose(name)].append(name)
    return sorted(tuple(group) for group in groups.values() if len(group) > 1)


def told(groups: Sequence[tuple[str, ...]]) -> str:
    """Groups of `lookalikes`, of which there is at least one, in one line."""
    shown = ", ".join(" and ".join(repr(one_line(name)) for name in group[:NAMED]) for group in groups[:NAMED])
    more = f" and {len(groups) - NAMED} more such" if len(groups) > NAMED else ""
    return (
        f"perhaps the same person under several names: {shown}{more}; "
        "give each person one spelling, or one may be both trained on and tested"
    )


def _loose(name: str) -> str:
    text = unicodedata.normalize("NFKC", plain(name).casefold()).replace(" ", "")
    text = "".join(str(unicodedata.decimal(each, each)) for each in text)  # digits of any script
    text = re.sub(r"(?<=\d)[.,]0*$", "", text)
    return re.sub(r"(?<!\d)(?<!\d[.,])0+(?=\d)", "", text)
