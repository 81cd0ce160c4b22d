"""Tables in LaTeX."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from nferbench_reports.latex import escape, write_document, write_table
from nferbench_reports.records import read_records
from nferbench_reports.report import write_report
from nferbench_reports.results import load_results
from nferbench_reports.tables import comparison

NASTY = r"50% & $x$ #1 a_b {c} ~^ \end{document} <|> [x] --flag `q` 'r' " + '"s" λ Ω ≤ é – 中'


def written(workspace: Any) -> str:
    record = read_records(workspace.root).chosen[0].record
    results = [load_results(workspace.root, row, record.protocol.classes) for row in record.rows]
    return write_table(comparison(record, results, 1, "standard", False))


@pytest.mark.parametrize(
    ("text", "latex"),
    [
        ("50% & more", r"50\% \& more"),
        ("a_b^c~d", r"a\_b\textasciicircum{}c\textasciitilde{}d"),
        (r"\{$#}", r"\textbackslash{}\{\$\#\}"),
        ("63.1 ± 0.2 −1 ∞ ↓ ↑ †", r"63.1 $\pm$ 0.2 $-$1 $\infty$ $\downarrow$ $\uparrow$ $\dagger$"),
        ("--flag", "-{}-flag"),
        ("λ_h Δ", r"$\lambda$\_h $\Delta$"),
        ("Müller", "Müller"),
        ("中", "{[}U+4E2D{]}"),
        ("Cond + E_h + E_f", r"Cond + $\mathcal{E}_h$ + $\mathcal{E}_f$"),
        ("THE_hat", r"THE\_hat"),
        ("two\nlines", "two lines"),
        ("bell\x07 \\input{x}", r"bell\textbackslash{}x07 \textbackslash{}input\{x\}"),
    ],
)
def test_plain_text_is_escaped(text: str, latex: str) -> None:
    assert escape(text) == latex


def test_the_best_is_bold_references_are_italic_and_heterogeneous_methods_have_a_dagger(workspace: Any) -> None:
    rows = [
        workspace.row(name, group, fer=[workspace.fer(f"{name}{i}", "ab", answers) for i in range(2)], **more)
        for name, group, answers, more in (
            ("oracle", "reference", "aa ff", {}),
            ("pix2pix", "gan", "aa fh", {}),
            ("hifacegan", "gan", "ah fh", {"heterogeneous": True, "stamps": ["no perceptual loss"]}),
        )
    ]
    workspace.record(rows)
    text = written(workspace)
    assert r"\textit{oracle} & \textit{100.00}" in text
    assert r"GAN-based & pix2pix & \textbf{50.00}" in text
    assert r" & hifacegan $\dagger$$^{a}$ & 0.00" in text
    assert "$^{a}$~no perceptual loss" in text


def test_every_row_has_as_many_cells_as_the_table_has_columns(workspace: Any) -> None:
    rows = [
        workspace.row("pix2pix", "gan", fer=[workspace.fer(f"p{i}", "ab", "aa fh") for i in range(2)]),
        workspace.row("nfer-sde", "diffusion", fer=[workspace.missing("x")], tables=["comparison", "ablation"]),
    ]
    workspace.record(rows, dataset="oulu-casia")
    for beside_paper in (False, True):
        for path in write_report(workspace.root, workspace.root / f"out-{beside_paper}", paper=beside_paper).paths:
            if not re.fullmatch(r"table-.*\.tex", path.name):
                continue
            text = path.read_text(encoding="utf-8")
            (columns,) = re.findall(r"\\begin\{tabular\}\{([lc]+)\}", text)
            bodies = [line for line in text.splitlines() if re.search(r"\\\\(\[.*\])?$", line)]
            assert len(bodies) >= 3
            for line in bodies:
                spans = [int(width) for width in re.findall(r"\\multicolumn\{(\d+)\}", line)]
                cells = len(re.findall(r"(?<!\\)&", line)) + 1
                assert cells + sum(spans) - len(spans) == len(columns), line


def test_the_document_inputs_every_fragment() -> None:
    text = write_document(["table-a.tex", "table-b.tex"])
    assert r"\input{table-a.tex}" in text and r"\input{table-b.tex}" in text


@pytest.mark.parametrize("paper", [False, True])
def test_the_document_compiles_whatever_the_titles_hold(workspace: Any, tmp_path: Path, paper: bool) -> None:
    compiler = shutil.which("pdflatex") or shutil.which("tectonic")
    if compiler is None:
        pytest.skip("neither pdflatex nor tectonic is installed")
    fer = [workspace.fer("f0", "ab", "aa fh"), workspace.missing("gone", "failed", NASTY, NASTY)]
    rows = [
        workspace.row("nir-only", "reference", fer=fer, title=NASTY),
        workspace.row("pix2pix", "gan", fer=fer, title=NASTY, heterogeneous=True, stamps=[NASTY]),
        workspace.row("nfer-sde", "diffusion", fer=fer, title=NASTY, tables=["comparison", "ablation"]),
    ]
    workspace.record(rows, dataset="large-hfe", dataset_title=NASTY)
    out = tmp_path / "report"
    write_report(workspace.root, out, paper=paper)
    command = [compiler, "tables.tex"]
    if "pdflatex" in compiler:
        command[1:1] = ["-interaction=nonstopmode", "-halt-on-error"]
    run = subprocess.run(command, cwd=out, capture_output=True, text=True, errors="replace", check=False)
    assert run.returncode == 0, run.stdout[-2000:]
    assert (out / "tables.pdf").stat().st_size > 10_000
