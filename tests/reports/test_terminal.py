"""The report on a terminal."""

from __future__ import annotations

import io
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from nferbench_reports import shown, write_report

REFERENCE = "True NIR of the extra set (oracle)"


def scored(workspace: Any, name: str, group: str, start: float, **more: Any) -> dict[str, Any]:
    """A row with numbers in all columns, of which no two are alike."""
    answers = ("aa ff hh af", "aa fh") if start < 0.2 else ("aa ff hf af", "aa ff")
    fer = [workspace.fer(f"{name}{i}", who, said) for i, who, said in zip((0, 1), ("abcd", "ef"), answers, strict=True)]
    quality = [
        workspace.quality(f"q{name}{i}", "ab", [(start + i / 9, 100 * start, start, 50 + start, 0.9)] * 2)
        for i in range(2)
    ]
    row: dict[str, Any] = workspace.row(name, group, fer=fer, quality=[] if group == "reference" else quality, **more)
    return row


def whole(workspace: Any, **protocol: Any) -> None:
    workspace.record(
        [
            scored(workspace, "oracle", "reference", 0.11, title=REFERENCE),
            scored(workspace, "none", "none", 0.12, title="Without translation"),
            scored(workspace, "pix2pix", "gan", 0.13),
            scored(workspace, "hifacegan", "gan", 0.24, heterogeneous=True, stamps=["no perceptual loss"]),
            scored(workspace, "nfer-sde", "diffusion", 0.25, tables=["comparison", "ablation"]),
            scored(workspace, "cond", "diffusion", 0.26, tables=["ablation"]),
        ],
        **protocol,
    )


def printed(workspace: Any, out: Path, width: int, paper: bool = False, **terminal: Any) -> str:
    report = write_report(workspace.root, out, paper=paper)
    console = Console(file=io.StringIO(), width=width, highlight=False, _environ={}, **terminal)
    for each in shown(report.contents, report.pictures, width):
        console.print(each, crop=False)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def words(lines: Sequence[str]) -> list[str]:
    return [word.strip("*≈[],()") for line in lines for word in line.split()]


@pytest.mark.parametrize("paper", [False, True])
@pytest.mark.parametrize("width", [30, 60, 80, 132, 300])
def test_lines_fit_the_width_and_no_number_is_cut_or_broken(
    workspace: Any, tmp_path: Path, width: int, paper: bool
) -> None:
    whole(workspace, dataset="oulu-casia", dataset_title="Oulu-CASIA")
    text = printed(workspace, tmp_path, width, paper)
    assert width < 60 or all(len(line) <= width for line in text.splitlines())
    contents = write_report(workspace.root, tmp_path, paper=paper).contents
    seen = words(text.splitlines())
    for table in contents.tables:
        for row in table.rows:
            for column, cell in zip(table.columns, row.cells, strict=True):
                if cell is not None and cell.pooled is not None:
                    assert column.text(cell.pooled) in seen
                if cell is not None and cell.published is not None and cell.difference is not None:
                    assert {column.text(cell.published), column.text(cell.difference, signed=True)} <= set(seen)
    for one in contents.tested_on("oulu-casia", "none"):
        assert f"{one.found.difference:+.{one.decimals}f}".replace("-", "−") in seen
    assert "…" not in text


def test_spread_goes_first_then_titles_take_lines_then_tables_are_stacked(workspace: Any, tmp_path: Path) -> None:
    whole(workspace)
    at = {width: printed(workspace, tmp_path, width).split("Table 2.")[0] for width in (200, 90, 66, 50)}
    assert ("±" in at[200], "in brackets" in at[200]) == (True, True)
    assert all("±" not in at[width] and "in brackets" not in at[width] for width in (90, 66, 50))
    assert f"{REFERENCE}°" in at[90] and f"{REFERENCE}°" not in at[66] and "(oracle)°" in at[66]
    assert [at[width].count("Method") for width in (200, 90, 66, 50)] == [1, 1, 1, 2]
    first, second = re.findall(r"^Method.*$", at[50], re.MULTILINE)
    assert ("Acc (%)" in first, "SSIM ↑" in first) == (True, False) and "SSIM ↑" in second


def test_groups_marks_and_notes_are_those_of_the_table(workspace: Any, tmp_path: Path) -> None:
    whole(workspace)
    lines = [line.rstrip() for line in printed(workspace, tmp_path, 90).splitlines()]
    assert any(line.startswith("hifacegan† [a] ") and " 66.67* " in line for line in lines)
    assert "[a] no perceptual loss" in lines
    label = lines.index("GAN-based")
    assert set(lines[label - 1]) == {"─"} and lines[label + 1].startswith("pix2pix")
    assert "Best with *; rows with ° are references and take no part." in " ".join(lines)


def test_a_difference_and_its_interval_are_one_cell_and_uncorrected_p_values_are_told_apart(
    workspace: Any, tmp_path: Path
) -> None:
    whole(workspace)
    text = printed(workspace, tmp_path, 90).split("Significance on Tiny.")[1]
    lines = text.split("Headroom on Tiny.")[0].splitlines()
    assert any(
        re.fullmatch(r"cond +\+0\.00 \[−\d+\.\d\d, \+\d+\.\d\d\] +1\.000 +\+14\.00 \[.*\] +1\.000", line)
        for line in lines
    )
    assert any(re.match(r"True NIR of the +\+0\.00 \[.*\] +\(1\.000\)", line) for line in lines)
    assert "n = 6" in text


def test_subjects_have_a_column_where_they_differ(workspace: Any, tmp_path: Path) -> None:
    fewer = scored(workspace, "few", "gan", 0.2)
    fewer["folds"][1]["fer"] = workspace.missing("gone")
    workspace.record([scored(workspace, "none", "none", 0.3), scored(workspace, "m", "gan", 0.27), fewer])
    text = printed(workspace, tmp_path, 120).split("Significance on Tiny.")[1]
    assert re.search(r"^few +4 +[+−]", text, re.MULTILINE) and re.search(r"^m +6 +[+−]", text, re.MULTILINE)


def test_a_terminal_gets_styles_and_a_file_or_pipe_none(workspace: Any, tmp_path: Path) -> None:
    whole(workspace)
    assert "\x1b" not in printed(workspace, tmp_path, 80)
    styled = printed(workspace, tmp_path, 80, force_terminal=True, color_system="standard")
    assert "\x1b[1m" in styled and "\x1b[3m" in styled
    assert not re.search(r"\x1b\[(?:\d+;)*(?:3[0-8]|9[0-7])", styled)  # styles, not colours: they read on any ground


def test_titles_are_never_taken_for_markup_and_long_ones_are_not_cut(workspace: Any, tmp_path: Path) -> None:
    titles = ["[red]x[/red] [/] \\[b] :smile:", "a" * 70, "中文" * 15, "many words " * 9, "bell\x07"]
    workspace.record(
        [scored(workspace, f"m{i}", "gan", 0.1 + i / 50, title=title) for i, title in enumerate(titles)]
        + [scored(workspace, "none", "none", 0.3)],
        dataset_title="[bold]T[/bold]",
    )
    for width in (60, 80):
        text = printed(workspace, tmp_path, width)
        assert "[bold]T[/bold]" in text and "[red]x[/red]" in text and "[/]" in text and ":smile:" in text
        assert "\x07" not in text and "bell\\x07" in text
        table = text.split("Table 1.")[1].split("Significance")[0]
        assert table.count("a") - table.count("any") >= 70 and table.count("中") % 15 == 0 and table.count("中") >= 15


def test_what_there_is_to_know_of_pictures_is_told_without_links(workspace: Any, tmp_path: Path) -> None:
    whole(workspace)
    text = printed(workspace, tmp_path, 80)
    assert "No picture grid of Tiny: the prepared faces: not run yet." in text
    assert "](" not in text and "| " not in text and "**" not in text
