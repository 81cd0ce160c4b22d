"""What preparing lost: a class, a fold, all pairs or an extra set stops a run with counts; single faces do not."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from program import program

from nferbench.contract.dataset import Face, FaceDataset, Listing, Modality, Picture
from nferbench.contract.errors import DataError
from nferbench.faces.prepare import prepare
from nferbench.planning.plan import Work, plan_work
from nferbench.planning.plugins import load_plugins
from nferbench.planning.remaining import check_remaining, require_extra
from nferbench.planning.settings import Request, resolve
from nferbench.workspace.store import Store

PLUGINS = load_plugins(installed=False)
PEOPLE = ("p0", "p1", "p2", "p3")
CLASSES = ("anger", "fear")


@dataclass(frozen=True)
class Frail(FaceDataset):
    """Noise for faces, some of which cannot be read: those whose id begins with one of `broken`."""

    broken: tuple[str, ...] = ()
    modalities: tuple[Modality, ...] = ("vis", "nir")
    paired: bool = True
    name: str = field(default="frail", compare=False)
    title: str = field(default="Frail", compare=False)

    def listing(self, root: Path | None) -> Listing:
        faces = [
            Face(f"{m}/{c}/{p}", m, p, c, f"{c}/{p}" if self.paired else "")
            for m in self.modalities
            for c in CLASSES
            for p in PEOPLE
        ]
        return Listing(tuple(sorted(faces)))

    def load(self, face: Face, root: Path | None, size: int) -> Picture:
        if face.id.startswith(self.broken):
            raise DataError("not an image; JPEG, PNG are read")
        rng = np.random.default_rng(list(face.id.encode()))
        return Picture(rng.integers(0, 256, (size, size, 3), dtype=np.uint8), cropped=True)


def prepared(tmp_path: Path, dataset: Frail, extra: Frail | None = None) -> tuple[Work, Store]:
    """A plan of two folds whose faces are prepared."""
    settings = resolve(Request("synthetic-hfe", ("none",), "none", folds=2, changes=("size=16",)), PLUGINS)
    store = Store(tmp_path)
    work = plan_work(replace(settings, dataset=dataset, extra=extra), {}, store, "no LPIPS: not asked for")
    for stage in (work.faces, work.extra):
        if stage is not None:
            folder = store.partial(stage)
            counts = prepare(stage.dataset, None, stage.size, stage.crop, folder, lambda done, total: None)
            store.commit(stage, {"result": counts})
    return work, store


def refusal(tmp_path: Path, dataset: Frail, extra: Frail | None = None) -> str:
    with pytest.raises(DataError) as caught:
        check_remaining(*prepared(tmp_path, dataset, extra))
    assert "\n" not in str(caught.value) and "nothing is trained" in str(caught.value)
    return str(caught.value)


def test_what_is_not_prepared_yet_is_no_matter(tmp_path: Path) -> None:
    settings = resolve(Request("synthetic-hfe", ("none",), "none", folds=2), PLUGINS)
    store = Store(tmp_path)
    check_remaining(plan_work(settings, {}, store, ""), store)


def test_single_faces_may_go(tmp_path: Path) -> None:
    check_remaining(*prepared(tmp_path, Frail(("vis/anger/p1",)), Frail(("vis/fear/p2",), ("vis",))))


@pytest.mark.parametrize("modality", ["vis", "nir"])
def test_a_class_that_is_gone_stops_with_counts(tmp_path: Path, modality: str) -> None:
    said = refusal(tmp_path, Frail((f"{modality}/fear",)))
    assert said.startswith(
        f"frail: no usable face of class `fear` is left (4 of 4 {modality.upper()} faces left out: 4 not an image)"
    )


def test_a_class_lost_on_both_sides_counts_what_went_with_its_partner(tmp_path: Path) -> None:
    broken = ("vis/fear/p0", "vis/fear/p1", "vis/fear/p2", "nir/fear/p3")
    assert "(4 of 4 VIS faces left out: 3 not an image, 1 no nir partner)" in refusal(tmp_path, Frail(broken))


def test_a_fold_that_lost_a_class_stops_with_counts(tmp_path: Path) -> None:
    work, _ = prepared(tmp_path / "whole", Frail())
    cell = work.rows[0].folds[1]
    tested = cell.recognition[0].fold.test
    said = refusal(tmp_path / "torn", Frail(tuple(f"nir/anger/{person}" for person in tested)))
    assert "has no usable training face of class `anger` left (2 of 2 NIR faces left out: 2 not an image)" in said
    assert "and 1 more like this" in said  # the other fold's test part


def test_a_fold_without_pairs_stops_with_counts(tmp_path: Path) -> None:
    @dataclass(frozen=True)
    class Loose(Frail):
        """Every NIR face twice, once without a partner, so that recognition lacks nothing."""

        def listing(self, root: Path | None) -> Listing:
            faces = super().listing(root).faces
            spare = [replace(f, id=f"spare-{f.id}", pair="") for f in faces]
            return Listing(tuple(sorted([*faces, *spare])))

    work, _ = prepared(tmp_path / "whole", Loose())
    cell = work.rows[0].folds[0]
    tested = cell.recognition[0].fold.test
    said = refusal(tmp_path / "torn", Loose(tuple(f"vis/{c}/{p}" for c in CLASSES for p in tested)))
    assert (
        "fold 0 has no usable test pair left (8 of 8 paired faces left out: 4 no vis partner, 4 not an image)" in said
    )


def test_an_extra_set_that_lost_a_class_stops_with_counts(tmp_path: Path) -> None:
    said = refusal(tmp_path, Frail(), Frail(("vis/anger",), ("vis",), name="more"))
    assert said.startswith("more: no usable face of class `anger` is left (4 of 4 VIS faces left out: 4 not an image)")


def test_an_extra_set_of_which_nothing_could_be_prepared_stops(tmp_path: Path) -> None:
    settings = resolve(Request("synthetic-hfe", ("none",), "none", folds=2, changes=("size=16",)), PLUGINS)
    store = Store(tmp_path)
    sets = {"dataset": Frail(), "extra": Frail(("vis",), ("vis",), name="more")}
    work = plan_work(replace(settings, **sets), {}, store, "")  # type: ignore[arg-type]
    assert work.extra is not None
    require_extra(work, store)  # the data set is not prepared either
    folder = store.partial(work.faces)
    store.commit(work.faces, {"result": prepare(sets["dataset"], None, 16, "given", folder, lambda done, total: None)})
    require_extra(work, store)  # the extra set is yet to be prepared
    store.fail(work.extra, "failed", "more: no face can be used: 8 left out: not an image")
    with pytest.raises(DataError, match="more: no face can be used: 8 left out: not an image; nothing is trained"):
        require_extra(work, store)
    check_remaining(work, store)  # which the next attempt may get past


def test_a_run_whose_class_is_lost_trains_nothing_however_often_it_is_started(tmp_path: Path) -> None:
    data, workspace = tmp_path / "html", tmp_path / "runs"
    for person in range(4):
        for expression in CLASSES:
            for modality in ("vis", "nir"):
                file = data / modality / f"p{person}" / expression / "1.png"
                file.parent.mkdir(parents=True)
                noise = np.random.default_rng([person, *expression.encode()]).integers(0, 256, (24, 24, 3), np.uint8)
                Image.fromarray(noise).save(file)
                if (modality, expression) == ("vis", "fear"):
                    file.write_text("<!doctype html><title>404</title>")
    words = ["run", "--dataset", data, "--methods", "none", "--extra", "none"]
    words += ["--preset", "quick", "--folds", "2", "--workspace", workspace]
    for _ in range(2):
        done = program(*words)
        said = done.stdout + done.stderr
        assert done.returncode == 2 and "Traceback" not in said
        assert "error: html: no usable face of class `fear` is left (4 of 4 VIS faces left out: 4 not an image)" in said
        assert {path.parent.name for path in workspace.glob("*/*/stage.json")} and not list(workspace.glob("quality/*"))
        assert not list(workspace.glob("recognition/*")) and not list(workspace.glob("translations/*"))
