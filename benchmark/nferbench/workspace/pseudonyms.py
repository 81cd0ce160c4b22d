"""Names that stand for subjects and faces in what goes to others, made anew for each bundle."""

from __future__ import annotations

import hmac
import re
import secrets
import shlex
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any, final

from nferbench.contract.printable import one_line
from nferbench.contract.unnamed import GONE, unnamed

_TOKEN = re.compile(r"[^\s'\"(),;:]{3,}")  # a word of a text that may be the id of a face


@final
@dataclass(frozen=True)
class Pseudonyms:
    """What stands for whom. The salt is kept nowhere, so that nobody can try names against what stands for them."""

    subjects: Mapping[str, str]  # sorted as the names are: tests and intervals over subjects go by their order
    faces: Mapping[str, str]  # of ids of faces and of pairs
    wide: tuple[str, ...]  # faces whose names are more than one word of a text
    words: re.Pattern[str] | None  # subjects as words of a text; None where none is long enough to be told from others

    def face(self, name: str) -> str:
        """What stands for a face; "" for a face without partner."""
        return self.faces[name] if name else ""

    def text(self, text: str) -> str:
        """A text on one line without names of files, faces and subjects."""
        for name in self.wide:
            text = text.replace(name, self.faces[name])
        text = _TOKEN.sub(lambda found: self.faces.get(found[0], found[0]), text)
        text = unnamed(one_line(text))
        return self.words.sub(lambda found: self.subjects[found[0]], text) if self.words else text

    def data(self, data: Any) -> Any:
        """JSON data in which no text holds such a name."""
        if isinstance(data, dict):
            return {self.text(str(name)): self.data(value) for name, value in data.items()}
        if isinstance(data, list):
            return [self.data(value) for value in data]
        return self.subjects.get(data) or self.text(data) if isinstance(data, str) else data


def pseudonyms(subjects: Collection[str], faces: Collection[str]) -> Pseudonyms:
    """New names for these subjects and faces."""
    salt = secrets.token_bytes(32)
    width = len(str(len(subjects)))
    people = {
        name: f"p{number:0{width}}-{_mark(salt, name)[:8]}"
        for number, name in enumerate(sorted(set(subjects)), start=1)
    }
    # A name such as "7" or "al" is also a number or part of another word.
    words = sorted((name for name in people if len(name) > 2 and not name.isdecimal()), key=len, reverse=True)
    pattern = re.compile(rf"(?<!\w)(?:{'|'.join(map(re.escape, words))})(?!\w)") if words else None
    pictures = {name: f"f{_mark(salt, name)[:16]}" for name in faces if name}
    wide = tuple(name for name in pictures if len(name) > 2 and not _TOKEN.fullmatch(name))
    return Pseudonyms(people, pictures, wide, pattern)


def without_places(command: str) -> str:
    """A command line with each word that is, or holds, a path written as an ellipsis behind the = that it follows.

    >>> without_places("nferbench run --dataset ../faces/a.csv --data-root cfee=/data --set size=64")
    'nferbench run --dataset … --data-root cfee=… --set size=64'
    """
    try:
        words = shlex.split(command)
    except ValueError:
        return GONE
    return " ".join(map(_without_place, words))


def _without_place(word: str) -> str:
    head, equals, rest = word.rpartition("=")
    if re.search(r"[/\\~]", rest) or unnamed(rest) != rest:
        return f"{head}{equals}{GONE}"
    return shlex.quote(word)


def _mark(salt: bytes, name: str) -> str:
    return hmac.digest(salt, name.encode(errors="surrogatepass"), "sha256").hex()
