"""The section of faces: any test face as VIS, translated by each method, and as real NIR."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Any, final

import pandas as pd

from nferbench.contract.printable import one_line
from nferbench_reports.gallery import (
    Extremes,
    Face,
    extremes,
    faces_tested,
    score_columns,
    score_name,
    scores_frame,
    translated_faces,
)
from nferbench_reports.gallery_pictures import BUDGET, Embedded, Source, embed, sources
from nferbench_reports.grid import LEFT_OUT
from nferbench_reports.results import Missing
from nferbench_reports.runs import Asked, Run
from nferbench_reports.section import Section, Sheet, Widget
from nferbench_reports.table import Column

if TYPE_CHECKING:
    from jinja2 import Template

_HOW = (
    "Choose a face, or jump to the one that a method translates worst, in the middle (of two the worse) or best by a "
    "metric. Error maps are the absolute differences from the real NIR face in levels of 255, channel by channel; VIS "
    "and NIR itself stay as they are. High frequencies are a picture less what the low-pass filter of E_f keeps of it: "
    "8 × 8 values of a face, a few more where 8 does not divide its side."
)
_LICENCE = (
    "Pictures of people may be passed on only as the licence of the data set allows; nferbench report --no-faces "
    "leaves them out."
)


@final
@dataclass(frozen=True)
class Wall:
    """What the gallery shows of one run."""

    run: Run
    columns: tuple[Column, ...]
    scores: pd.DataFrame
    tested: tuple[Face, ...]  # all of them, in the order in which they are chosen from
    sources: tuple[Source, ...]
    extremes: Mapping[tuple[str, str], Extremes]  # by the name of a row and of a score
    embedded: Embedded


def section(runs: Sequence[Run], asked: Asked) -> Section | None:
    """The test faces of all runs and the scores of each; None where no run translates."""
    translating = [run for run in runs if any(fold.translation for one in run.tabled() for fold in one.row.folds)]
    if not translating:
        return None
    scores = [scores_frame(run, score_columns(run, asked.convention)) for run in translating]
    walls: list[Wall] = []
    said = [] if asked.faces else [f"{LEFT_OUT.capitalize()}."]
    for run, frame in zip(translating, scores, strict=True) if asked.faces else ():
        wall = wall_of(run, frame, asked, BUDGET // len(translating))
        title = run.record.protocol.dataset_title
        if isinstance(wall, Missing):
            said.append(f"No pictures of {title}: {wall.reason}.")
        else:
            walls.append(wall)
            said.append(f"{title}: {told(wall)}")
    parts: list[Sheet | Widget] = []
    if walls:
        said = [_HOW, *said, _LICENCE]
        parts.append(widget(walls))
    if numbers := [frame for frame in scores if not frame.empty]:
        parts.append(Sheet("images", "Scores of each test face", pd.concat(numbers, ignore_index=True), ()))
    return Section("faces", "Faces", tuple(said), tuple(parts))


def wall_of(run: Run, scores: pd.DataFrame, asked: Asked, budget: int) -> Wall | Missing:
    """The pictures of a run within a budget, or why there are none.

    Args:
        run: of which they are.
        scores: `scores_frame` of it.
        asked: says which PSNR and SSIM are shown.
        budget: characters of all pictures.
    """
    translated = translated_faces(run)
    shown = sources(run, translated)
    if isinstance(shown, Missing):
        return shown
    columns = score_columns(run, asked.convention)
    tested = faces_tested(run, translated, scores)
    found = {
        (source.name, score_name(column)): each
        for column in columns
        for source in shown
        if source.name and (each := extremes(scores, source.name, column))
    }
    marked = dict.fromkeys(face for each in found.values() for face in (each.worst, each.median, each.best))
    embedded = embed(shown, list(dict.fromkeys([*marked, *tested])), len(marked), budget)
    if not embedded.pictures:
        return Missing(
            "no test face has a picture" if not tested else "one face is larger than all that a page may hold"
        )
    return Wall(run, columns, scores, tested, shown, found, embedded)


def told(wall: Wall) -> str:
    """How many test faces a page has of a run, how they were chosen, and whether their pictures are exact."""
    embedded = wall.embedded
    parts = [
        f"{len(embedded.faces):,} of {len(wall.tested):,} test faces, {len(embedded.pictures):,} pictures at "
        f"{embedded.side} px"
    ]
    if len(embedded.faces) < len(wall.tested):
        parts.append(
            "those that a method translates worst, in the middle or best by a metric, then all expressions of one "
            "subject after the other, as far as the page may grow"
        )
    parts.append(exactness(embedded))
    return "; ".join(parts) + "."


def exactness(embedded: Embedded) -> str:
    """Whether the pictures are those that are stored, and how far off they are where they are not."""
    if embedded.quality is None:
        return "pixels exactly as they are stored"
    return (
        f"compressed with loss (JPEG, quality {embedded.quality}): pixels, and so error maps and high frequencies, are "
        f"off by {embedded.off:.1f} levels of 255 on average, by {embedded.off_most} at most"
    )


def widget(walls: Sequence[Wall]) -> Widget:
    """The part of the page that shows them."""
    pictures = dict.fromkeys(uri for wall in walls for uri in wall.embedded.pictures)
    number = {uri: i for i, uri in enumerate(pictures)}
    data = {"pictures": list(pictures), "sets": [_set(wall, number) for wall in walls]}
    return Widget(
        _template().render(data=_inert(data)), _resource("gallery.js"), _resource("gallery.css"), faces=len(pictures)
    )


def _set(wall: Wall, number: Mapping[str, int]) -> dict[str, Any]:
    """A run as the script reads it; faces stand in the order in which they are chosen from."""
    embedded = wall.embedded
    rank = {face: at for at, face in enumerate(wall.tested)}
    order = sorted(range(len(embedded.faces)), key=lambda i: rank[embedded.faces[i]])
    place = {embedded.faces[i]: at for at, i in enumerate(order)}
    values = {
        (method, int(fold), face): numbers
        for method, fold, face, *numbers in wall.scores[
            ["method", "fold", "id", *map(score_name, wall.columns)]
        ].itertuples(index=False, name=None)
    }

    def picture(shown: int | Missing) -> int | str:
        return one_line(shown.reason) if isinstance(shown, Missing) else number[embedded.pictures[shown]]

    def texts(source: Source, face: Face) -> list[str] | None:
        numbers = values.get((source.name, face.fold, face.id))
        return numbers and ["" if pd.isna(x) else c.text(x) for c, x in zip(wall.columns, numbers, strict=True)]

    def picks(source: Source, column: Column) -> list[int | None] | None:
        each = wall.extremes.get((source.name, score_name(column)))
        return each and [*(place.get(face) for face in (each.worst, each.median, each.best)), each.faces]

    faces = [embedded.faces[i] for i in order]
    protocol = wall.run.record.protocol
    return {
        "title": f"{protocol.dataset_title}, {protocol.preset}",
        "side": embedded.side,
        "lossy": "" if embedded.quality is None else f"Pictures are {exactness(embedded)}.",
        "tested": len(wall.tested),
        "metrics": [column.title for column in wall.columns],
        "faces": [[str(face.fold), *map(one_line, (face.subject, face.expression, face.id))] for face in faces],
        "sources": [
            {
                "title": source.title,
                "translates": bool(source.name),
                "pictures": [picture(shown[i]) for i in order],
                "numbers": [texts(source, face) for face in faces],
                "picks": [picks(source, column) for column in wall.columns],
            }
            for source, shown in zip(wall.sources, embedded.shown, strict=True)
        ],
    }


def _inert(data: Any) -> str:
    """JSON that ends no element and no line of a script, whatever stands in it."""
    text = json.dumps(data, ensure_ascii=True, allow_nan=False, separators=(",", ":"))
    return text.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e")


def _resource(name: str) -> str:
    return files("nferbench_reports").joinpath("templates", name).read_text(encoding="utf-8")


@cache
def _template() -> Template:
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(loader=PackageLoader("nferbench_reports"), undefined=StrictUndefined, autoescape=True)
    return environment.get_template("gallery.html.j2")
