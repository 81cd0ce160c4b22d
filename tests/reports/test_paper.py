"""The published numbers."""

from __future__ import annotations

import csv
from importlib.resources import files
from pathlib import Path

import pytest

from nferbench_reports.paper import ablation_title, printed_position, published, published_value


def test_the_numbers_are_those_of_the_published_tables(shared: Path) -> None:
    def lines(text: str) -> list[dict[str, str]]:
        return list(csv.DictReader(text.splitlines()))

    ours = files("nferbench_reports").joinpath("paper_tables.csv").read_text(encoding="utf-8")
    assert lines(ours) == lines((shared / "paper-tables.csv").read_text(encoding="utf-8"))


def test_each_dataset_has_ten_compared_rows_and_five_ablation_rows() -> None:
    for dataset in ("oulu-casia", "large-hfe"):
        kinds = [kind for kind, name, _ in published() if name == dataset]
        assert (kinds.count("comparison"), kinds.count("ablation")) == (10, 5)


@pytest.mark.parametrize("dataset", ["oulu-casia", "large-hfe"])
def test_the_proposed_method_is_the_last_row_of_the_ablation(dataset: str) -> None:
    for metric in ("accuracy", "macro_f1"):
        whole = published_value("comparison", dataset, "nfer-sde", metric)
        assert whole is not None
        assert published_value("ablation", dataset, "nfer-sde", metric) == whole
        assert published_value("ablation", dataset, "cond+eh+ef", metric) == whole


def test_what_the_paper_does_not_print_is_none() -> None:
    assert published_value("ablation", "oulu-casia", "cond", "psnr") is None
    assert published_value("comparison", "oulu-casia", "mine", "accuracy") is None
    assert published_value("comparison", "tiny", "pix2pix", "accuracy") is None


def test_methods_of_others_come_after_those_of_the_paper() -> None:
    names = ["mine", "nfer-sde", "sr3", "pix2pix"]
    ordered = sorted(names, key=lambda name: printed_position("comparison", name))
    assert ordered == ["pix2pix", "sr3", "nfer-sde", "mine"]


def test_the_proposed_method_is_named_by_its_parts_in_the_ablation() -> None:
    assert ablation_title("nfer-sde", "NFER-SDE") == "Cond + E_h + E_f, NFER-SDE"
    assert ablation_title("cond+ef", "anything") == "Cond + E_f"
    assert ablation_title("mine", "Mine") == "Mine"
