"""What a finished stage says of itself: what it took, on what, and what it is."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, final

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from nferbench_reports.record import Count, Entry, Key, Text
from nferbench_reports.results import Missing
from nferbench_reports.stage_files import folder_of, missing_reason, read_json

_AS_STORED = ConfigDict(frozen=True, extra="ignore")

Amount = Annotated[float, Field(ge=0, allow_inf_nan=False)]


@final
class Cost(BaseModel):
    """Seconds of a stage, and how much it did in them."""

    model_config = _AS_STORED

    seconds: Amount  # of its last attempt
    units: Count  # updates of a training, else images
    resumed: bool = False
    seconds_before: Amount | None = None  # of earlier attempts at a training; absent where they are not known
    units_before: Count | None = None  # images of earlier attempts at a translation; absent likewise

    def total(self) -> float:
        """Seconds of all attempts, as far as they are known."""
        return self.seconds + (self.seconds_before or 0.0)

    def at_least(self) -> bool:
        """Whether a training took longer than is known."""
        return self.resumed and self.seconds_before is None

    def rate(self) -> float | None:
        """Seconds an image; None where it is not known how many were done in these seconds."""
        if self.resumed and self.units_before is None:
            return None
        done = self.units - (self.units_before or 0)
        return self.seconds / done if done > 0 else None


@final
class Made(BaseModel):
    """What a stage was done on, and with how much memory."""

    model_config = _AS_STORED

    device: Text = ""
    piece: Count | None = None  # pairs that were computed at a time
    peak_bytes: Count | None = None  # of a GPU
    peak_resident_bytes: Count | None = None  # of the process, on a CPU


@final
class Outcome(BaseModel):
    """What a stage counted."""

    model_config = _AS_STORED

    updates: Count | None = None
    pairs: Count | None = None
    parameters: Count | None = None
    evaluations: Mapping[Text, Amount] | None = None  # of each network a face; absent in earlier versions
    resumed_at: tuple[Count, ...] = ()  # updates that were done when a training was gone on with


@final
class Described(BaseModel):
    """Of the fields of a stage those that are told."""

    model_config = _AS_STORED

    needs: tuple[Key, ...] = ()  # the stages whose results it read
    recipe: Mapping[str, Any] | None = None  # of a network
    fold: Mapping[str, Any] | None = None
    sha256: Text | None = None  # of the file that a network came from


@final
class Done(BaseModel):
    """A stage that is complete."""

    model_config = _AS_STORED

    key: Key
    stage: Text = ""  # its kind and label
    description: Described = Described()
    cost: Annotated[Cost | None, BeforeValidator(lambda said: said or None)] = None  # bundles say {} where none is
    made_with: Made = Made()
    result: Outcome = Outcome()

    def label(self) -> str:
        """How it is called in lists of work, without its kind; "" where it does not say."""
        return self.stage.partition(" ")[2]

    def given(self) -> bool:
        """Whether it is a network that came fitted from a file."""
        return self.description.sha256 is not None and self.description.fold is None

    def trained(self) -> bool:
        """Whether it is a network that had updates; else its weights were given."""
        return not self.given() and self.result.updates != 0


def read_done(workspace: Path, entry: Entry) -> Done | Missing:
    """What a stage says of itself, or why it is not there."""
    if reason := missing_reason(workspace, entry):
        return Missing(reason)
    folder = folder_of(workspace, entry)
    try:
        return Done.model_validate(read_json(folder / "stage.json"))
    except (OSError, ValueError):  # pydantic's errors are ValueErrors
        return Missing(f"{folder.name} is damaged; run the same 'nferbench run' again")
