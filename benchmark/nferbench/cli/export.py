"""`nferbench export`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from nferbench.cli.options import Workspace
from nferbench.cli.output import say
from nferbench.cli.requests import folds_named, items

if TYPE_CHECKING:
    from nferbench.engine.pictures import Picture
    from nferbench.planning.exported import Cell, Part
    from nferbench.workspace.recorded import Recorded
    from nferbench.workspace.store import Store

Row = Mapping[str, str]


def export(
    record: Annotated[str, typer.Argument(help="Name of a record (nferbench status), or 'all'.")] = "all",
    out: Annotated[Path | None, typer.Option(help="Folder to write to; default WORKSPACE/exported.")] = None,
    part: Annotated[
        Literal["test", "extra"], typer.Option(help="The translated test faces, or the translated extra set.")
    ] = "test",
    methods: Annotated[str, typer.Option(help="Comma-separated rows of the record; default all.")] = "",
    fold: Annotated[str, typer.Option(help="Only these folds, such as 0 or 0,2.")] = "",
    with_originals: Annotated[
        bool, typer.Option("--with-originals", help="Also their VIS faces, and the real NIR faces of these.")
    ] = False,
    workspace: Workspace = Path("runs"),
) -> None:
    """Write translated faces as PNG files, with a table of what each is. The licence of the data set holds for them.

    nferbench export --methods pix2pix,nfer-sde --with-originals
    """
    from nferbench.engine.pictures import TABLE, write_pictures
    from nferbench.planning.exported import having, shown
    from nferbench.planning.named_records import records_named
    from nferbench.workspace.files import file_name
    from nferbench.workspace.store import read_workspace

    store = read_workspace(workspace)
    folder = out or workspace / "exported"
    records = having(records_named(record, store), items(methods))
    found = [(each, shown(each, items(methods), folds_named(fold), part, store)) for each in records]
    for each, content in found:
        for note in content.notes:
            say(f"note: {note}")
        listed = [*_translated(content.cells)]
        if with_originals:
            listed += _originals(each, part, {row["id"] for _, row, _ in listed}, store)
        place = folder / file_name(each.name)
        pictures, table = _named(listed)
        written = write_pictures(place, pictures, table)
        say(
            f"{len(pictures)} faces of {each.name} ({each.content['protocol'].get('dataset')}) in {place}, {written} "
            f"of them written now; {place / TABLE} lists them; the licence of the data set holds for each"
        )


def _named(listed: Sequence[tuple[str, Row, Picture]]) -> tuple[list[Picture], list[Row]]:
    """The pictures under their file names, and the rows of the table."""
    from dataclasses import replace

    from nferbench.engine.file_names import file_names

    names = file_names([name for name, _, _ in listed])
    pictures = [replace(picture, file=names[name]) for name, _, picture in listed]
    return pictures, [{"file": names[name], **row} for name, row, _ in listed]


def _translated(cells: Sequence[Cell]) -> Iterator[tuple[str, Row, Picture]]:
    from nferbench.engine.pictures import Picture
    from nferbench.faces.translated import read_translated

    for cell in cells:
        translated = read_translated(cell.entry.path)
        for place, face in enumerate(translated.faces):
            row = _row(cell.row, str(cell.fold), face.id, face.subject, face.expression, cell.entry.info["key"])
            name = f"{cell.row}/fold{cell.fold}/{face.id}"
            yield name, row, Picture("", translated.images, place)


def _originals(record: Recorded, part: Part, ids: set[str], store: Store) -> Iterator[tuple[str, Row, Picture]]:
    """The VIS faces of these ids, and the NIR faces that are their partners."""
    from nferbench.engine.pictures import Picture
    from nferbench.faces.prepared import read_prepared
    from nferbench.planning.exported import faces_of

    entry = faces_of(record, part, store)
    prepared = read_prepared(entry.path)
    pairs = {face.pair for face in prepared.faces if face.id in ids and face.pair}
    for place, face in enumerate(prepared.faces):
        if face.id in ids or (face.modality == "nir" and face.pair in pairs):
            row = _row(face.modality, "", face.id, face.subject, face.expression, entry.info["key"])
            yield f"{face.modality}/{face.id}", row, Picture("", prepared.images, place)


def _row(name: str, fold: str, face: str, subject: str, expression: str, stage: str) -> Row:
    return {"row": name, "fold": fold, "id": face, "subject": subject, "expression": expression, "stage": stage}
