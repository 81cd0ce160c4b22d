"""Images by others become rows whose numbers are those of a method with the same images."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from given import do, exported, planned, scored
from PIL import Image

from nferbench.contract.errors import DataError, UsageError
from nferbench.engine.timing import build_all, time_all
from nferbench.engine.worker import Setup
from nferbench.planning.costs import units
from nferbench.planning.given import Given, given_rows
from nferbench.planning.plan import Work
from nferbench.planning.records import write_record
from nferbench.workspace.stages import GivenImages, Recognise, ScoreTranslation, description, key
from nferbench.workspace.store import Store


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Work, Given]:
    """A workspace with a finished run, that run, and its images as files."""
    root = tmp_path_factory.mktemp("given")
    work = planned(root / "w")
    do(work.stages, root / "w")
    write_record(work, Store(root / "w"), "nferbench run")
    return root / "w", work, exported(work, root / "w", root / "files")


@pytest.fixture
def files(done: tuple[Path, Work, Given], tmp_path: Path) -> Given:
    """A copy of the images, to be changed."""
    for name in ("test", "extra"):
        shutil.copytree(done[2].test.parent / name, tmp_path / name)
    return Given("mine", tmp_path / "test", tmp_path / "extra")


def stages(work: Work) -> list[GivenImages]:
    return [stage for stage in work.stages if isinstance(stage, GivenImages)]


def stored(workspace: Path, stage: object, name: str) -> bytes:
    return (Store(workspace).path(stage) / name).read_bytes()  # type: ignore[arg-type]


def test_every_number_of_images_by_others_is_that_of_the_method_that_made_them(
    done: tuple[Path, Work, Given], files: Given
) -> None:
    workspace, work, _ = done
    theirs = scored(work, workspace, files)
    assert [row.name for row in theirs.rows] == ["nir-only", "mine"]
    do(theirs.stages, workspace)
    for mine, other in zip(work.rows[-1].folds, theirs.rows[-1].folds, strict=True):
        assert key(mine.quality) != key(other.quality)  # type: ignore[arg-type]
        assert stored(workspace, mine.quality, "scores.csv") == stored(workspace, other.quality, "scores.csv")
        assert stored(workspace, mine.translation, "images.npy") == stored(workspace, other.translation, "images.npy")
        for one, two in zip(mine.recognition, other.recognition, strict=True):
            assert stored(workspace, one, "predictions.csv") == stored(workspace, two, "predictions.csv")
    shutil.rmtree(files.test)  # what is stored needs the folder no more
    assert all(Store(workspace).find(stage) is not None for stage in theirs.stages)


def test_colours_are_averaged_and_arrays_in_minus_one_to_one_are_read(
    done: tuple[Path, Work, Given], files: Given
) -> None:
    workspace, work, _ = done
    first, second, *_ = sorted(files.test.iterdir())
    colours = np.asarray(Image.open(first)).astype(int)[..., None] + np.array([-9, 0, 10])
    Image.fromarray(colours.clip(0, 255).astype(np.uint8)).save(first)
    np.save(second.with_suffix(".npy"), np.asarray(Image.open(second)) / 127.5 - 1)
    second.unlink()
    theirs = replace(work, rows=(work.rows[0],))
    theirs = scored(theirs, workspace, Given("mine", files.test))
    do(theirs.stages, workspace)
    mine, other = (row.folds for row in (work.rows[-1], theirs.rows[-1]))
    for one, two in zip(mine, other, strict=True):
        assert stored(workspace, one.quality, "scores.csv") == stored(workspace, two.quality, "scores.csv")


def test_the_key_stands_for_ids_and_contents_not_for_names_or_places(
    done: tuple[Path, Work, Given], files: Given
) -> None:
    workspace, work, original = done
    one, two = (scored(work, workspace, given) for given in (original, replace(files, name="other")))
    assert list(map(key, stages(one))) == list(map(key, stages(two)))
    assert str(files.test) not in json.dumps([description(stage) for stage in two.stages])
    sizes = {(stage.part, stage.fold and stage.fold.index): len(stage.files) for stage in stages(one)}
    assert sizes == {("test", 0): 6, ("all", 0): 8, ("test", 1): 6, ("all", 1): 8}
    assert [units(stage, one) for stage in stages(one)] == [len(stage.files) for stage in stages(one)]

    changed = next(Path(file) for stage in stages(two) if stage.part == "test" for _, file in stage.files[:1])
    Image.fromarray(255 - np.asarray(Image.open(changed))).save(changed)
    three = scored(work, workspace, files)
    assert sum(a != b for a, b in zip(stages(one), stages(three), strict=True)) == 1
    assert one.rows[-1].stamps != three.rows[-1].stamps
    assert one.rows[-1].stamps[0].startswith("images by others, SHA-256 ")


def test_images_that_changed_after_they_were_looked_at_are_not_stored(
    done: tuple[Path, Work, Given], files: Given
) -> None:
    workspace, work, _ = done
    path = sorted(files.test.iterdir())[0]
    Image.fromarray(np.full((32, 32), 7, np.uint8)).save(path)
    stage = next(stage for stage in stages(scored(work, workspace, files)) if stage.files[0][1] == str(path))
    Image.fromarray(np.full((32, 32), 8, np.uint8)).save(path)
    with pytest.raises(DataError, match="images changed while they were read"):
        do([stage], workspace)
    assert Store(workspace).find(stage) is None


def test_one_folder_of_the_extra_set_serves_all_folds(done: tuple[Path, Work, Given], files: Given) -> None:
    assert files.extra is not None
    workspace, work, _ = done
    theirs = scored(work, workspace, replace(files, extra=files.extra / "fold0"))
    (extra,) = {stage for stage in stages(theirs) if stage.part == "all"}
    assert extra.fold is None
    assert all(stage.extra in (None, extra) for stage in theirs.stages if isinstance(stage, Recognise))


def test_without_the_extra_set_there_is_quality_alone(done: tuple[Path, Work, Given]) -> None:
    workspace, work, original = done
    theirs = scored(work, workspace, Given("mine", original.test))
    assert [row.name for row in theirs.rows] == ["mine"]
    assert {type(stage) for stage in theirs.stages[1:]} == {GivenImages, ScoreTranslation}


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ("lacks", r"--pred-extra mine=\S+: it has fold0, and no fold1; give one folder for all folds, or one for each"),
        ("strange", r"fold2 is of no fold, there are fold0, fold1"),
        ("beside", r"x.png lies beside fold0, fold1"),
        ("inside", r"mine=\S+/fold1: 1 of 8 faces have no image: p100-happiness-vis;"),
    ],
)
def test_folders_of_folds_are_whole_or_refused(
    done: tuple[Path, Work, Given], files: Given, change: str, told: str
) -> None:
    workspace, work, _ = done
    assert files.extra is not None
    folder = files.extra
    if change == "lacks":
        shutil.rmtree(folder / "fold1")
    elif change == "strange":
        shutil.copytree(folder / "fold1", folder / "fold2")
    elif change == "beside":
        shutil.copy(folder / "fold1" / "p100-happiness-vis.png", folder / "x.png")
    else:
        (folder / "fold1" / "p100-happiness-vis.png").unlink()
    with pytest.raises(DataError, match=told):
        scored(work, workspace, files)


def test_some_folds_need_their_own_images_alone(done: tuple[Path, Work, Given], files: Given) -> None:
    workspace, work, _ = done
    whole = scored(work, workspace, Given("mine", files.test), only=(0,))
    assert {stage.fold.index for stage in stages(whole) if stage.fold} == {0}
    assert all(cell.translation for cell in whole.rows[0].folds)  # the other fold has its place in the record
    for _, file in stages(scored(work, workspace, Given("mine", files.test), only=(1,)))[0].files:
        Path(file).unlink()
    half = scored(work, workspace, Given("mine", files.test), only=(0,))
    assert [cell.translation is not None for cell in half.rows[0].folds] == [True, False]
    with pytest.raises(DataError, match="6 of 12 faces have no image"):
        scored(work, workspace, Given("mine", files.test))
    assert not half.notes
    shutil.copy(file := sorted(files.test.iterdir())[0], file.with_name("p9.png"))
    (note,) = scored(work, workspace, Given("mine", files.test), only=(0,)).notes
    assert "1 images are of no face that is due: p9.png" in note


def test_what_taking_images_costs_is_measured(done: tuple[Path, Work, Given]) -> None:
    workspace, work, original = done
    wanted = stages(scored(work, workspace, Given("mine", original.test)))
    setup = Setup(workspace, {}, (), "cpu", 1, 30.0)
    found = build_all(wanted, setup, {})
    (seconds,) = time_all(wanted, setup, found)
    assert set(seconds) == set(found.keys.values()) and all(each > 0 for each in seconds.values())


def test_all_images_that_cannot_be_used_are_told_at_once(done: tuple[Path, Work, Given], files: Given) -> None:
    workspace, work, _ = done
    damaged, wide, large, *_ = sorted(files.test.iterdir())
    damaged.write_bytes(damaged.read_bytes()[:60])
    Image.new("L", (40, 32)).save(wide)
    Image.new("L", (64, 64), 90).save(large)
    given = Given("mine", files.test)
    with pytest.raises(DataError, match=r"3 of 12 images .*: cannot be decoded .*; .*40 x 32.*; .*64 x 64.*--resize"):
        scored(work, workspace, given)
    with pytest.raises(DataError, match="2 of 12 images cannot be used"):
        scored(work, workspace, given, resize=True)
    for path in (damaged, wide):
        shutil.copy(done[2].test / path.name, path)
    theirs = scored(work, workspace, given, resize=True)
    assert sorted(stage.scaled for stage in stages(theirs)) == [False, True]
    assert theirs.rows[-1].stamps[0].endswith(", scaled to 32 px")
    do(theirs.stages, workspace)


def test_what_is_asked_for_is_checked_before_anything_is_read(tmp_path: Path) -> None:
    good = [f"mine={tmp_path}"]
    assert given_rows(good, good, ()) == (Given("mine", tmp_path, tmp_path),)
    words = [
        "mine",
        f"nir-only={tmp_path}",
        f"cond={tmp_path}",
        f"toy={tmp_path}",
        "a=/no where",
        f"x y={tmp_path}",
        *good,
        *good,
    ]
    with pytest.raises(UsageError) as error:
        given_rows(words, [f"b={tmp_path}"], ("toy",))
    for told in (
        "--pred mine: write NAME=DIR",
        "'nir-only' means something else",
        "'cond' means something else",
        "'toy' means something else",
        "/no where is no folder",
        "the name is 'x y'",
        "--pred mine=… is given twice",
        "--pred-extra b=…: there is no --pred b=DIR",
    ):
        assert told in str(error.value)
    assert len(str(error.value).splitlines()) == 8


def test_the_extra_set_must_be_named(done: tuple[Path, Work, Given], tmp_path: Path) -> None:
    workspace, _, original = done
    with pytest.raises(UsageError, match=r"--pred-extra mine=\S+: no extra set .*; name the set with --extra SET"):
        scored(planned(workspace, extra="none"), workspace, original)


def test_rows_join_the_record_and_take_no_method_its_place(done: tuple[Path, Work, Given], tmp_path: Path) -> None:
    workspace, work, original = done
    shutil.copytree(workspace / "records", tmp_path / "records")
    theirs = scored(work, workspace, original)
    record = write_record(theirs, Store(tmp_path), "nferbench score")
    (path,) = (tmp_path / "records").iterdir()
    assert path.stem == record
    rows = {row["name"]: row["group"] for row in json.loads(path.read_text())["rows"]}
    assert rows == {"nir-only": "reference", "mine": "given", "toy-regression": "gan"}

    renamed = replace(theirs, rows=tuple(replace(row, name="toy-regression") for row in theirs.rows[1:]))
    before = path.read_bytes()
    with pytest.raises(UsageError, match=r"'toy-regression' of record .* is a method; give the images another NAME"):
        write_record(renamed, Store(tmp_path), "nferbench score")
    method = replace(work, rows=tuple(replace(row, name="mine") for row in work.rows[1:]))
    with pytest.raises(UsageError, match=r"'mine' of record .* is images by others; nferbench prune --rows mine"):
        write_record(method, Store(tmp_path), "nferbench run")
    assert path.read_bytes() == before
