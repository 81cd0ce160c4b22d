"""Manifests: which rows are chosen, by frame and by the values of columns."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import pytest

from nferbench.contract.dataset import Listing
from nferbench.contract.errors import DataError, UsageError
from nferbench.contract.values import describe
from nferbench.datasets.manifest import ManifestDataset

HEADER = "path,modality,subject,expression,pair,sequence,frame,session,light,view"


def write(root: Path, *rows: str) -> Path:
    """A manifest with an empty file for each row: listing decodes nothing."""
    (root / "manifest.csv").write_text("\n".join([HEADER, *rows]), encoding="utf-8")
    for row in rows:
        (root / row.split(",")[0]).touch()
    return root


def sequence(frames: Iterable[str], name: str = "s1") -> list[str]:
    return [f"{m}-{name}-{k}.png,{m},P1,happy,{name}-{k},{name},{k},,," for m in ("vis", "nir") for k in frames]


def chosen(listing: Listing, start: str = "nir-s1-") -> list[int]:
    """The numbers of the frames of one sequence."""
    return sorted(int(face.id[len(start) : -4]) for face in listing.faces if face.id.startswith(start))


def test_the_last_frames_of_a_sequence_are_chosen_by_number(tmp_path: Path) -> None:
    write(tmp_path, *sequence(["2", "9", "010", "11"]))
    listing = ManifestDataset(last=2).listing(tmp_path)
    assert chosen(listing) == chosen(listing, "vis-s1-") == [10, 11]
    assert {drop.reason for drop in listing.dropped} == {"not chosen by last=2"}
    assert len(listing.dropped) == 4
    assert len(ManifestDataset().listing(tmp_path).faces) == 8


@pytest.mark.parametrize(
    ("fields", "frames"),
    [
        ({"first": 2}, [1, 2]),
        ({"last": 2}, [6, 7]),
        ({"first": 1, "last": 3}, [1, 5, 6, 7]),
        ({"first": 5, "last": 5}, [1, 2, 3, 4, 5, 6, 7]),
        ({"last": 99}, [1, 2, 3, 4, 5, 6, 7]),
        ({"stride": 2}, [1, 3, 5, 7]),
        ({"stride": 4}, [3, 7]),
        ({"stride": 2, "last": 2}, [5, 7]),
        ({"stride": 3, "first": 1}, [1]),
        ({"stride": 99}, [7]),
    ],
)
def test_frames_are_chosen_from_both_ends_and_by_stride(
    tmp_path: Path, fields: dict[str, int], frames: list[int]
) -> None:
    write(tmp_path, *sequence("1234567"), *sequence(["5"], "s2"))
    listing = replace(ManifestDataset(), **fields).listing(tmp_path)  # type: ignore[arg-type]
    assert chosen(listing) == frames
    assert chosen(listing, "nir-s2-") == [5], "a sequence of one frame keeps it"


def test_the_choice_is_part_of_the_key() -> None:
    keys = [describe(ManifestDataset(**fields)) for fields in ({}, {"last": 1}, {"first": 1}, {"stride": 2})]
    assert all(keys.count(key) == 1 for key in keys)


@pytest.mark.parametrize(("field", "value"), [("last", -1), ("first", -1), ("stride", 0), ("stride", -2)])
def test_a_choice_that_means_nothing_is_refused(field: str, value: int) -> None:
    with pytest.raises(UsageError, match=f"{field} is {value}; allowed: [01] or more"):
        replace(ManifestDataset(), **{field: value})  # type: ignore[arg-type]


@pytest.mark.parametrize("field", ["last", "first", "stride"])
def test_choosing_frames_needs_sequences_and_numbers(tmp_path: Path, field: str) -> None:
    dataset = replace(ManifestDataset(), **{field: 2})  # type: ignore[arg-type]
    for rows in (sequence(["apex"]), ["a.png,vis,P1,happy,,,3,,,"]):
        with pytest.raises(DataError, match=f"line 2: {field}=2 needs a sequence and a whole number") as caught:
            dataset.listing(write(tmp_path, *rows))
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize("column", ["session", "light", "view"])
def test_rows_are_filtered_by_session_light_and_view(tmp_path: Path, column: str) -> None:
    def row(name: str, value: str) -> str:
        return f"{name}.png,vis,P1,happy,,,," + ",".join(value if c == column else "" for c in HEADER.split(",")[-3:])

    write(tmp_path, row("a", "Strong"), row("b", "Dark"), row("c", ""))
    listing = replace(ManifestDataset(), **{column: "strong"}).listing(tmp_path)  # type: ignore[arg-type]
    assert [face.id for face in listing.faces] == ["a.png"]
    assert {drop.what: drop.reason for drop in listing.dropped} == dict.fromkeys(
        ("b.png", "c.png"), f"{column} is not 'strong'"
    )
