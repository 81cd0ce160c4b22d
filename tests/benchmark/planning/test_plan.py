from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from nferbench.contract.errors import DataError, UsageError
from nferbench.contract.values import describe, digest
from nferbench.planning.again import again
from nferbench.planning.costs import Preflight, estimate, units
from nferbench.planning.plan import Work, data_roots, plan_work
from nferbench.planning.plugins import load_plugins
from nferbench.planning.records import write_record
from nferbench.planning.settings import Request, resolve
from nferbench.planning.status import Status, statuses
from nferbench.workspace.stages import HeldOut, PrepareFaces, Recognise, TrainNetwork, Translate, key
from nferbench.workspace.store import Store

PLUGINS = load_plugins([str(Path(__file__).parents[2] / "plugins" / "toy.py")])
LPIPS = "lpips-0.1-alexnet-7be5be79"


def work(tmp_path: Path, only: tuple[int, ...] = (), **request: Any) -> Work:
    request = {"dataset": "toy", "extra": "toy-extra", "methods": ("none", "toy-regression"), "folds": 3, **request}
    settings = resolve(Request(**request), PLUGINS)
    roots = data_roots([], settings)
    return plan_work(settings, roots, Store(tmp_path), LPIPS, only)


def test_stages_come_after_what_they_need_and_once(tmp_path: Path) -> None:
    stages = work(tmp_path, dataset="synthetic-hfe", extra=None, methods=("all", "ablation")).stages
    seen = set()
    for stage in stages:
        assert set(stage.needs()) <= seen
        assert stage not in seen
        seen.add(stage)
    assert len({key(stage) for stage in stages}) == len(stages)


def test_equal_networks_are_trained_once(tmp_path: Path) -> None:
    names = ("none", "pix2pix", "nfer-sde", "ablation")
    found = work(tmp_path, dataset="synthetic-hfe", extra=None, methods=names, folds=5)
    # A fold trains pix2pix, two score networks and H; every row on its own would train 1 + 2 + 1 + 1 + 2 + 1 + 2.
    assert (found.trainings, found.trainings_unshared) == (20, 50)
    whole = work(tmp_path, dataset="synthetic-hfe", extra=None, methods=("all", "ablation", "variants"), only=(2,))
    networks = [stage.role for stage in whole.stages if isinstance(stage, TrainNetwork)]
    assert sorted(networks) == [
        *("c-v2n", "cyclegan", "domains", "heatmaps", "hifacegan", "network", "pix2pix", "sr3", "u-nir")
    ]


def test_a_fold_can_be_run_by_itself_and_is_that_of_the_whole_run(tmp_path: Path) -> None:
    whole, one, rest = work(tmp_path), work(tmp_path, only=(1,)), work(tmp_path, only=(2, 0))
    assert set(one.stages) < set(whole.stages) == set(one.stages) | set(rest.stages)
    assert {s.fold.index for s in one.stages if isinstance(s, TrainNetwork | Recognise)} == {1}
    assert one.rows == whole.rows and one.splits == whole.splits
    assert (one.trainings, rest.trainings, whole.trainings) == (1, 2, 3)
    with pytest.raises(UsageError, match="there is no fold 3; allowed: 0 to 2"):
        work(tmp_path, only=(0, 3))


@pytest.mark.parametrize(("splits", "tested"), [("tttf", [("d",)]), ("0120", [("a", "d"), ("b",), ("c",)])])
def test_the_split_column_of_a_manifest_says_how_many_folds_there_are(
    tmp_path: Path, splits: str, tested: list[tuple[str, ...]]
) -> None:
    rows = ["path,modality,subject,expression,pair,split"]
    for subject, letter in zip("abcd", splits, strict=True):
        for expression in ("fear", "anger"):
            for modality in ("vis", "nir"):
                file = f"{subject}-{expression}-{modality}.png"
                Image.new("RGB", (8, 8), (90, 90, 90)).save(tmp_path / file)
                split = {"t": "train", "f": "test"}.get(letter, letter)
                rows.append(f"{file},{modality},{subject},{expression},{subject}{expression},{split}")
    (tmp_path / "manifest.csv").write_text("\n".join(rows))
    found = work(tmp_path, dataset=str(tmp_path / "manifest.csv"), extra="none", folds=5, division="repeats")
    assert found.division == "fixed"
    (score,) = (row for row in found.rows if row.name == "none")
    assert [cell.translation.fold.test for cell in score.folds if cell.translation and cell.translation.fold] == tested
    assert {stage.fold.index for stage in found.stages if isinstance(stage, TrainNetwork)} == set(range(len(tested)))
    with pytest.raises(UsageError, match=f"there is no fold {len(tested)}; allowed: 0 to {len(tested) - 1}"):
        work(tmp_path, dataset=str(tmp_path / "manifest.csv"), extra="none", only=(len(tested),))


def test_nothing_fitted_sees_a_test_subject(tmp_path: Path) -> None:
    found = work(tmp_path)
    subjects = {face.subject for face in found.listings[found.faces].faces}
    tested = [set(cell.recognition[0].fold.test) for cell in found.rows[0].folds]
    assert set().union(*tested) == subjects and sum(map(len, tested)) == len(subjects)
    for row in found.rows:
        for cell, test in zip(row.folds, tested, strict=True):
            if cell.translation:
                assert set(cell.translation.fold.test) == test  # type: ignore[union-attr]
                assert all(set(network.fold.test) == test for network in cell.translation.networks)


def test_a_translator_without_networks_translates_the_extra_set_once_for_all_folds(tmp_path: Path) -> None:
    stages = [stage for stage in work(tmp_path).stages if isinstance(stage, Translate) and stage.part == "all"]
    assert [stage.translator.name for stage in stages].count("none") == 1
    assert [stage.translator.name for stage in stages].count("toy-regression") == 3


def test_the_oracle_appears_where_the_extra_set_has_nir(tmp_path: Path) -> None:
    assert "oracle" not in [row.name for row in work(tmp_path).rows]
    found = work(tmp_path, dataset="synthetic-hfe", extra="synthetic-vis-nir", methods=("none",))
    assert [row.name for row in found.rows] == ["nir-only", "oracle", "none"]
    for recognition in found.rows[1].folds[0].recognition:
        assert recognition.extra_modality == "nir" and recognition.extra == found.extra


def test_without_an_extra_set_methods_have_no_recognition(tmp_path: Path) -> None:
    found = work(tmp_path, extra="none")
    assert all(cell.recognition == () for row in found.rows if row.name != "nir-only" for cell in row.folds)
    assert not any(isinstance(stage, Recognise) and stage.extra is not None for stage in found.stages)


def test_units_count_updates_and_images(tmp_path: Path) -> None:
    found = work(tmp_path)
    counts = {stage.label(): units(stage, found) for stage in found.stages}
    assert counts["toy-32px"] == 24 and counts["toy-extra-32px"] == 8
    assert counts["network-toy-fold0"] == 30
    assert counts["toy-regression-toy-test-fold0"] == 4 and counts["none-toy-extra-all"] == 8


def test_an_extra_set_without_the_classes_is_refused(tmp_path: Path) -> None:
    face = tmp_path / "others" / "vis" / "p1" / "anger" / "1.png"
    face.parent.mkdir(parents=True)
    face.write_bytes(b"not looked at yet")
    with pytest.raises(DataError, match="extra set others has no VIS faces of happiness, sadness"):
        work(tmp_path, extra=str(tmp_path / "others"))


def test_data_roots_are_common_or_by_name(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "elsewhere").mkdir()
    first, second = (replace(PLUGINS.datasets["folder"], name=name) for name in ("folder", "other"))
    both = replace(resolve(Request(), PLUGINS), dataset=first, extra=second)
    assert data_roots([str(tmp_path)], both) == {"dataset": tmp_path / "folder", "extra": tmp_path}
    named = data_roots([str(tmp_path), f"other={tmp_path / 'elsewhere'}"], both)
    assert named == {"dataset": tmp_path / "folder", "extra": tmp_path / "elsewhere"}
    with pytest.raises(UsageError, match="is not a directory; give --data-root PATH"):
        data_roots([str(tmp_path / "nowhere")], both)


def test_keys_hold_still() -> None:
    """Work that people have stored stays valid: a change here costs everyone their trainings, so it must be meant."""
    rows = {
        row.name: row.translator for row in resolve(Request(methods=("all", "ablation"), preset="paper"), PLUGINS).rows
    }
    faces = PrepareFaces(PLUGINS.datasets["synthetic-hfe"], "content", 256, "given", 68)
    fold = HeldOut(0, ("s000", "s001"))
    found = {name: digest(describe(rows[name]))[:12] for name in PINNED if name != "stage"}
    network = TrainNetwork(rows["nfer-sde"].networks()["score"], faces, fold, 0)
    found["stage"] = key(Translate(rows["none"], (network,), faces, "test", fold, 0))[:12]
    assert found == PINNED


def test_the_record_of_the_demo_keeps_its_name_and_says_how_it_was_made(tmp_path: Path) -> None:
    """Rows of later runs join the record of earlier ones by its name."""
    found = work(tmp_path, dataset="synthetic-hfe", extra=None, methods=("none",), preset="quick", folds=5)
    name = write_record(found, Store(tmp_path), "nferbench run")
    assert name == "synthetic-hfe-quick-bbbe67cf"
    protocol = json.loads((tmp_path / "records" / f"{name}.json").read_text())["protocol"]
    assert (protocol["folds"], protocol["division"], protocol["crop"]) == (5, "folds", "given")


PINNED = {
    "none": "cd8de6df72a1",
    "pix2pix": "80757116a6e0",
    "cyclegan": "ef002a889e9f",
    "hifacegan": "70dcbedf4819",
    "ilvr": "5dda722287cd",
    "sr3": "dcd97ffc2aaf",
    "sdedit": "ae818326eb91",
    "egsde": "6418b2eb0555",
    "t2v-ddpm": "d0dd5e4f005d",
    "nfer-sde": "f2f022487685",
    "baseline": "08ecfec4cd7f",
    "stage": "e6d2a1250b27",
}


def test_more_trainings_of_a_recogniser_add_to_those_that_are_stored(tmp_path: Path) -> None:
    one, three = work(tmp_path, fer_seeds=1), work(tmp_path, fer_seeds=3)
    added = set(three.stages) - set(one.stages)
    assert set(one.stages) < set(three.stages)
    assert {type(stage) for stage in added} == {Recognise} and len(added) == 2 * 3 * len(one.rows)
    assert len({key(stage) for stage in three.stages}) == len(three.stages)
    cell = three.rows[-1].folds[1]
    assert [stage.repeat for stage in cell.recognition] == [0, 1, 2]
    assert [stage.label() for stage in cell.recognition] == [
        "smallcnn-toy-regression-toy-fold1",
        "smallcnn-toy-regression-toy-fold1-seed1",
        "smallcnn-toy-regression-toy-fold1-seed2",
    ]
    assert {units(stage, three) for stage in cell.recognition} == {units(one.rows[-1].folds[1].recognition[0], one)}


def test_the_first_training_keeps_its_key(tmp_path: Path) -> None:
    faces = PrepareFaces(PLUGINS.datasets["synthetic-hfe"], "content", 256, "given", 68)
    fer = PLUGINS.fer_models["smallcnn"]
    first, second = (Recognise(fer, faces, HeldOut(0, ("s000",)), 0, None, repeat=repeat) for repeat in (0, 1))
    assert key(first)[:12] == "139b0599a4cd" and key(second) != key(first)


def test_a_further_training_is_new_and_no_change_of_the_first(tmp_path: Path) -> None:
    store = Store(tmp_path)
    first, second = work(tmp_path, fer_seeds=2).rows[0].folds[0].recognition
    store.partial(first)
    store.commit(first, {"result": {}})
    states = {state.stage: state for state in statuses(work(tmp_path, fer_seeds=2), store)}
    assert (states[second].state, states[second].reason) == ("to run", "new")


def test_again_does_all_trainings_of_a_recogniser_again(tmp_path: Path) -> None:
    found = work(tmp_path, fer_seeds=2)
    states = again(found, [Status(stage, "done") for stage in found.stages], ["smallcnn"])
    redone = [state.stage for state in states if state.state == "again"]
    assert redone == [stage for stage in found.stages if isinstance(stage, Recognise)]


def test_records_name_all_trainings_and_those_of_one_stay_as_they_were(tmp_path: Path) -> None:
    one, three = work(tmp_path, fer_seeds=1), work(tmp_path, fer_seeds=3)
    names = [write_record(each, Store(tmp_path), "nferbench run") for each in (one, three)]
    assert len(set(names)) == 2
    single, several = (json.loads((tmp_path / "records" / f"{name}.json").read_text()) for name in names)
    assert (single["protocol"]["fer_seeds"], several["protocol"]["fer_seeds"]) == (1, 3)
    assert not any("fer_repeats" in fold for row in single["rows"] for fold in row["folds"])
    for mine, before in zip(several["rows"], single["rows"], strict=True):
        for fold, former in zip(mine["folds"], before["folds"], strict=True):
            repeats = fold.pop("fer_repeats")
            assert fold == former
            assert [entry["path"].count("-seed") for entry in repeats] == [1, 1]


def test_what_could_not_be_timed_is_not_counted_as_nothing(tmp_path: Path) -> None:
    found = work(tmp_path)
    states = [Status(stage, "to run") for stage in found.stages]
    keys = {stage: stage.kind for stage in found.stages}
    seconds = dict.fromkeys(("faces", "translations", "quality", "recognition"), 2.0)
    partly = estimate(found, states, Preflight(seconds=seconds, keys=keys))
    assert partly.updates == {"network": None} and partly.unknown == 3
    whole = estimate(found, states, Preflight(seconds={**seconds, "networks": 0.5}, keys=keys))
    assert whole.updates == {"network": 3 * 30 * 0.5} and whole.unknown == 0
    assert whole.seconds == partly.seconds + 45
    assert whole.wall(1) == whole.seconds and whole.wall(10**6) == whole.longest


def test_a_network_without_updates_costs_nothing_and_is_not_called_untimed(tmp_path: Path) -> None:
    file = tmp_path / "w.pth"
    file.write_bytes(b"PK\x03\x04")
    given = ("methods.pix2pix.generator.epochs=0", f"methods.pix2pix.generator.init={file}")
    found = work(tmp_path, methods=("pix2pix",), extra="none", changes=given, folds=2)
    states = [Status(stage, "to run") for stage in found.stages]
    keys = {stage: stage.kind for stage in found.stages}
    seconds = dict.fromkeys(("faces", "translations", "quality", "recognition"), 2.0)
    cost = estimate(found, states, Preflight(seconds=seconds, keys=keys))
    assert cost.updates == {"pix2pix": 0.0} and cost.unknown == 0
    (row,) = [row for row in found.rows if row.name == "pix2pix"]
    assert row.stamps[-1] == "pix2pix: weights as released, not trained on this set"
