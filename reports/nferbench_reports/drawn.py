"""Pictures that lie beside the report, and how report.md and the page show them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal, final

from nferbench_reports.markdown import escape, inside_brackets
from nferbench_reports.section import Picture

Kind = Literal["comparison", "ablation", "bands", "pushes", "studies"]
OF_FACES: tuple[Kind, ...] = ("comparison", "ablation", "bands")


@final
@dataclass(frozen=True)
class Drawn:
    """A picture in a file, or why there is none; every text is plain text."""

    record: str  # the name of the record that it is of
    kind: Kind
    path: Path | None  # of the PNG file
    alt: str  # what it shows
    said: str  # how to read it, or why there is none; empty where the lines say it
    lines: tuple[str, ...] = ()  # what else must be known, a sentence each
    faces: int = 0  # pictures of faces in it


def write_markdown(one: Drawn) -> str:
    """The picture, linked by the name of its file, with what is said of it."""
    image = f"![{inside_brackets(one.alt)}]({one.path.name})" if one.path else ""
    lines = "".join(f"- {escape(line)}\n" for line in one.lines)
    return "\n\n".join(part for part in (image, escape(one.said), lines) if part).rstrip("\n") + "\n"


def picture(one: Drawn) -> Picture | None:
    """The picture as part of the page; None where there is none.

    Raises:
        OSError: the file cannot be read.
    """
    return Picture(one.path.read_bytes(), one.alt, one.said, one.lines, one.faces) if one.path else None
