"""What is paired over subjects, in LaTeX: differences from no translation, and shares of what there is to gain."""

from __future__ import annotations

from nferbench_reports import headroom, layout
from nferbench_reports.content import Content
from nferbench_reports.latex import write_float
from nferbench_reports.naming import stem

_REFERENCES = "Rows in italics"


def fragments(content: Content, dataset: str) -> dict[str, str]:
    """The fragments of one data set by the names of their files."""
    title = content.titles[dataset]
    averaged = content.averaged.get(dataset, "")
    tested = [one for one in content.tested if one.dataset == dataset]
    recovered = [one for one in content.recovered if one.dataset == dataset]
    files = {}
    if tested:
        caption = f"Differences on {title}. {layout.legend(tested, _REFERENCES)} {averaged}"
        files[f"table-significance-{stem(dataset)}.tex"] = write_float(
            layout.of_comparisons(tested), f"significance-{stem(dataset)}", caption, (), {}
        )
    if recovered:
        caption = f"Headroom on {title}. {headroom.legend(_REFERENCES)}{layout.counted(recovered)} {averaged}"
        notes = [f"{note}." for note in headroom.notes(recovered, content.titles)]
        files[f"table-headroom-{stem(dataset)}.tex"] = write_float(
            layout.of_recovered(recovered), f"headroom-{stem(dataset)}", caption, notes, {}
        )
    return files
