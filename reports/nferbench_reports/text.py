"""report.md, and how its numbers are to be read."""

from __future__ import annotations

from collections.abc import Sequence

from nferbench_reports import bootstrap, headroom, markdown, significance
from nferbench_reports.contents import Contents
from nferbench_reports.drawn import Drawn, write_markdown
from nferbench_reports.significance import Comparison

INTERVAL = f"{bootstrap.LEVEL} % interval (bootstrap over subjects, {bootstrap.DRAWS:,} draws, expanded percentiles)"
HEADROOM = (
    "How much of what true NIR of the extra set gains over no translation each row recovers: accuracy as "
    "mean over the test subjects, its difference from no translation, and the share (row − without translation) / "
    f"(oracle − without translation), both with their {INTERVAL}; above and below the line of a share stand the same "
    "subjects. Rows in italics are references."
)


def write_text(contents: Contents, pictures: Sequence[Drawn]) -> str:
    """All of a report but its page's further sections, in Markdown."""
    titles, tested, averaged = contents.titles(), contents.tested(), markdown.escape(contents.averaged())
    lines = "".join(f"- {markdown.escape(line)}\n" for line in contents.said)
    parts = [f"# {markdown.escape(contents.asked.title)}\n", lines]
    parts += [markdown.write_table(table) for table in contents.tables]
    for name in dict.fromkeys(one.against for one in tested):
        some = [one for one in tested if one.against == name]
        parts += [f"**Significance.** {_significance(some)} {averaged}".rstrip() + "\n"]
        parts += [significance.write_markdown(some, titles)]
    if contents.recovered:
        parts += [f"**Headroom.** {markdown.escape(HEADROOM)} {averaged}".rstrip() + "\n"]
        parts += [headroom.write_markdown(contents.recovered, titles)]
    return "\n".join([*parts, *map(write_markdown, pictures)])


def _significance(tested: Sequence[Comparison]) -> str:
    """How to read a table of differences from one row, with a word on reference rows where there are any."""
    text = (
        f"Each method against *{markdown.escape(tested[0].against_title)}*, paired over the test "
        f"subjects: mean difference, its {INTERVAL}, effect size (Cohen's d_z with Hedges' correction), two-sided "
        "sign-flip permutation test, Holm-corrected over the methods of one data set and metric, and how many subjects "
        "a difference of this size needs to be seen (80 % power at p < 0.05)."
    )
    references = any(one.reference for one in tested)
    return text + (" Rows in italics are references: no methods, and no part of the correction." if references else "")
