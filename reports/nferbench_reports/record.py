"""What stands in the record of a run, as values: its protocol, its rows, and which stages stand behind each."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import PurePosixPath
from typing import Annotated, Literal, final

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from nferbench.contract.printable import one_line

SCORES = ("lpips", "psnr", "ssim", "psnr_paper", "ssim_paper")  # of the stage that every row has
RECOGNITION = ("accuracy", "macro_f1")

TableName = Literal["comparison", "ablation", "study"]
Group = Literal["reference", "none", "gan", "diffusion", "given"]

_AS_STORED = ConfigDict(frozen=True, extra="ignore")


def _aware(moment: datetime) -> datetime:
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def as_line(text: str) -> str:
    """Text as one printable line, with single blanks between its words."""
    return one_line(" ".join(text.split()))


def _below(path: str) -> str:
    parts = PurePosixPath(path).parts
    if not parts or PurePosixPath(path).is_absolute() or ".." in parts or not path.isprintable() or "\\" in path:
        raise ValueError(f"{path!r} is no path below the workspace")
    return path


Text = Annotated[str, AfterValidator(as_line)]  # one printable line, whatever stands in the file
Count = Annotated[int, Field(ge=0)]
Number = Annotated[float, Field(allow_inf_nan=False)] | Annotated[int, Field(ge=-(2**63), lt=2**63)]
Value = bool | Number | Text | None
Key = Annotated[str, Field(pattern=r"^[\w+-]{1,128}$")]
Below = Annotated[str, AfterValidator(_below)]


@final
class Entry(BaseModel):
    """One stage of a run: its key, and its directory below the workspace."""

    model_config = _AS_STORED

    key: Key
    path: Below


@final
class MeasuredEntry(BaseModel):
    """The stage that measured a fold by one metric."""

    model_config = _AS_STORED

    name: Text  # of the metric
    key: Key
    path: Below


@final
class Metric(BaseModel):
    """What a row was measured by beside LPIPS, PSNR and SSIM."""

    model_config = _AS_STORED

    name: Annotated[Text, Field(min_length=1)]
    title: Annotated[Text, Field(min_length=1)]
    better: Literal["higher", "lower"]
    decimals: Annotated[int, Field(ge=0, le=9)] = 4
    lacking: Text = ""  # why a real face may give nothing to measure by
    note: Text = ""  # what a reader of the column must know
    identity: Text = ""  # stands for all that decides its numbers


@final
class FoldEntries(BaseModel):
    """The stages of one method on one fold; None where a stage does not apply to the method."""

    model_config = _AS_STORED

    fold: Count
    translation: Entry | None = None
    quality: Entry | None = None
    fer: Entry | None = None
    fer_repeats: tuple[Entry, ...] = ()  # further trainings of the same recogniser; none in records of earlier versions
    metrics: tuple[MeasuredEntry, ...] = ()  # by `Row.metrics`, as far as they are measured
    needs: tuple[Entry, ...] = ()  # all stages that these need, networks too; none in records of earlier versions

    def trainings(self) -> tuple[Entry, ...]:
        """All trainings of the recogniser, in the order of their seeds."""
        return () if self.fer is None else (self.fer, *self.fer_repeats)


@final
class Varied(BaseModel):
    """Which place in which study a row has: one method with many values of one of its fields."""

    model_config = _AS_STORED

    name: Text  # of the study
    method: Text
    field: Text
    value: Value
    default: Value  # what the method itself has there
    held: tuple[Text, ...] = ()  # what the study sets besides, in words
    rest: Text  # stands for all that is not varied: rows of one curve have it in common


def _told_apart_by_name(metrics: tuple[Metric, ...]) -> tuple[Metric, ...]:
    names = [*SCORES, *RECOGNITION, *(metric.name for metric in metrics)]
    if len(names) > len(set(names)):
        raise ValueError("a metric has the name of another column")
    return metrics


@final
class Row(BaseModel):
    """One method of a run, or one reference row."""

    model_config = _AS_STORED

    name: Text
    title: Text
    group: Group
    heterogeneous: bool = False
    tables: tuple[TableName, ...]
    stamps: tuple[Text, ...] = ()  # what a reader of the numbers must know about how they were made
    study: Varied | None = None  # None for rows of none, and in records of earlier versions
    metrics: Annotated[tuple[Metric, ...], AfterValidator(_told_apart_by_name)] = ()  # none in earlier versions
    folds: tuple[FoldEntries, ...]


@final
class Protocol(BaseModel):
    """Everything that two results must share to be compared."""

    model_config = _AS_STORED

    dataset: Text
    dataset_title: Text
    extra: Text | None = None
    extra_title: Text | None = None
    preset: Text
    size: Count
    folds: Annotated[int, Field(ge=1, le=10_000)]
    seed: int
    fer: Text
    fer_title: Text
    fer_seeds: Annotated[int, Field(ge=1, le=100)] = 1  # trainings of each recogniser; absent in earlier versions
    classes: tuple[Text, ...]
    subjects: Count
    pairs: Count
    splits: Text
    division: Literal["folds", "repeats", "fixed"] = "folds"
    crop: Text = ""  # how faces were found and cropped; empty in records of earlier versions
    place: Text = ""  # stands for where the data set lies; empty where nowhere, and in records of earlier versions
    without_extra: Text = "no extra set"  # why there is none, where there is none; records of earlier versions lack it
    known_as: Text = ""  # the data set's own name where a report has put more behind it; empty in every file

    def own_name(self) -> str:
        """The data set's own name, by which the published numbers are found."""
        return self.known_as or self.dataset

    def averaged(self) -> str:
        """How many trainings stand behind each number of recognition, as the end of a sentence; "" for one."""
        return f", recognition averaged over {self.fer_seeds} trainings" if self.fer_seeds > 1 else ""

    def trainings(self) -> str:
        """How often each recogniser is trained, such as "3 trainings"."""
        return f"{self.fer_seeds} training{'s' * (self.fer_seeds > 1)}"

    def divided(self) -> str:
        """How people are divided, such as "5 folds"."""
        words = {"folds": "fold", "repeats": "random draw", "fixed": "fixed split"}
        return f"{self.folds} {words[self.division]}{'s' * (self.folds > 1)}"

    def summary(self) -> str:
        """The protocol in one line."""
        extra = self.extra_title or self.extra or "none"
        crop = f", crop {self.crop}" if self.crop else ""
        return (
            f"preset {self.preset}, {self.size} px{crop}, {self.divided()}, seed {self.seed}, "
            f"extra set {extra}, FER {self.fer_title}{self.averaged()}"
        )


@final
class Record(BaseModel):
    """One run of one protocol."""

    model_config = _AS_STORED

    version: Literal[1]
    created: Annotated[datetime, AfterValidator(_aware)]
    command: Text
    nferbench: Text
    protocol: Protocol
    faces: Entry
    extra_faces: Entry | None = None  # None also in records of earlier versions
    rows: tuple[Row, ...]

    def metrics(self) -> tuple[Metric, ...]:
        """What any row was measured by; of two of one name that of the first row, which is of the newest run."""
        named: dict[str, Metric] = {}
        for row in self.rows:
            for metric in row.metrics:
                named.setdefault(metric.name, metric)
        return tuple(named.values())
