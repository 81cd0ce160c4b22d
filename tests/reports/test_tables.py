"""The numbers in the tables, against ones worked out by hand."""

from __future__ import annotations

import math
from typing import Any

import pytest

from nferbench_reports.columns import Convention
from nferbench_reports.records import read_records
from nferbench_reports.results import load_results
from nferbench_reports.table import Cell, Table, blocks
from nferbench_reports.tables import LONG_COLUMNS, ablation, comparison, joined_comparison, long_frame

# Fold 0: 3 of 4 right; fold 1: 1 of 2. Pooled: anger 2 of 3, fear 1 of 2, happiness 1 of 1.
FOLDS = (("aabb", "aa ff hh af"), ("cc", "aa fh"))


def compared(workspace: Any, convention: Convention = "standard", paper: bool = False) -> Table:
    record = read_records(workspace.root).chosen[0].record
    results = [load_results(workspace.root, row, record.protocol.classes) for row in record.rows]
    return comparison(record, results, 1, convention, paper)


def cells(table: Table, name: str) -> dict[str, Cell | None]:
    row = next(row for row in table.rows if row.name == name)
    return {column.metric: cell for column, cell in zip(table.columns, row.cells, strict=True)}


def cell(table: Table, name: str, metric: str) -> Cell:
    found = cells(table, name)[metric]
    assert found is not None
    return found


def recognised(workspace: Any, name: str, group: str = "gan", folds: Any = FOLDS, **more: Any) -> dict[str, Any]:
    fer = [workspace.fer(f"{name}-{i}", *fold) for i, fold in enumerate(folds)]
    return workspace.row(name, group, fer=fer, **more)


def test_accuracy_is_pooled_over_images_and_averaged_over_folds(workspace: Any) -> None:
    workspace.record([recognised(workspace, "m")])
    accuracy = cell(compared(workspace), "m", "accuracy")
    assert accuracy.pooled == pytest.approx(100 * 4 / 6)
    assert accuracy.mean == pytest.approx(100 * (3 / 4 + 1 / 2) / 2)
    assert accuracy.std == pytest.approx(100 * math.sqrt(2 * 0.125**2))
    assert (accuracy.folds, accuracy.note) == ((0, 1), "")


def test_macro_f1_averages_the_classes_and_counts_an_absent_one_as_zero(workspace: Any) -> None:
    workspace.record([recognised(workspace, "m")])
    f1 = cell(compared(workspace), "m", "macro_f1")
    assert f1.pooled == pytest.approx(100 * (4 / 5 + 1 / 2 + 2 / 3) / 3)
    assert f1.mean == pytest.approx(100 * ((2 / 3 + 2 / 3 + 1) / 3 + 1 / 3) / 2)


def test_image_quality_is_pooled_over_images_not_over_folds(workspace: Any) -> None:
    quality = [
        workspace.quality("q0", "aab", [(0.2, 10, 0.5, 52, 0.9), (0.4, 20, 0.6, 62, 0.9), (0.6, 30, 0.7, 72, 0.9)]),
        workspace.quality("q1", "c", [(0.8, 40, 0.8, 82, 0.9)]),
    ]
    workspace.record([workspace.row("m", "gan", quality=quality)])
    table = compared(workspace)
    lpips, psnr = cell(table, "m", "lpips"), cell(table, "m", "psnr")
    assert (lpips.pooled, lpips.mean) == (pytest.approx(0.5), pytest.approx(0.6))
    assert (psnr.pooled, psnr.mean, psnr.std) == (25, 30, pytest.approx(math.sqrt(200)))
    assert cells(table, "m")["accuracy"] is None  # no extra set: recognition does not apply


def test_a_table_holds_one_convention_and_says_which(workspace: Any) -> None:
    quality = [workspace.quality(f"q{i}", "a", [(0.1, 20, 0.5, 62.1, 0.99)]) for i in range(2)]
    workspace.record([workspace.row("m", "gan", quality=quality)])
    standard, paper = compared(workspace, "standard"), compared(workspace, "paper")
    assert (cell(standard, "m", "psnr").pooled, cell(standard, "m", "ssim").pooled) == (20, 0.5)
    assert (cell(paper, "m", "psnr").pooled, cell(paper, "m", "ssim").pooled) == (62.1, 0.99)
    for table, name in ((standard, "standard"), (paper, "paper")):
        frame = long_frame([table])
        assert set(frame.loc[frame["metric"].isin(["psnr", "ssim"]), "convention"]) == {name}
        assert any(f"'{name}' convention" in remark for remark in table.remarks)


def test_a_partial_mean_says_how_many_folds_stand_behind_it_and_why(workspace: Any) -> None:
    row = recognised(workspace, "m")
    row["folds"][1]["fer"] = workspace.missing("gone", "out-of-memory", "killed at 12 GiB", "recognition m-fold1")
    workspace.record([row])
    accuracy = cell(compared(workspace), "m", "accuracy")
    assert accuracy.pooled == 75 and accuracy.std is None and accuracy.folds == (0,)
    assert accuracy.note == "1 of 2 folds: fold 1: out-of-memory: killed at 12 GiB (recognition m)"


SEEDS = (  # of two folds: another training gets 2 of 4 and 2 of 2
    (("aabb", "aa ff hh af"), ("cc", "aa fh")),
    (("aabb", "aa ff ha af"), ("cc", "aa ff")),
)


def repeated(workspace: Any, name: str = "m", group: str = "gan", **more: Any) -> dict[str, Any]:
    """A row whose recogniser was trained twice."""
    row = recognised(workspace, name, group, SEEDS[0], **more)
    for fold, (entry, answers) in enumerate(zip(row["folds"], SEEDS[1], strict=True)):
        entry["fer_repeats"] = [workspace.fer(f"{name}-{fold}-seed1", *answers)]
    return row


def test_several_trainings_are_scored_each_and_averaged(workspace: Any) -> None:
    workspace.record([repeated(workspace)], fer_seeds=2)
    table = compared(workspace)
    accuracy, f1 = cell(table, "m", "accuracy"), cell(table, "m", "macro_f1")
    assert accuracy.pooled == pytest.approx(100 * (4 / 6 + 4 / 6) / 2)
    by_fold = (100 * (3 / 4 + 2 / 4) / 2, 100 * (1 / 2 + 2 / 2) / 2)
    assert accuracy.mean == pytest.approx(sum(by_fold) / 2)
    assert accuracy.std == pytest.approx(abs(by_fold[0] - by_fold[1]) / math.sqrt(2))
    # Pooled F1: of the first training anger 4/5, fear 1/2, happiness 2/3; of the second 2/3, 4/5 and 0.
    assert f1.pooled == pytest.approx(100 * ((4 / 5 + 1 / 2 + 2 / 3) / 3 + (2 / 3 + 4 / 5 + 0) / 3) / 2)
    assert (accuracy.folds, accuracy.note) == ((0, 1), "")
    assert table.caption == "The compared methods on Tiny, recognition averaged over 2 trainings."


def test_a_fold_that_lacks_one_training_is_missing_with_its_reason(workspace: Any) -> None:
    row = repeated(workspace)
    row["folds"][0]["fer_repeats"] = [workspace.missing("gone", "diverged", "not finite", "recognition m-fold0-seed1")]
    workspace.record([row], fer_seeds=2)
    accuracy = cell(compared(workspace), "m", "accuracy")
    assert (accuracy.pooled, accuracy.folds) == (pytest.approx(100 * (1 / 2 + 2 / 2) / 2), (1,))
    assert accuracy.note == (
        "1 of 2 folds: fold 0: 1 of 2 trainings of the recogniser missing: diverged: not finite (recognition m-seed1)"
    )
    for fold in row["folds"]:
        fold["fer"], fold["fer_repeats"] = workspace.missing(f"a{fold['fold']}"), [workspace.missing("b")]
    workspace.record([row], fer_seeds=2)
    assert cell(compared(workspace), "m", "accuracy").note == "none of 2 folds: not run yet"


def test_the_caption_of_the_ablation_says_what_was_averaged_on_which_data_set(workspace: Any) -> None:
    workspace.record([repeated(workspace, tables=["ablation"])], fer_seeds=2)
    one = read_records(workspace.root).chosen[0].record
    results = [load_results(workspace.root, row, one.protocol.classes) for row in one.rows]
    other = one.model_copy(
        update={"protocol": one.protocol.model_copy(update={"dataset_title": "Other", "fer_seeds": 1})}
    )
    captions = [
        table.caption
        for runs in ([one], [one, one], [other, one], [other])
        if (table := ablation([(record, results) for record in runs], 1, False))
    ]
    assert captions == [
        "Ablation study on Tiny, recognition averaged over 2 trainings.",
        "Ablation study on Tiny and Tiny, recognition averaged over 2 trainings.",
        "Ablation study on Other; and Tiny, recognition averaged over 2 trainings.",
        "Ablation study on Other.",
    ]


def test_a_fold_that_was_not_asked_for_counts_as_missing(workspace: Any) -> None:
    workspace.record([recognised(workspace, "m")], folds=5)
    assert cell(compared(workspace), "m", "accuracy").note == "2 of 5 folds: folds 2, 3, 4: not part of the run"


def test_a_cell_without_any_fold_has_no_number_but_a_reason(workspace: Any) -> None:
    workspace.record([workspace.row("m", "gan", fer=[workspace.missing("x"), workspace.missing("y")])])
    accuracy = cell(compared(workspace), "m", "accuracy")
    assert (accuracy.pooled, accuracy.folds, accuracy.note) == (None, (), "none of 2 folds: not run yet")


def test_missing_lpips_takes_its_reason_from_the_stage_and_leaves_psnr_alone(workspace: Any) -> None:
    reason = "AlexNet weights not found"
    quality = [workspace.quality(f"q{i}", "a", [("", 20, 0.5, 62.1, 0.99)], lpips_reason=reason) for i in range(2)]
    workspace.record([workspace.row("m", "gan", quality=quality)])
    table = compared(workspace)
    assert cell(table, "m", "lpips").note == f"none of 2 folds: {reason}"
    assert cell(table, "m", "psnr").pooled == 20


def test_damaged_results_are_missing_ones(workspace: Any) -> None:
    row = recognised(workspace, "m")
    broken = workspace.root / row["folds"][0]["fer"]["path"] / "predictions.csv"
    broken.write_text("id,subject,expression,predicted\n1,a,anger,anger,one too many\n2,b\n")
    strange = workspace.root / row["folds"][1]["fer"]["path"] / "predictions.csv"
    strange.write_text("id,subject,expression,predicted\n1,a,anger,boredom\n")
    for fold in row["folds"]:
        workspace.sealed(fold["fer"])
    workspace.record([row])
    accuracy = cell(compared(workspace), "m", "accuracy")
    assert accuracy.pooled is None
    assert "fold 0" in accuracy.note and "'boredom' is not a class" in accuracy.note


def test_a_changed_digit_is_no_number(workspace: Any) -> None:
    quality = [workspace.quality(f"q{i}", "a", [(0.1, 20, 0.5, 62, 0.9)]) for i in range(2)]
    workspace.record([workspace.row("m", "gan", quality=quality)])
    path = workspace.root / quality[1]["path"] / "scores.csv"
    path.write_text(path.read_text().replace(",20,", ",30,"))
    psnr = cell(compared(workspace), "m", "psnr")
    assert psnr.pooled == 20 and "q1/scores.csv is not what was written" in psnr.note


def test_identical_images_have_an_infinite_psnr_and_no_deviation(workspace: Any) -> None:
    quality = [workspace.quality(f"q{i}", "a", [(0, "inf", 1, "inf", 1)]) for i in range(2)]
    workspace.record([workspace.row("m", "gan", quality=quality)])
    table = compared(workspace)
    psnr = cell(table, "m", "psnr")
    assert psnr.pooled == math.inf and psnr.std is None
    assert table.columns[3].text(psnr.pooled) == "∞"


def test_the_best_is_bold_lower_lpips_higher_psnr(workspace: Any) -> None:
    good = [workspace.quality(f"g{i}", "a", [(0.1, 20, 0.9, 62, 0.9)]) for i in range(2)]
    bad = [workspace.quality(f"b{i}", "a", [(0.2, 10, 0.8, 52, 0.8)]) for i in range(2)]
    workspace.record([workspace.row("bad", "gan", quality=bad), workspace.row("good", "gan", quality=good)])
    table = compared(workspace)
    assert [table.best(position) for position in (2, 3, 4)] == [{"good"}] * 3


def test_numbers_that_print_alike_are_all_bold(workspace: Any) -> None:
    rows = [
        workspace.row(name, "gan", quality=[workspace.quality(f"{name}{i}", "a", [scores]) for i in range(2)])
        for name, scores in (
            ("m", (0.12341, 20, 0.9, 62, 0.9)),
            ("n", (0.12344, 20.001, 0.9, 62, 0.9)),
            ("o", (0.1236, 19.99, 0.9, 62, 0.9)),
        )
    ]
    workspace.record(rows)
    table = compared(workspace)
    assert [table.best(position) for position in (2, 3, 4)] == [{"m", "n"}, {"m", "n"}, {"m", "n", "o"}]


def test_references_are_never_bold_and_no_translation_may_be(workspace: Any) -> None:
    perfect = (("aabb", "aa ff hh aa"), ("cc", "aa ff"))
    rows = [
        recognised(workspace, "oracle", "reference", perfect),
        recognised(workspace, "m"),
        recognised(workspace, "none", "none"),
    ]
    workspace.record(rows)
    assert compared(workspace).best(0) == {"m", "none"}


def test_a_mean_that_lacks_a_fold_of_the_others_is_never_bold(workspace: Any) -> None:
    partial = recognised(workspace, "partial", folds=(("aabb", "aa ff hh aa"), ("cc", "aa ff")))
    partial["folds"][1]["fer"] = workspace.missing("gone")
    workspace.record([partial, recognised(workspace, "m"), recognised(workspace, "none", "none")])
    assert compared(workspace).best(0) == {"m", "none"}


def test_a_lone_number_is_not_bold(workspace: Any) -> None:
    workspace.record([recognised(workspace, "m")])
    assert compared(workspace).best(0) == frozenset()


def test_rows_follow_the_paper_and_references_frame_no_translation(workspace: Any) -> None:
    groups = {
        "mine": "diffusion",
        "nfer-sde": "diffusion",
        "oracle": "reference",
        "sr3": "diffusion",
        "nir-only": "reference",
        "cyclegan": "gan",
        "none": "none",
        "pix2pix": "gan",
    }
    workspace.record([workspace.row(name, group) for name, group in groups.items()])
    expected = ["nir-only", "none", "oracle", "pix2pix", "cyclegan", "sr3", "nfer-sde", "mine"]
    assert [row.name for row in compared(workspace).rows] == expected


def test_published_values_stand_beside_ours_with_the_difference(workspace: Any) -> None:
    quality = [workspace.quality(f"q{i}", "a", [(0.5, 20, 0.5, 53.0, 0.9)]) for i in range(2)]
    workspace.record([workspace.row("pix2pix", "gan", quality=quality)], dataset="oulu-casia")
    psnr = cell(compared(workspace, "paper", paper=True), "pix2pix", "psnr")
    assert (psnr.published, psnr.difference) == (52.61, pytest.approx(53.0 - 52.61))


def test_published_psnr_never_stands_beside_the_standard_convention(workspace: Any) -> None:
    quality = [workspace.quality(f"q{i}", "a", [(0.5, 20, 0.5, 53.0, 0.9)]) for i in range(2)]
    workspace.record([workspace.row("pix2pix", "gan", quality=quality)], dataset="oulu-casia")
    table = compared(workspace, "standard", paper=True)
    assert cell(table, "pix2pix", "psnr").published is None
    assert cell(table, "pix2pix", "ssim").published is None
    assert cell(table, "pix2pix", "lpips").published == 0.5392
    assert any("--convention paper" in remark for remark in table.remarks)


def test_the_ablation_has_two_columns_a_dataset_and_tells_what_was_not_run(workspace: Any) -> None:
    runs = []
    for dataset, names in (("oulu-casia", ("nfer-sde", "cond")), ("large-hfe", ("nfer-sde",))):
        rows = [
            workspace.row(
                name,
                "diffusion",
                fer=[workspace.fer(f"{dataset}-{name}-{i}", *fold) for i, fold in enumerate(FOLDS)],
                tables=["ablation"],
            )
            for name in names
        ]
        workspace.record(rows, dataset, dataset=dataset)
    for stored in read_records(workspace.root, ("oulu-casia", "large-hfe")).chosen:
        results = [load_results(workspace.root, row, stored.record.protocol.classes) for row in stored.record.rows]
        runs.append((stored.record, results))
    table = ablation(runs, 3, beside_paper=True)
    assert table is not None
    assert [row.title for row in table.rows] == ["Cond", "Cond + E_h + E_f, nfer-sde"]
    assert [column.dataset for column in table.columns] == ["oulu-casia"] * 2 + ["large-hfe"] * 2
    assert [one.note if one else None for one in table.rows[0].cells[2:]] == ["not run on this data set"] * 2
    assert [one.published if one else None for one in table.rows[1].cells] == [70.19, 70.28, 74.90, 74.91]


def test_without_ablation_rows_there_is_no_ablation_table(workspace: Any) -> None:
    workspace.record([recognised(workspace, "m")])
    record = read_records(workspace.root).chosen[0].record
    results = [load_results(workspace.root, row, record.protocol.classes) for row in record.rows]
    assert ablation([(record, results)], 2, beside_paper=False) is None


def test_the_long_form_has_one_line_a_cell_and_exactly_these_columns(workspace: Any) -> None:
    missing = workspace.row("n", "gan", fer=[workspace.missing("x"), workspace.missing("y")])
    workspace.record([recognised(workspace, "m"), missing])
    frame = long_frame([compared(workspace)])
    assert tuple(frame.columns) == LONG_COLUMNS
    assert list(zip(frame["method"], frame["metric"], frame["folds"], strict=True)) == [
        ("m", "accuracy", 2),
        ("m", "macro_f1", 2),
        ("n", "accuracy", 0),
        ("n", "macro_f1", 0),
    ]
    assert frame["pooled"].isna().tolist() == [False, False, True, True]


def test_a_tiny_negative_difference_prints_without_a_sign_of_zero(workspace: Any) -> None:
    workspace.record([recognised(workspace, "m")])
    column = compared(workspace).columns[0]
    assert column.text(-0.001) == "0.00"
    assert column.text(-1.5, signed=True) == "−1.50"
    assert column.text(1.5, signed=True) == "+1.50"


def test_footnotes_are_told_once_and_go_on_after_z(workspace: Any) -> None:
    rows = [
        workspace.row(f"m{i}", "gan", fer=[workspace.missing("x"), workspace.missing("y")], stamps=[f"stamp {i}"])
        for i in range(28)
    ]
    workspace.record(rows)
    notes = compared(workspace).footnotes()
    assert list(notes.marks.items())[:2] == [("stamp 0", "a"), ("stamp 1", "b")]
    assert list(notes.marks.values())[25:] == ["z", "aa", "ab"]
    assert notes.remarks == ("All rows: none of 2 folds: not run yet.",) and not notes.cells


@pytest.mark.parametrize("why", ["no extra set (--extra none)", None])
def test_recognition_without_an_extra_set_is_a_dash_with_its_reason(workspace: Any, why: str | None) -> None:
    said = {} if why is None else {"without_extra": why}  # records of earlier versions do not say
    quality = [workspace.quality(f"q{fold}", "a", [(0.2, 10, 0.5, 52, 0.9)]) for fold in (0, 1)]
    rows = [recognised(workspace, "nir-only", "reference"), workspace.row("m", "gan", quality=quality)]
    workspace.record(rows, extra=None, extra_title=None, **said)
    table = compared(workspace)
    for metric in ("accuracy", "macro_f1"):
        assert cell(table, "m", metric).pooled is None and cell(table, "m", metric).note == (why or "no extra set")
    assert cells(table, "nir-only")["lpips"] is None and cell(table, "nir-only", "accuracy").note == ""
    assert list(table.footnotes().marks) == [why or "no extra set"]


def test_images_by_others_come_last_and_say_why_they_have_no_accuracy(workspace: Any) -> None:
    scores = workspace.quality("q", "a", [(0.2, 10, 0.5, 52, 0.9)])
    workspace.record([workspace.row("mine", "given", quality=[scores, scores]), recognised(workspace, "m")])
    table = compared(workspace)
    assert [(label, [row.name for row in rows]) for label, rows in blocks(table)] == [
        ("GAN-based", ["m"]),
        ("Images by others", ["mine"]),
    ]
    assert "nferbench score --pred-extra" in cell(table, "mine", "accuracy").note
    assert cell(table, "mine", "psnr").pooled == 10


def side_by_side(workspace: Any, paper: bool = False) -> Table:
    chosen = [stored.record for stored in read_records(workspace.root, names=["one", "two"]).chosen]
    runs = [
        (record, [load_results(workspace.root, row, record.protocol.classes) for row in record.rows])
        for record in chosen
    ]
    return joined_comparison(runs, 1, "paper" if paper else "standard", paper)


def test_records_stand_side_by_side_with_the_rows_joined_by_name(workspace: Any) -> None:
    workspace.record([recognised(workspace, "m"), recognised(workspace, "n")], "one", fer_title="A")
    workspace.record(
        [recognised(workspace, "k", folds=FOLDS[::-1]) | {"name": "m"}], "two", fer_title="B", preset="brief"
    )
    table = side_by_side(workspace)
    headings = list(dict.fromkeys(column.heading for column in table.columns))
    assert headings == ["Tiny (quick, A)", "Tiny (brief, B)"] and len(table.columns) == 10
    assert [row.name for row in table.rows] == ["m", "n"]
    accuracies = [[cell.pooled for cell in row.cells if cell][:1] for row in table.rows]
    assert accuracies[0] == accuracies[1] == [pytest.approx(100 * 4 / 6)]
    absent = table.rows[1].cells[5]
    assert absent is not None and absent.pooled is None and absent.note == "not run by this protocol"
    assert set(long_frame([table])["dataset"]) == {"tiny-quick-a", "tiny-brief-b"}
    assert table.caption == "The compared methods on Tiny (quick, A) and Tiny (brief, B)."


def test_what_must_be_known_of_one_record_s_row_is_told_with_its_record(workspace: Any) -> None:
    workspace.record([recognised(workspace, "m", stamps=["both", "first"])], "one")
    workspace.record([recognised(workspace, "k", stamps=["both"]) | {"name": "m"}], "two", preset="brief")
    assert side_by_side(workspace).rows[0].stamps == ("both", "Tiny (quick): first")


def test_published_values_are_found_for_records_that_are_told_apart(workspace: Any) -> None:
    for name, preset in (("one", "quick"), ("two", "brief")):
        rows = [recognised(workspace, f"{name}-m") | {"name": "pix2pix"}]
        workspace.record(rows, name, preset=preset, dataset="oulu-casia", dataset_title="Oulu-CASIA")
    table = side_by_side(workspace, paper=True)
    assert table.beside_paper and not any("no numbers" in remark for remark in table.remarks)
    pairs = zip(table.columns, table.rows[0].cells, strict=True)
    accuracies = [cell.published for column, cell in pairs if cell and column.metric == "accuracy"]
    assert len(accuracies) == 2 and accuracies[0] == accuracies[1] and accuracies[0] is not None


def quality(workspace: Any, name: str, gone: tuple[int, ...] = (), count: int = 3) -> list[dict[str, str]]:
    return [
        workspace.missing(f"{name}-{fold}-gone")
        if fold in gone
        else workspace.quality(f"{name}-q{fold}", "a", [(0.1, 20, 0.5, 62, 0.9)])
        for fold in range(count)
    ]


def fer(workspace: Any, name: str, gone: tuple[int, ...] = (), count: int = 3) -> list[dict[str, str]]:
    return [
        workspace.missing(f"{name}-{fold}-no") if fold in gone else workspace.fer(f"{name}-f{fold}", "ab", "aa ff")
        for fold in range(count)
    ]


LACKING = "2 of 3 folds: fold 1: not run yet"


def test_a_note_of_all_cells_of_a_row_stands_at_its_title_alone(workspace: Any) -> None:
    rows = [
        workspace.row("m", "gan", fer(workspace, "m", (1,)), quality(workspace, "m", (1,))),
        workspace.row("n", "gan", fer(workspace, "n", (1,)), quality(workspace, "n")),
        workspace.row("o", "gan", fer(workspace, "o"), quality(workspace, "o"), stamps=["stamped"]),
    ]
    workspace.record(rows, folds=3)
    notes = compared(workspace).footnotes()
    assert notes.marks == {LACKING: "a", "stamped": "b"} and notes.remarks == ()
    assert notes.titles == {"m": ("a",), "n": (), "o": ("b",)}
    assert notes.cells == {("n", 0): "a", ("n", 1): "a"}


def test_a_note_of_all_rows_is_a_remark_without_a_mark(workspace: Any) -> None:
    groups = {"oracle": "reference", "none": "none", "m": "gan", "n": "diffusion"}
    rows = [
        workspace.row(
            name,
            group,
            fer(workspace, name, (1,)),
            [] if group == "reference" else quality(workspace, name, (1,)),
            stamps=["leaks."],
        )
        for name, group in groups.items()
    ]
    workspace.record(rows, folds=3)
    notes = compared(workspace).footnotes()
    assert notes.remarks == ("All rows: leaks.", f"All rows: {LACKING}.")
    assert not notes.marks and not notes.cells and not any(notes.titles.values())


@pytest.mark.parametrize("odd", ["", "oracle", "m"])
def test_a_stamp_of_just_the_translated_rows_is_told_once_too(workspace: Any, odd: str) -> None:
    groups = {"oracle": "reference", "none": "none", "m": "gan", "n": "diffusion", "mine": "given"}
    translated = {name for name, group in groups.items() if group not in ("reference", "none")}
    stamped = translated ^ {odd} if odd else translated
    rows = [
        workspace.row(name, group, fer(workspace, name), stamps=["pre-trained"] if name in stamped else [])
        for name, group in groups.items()
    ]
    workspace.record(rows, folds=3)
    notes = compared(workspace).footnotes()
    marked = {name for name, marks in notes.titles.items() if marks}
    assert (notes.remarks, marked) == (((), stamped) if odd else (("All translated rows: pre-trained.",), set()))


def test_trainings_of_the_recogniser_are_counted_and_blank_where_nothing_is_recognised(workspace: Any) -> None:
    rows = [
        repeated(workspace),
        workspace.row("n", "gan", [workspace.missing(f"n{i}") for i in range(2)], quality(workspace, "n", count=2)),
    ]
    for i, fold in enumerate(rows[1]["folds"]):
        fold["fer_repeats"] = [workspace.missing(f"n{i}-seed1")]
    workspace.record(rows, fer_seeds=2)
    frame = long_frame([compared(workspace)])
    counts = frame.set_index(["method", "metric"])["trainings"]
    assert (counts["m", "accuracy"], counts["m", "macro_f1"], counts["n", "accuracy"]) == (2, 2, 0)
    assert counts[:, "psnr"].isna().all() and counts[:, "lpips"].isna().all()
    assert ",2\n" in frame.to_csv(index=False)  # whole numbers, whatever is blank beside them
