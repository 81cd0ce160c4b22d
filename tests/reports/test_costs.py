"""What rows cost: numbers of stages, shared out over the rows that need them."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from costly import costly, network

import nferbench_reports
from nferbench_reports import costs, write_report
from nferbench_reports.costs_section import section
from nferbench_reports.naming import told_apart_by
from nferbench_reports.records import read_records
from nferbench_reports.results import load_results
from nferbench_reports.runs import Asked, Run
from nferbench_reports.section import Figure, Sheet


def runs_of(workspace: Path) -> list[Run]:
    found = read_records(workspace).chosen
    return [
        Run(
            workspace,
            one.file,
            one.record,
            tuple(load_results(workspace, row, ["anger", "fear"]) for row in one.record.rows),
        )
        for one in found
    ]


def by_row(workspace: Path) -> pd.DataFrame:
    return costs(runs_of(workspace)).set_index("method")


def edit(workspace: Path, kind: str, label: str, part: str, **said: Any) -> None:
    """Let stage.json of a stage say something else; None takes a field away."""
    (path,) = workspace.glob(f"{kind}/{label}-*/stage.json")
    info = json.loads(path.read_text("utf-8"))
    info[part] = {name: value for name, value in {**info[part], **said}.items() if value is not None}
    path.write_text(json.dumps(info), encoding="utf-8")


@pytest.mark.parametrize("needs", [True, False])
def test_seconds_are_shared_out_and_averaged_over_folds(tmp_path: Path, needs: bool) -> None:
    """Also where the record is of an earlier version, and the translations alone say what they need."""
    frame = by_row(costly(tmp_path, needs).root)
    alpha, beta, none = (frame.loc[name] for name in ("alpha", "beta", "none"))
    assert (alpha.own_seconds, alpha.shared_seconds, alpha.shared_with) == (4.0, 10.5, 1)
    assert (beta.own_seconds, beta.shared_seconds, beta.shared_with) == (0.0, 10.5, 1)
    assert (alpha.networks, beta.networks) == ("own, shared", "shared") or alpha.networks == "shared, own"
    assert (alpha.parameters, beta.parameters) == (2000, 1000)
    assert alpha.seconds_a_face == pytest.approx((0.1 + 0.2) / 2)
    assert alpha.evaluations_a_face == 9.0
    assert alpha.training_process_mb == pytest.approx(300.000001) and pd.isna(alpha.training_gpu_mb)
    assert frame["recogniser_seconds"].tolist() == [5.5] * 3
    assert pd.isna(none[["own_seconds", "shared_seconds", "seconds_a_face", "parameters", "training_folds"]]).all()
    assert frame["devices"].tolist() == ["cpu"] * 3
    assert frame["reason"].tolist() == [""] * 3


def test_the_csv_of_a_report_has_what_other_code_finds_in_the_stages(tmp_path: Path) -> None:
    root = costly(tmp_path / "runs").root
    write_report(root, tmp_path / "out")
    written = pd.read_csv(tmp_path / "out" / "costs.csv").set_index("method")
    stages = pd.json_normalize([json.loads(path.read_text("utf-8")) for path in root.glob("*/*/stage.json")])
    stages = stages.assign(kind=stages["stage"].str.split().str[0], fold=stages["stage"].str[-1])
    trained = stages[stages["kind"] == "networks"].assign(name=lambda x: x["stage"].str.extract(r" (\w+)-")[0])
    per_name = trained.groupby("name")["cost.seconds"].mean()
    assert written.loc["alpha", "own_seconds"] == pytest.approx(per_name["own"])
    assert written.loc["beta", "shared_seconds"] == pytest.approx(per_name["shared"])
    translated = stages[stages["stage"].str.startswith("translations alpha")]
    rate = (translated["cost.seconds"] / translated["cost.units"]).mean()
    assert written.loc["alpha", "seconds_a_face"] == pytest.approx(rate)
    asked = translated[["result.evaluations.score", "result.evaluations.guide"]].sum(axis=1).mean()
    assert written.loc["alpha", "evaluations_a_face"] == pytest.approx(asked)
    tables = pd.read_csv(tmp_path / "out" / "tables.csv")
    for metric in ("accuracy", "lpips"):
        printed = tables[tables["metric"] == metric].set_index("method")["pooled"]
        assert written[metric].to_dict() == pytest.approx(printed.to_dict())


def test_earlier_attempts_are_added_where_they_are_known_and_told_where_not(tmp_path: Path) -> None:
    root = costly(tmp_path).root
    edit(root, "networks", "own-tiny-fold0", "cost", resumed=True, seconds_before=7.0)
    assert by_row(root).loc["alpha", ["own_seconds", "at_least"]].tolist() == [7.5, False]
    edit(root, "networks", "own-tiny-fold0", "cost", seconds_before=None)
    assert by_row(root)["at_least"].to_dict() == {"none": False, "alpha": True, "beta": False}
    assert any(note.startswith("At least") and "alpha" in note for note in sheet(root).notes)


def test_seconds_of_a_translation_are_of_the_faces_that_were_done_in_them(tmp_path: Path) -> None:
    root = costly(tmp_path).root
    edit(root, "translations", "alpha0", "cost", resumed=True, units_before=2)
    frame = by_row(root)
    assert frame.loc["alpha", "seconds_a_face"] == pytest.approx((0.4 / 2 + 0.8 / 4) / 2)
    edit(root, "translations", "alpha0", "cost", units_before=None)
    frame = by_row(root)
    assert frame.loc["alpha", ["seconds_a_face", "translation_folds"]].tolist() == [0.2, 1]
    assert "translations alpha0 does not say for how many faces its seconds are" in frame.loc["alpha", "reason"]


def test_a_fold_without_a_network_is_counted_out_and_its_reason_told(tmp_path: Path) -> None:
    made = costly(tmp_path)
    (folder,) = made.root.glob("networks/own-tiny-fold1-*")
    reference = {"key": json.loads((folder / "stage.json").read_text())["key"], "path": f"networks/{folder.name}"}
    for file in folder.iterdir():
        file.unlink()
    folder.rmdir()
    made.fail(reference, "diverged", "loss at update 7 of 40 is not finite (fit nan)")
    alpha = by_row(made.root).loc["alpha"]
    assert (alpha.own_seconds, alpha.training_folds, alpha.folds) == (3.0, 1, 2)
    assert "loss at update 7" in alpha.reason
    assert any(
        note.startswith("alpha: of 2 folds stand behind training 1: diverged") for note in sheet(made.root).notes
    )


def test_a_network_that_was_given_costs_no_training(tmp_path: Path) -> None:
    root = costly(tmp_path).root
    edit(root, "networks", "own-tiny-fold0", "description", sha256="ab", fold=None)
    edit(root, "networks", "own-tiny-fold1", "description", sha256="ab", fold=None)
    alpha = by_row(root).loc["alpha"]
    assert (alpha.own_seconds, alpha.shared_seconds, alpha.parameters) == (0.0, 10.5, 2000)


@pytest.mark.parametrize("cost", [{"seconds": -1.0}, {"seconds": float("nan")}, {"seconds": "fast"}, {"units": 1.5}])
def test_a_cost_that_is_none_costs_its_fold_alone(tmp_path: Path, cost: dict[str, Any]) -> None:
    root = costly(tmp_path).root
    edit(root, "networks", "own-tiny-fold0", "cost", **cost)
    alpha = by_row(root).loc["alpha"]
    assert (alpha.own_seconds, alpha.training_folds) == (5.0, 1) and "is damaged" in alpha.reason


@pytest.mark.parametrize("said", [{}, {"cost": {}, "made_with": {}, "result": {}}], ids=["workspace", "bundle"])
def test_stages_that_say_nothing_of_their_cost_make_no_section(tmp_path: Path, said: dict[str, Any]) -> None:
    """As in workspaces of the first versions, and in bundles of these: the report is what it was."""
    root = costly(tmp_path / "runs", needs=False).root
    for path in root.glob("*/*/stage.json"):
        info = json.loads(path.read_text("utf-8"))
        info = {name: value for name, value in info.items() if name not in ("cost", "made_with", "result")}
        path.write_text(json.dumps(info | said), encoding="utf-8")
    assert section(runs_of(root), Asked()) is None
    report = write_report(root, tmp_path / "out")
    assert "costs.csv" not in {path.name for path in report.paths} and report.problems == ()
    assert set(pd.read_csv(tmp_path / "out" / "trainings.csv")["state"]) == {"trained"}


def sheet(root: Path) -> Sheet:
    found = section(runs_of(root), Asked())
    assert found is not None
    (only,) = [part for part in found.parts if isinstance(part, Sheet)]
    return only


def test_the_figure_has_a_point_and_a_label_for_each_row_that_translates(tmp_path: Path) -> None:
    found = section(runs_of(costly(tmp_path).root), Asked())
    assert found is not None
    (figure,) = [part for part in found.parts if isinstance(part, Figure)]
    assert figure.svg.startswith("<svg") and figure.svg.rstrip().endswith("</svg>") and figure.sheet == "costs"
    for title, count in {"alpha": 2, "beta": 2, "without translation": 2}.items():
        assert figure.svg.count(f">{title}</text>") == count
    assert all(shown.name in sheet(tmp_path).frame for shown in sheet(tmp_path).columns)


def test_networks_of_one_name_and_other_recipes_are_told_apart(tmp_path: Path) -> None:
    made = costly(tmp_path)
    (record,) = made.root.glob("records/*.json")
    content = json.loads(record.read_text("utf-8"))
    faces = content["faces"]
    for fold in (0, 1):
        other = network(made, faces, "other", fold, 1.0)
        edit(made.root, "networks", f"other-tiny-fold{fold}", "result")
        (path,) = made.root.glob(f"networks/other-tiny-fold{fold}-*/stage.json")
        info = json.loads(path.read_text("utf-8"))
        path.write_text(json.dumps({**info, "stage": info["stage"].replace("other", "own")}), encoding="utf-8")
        content["rows"][2]["folds"][fold]["needs"].append(other)
    record.write_text(json.dumps(content), encoding="utf-8")
    frame = by_row(made.root)
    assert {*frame.loc["beta", "networks"].split(", ")} == {"shared", "own (2)"}
    assert frame.loc["beta", "own_seconds"] == 1.0


def test_the_frame_is_a_function_of_the_package_after_a_report_too(tmp_path: Path) -> None:
    """No module takes the name of a frame."""
    write_report(costly(tmp_path / "runs").root, tmp_path / "out")
    for name in ("costs", "trainings", "losses"):
        assert callable(getattr(nferbench_reports, name))


def test_readers_choose_one_of_several_runs(tmp_path: Path) -> None:
    one, *none = runs_of(costly(tmp_path).root)
    assert not none and told_apart_by([one]) == ()
    assert told_apart_by([one, one]) == ("record",)
    protocol = one.record.protocol.model_copy(update={"dataset": "other"})
    other = replace(one, record=one.record.model_copy(update={"protocol": protocol}))
    assert told_apart_by([one, other]) == ("dataset",)
    frame = costs([one, other])
    assert frame["dataset"].tolist() == ["tiny"] * 3 + ["other"] * 3
    assert frame.loc[0:2, "own_seconds"].tolist()[1:] == frame.loc[3:5, "own_seconds"].tolist()[1:] == [4.0, 0.0]
