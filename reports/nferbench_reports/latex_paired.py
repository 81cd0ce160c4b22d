"""What is paired over subjects, in LaTeX: differences from a row, and shares of what there is to gain."""

from __future__ import annotations

from nferbench_reports import headroom, layout
from nferbench_reports.contents import Contents
from nferbench_reports.latex import write_float
from nferbench_reports.naming import stem
from nferbench_reports.runs import Run
from nferbench_reports.significance import BASE

_REFERENCES = "Rows in italics"


def fragments(contents: Contents, run: Run) -> dict[str, str]:
    """The fragments of one data set by the names of their files: differences from each row asked for, and headroom."""
    dataset, title = run.record.protocol.dataset, run.record.protocol.dataset_title
    averaged = contents.averaged(run)
    recovered = [one for one in contents.recovered if one.dataset == dataset]
    files = {}
    for against in contents.asked.against:
        if tested := contents.tested_on(dataset, against):
            label = f"significance-{stem(dataset)}" + ("" if against == BASE else f"-{stem(against)}")
            caption = f"Differences on {title}. {layout.legend(tested, _REFERENCES)} {averaged}"
            files[f"table-{label}.tex"] = write_float(layout.of_comparisons(tested), label, caption, (), {})
    if recovered:
        caption = f"Headroom on {title}. {headroom.legend(_REFERENCES)}{layout.counted(recovered)} {averaged}"
        notes = [f"{note}." for note in headroom.notes(recovered, contents.titles())]
        files[f"table-headroom-{stem(dataset)}.tex"] = write_float(
            layout.of_recovered(recovered), f"headroom-{stem(dataset)}", caption, notes, {}
        )
    return files
