"""Tables in Markdown."""

from __future__ import annotations

from typing import Any

import pytest

from nferbench_reports.markdown import escape, grid, write_table
from nferbench_reports.records import read_records
from nferbench_reports.results import load_results
from nferbench_reports.tables import comparison


def written(workspace: Any, paper: bool = False) -> str:
    record = read_records(workspace.root).chosen[0].record
    results = [load_results(workspace.root, row, record.protocol.classes) for row in record.rows]
    return write_table(comparison(record, results, 1, "paper" if paper else "standard", paper))


def line_of(text: str, title: str) -> list[str]:
    (line,) = [line for line in text.splitlines() if line.startswith("|") and title in line]
    return [cell.strip() for cell in line.strip("|").split("|")]


def test_a_cell_shows_the_pooled_number_and_the_spread_over_folds(workspace: Any) -> None:
    fer = [workspace.fer("a", "aabb", "aa ff hh af"), workspace.fer("b", "cc", "aa fh")]
    workspace.record([workspace.row("m", "gan", fer=fer)])
    assert line_of(written(workspace), "m")[2:4] == ["66.67 (62.50 ± 17.68)", "65.56 (55.56 ± 31.43)"]


def test_groups_are_labelled_once_and_heterogeneous_methods_have_a_dagger(workspace: Any) -> None:
    rows = [
        workspace.row("none", "none", title="Without translation"),
        workspace.row("pix2pix", "gan"),
        workspace.row("hifacegan", "gan", heterogeneous=True, stamps=["trained without the perceptual loss"]),
        workspace.row("sr3", "diffusion"),
    ]
    workspace.record(rows)
    text = written(workspace)
    assert line_of(text, "Without translation")[0] == ""
    assert line_of(text, "pix2pix")[:2] == ["GAN-based", "pix2pix"]
    assert line_of(text, "hifacegan")[:2] == ["", "hifacegan † [a]"]
    assert line_of(text, "sr3")[:2] == ["Diffusion-based", "sr3"]
    assert "- [a] trained without the perceptual loss" in text
    assert "† made for heterogeneous faces" in text


def test_no_dagger_is_explained_where_none_is_shown(workspace: Any) -> None:
    workspace.record([workspace.row("m", "gan")])
    assert "†" not in written(workspace)


def test_what_does_not_apply_is_a_plain_dash_and_what_is_missing_has_a_footnote(workspace: Any) -> None:
    workspace.record(
        [
            workspace.row("nir-only", "reference", fer=[workspace.fer("a", "a", "aa"), workspace.fer("b", "a", "af")]),
            workspace.row("m", "gan", quality=[workspace.missing("x", "timeout", "2 h"), workspace.missing("y")]),
        ]
    )
    text = written(workspace)
    recognised = ["*50.00* (50.00 ± 70.71)", "*22.22* (16.67 ± 23.57)"]
    assert line_of(text, "nir-only")[1:] == ["*nir-only*", *recognised, "–", "–", "–"]
    assert line_of(text, "| m [a] ")[2:] == ["–", "–", "–", "–", "–"]
    assert "- [a] none of 2 folds: fold 0: timeout: 2 h; fold 1: not run yet" in text


def test_a_reason_that_names_each_fold_is_told_once(workspace: Any) -> None:
    fer = [workspace.missing(f"k{i}", "waiting", f"needs networks u-nir-fold{i}: diverged, NaN.") for i in range(2)]
    workspace.record([workspace.row("m", "gan", fer=fer)])
    assert "All rows: none of 2 folds: needs networks u-nir: diverged, NaN.\n" in written(workspace)


def test_ties_are_all_bold(workspace: Any) -> None:
    rows = []
    for name in ("m", "n"):
        rows.append(workspace.row(name, "gan", fer=[workspace.fer(f"{name}{i}", "ab", "aa ff") for i in range(2)]))
    workspace.record(rows)
    text = written(workspace)
    assert line_of(text, "| m ")[2] == line_of(text, "| n ")[2] == "**100.00** (100.00 ± 0.00)"


def test_published_values_have_columns_of_their_own(workspace: Any) -> None:
    fer = [workspace.fer(f"a{i}", "ab", "aa fh") for i in range(2)]
    rows = [workspace.row("pix2pix", "gan", fer=fer), workspace.row("mine", "gan", fer=fer)]
    workspace.record(rows, dataset="large-hfe")
    text = written(workspace, paper=True)
    assert line_of(text, "Method")[2:6] == ["Acc (%)", "paper (Δ)", "F1 (%)", "paper (Δ)"]
    assert line_of(text, "pix2pix")[3] == "67.17 (−17.17)"
    assert line_of(text, "mine")[3] == "–"


@pytest.mark.parametrize(
    ("text", "markdown"),
    [
        ("a|b", r"a\|b"),
        ("*x* <br>", r"\*x\* \<br>"),
        ("two\nlines", "two lines"),
        ("E_h and _x_", r"E_h and \_x\_"),
        ("[-1, 1]", "[-1, 1]"),
        ("[a](http://b.c)", r"[a\](http\://b.c)"),
        ("![a][b]", r"![a\][b]"),
        ("[a]: www.b.c", r"[a\]: www\.b.c"),
        ("<a href=x>", r"\<a href=x>"),
        ("&lt;b&gt; A & B", r"\&lt;b\&gt; A & B"),
        ("# ~~head~~", r"\# \~\~head\~\~"),
        ("\x1b[31m", r"\\x1b[31m"),
    ],
)
def test_plain_text_stays_plain_text(text: str, markdown: str) -> None:
    assert escape(text) == markdown


def test_every_line_of_a_grid_has_the_same_width() -> None:
    lines = grid(["a", "value ↓"], [["long name", "1"], ["x", "22.5 ± 3"]], "lr").splitlines()
    assert len({len(line) for line in lines}) == 1
    assert lines[1] == "| --------- | -------: |"


def test_a_caption_says_which_folds_stand_behind_the_numbers(workspace: Any) -> None:
    def caption(*folds: int, planned: int = 3, other: int | None = None) -> str:
        keys = ["-".join(map(str, (*folds, planned, other, "fold", i))) for i in range(planned)]
        fer = [
            workspace.fer(key, "ab", "aa ff") if i in folds else workspace.missing(key) for i, key in enumerate(keys)
        ]
        rows = [workspace.row("m", "gan", fer=fer)]
        if other is not None:
            rows.append(workspace.row("n", "gan", fer=[fer[other]]))
        workspace.record(rows, folds=planned)
        return written(workspace).splitlines()[0]

    spread = ", mean ± standard deviation over folds in brackets."
    assert f"the test images of all folds{spread}" in caption(0, 1, 2)
    assert "the test images of fold 1 alone. Best" in caption(1)
    assert f"the test images of folds 0, 2 alone{spread}" in caption(0, 2)
    assert "the test images of the only fold. Best" in caption(0, planned=1)
    assert f"the test images of the folds that have a result (footnotes name the others){spread}" in caption(
        0, 2, other=0
    )
