"""Our results beside the paper's."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy.stats import kendalltau
from sklearn.metrics import f1_score

from nferbench_reports import paper, write_report
from nferbench_reports.agreement import AGREEMENT, PUBLISHED, agreement_frame, published_frame, section
from nferbench_reports.records import read_records
from nferbench_reports.results import load_results
from nferbench_reports.runs import Asked, Run
from nferbench_reports.section import Sheet

METHODS = ("none", "pix2pix", "cyclegan", "sr3", "nfer-sde")
SUBJECTS = "abcdefghijkl"


def runs(workspace: Any) -> list[Run]:
    found = []
    for stored in read_records(workspace.root).chosen:
        record = stored.record
        results = tuple(load_results(workspace.root, row, record.protocol.classes) for row in record.rows)
        found.append(Run(workspace.root, stored.file, record, results))
    return found


def drawn(workspace: Any, dataset: str = "oulu-casia", missing: str = "") -> None:
    """Five methods that the paper has, with two images a subject, whose PSNR is the published one in all images."""
    rng = np.random.default_rng(1)
    rows = []
    for name in METHODS:
        text = " ".join("ff" if rng.random() < 0.6 else "fa" for _ in range(24))
        psnr = paper.published_value("comparison", "oulu-casia", name, "psnr")
        scores = [(rng.uniform(0.1, 0.9), 20, 0.5, psnr, 0.9) for _ in range(24)]
        fer = [workspace.fer(f"{dataset}{name}", SUBJECTS * 2, text)]
        fer += [workspace.missing("gone") if name == missing else workspace.fer(f"{dataset}{name}1", "zy", "ff aa")]
        quality = [workspace.quality(f"{dataset}{name}q{i}", SUBJECTS * 2, scores) for i in range(2)]
        rows.append(workspace.row(name, "gan", fer=fer, quality=quality, title=name.upper()))
    rows.append(workspace.row("mine", "gan", fer=[workspace.fer(f"{dataset}mine", "ab", "aa ff")] * 2))
    workspace.record(rows, dataset, dataset=dataset, dataset_title=dataset.title())


def test_rankings_are_compared_as_other_code_compares_them(workspace: Any) -> None:
    drawn(workspace)
    values = published_frame(runs(workspace), Asked("paper", True))
    assert tuple(values.columns) == PUBLISHED and set(values["method_name"]) == set(METHODS)
    ranks = agreement_frame(values).set_index("metric")
    assert set(ranks["rows"]) == {5}
    for metric, rows in values.groupby("metric"):
        tau, p = kendalltau(rows["ours"], rows["published"])
        if rows["ours"].nunique() > 1:
            assert (ranks.loc[metric, "tau"], ranks.loc[metric, "p"]) == pytest.approx((tau, p))
    assert tuple(ranks.loc["PSNR ↑", ["tau", "p"]]) == pytest.approx((1, 2 / 120))  # of 5! orders, two-sided
    assert math.isnan(ranks.loc["SSIM ↑", "tau"])  # all of ours are equal


def test_published_values_are_inside_or_outside_of_our_intervals(workspace: Any) -> None:
    drawn(workspace)
    values = published_frame(runs(workspace), Asked("paper", True))
    for line in values.itertuples():
        assert line.inside == ("yes" if line.low <= line.published <= line.high else "no")
        assert line.low - 1e-9 <= line.ours <= line.high + 1e-9 and line.difference == pytest.approx(
            line.ours - line.published
        )
    psnr = values[values["metric"] == "PSNR ↑"]
    assert set(psnr["inside"]) == {"yes"} and (psnr["low"] == psnr["high"]).all()
    assert set(values["inside"]) == {"yes", "no"}


def test_the_interval_of_macro_f1_is_of_the_faces_of_drawn_subjects(workspace: Any) -> None:
    drawn(workspace)
    line = (
        published_frame(runs(workspace), Asked("paper", True)).set_index(["metric", "method_name"]).loc["F1 (%)", "sr3"]
    )
    folds = [pd.read_csv(workspace.root / "stages" / f"oulu-casiasr3{end}" / "predictions.csv") for end in ("", "1")]
    faces = pd.concat(folds)
    classes = ["anger", "fear", "happiness"]
    rng, people = np.random.default_rng(3), [group for _, group in faces.groupby("subject")]

    def f1(some: pd.DataFrame) -> float:
        score = f1_score(some["expression"], some["predicted"], labels=classes, average="macro", zero_division=0)
        return 100 * float(score)

    draws = [f1(pd.concat([people[i] for i in rng.integers(14, size=14)])) for _ in range(60)]
    assert line["ours"] == pytest.approx(f1(faces))
    assert (line["low"], line["high"]) == pytest.approx(tuple(np.percentile(draws, [2, 98])), abs=6)


def test_a_row_without_all_folds_has_no_interval_and_no_rank_and_is_named(workspace: Any) -> None:
    drawn(workspace, missing="sr3")
    asked = Asked("paper", True)
    values = published_frame(runs(workspace), asked).set_index(["metric", "method_name"])
    line = values.loc["Acc (%)", "sr3"]
    assert (line["folds"], line["planned_folds"], line["subjects"], line["inside"]) == (1, 2, 12, "")
    assert math.isnan(line["low"]) and not math.isnan(line["ours"])
    ranks = agreement_frame(values.reset_index()).set_index("metric")["rows"]
    assert (ranks["Acc (%)"], ranks["PSNR ↑"]) == (4, 5)
    made = section(runs(workspace), asked)
    assert made is not None and isinstance(sheet := made.parts[1], Sheet)
    assert "folds are missing of SR3" in sheet.notes[0]


def test_psnr_and_ssim_of_another_convention_are_no_part_and_that_is_said(workspace: Any) -> None:
    drawn(workspace)
    made = section(runs(workspace), Asked("standard", True))
    assert made is not None and isinstance(sheet := made.parts[1], Sheet)
    assert set(sheet.frame["metric"]) == {"Acc (%)", "F1 (%)", "LPIPS ↓"}
    assert any("--convention paper compares them" in line for line in made.text)


def test_only_what_the_paper_has_is_compared_and_only_when_asked_for(workspace: Any, tmp_path: Path) -> None:
    drawn(workspace, "others")
    found = runs(workspace)
    assert section(found, Asked()) is None
    made = section(found, Asked("paper", True))
    assert made is not None and made.parts == () and made.text == ("The paper has no numbers on Others.",)
    report = write_report(workspace.root, tmp_path, paper=True)
    assert not {"agreement.csv", "published.csv"} & {path.name for path in report.paths}


def test_the_sheets_are_files_beside_the_report(workspace: Any, tmp_path: Path) -> None:
    drawn(workspace)
    write_report(workspace.root, tmp_path, paper=True)
    assert tuple(pd.read_csv(tmp_path / "agreement.csv").columns) == AGREEMENT
    table = pd.read_csv(tmp_path / "published.csv")
    assert tuple(table.columns) == PUBLISHED and len(table) == 5 * 5


def test_fewer_than_two_rows_have_no_ranking(workspace: Any) -> None:
    fer = [workspace.fer("n", "ab", "aa ff")]
    workspace.record([workspace.row("none", "none", fer=fer)], dataset="large-hfe", folds=1)
    ranks = agreement_frame(published_frame(runs(workspace), Asked("paper", True)))
    assert ranks["rows"].tolist() == [1, 1] and ranks["tau"].isna().all()
