"""How networks were trained: a line a training, their losses, and a drawing."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from costly import UPDATES, costly

from nferbench_reports import losses, trainings, write_report
from nferbench_reports.records import read_records
from nferbench_reports.results import load_results
from nferbench_reports.runs import Asked, Run
from nferbench_reports.section import Figure, Section, Sheet
from nferbench_reports.trainings_section import section

NAMES = ("shared", "own")


def runs_of(workspace: Path) -> list[Run]:
    return [
        Run(
            workspace,
            one.file,
            one.record,
            tuple(load_results(workspace, row, ["anger", "fear"]) for row in one.record.rows),
        )
        for one in read_records(workspace).chosen
    ]


def stage(workspace: Path, name: str, fold: int) -> Path:
    (path,) = workspace.glob(f"networks/{name}-tiny-fold{fold}-*/stage.json")
    return path


def edit(path: Path, part: str, **said: Any) -> None:
    """Let a stage.json say something else; None takes a field away."""
    info = json.loads(path.read_text("utf-8"))
    info[part] = {name: value for name, value in {**info[part], **said}.items() if value is not None}
    path.write_text(json.dumps(info), encoding="utf-8")


def rewrite(path: Path, content: str) -> None:
    """Put another log of losses in the place of that of a stage, as if it had been written."""
    from nferbench.workspace.files import sha256

    log = path.with_name("losses.csv")
    log.write_bytes(content.encode())
    files = json.loads(path.read_text("utf-8"))["files"]
    edit(path, "files", **{"losses.csv": {**files["losses.csv"], "sha256": sha256(log)}})


def line(workspace: Path, name: str, fold: int) -> pd.Series:
    frame = trainings(runs_of(workspace))
    (found,) = [each for _, each in frame.iterrows() if (each["network"], each["fold"]) == (name, fold)]
    return found


def shown(workspace: Path) -> Section:
    found = section(runs_of(workspace), Asked())
    assert found is not None
    return found


def notes(workspace: Path) -> str:
    (sheet,) = [part for part in shown(workspace).parts if isinstance(part, Sheet) and part.name == "trainings"]
    assert all(column.name in sheet.frame for column in sheet.columns)
    return "\n".join(sheet.notes)


def test_the_csv_of_losses_has_what_other_code_finds_in_the_stored_logs(tmp_path: Path) -> None:
    root = costly(tmp_path / "runs").root
    write_report(root, tmp_path / "out")
    written = pd.read_csv(tmp_path / "out" / "losses.csv")
    assert len(written) == 2 * UPDATES * (3 + 2)
    for name in NAMES:
        for fold in (0, 1):
            mine = written[(written["network"] == name) & (written["fold"] == fold)]
            wide = mine.pivot(index="update", columns="term", values="value")
            stored = pd.read_csv(stage(root, name, fold).with_name("losses.csv"), index_col="update")
            pd.testing.assert_frame_equal(wide[sorted(stored)], stored[sorted(stored)], check_names=False)


def test_a_training_is_told_in_a_line(tmp_path: Path) -> None:
    root = costly(tmp_path).root
    shared, own = line(root, "shared", 1), line(root, "own", 0)
    assert (shared.state, shared.reason, shared.rows) == ("trained", "", "alpha, beta")
    assert (shared.updates, shared.pairs, shared.parameters, shared.piece) == (UPDATES, 8, 1000, 4)
    assert (shared.seconds, shared.device, shared.process_mb) == (11.0, "cpu", 300.000001)
    assert shared.lr == 0.001 and shared.lr_first == pytest.approx(0.001 * 79 / 80) and shared.lr_last == 0.0005
    assert (shared.first_losses, shared.last_losses) == ("fit 2, game -1.9", "fit 0.05, game 2")
    assert own.lr == 0.0001 and pd.isna(own.lr_last) and own.rows == "alpha"
    assert not shared.resumed and shared.resumed_at == ""


def test_the_figure_has_a_line_for_each_fold_and_term_and_a_tick_where_a_training_was_gone_on_with(
    tmp_path: Path,
) -> None:
    def drawn() -> tuple[int, int]:
        (figure,) = [part for part in shown(tmp_path).parts if isinstance(part, Figure)]
        assert figure.svg.startswith("<svg") and figure.sheet == "losses"
        curves = len(
            re.findall(r'<path [^>]*style="fill: none; stroke: #[0-9a-f]{6}; [^"]*stroke-width: 0.7', figure.svg)
        )
        return curves, len(re.findall(r"<use [^>]*style=\"fill: currentColor", figure.svg))

    root = costly(tmp_path).root
    curves, ticks = drawn()
    assert curves == 2 * 2 * 2
    edit(stage(root, "own", 1), "result", resumed_at=[10, 25])
    assert drawn()[1] - ticks == 2
    assert line(root, "own", 1).resumed_at == "10 25" and line(root, "own", 1).resumed


def test_what_is_not_known_of_a_training_that_was_gone_on_with_is_told(tmp_path: Path) -> None:
    root = costly(tmp_path).root
    edit(stage(root, "own", 1), "cost", resumed=True)
    assert line(root, "own", 1).at_least
    assert "Seconds are at least those, for earlier attempts are not counted: own of fold 1." in notes(root)
    assert "Gone on with, and at which update is not known: own of fold 1." in notes(root)


def test_networks_of_which_nothing_was_trained_have_no_curve_and_it_is_said(tmp_path: Path) -> None:
    root = costly(tmp_path).root
    edit(stage(root, "own", 0), "description", sha256="ab", fold=None)
    edit(stage(root, "own", 1), "result", updates=0)
    rewrite(stage(root, "own", 1), "\r\n")
    assert [line(root, "own", fold).state for fold in (0, 1)] == ["given"] * 2
    assert set(losses(runs_of(root))["network"]) == {"shared"}
    assert "so they have no curve: own." in notes(root)


def test_a_training_that_diverged_is_there_with_its_reason(tmp_path: Path) -> None:
    made = costly(tmp_path)
    path = stage(made.root, "own", 1)
    reference = {"key": json.loads(path.read_text("utf-8"))["key"], "path": f"networks/{path.parent.name}"}
    made.fail(reference, "diverged", "loss at update 7 of 40 is not finite (fit nan)")
    path.parent.rename(tmp_path / "elsewhere")
    found = line(made.root, "own", 1)
    assert found.state == "missing" and found.reason.startswith("diverged: loss at update 7 of 40")
    assert "Not there: own of fold 1: diverged: loss at update 7" in notes(made.root)
    assert len(losses(runs_of(made.root)).query("network == 'own'")["fold"].unique()) == 1


@pytest.mark.parametrize(
    "content",
    [
        "",
        "fit,game\r\n1,2\r\n",
        "update,fit\r\n",
        "update,fit\r\n1,much\r\n",
        "update,fit\r\n,1\r\n",
    ],
)
def test_a_log_that_is_none_is_told_and_not_drawn(tmp_path: Path, content: str) -> None:
    root = costly(tmp_path).root
    rewrite(stage(root, "own", 0), content)
    found = line(root, "own", 0)
    assert found.state == "trained" and "losses.csv is no log of losses" in found.reason
    assert "Losses not shown: own of fold 0" in notes(root)


def test_a_log_that_has_changed_since_it_was_written_is_not_shown(tmp_path: Path) -> None:
    root = costly(tmp_path).root
    stage(root, "own", 0).with_name("losses.csv").write_text("update,fit\r\n1,0.5\r\n")
    assert "is not what was written" in line(root, "own", 0).reason


def test_a_log_of_a_training_that_an_earlier_version_began_lacks_its_first_rates(tmp_path: Path) -> None:
    root = costly(tmp_path).root
    rewrite(stage(root, "own", 0), "update,fit,lr\r\n1,0.5,\r\n2,0.25,0.125\r\n")
    found = line(root, "own", 0)
    assert pd.isna(found.lr_first) and found.lr_last == 0.125
    mine = losses(runs_of(root)).query("network == 'own' and fold == 0")
    assert mine[["update", "term", "value"]].to_numpy().tolist() == [
        [1, "fit", 0.5],
        [2, "fit", 0.25],
        [2, "lr", 0.125],
    ]


def test_rows_without_networks_make_no_section(tmp_path: Path) -> None:
    root = costly(tmp_path).root
    (path,) = root.glob("records/*.json")
    content = json.loads(path.read_text("utf-8"))
    path.write_text(json.dumps({**content, "rows": content["rows"][:1]}), encoding="utf-8")
    assert section(runs_of(root), Asked()) is None


def test_the_same_results_are_drawn_the_same(tmp_path: Path) -> None:
    root = costly(tmp_path).root
    one, two = (shown(root).parts[0] for _ in range(2))
    assert isinstance(one, Figure) and one == two


def test_a_bundle_has_all_of_a_training_but_its_losses(tmp_path: Path) -> None:
    root = costly(tmp_path).root
    for path in root.glob("networks/*/losses.csv"):
        path.unlink()
    assert line(root, "own", 0).updates == UPDATES and losses(runs_of(root)).empty
    assert "Losses not shown: own of folds 0, 1; shared of folds 0, 1: no losses.csv is there; bundles" in notes(root)
