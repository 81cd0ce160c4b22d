"""report.md, and how its numbers are to be read."""

from __future__ import annotations

from collections.abc import Sequence

from nferbench_reports import headroom, markdown, significance
from nferbench_reports.contents import Contents
from nferbench_reports.drawn import Drawn, write_markdown


def write_text(contents: Contents, pictures: Sequence[Drawn]) -> str:
    """All of a report but its page's further sections, in Markdown."""
    titles, tested, averaged = contents.titles(), contents.tested(), markdown.escape(contents.averaged(*contents.runs))
    lines = "".join(f"- {markdown.escape(line)}\n" for line in contents.said)
    parts = [f"# {markdown.escape(contents.asked.title)}\n", lines]
    parts += [markdown.write_table(table) for table in contents.tables]
    for name in dict.fromkeys(one.against for one in tested):
        some = [one for one in tested if one.against == name]
        references = "Rows in italics" if any(one.reference for one in some) else ""
        read = f"{significance.legend(some[0].against_title, references)} {significance.EFFECT}"
        parts += [f"**Significance.** {markdown.escape(read)} {averaged}".rstrip() + "\n"]
        parts += [significance.write_markdown(some, titles)]
    if contents.recovered:
        parts += [f"**Headroom.** {markdown.escape(headroom.legend('Rows in italics'))} {averaged}".rstrip() + "\n"]
        parts += [headroom.write_markdown(contents.recovered, titles)]
    return "\n".join([*parts, *map(write_markdown, pictures)])
