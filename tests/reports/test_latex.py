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
        ("ŧ ő", "{[}U+0167{]} ő"),
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


def compiled(report: Path) -> str:
    """The log of compiling a report's document."""
    compiler = shutil.which("pdflatex") or shutil.which("tectonic")
    if compiler is None:
        pytest.skip("neither pdflatex nor tectonic is installed")
    words = ["-interaction=nonstopmode", "-halt-on-error"] if "pdflatex" in compiler else ["--keep-logs"]
    run = subprocess.run(
        [compiler, *words, "tables.tex"], cwd=report, capture_output=True, text=True, errors="replace", check=False
    )
    assert run.returncode == 0, run.stdout[-2000:]
    assert (report / "tables.pdf").stat().st_size > 10_000
    return (report / "tables.log").read_text(encoding="utf-8", errors="replace")


LONG = "runs/" + "0123456789abcdef" * 8 + "/" + "中" * 40


def full(workspace: Any, title: str, dataset: str = "large-hfe") -> None:
    """A record with all tables, of which the widest has three more metrics."""
    metrics = [
        {"name": f"extra{i}", "title": f"Another distance {i}", "better": "lower", "identity": "i"} for i in range(3)
    ]
    rows = []
    for number, (name, group) in enumerate(
        (
            ("none", "none"),
            ("oracle", "reference"),
            ("pix2pix", "gan"),
            ("cond", "diffusion"),
            ("nfer-sde", "diffusion"),
        )
    ):
        fer = [workspace.fer(f"{name}{i}", "abcd", "aa ff hh af" if number % 2 else "aa ff hf af") for i in range(2)]
        scores = [[(0.1 + number / 50, 20 + number, 0.9, 62, 0.9)] * 4 for _ in range(2)]
        quality = [workspace.quality(f"q{name}{i}", "abcd", each) for i, each in enumerate(scores)]
        if name == "pix2pix":
            quality[1] = workspace.missing("gone", "failed", LONG, NASTY)
        row = workspace.row(
            name,
            group,
            fer,
            [] if group == "reference" else quality,
            title=f"{title} {number}",
            heterogeneous=True,
            stamps=[LONG] if name == "cond" else [],
            tables=["ablation"] if name == "cond" else ["comparison", "ablation"],
            metrics=[] if group == "reference" else metrics,
        )
        for fold, entry in enumerate(row["folds"]):
            values = [{"id": i, "subject": who, "expression": "anger", "value": 0.1} for i, who in enumerate("abcd")]
            entry["metrics"] = [
                {"name": each["name"]}
                | workspace.stage(f"{name}-{each['name']}-{fold}", {"scores.csv": values}, measured="")
                for each in row["metrics"]
            ]
        rows.append(row)
    workspace.record(rows, dataset=dataset, dataset_title=title)


@pytest.mark.parametrize("paper", [False, True])
@pytest.mark.parametrize("title", [NASTY, "T" * 200, "pix2pix"], ids=["nasty", "long", "short"])
def test_the_document_compiles_whatever_the_titles_hold_and_nothing_stands_out_of_its_column(
    workspace: Any, tmp_path: Path, title: str, paper: bool
) -> None:
    full(workspace, title)
    write_report(workspace.root, tmp_path / "report", paper=paper)
    log = compiled(tmp_path / "report")
    assert not re.findall(r"Overfull \\hbox.*|.*[Uu]ndefined.*|Missing character.*|.*multiply defined.*", log)


def test_a_table_of_many_rows_stays_on_its_page(workspace: Any, tmp_path: Path) -> None:
    rows = [
        workspace.row(
            f"m{i}",
            "gan",
            [workspace.fer(f"m{i}{fold}", "abcd", "aa ff hh af") for fold in range(2)],
            [workspace.quality(f"q{i}{fold}", "ab", [(0.1 + i / 100, 20, 0.5, 62, 0.9)] * 2) for fold in range(2)],
        )
        for i in range(45)
    ]
    rows.append(workspace.row("none", "none", [workspace.fer(f"n{i}", "abcd", "aa ff hh af") for i in (0, 1)]))
    workspace.record(rows)
    write_report(workspace.root, tmp_path)
    assert r"\resizebox*{!}{" in (tmp_path / "table-comparison-tiny.tex").read_text("utf-8")
    assert "too large for page" not in compiled(tmp_path)


@pytest.mark.parametrize("paper", [False, True])
def test_fragments_are_balanced_need_two_packages_and_are_as_wide_as_their_column(
    workspace: Any, tmp_path: Path, paper: bool
) -> None:
    full(workspace, NASTY)
    names = [path.name for path in write_report(workspace.root, tmp_path, paper=paper).paths if path.suffix == ".tex"]
    kinds = {re.findall("table-([a-z]+)", name)[0] for name in names if name != "tables.tex"}
    assert kinds == {"comparison", "ablation", "significance", "headroom"}
    document = (tmp_path / "tables.tex").read_text("utf-8")
    assert set(re.findall(r"\\usepackage(?:\[.*?\])?\{(.*?)\}", document)) == {
        *("fontenc", "inputenc", "lmodern", "booktabs,graphicx"),  # lmodern where it is installed
    }
    assert "twocolumn" in document and document.count(r"\input{") == len(names) - 1
    for name in names:
        text = re.sub(r"\\[{}%]", "", (tmp_path / name).read_text("utf-8"))
        text = re.sub(r"(?m)%.*$", "", text)
        assert text.count("{") == text.count("}")
        assert re.findall(r"\\begin\{(.*?)\}", text) and sorted(re.findall(r"\\begin\{(.*?)\}", text)) == sorted(
            re.findall(r"\\end\{(.*?)\}", text)
        )
        for tabular in re.finditer(r"\\begin\{tabular\}", text):
            before = text[: tabular.start()].rstrip()
            assert before.endswith(r"\resizebox{\ifdim\width>\linewidth\linewidth\else\width\fi}{!}{")
        assert name == "tables.tex" or text.index(r"\caption") < text.index(r"\label") < text.index(r"\begin{tabular}")


def test_a_narrow_table_takes_one_column_and_a_wide_one_both(workspace: Any, tmp_path: Path) -> None:
    full(workspace, "m")
    write_report(workspace.root, tmp_path)
    floats = {
        path.name: re.findall(r"\\begin\{(table\*?)\}", path.read_text("utf-8"))
        for path in tmp_path.glob("table-*.tex")
    }
    assert floats["table-headroom-large-hfe.tex"] == ["table"]
    assert floats["table-comparison-large-hfe.tex"] == floats["table-significance-large-hfe.tex"] == ["table*"]


def test_columns_that_would_be_shrunk_too_much_stand_in_a_second_table(workspace: Any, tmp_path: Path) -> None:
    full(workspace, "a title that is as long as some are")
    write_report(workspace.root, tmp_path, paper=True)
    text = (tmp_path / "table-comparison-large-hfe.tex").read_text("utf-8")
    assert text.count(r"\begin{tabular}") > 1 and text.count(r"\caption") == 1
    numbers = re.findall(r"Another distance \d", text)
    assert numbers == [f"Another distance {i}" for i in range(3)]


def test_differences_and_headroom_of_a_data_set_are_never_older_than_its_tables(workspace: Any, tmp_path: Path) -> None:
    full(workspace, "m")
    write_report(workspace.root, tmp_path)
    workspace.record(
        [workspace.row("m", "gan", [workspace.fer(f"m{i}", "ab", "aa ff") for i in range(2)])],
        "newer",
        created="2026-01-01T00:00:00+00:00",
        dataset="large-hfe",
    )
    paths = write_report(workspace.root, tmp_path, replace=True).paths
    assert sorted(path.name for path in tmp_path.glob("*.tex")) == sorted(p.name for p in paths if p.suffix == ".tex")
    assert not list(tmp_path.glob("table-headroom*")) and not list(tmp_path.glob("table-significance*"))
