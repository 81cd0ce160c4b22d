"""What was really prepared of the listed faces, and how a report says so."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, final

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from nferbench_reports.record import Entry, Record
from nferbench_reports.stage_files import folder_of, missing_reason

SHOWN = 5  # kinds of reasons by name

Count = Annotated[int, Field(ge=0)]


@final
class Prepared(BaseModel):
    """The counts of a data set's prepared faces."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    faces: Count
    pairs: Count
    subjects: Count
    listed: Count | None = None  # faces that were to be prepared; None in results of earlier versions
    left_out: Mapping[str, Count] = Field(default_factory=dict)  # how many of them were not, by kind of reason


def load_prepared(workspace: Path, entry: Entry | None) -> Prepared | None:
    """The counts of a data set; None where it is not prepared, or its counts cannot be read."""
    if entry is None or missing_reason(workspace, entry):
        return None
    try:
        return _Stage.model_validate_json((folder_of(workspace, entry) / "stage.json").read_bytes()).result
    except (OSError, ValidationError):
        return None


def left_out(workspace: Path, record: Record) -> tuple[str, ...]:
    """A sentence for each data set of a record of which listed faces could not be used."""
    protocol = record.protocol
    sets = (
        (protocol.dataset_title, record.faces, protocol.pairs),
        (protocol.extra_title or protocol.extra or "", record.extra_faces, None),
    )
    lines = (_line(title, load_prepared(workspace, entry), pairs) for title, entry, pairs in sets)
    return tuple(line for line in lines if line)


def _line(title: str, prepared: Prepared | None, pairs: int | None) -> str:
    parts = []
    if prepared is not None and prepared.listed is not None and prepared.listed > prepared.faces:
        kinds = [f"{count} {kind}" for kind, count in prepared.left_out.items()]
        shown = ", ".join([*kinds[:SHOWN], *(["others for other reasons"] if len(kinds) > SHOWN else [])])
        parts.append(f"{prepared.listed - prepared.faces} of {prepared.listed} faces left out ({shown})")
    if prepared is not None and pairs is not None and pairs != prepared.pairs:
        parts.append(f"{prepared.pairs} of {pairs} listed pairs remain")
    return f"{title}: {'; '.join(parts)}." if parts else ""


class _Stage(BaseModel):
    """The part of a stage.json that is read."""

    result: Prepared
