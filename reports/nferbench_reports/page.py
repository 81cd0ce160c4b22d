"""The page of a report: one HTML file that opens from a disk, and shows its numbers without scripts too."""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import files
from typing import TYPE_CHECKING, final

from nferbench_reports.preparation import load_prepared
from nferbench_reports.runs import Run
from nferbench_reports.section import Picture, Section, Widget
from nferbench_reports.sheet_html import lay_out

if TYPE_CHECKING:
    from jinja2 import Environment
    from markupsafe import Markup

# What begins an end tag or a comment in a script or a style, where neither may be.
_ENDING = re.compile(r"<(?=/|!--)")
_TAG = re.compile(r"<[^<>]*>")
_ID = re.compile(r"""(?<=\sid=["'])|(?<=href=["']#)|(?<=url\(#)""")


@final
@dataclass(frozen=True)
class Headline:
    """One run in a line of facts."""

    title: str
    facts: tuple[tuple[str, str], ...]  # what is counted or named, and its value


@final
@dataclass(frozen=True)
class Page:
    """All that a page shows; every text is plain text."""

    title: str
    headlines: tuple[Headline, ...]
    said: tuple[str, ...]  # what was run, left out or could not be read, a sentence each
    sections: tuple[Section, ...]
    left_out: bool = False  # whether pictures of faces were to be left out


def headline(run: Run) -> Headline:
    """The facts of a run."""
    record, protocol = run.record, run.record.protocol
    counts = load_prepared(run.workspace, record.faces) or protocol
    facts = {
        "subjects": str(counts.subjects),
        "pairs": str(counts.pairs),
        {"folds": "folds", "repeats": "random draws", "fixed": "fixed splits"}[protocol.division]: str(protocol.folds),
        "rows": str(len(record.rows)),
        "preset": protocol.preset,
        "faces": f"{protocol.size} px",
        "extra set": protocol.extra_title or protocol.extra or "none",
        "recogniser": protocol.fer_title,
        "run": f"{record.created:%Y-%m-%d}",
    }
    return Headline(protocol.dataset_title, tuple(facts.items()))


def faces(sections: Sequence[Section]) -> int:
    """How many pictures of faces there are in sections."""
    return sum(part.faces for section in sections for part in section.parts if isinstance(part, Picture | Widget))


def write_page(page: Page) -> str:
    """The page as HTML; the same content gives the same text."""
    from markupsafe import Markup

    widgets = [part for section in page.sections for part in section.parts if isinstance(part, Widget)]
    return (
        _environment()
        .get_template("page.html.jinja")
        .render(
            page=page,
            faces=faces(page.sections),
            css=Markup(_resource("page.css")),
            js=Markup(_resource("page.js")),
            styles=[Markup(_inside(widget.style)) for widget in widgets if widget.style],
            scripts=[Markup(_inside(widget.script)) for widget in widgets if widget.script],
        )
    )


def _environment() -> Environment:
    from jinja2 import Environment, PackageLoader, StrictUndefined
    from markupsafe import Markup

    environment = Environment(
        loader=PackageLoader("nferbench_reports"),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=StrictUndefined,
    )
    environment.filters["own_ids"] = _own_ids
    environment.filters["kind"] = lambda part: type(part).__name__
    environment.filters["laid_out"] = lay_out
    environment.filters["base64"] = lambda content: Markup(b64encode(content).decode())
    return environment


def _resource(name: str) -> str:
    return files("nferbench_reports").joinpath("templates", name).read_text(encoding="utf-8")


def _inside(code: str) -> str:
    """A script or a style that no text in it can end; a string that holds `</` means the same as one with `<\\/`."""
    return _ENDING.sub(r"<\\", code)


def _own_ids(svg: str, prefix: str) -> Markup:
    """A drawing whose ids are its own: all drawings share one page."""
    from markupsafe import Markup

    return Markup(_TAG.sub(lambda tag: _ID.sub(prefix, tag[0]), svg))
