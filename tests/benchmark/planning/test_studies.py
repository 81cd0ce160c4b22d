"""Studies: one entry of a preset, a row for each value."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from nferbench.contract.errors import UsageError
from nferbench.planning.plan import plan_work
from nferbench.planning.plugins import METHOD_WORDS, load_plugins
from nferbench.planning.presets import read_preset, row_names
from nferbench.planning.records import write_record
from nferbench.planning.rows import Row
from nferbench.planning.settings import Request, resolve
from nferbench.planning.studies import row_name
from nferbench.workspace.stages import Recognise, TrainNetwork, Translate, key
from nferbench.workspace.store import Store

PLUGINS = load_plugins([str(Path(__file__).parents[2] / "plugins" / "toy.py")], installed=False)
GRAIN = "{use: toy-regression, vary: grain, values: [0, 0.05, 0.5]}"


def written(folder: Path, *entries: str, base: str = "quick", name: str = "mine.yaml", more: str = "") -> str:
    path = folder / name
    path.write_text(f"base: {base}\n{more}studies:\n" + "".join(f"  - {entry}\n" for entry in entries))
    return str(path)


def rows(preset: str, *methods: str, changes: tuple[str, ...] = ()) -> tuple[Row, ...]:
    return resolve(Request(preset=preset, methods=methods or ("studies",), changes=changes), PLUGINS).rows


def problem(preset: str, *methods: str) -> str:
    with pytest.raises(UsageError) as caught:
        rows(preset, *methods)
    assert len(str(caught.value).splitlines()) == 1
    return str(caught.value)


def test_each_value_is_a_row_of_its_own(tmp_path: Path) -> None:
    found = rows(written(tmp_path, GRAIN))
    assert [row.name for row in found] == [f"toy-regression-grain-{value}" for value in ("0", "0.05", "0.5")]
    assert [row.title for row in found] == [f"Regression, grain = {value}" for value in ("0", "0.05", "0.5")]
    assert [row.translator.grain for row in found] == [0, 0.05, 0.5]  # type: ignore[attr-defined]
    assert {row.tables for row in found} == {("study",)}


def test_a_study_is_known_by_its_name_by_studies_and_row_by_row(tmp_path: Path) -> None:
    mine = written(tmp_path, GRAIN, "{use: toy-regression, vary: network.steps, values: [2, 3], name: updates}")
    assert len(rows(mine)) == 5
    assert [row.name for row in rows(mine, "updates")] == ["updates-2", "updates-3"]
    assert [row.name for row in rows(mine, "updates-3", "updates")] == ["updates-3", "updates-2"]
    assert "did you mean 'updates'" in problem(mine, "update")


def test_rows_of_studies_are_no_variants_and_no_methods(tmp_path: Path) -> None:
    mine = written(tmp_path, GRAIN)
    everything = {row.name for row in rows(mine, "all", "ablation", "variants")}
    assert not [name for name in everything if name.startswith("toy-regression-grain")]


def test_what_is_set_is_held_and_may_be_taken_from_another_method(tmp_path: Path) -> None:
    entry = "{use: nfer-sde, vary: steps, values: [4, null], set: {lambda_h: 0, score: {like: sdedit.score}}, name: s}"
    few, all_ = rows(written(tmp_path, entry))
    (sdedit,) = rows("quick", "sdedit")
    assert (few.translator.lambda_h, few.translator.score) == (0, sdedit.translator.score)  # type: ignore[attr-defined]
    assert all_.translator.steps is None and all_.name == "s-null"  # type: ignore[attr-defined]
    assert few.varied is not None and few.varied.held == ("lambda_h = 0", "score.like = sdedit.score")
    assert (few.varied.value, few.varied.default) == (4, 8)


def test_a_value_inside_another_value_is_varied_beside_what_is_set_there(tmp_path: Path) -> None:
    entry = "{use: nfer-sde, vary: heatmaps.stride, values: [2, 4], set: {heatmaps: {width: 32}}}"
    found = [row.translator.heatmaps for row in rows(written(tmp_path, entry))]  # type: ignore[attr-defined]
    assert [(one.stride, one.width) for one in found] == [(2, 32), (4, 32)]


@pytest.mark.parametrize("value", ["0.5", "1", "linear", "perturbed-source"])
def test_values_of_legal_letters_stay_readable(value: str) -> None:
    assert row_name("s", value) == f"s-{value}"


def test_other_letters_become_legal_and_stay_apart() -> None:
    names = [row_name("s", text) for text in ("a b", "a/b", "a,b", "", "λ", "x" * 80 + "/")]
    assert len(set(names)) == len(names)
    for name in names:
        assert len(name) < 40 and not set(name) & set(" /,λ"), name


def test_numbers_are_named_by_what_the_field_makes_of_them(tmp_path: Path) -> None:
    found = rows(written(tmp_path, "{use: nfer-sde, vary: lambda_h, values: [1, 1.5, 1.0e-5, '2']}"))
    assert [row.name.removeprefix("nfer-sde-lambda_h-") for row in found] == ["1", "1.5", "1e-05", "2"]
    assert [row.varied.value for row in found if row.varied] == [1.0, 1.5, 1e-5, 2.0]


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ("{use: nfer-sde, vary: lambda_q, values: [1]}", "no field 'lambda_q'; did you mean 'lambda_h'?"),
        ("{use: nfer-sde, vary: heatmaps.strid, values: [1]}", "no field 'strid'; did you mean 'stride'?"),
        ("{use: nfer-sd, vary: lambda_h, values: [1]}", "unknown method 'nfer-sd'; did you mean 'nfer-sde'?"),
        ("{use: nfer-sde, vary: lambda_h, values: []}", "a list of at least one value is due"),
        ("{use: nfer-sde, vary: lambda_h, values: 3}", "values is 3; a list"),
        ("{use: nfer-sde, vary: lambda_h, values: [1, 1.0]}", "values has 1 twice; each value is one row"),
        ("{use: nfer-sde, vary: lambda_h, values: [much]}", "lambda_h: 'much' is not allowed"),
        ("{use: nfer-sde, vary: lambda_h, values: [1, -1]}", "studies.nfer-sde-lambda_h, -1: nfer-sde: lambda_h is -1"),
        (
            "{use: nfer-sde, vary: lambda_h, values: [.nan]}",
            "studies.nfer-sde-lambda_h, NaN: it has a field that is no",
        ),
        ("{use: nfer-sde, vary: lambda_h, values: ['inf']}", "no plain value"),
        ("{use: nfer-sde, vary: lambda_h, values: [[1]]}", "[1] is no value of a study; a number, text, true, false"),
        ("{use: nfer-sde, vary: heatmaps, values: [1]}", "heatmaps: 1 is not allowed (it has fields"),
        ("{use: nfer-sde, vary: title, values: [a]}", "title names or places something; vary another field"),
        ("{use: nfer-sde, vary: score.init, values: [a.pt]}", "score.init names or places something"),
        ("{use: nfer-sde, vary: cells, values: [2], set: {cells: 4}}", "cells is varied and set too"),
        ("{use: nfer-sde, vary: score.lr, values: [1], set: {score: {like: sdedit.score}}}", "varied and set too"),
        ("{use: nfer-sde, vary: cells, values: [2], set: [cells]}", "fields and values are due"),
        ("{use: nfer-sde, vary: cells, values: [2], set: {cell: 4}}", "no field 'cell'; did you mean 'cells'?"),
        ("{use: nfer-sde, vary: cells, values: [2], title: T}", "an entry is {use: METHOD, vary: FIELD, values"),
        ("{use: nfer-sde, values: [2]}", "an entry is {use: METHOD"),
        ("nfer-sde", "an entry is {use: METHOD"),
        ("{use: nfer-sde, vary: cells, values: [2], name: studies}", "the name 'studies' means something else"),
        ("{use: nfer-sde, vary: cells, values: [2], name: 'a b'}", "the name is 'a b'; 1 to 64 letters"),
        ("{use: nfer-sde, vary: cells, values: [2], name: egsde}", "'egsde' is the name of something else too"),
        ("{use: sdedit, vary: start_step, values: [300], name: sdedit}", "'sdedit' is the name of something else too"),
        ("{use: ilvr, vary: cells, values: [4], name: ilvr-cells}", "'ilvr-cells-4' is the name of something else too"),
    ],
)
def test_what_cannot_be_a_study_is_refused_in_one_line(tmp_path: Path, entry: str, message: str) -> None:
    assert message in problem(written(tmp_path, entry), "none")


def test_two_studies_cannot_have_one_name_nor_one_row(tmp_path: Path) -> None:
    assert "'toy-regression-grain' is the name of something else" in problem(written(tmp_path, GRAIN, GRAIN))
    one = "{use: nfer-sde, vary: start, values: [noise], name: s}"
    other = "{use: toy-regression, vary: grain, values: [1], name: s-noise}"
    assert "'s-noise' is the name of something else" in problem(written(tmp_path, one, other))


def test_a_row_that_is_no_key_is_refused_wherever_it_comes_from(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="method nfer-sde: it has a field that is no plain value"):
        rows("quick", "nfer-sde", changes=("methods.nfer-sde.lambda_h=.inf",))


def test_the_section_is_a_list_and_a_preset_without_one_says_so(tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text("base: quick\nstudies: {}\n")
    assert "'studies' must be a list" in problem(str(tmp_path / "mine.yaml"), "none")
    assert "this preset has no studies" in problem("quick")


def test_studies_are_added_and_replace_those_of_equal_name(tmp_path: Path) -> None:
    written(tmp_path, GRAIN, "{use: nfer-sde, vary: cells, values: [2]}", name="base.yaml")
    mine = written(
        tmp_path,
        "{use: toy-regression, vary: grain, values: [1]}",
        "{use: nfer-sde, vary: cells, values: [4], name: c}",
        base="base.yaml",
    )
    assert [row.name for row in rows(mine)] == ["nfer-sde-cells-2", "toy-regression-grain-1", "c-4"]


def test_set_reaches_what_a_study_holds_and_not_what_it_varies(tmp_path: Path) -> None:
    mine = written(tmp_path, GRAIN)
    (row, *_) = rows(mine, changes=("methods.toy-regression.network.lr=0.5",))
    assert row.translator.network.lr == 0.5  # type: ignore[attr-defined]
    with pytest.raises(UsageError, match=r"--set methods\.toy-regression\.grain changes nothing"):
        rows(mine, changes=("methods.toy-regression.grain=3",))
    default = rows(mine, "studies", "toy-regression", changes=("methods.toy-regression.grain=3",))[0].varied
    assert default is not None and default.default == 3


def test_a_value_that_the_method_has_costs_nothing_beside_it(tmp_path: Path) -> None:
    def keys(*methods: str) -> set[str]:
        settings = resolve(Request("toy", methods, "toy-extra", mine, folds=2, fer_seeds=1), PLUGINS)
        return {key(stage) for stage in plan_work(settings, {}, Store(tmp_path), "").stages}

    mine = written(tmp_path, GRAIN)
    alone = keys("toy-regression")
    assert keys("toy-regression", "toy-regression-grain-0.05") == alone
    settings = resolve(Request("toy", ("toy-regression", "studies"), "toy-extra", mine, folds=2, fer_seeds=1), PLUGINS)
    stages = plan_work(settings, {}, Store(tmp_path), "").stages
    more = [stage for stage in stages if key(stage) not in alone]
    assert not [stage for stage in more if isinstance(stage, TrainNetwork)]
    assert len([stage for stage in more if isinstance(stage, Recognise)]) == 4  # two values on two folds
    assert len([stage for stage in more if isinstance(stage, Translate)]) == 8


def test_a_field_of_a_network_trains_one_for_each_value(tmp_path: Path) -> None:
    mine = written(tmp_path, "{use: toy-regression, vary: network.steps, values: [2, 3, 30]}")
    settings = resolve(Request("toy", ("toy-regression", "studies"), "toy-extra", mine, folds=2), PLUGINS)
    assert plan_work(settings, {}, Store(tmp_path), "").trainings == 6


def record(tmp_path: Path, preset: str, *methods: str, changes: tuple[str, ...] = ()) -> list[dict[str, Any]]:
    settings = resolve(Request("toy", methods, "toy-extra", preset, folds=2, changes=changes), PLUGINS)
    name = write_record(plan_work(settings, {}, Store(tmp_path), ""), Store(tmp_path), "nferbench run")
    rows: list[dict[str, Any]] = json.loads((tmp_path / "records" / f"{name}.json").read_text())["rows"]
    return rows


def test_the_record_says_of_each_row_what_it_is(tmp_path: Path) -> None:
    entry = "{use: toy-regression, vary: grain, values: [0, 1], set: {network: {steps: 7}}, name: g}"
    found = {row["name"]: row for row in record(tmp_path, written(tmp_path, entry), "none", "studies")}
    assert "study" not in found["none"] and "study" not in found["nir-only"]
    assert found["g-1"]["tables"] == ["study"]
    place = found["g-1"]["study"]
    rest = place.pop("rest")
    assert place == {
        "name": "g",
        "method": "toy-regression",
        "field": "grain",
        "value": 1.0,
        "default": 0.05,
        "held": ["network.steps = 7"],
    }
    assert found["g-0"]["study"]["rest"] == rest


def test_rows_of_one_curve_have_all_but_the_field_in_common(tmp_path: Path) -> None:
    mine = written(tmp_path, GRAIN)
    record(tmp_path, mine, "studies")
    changed = ("methods.toy-regression.network.steps=3",)
    found = record(tmp_path, mine, "toy-regression-grain-0", changes=changed)
    rests = [row["study"]["rest"] for row in found if "study" in row]
    assert len(rests) == 3 and rests[0] != rests[1] == rests[2]


def test_names_of_the_studies_that_come_along_are_taken(tmp_path: Path) -> None:
    assert "studies" in METHOD_WORDS
    names = {row.name for row in rows("study")} | {row.varied.name for row in rows("study") if row.varied}
    assert names <= row_names()


def test_the_ready_study_shares_every_network_and_holds_nothing_but_studies(tmp_path: Path) -> None:
    method, *found = rows("study", "nfer-sde", "studies")
    networks = set(method.translator.networks().values())
    assert all(set(row.translator.networks().values()) <= networks for row in found)
    for field, least, most in (("lambda_h", 0.1, 100), ("lambda_f", 0.05, 5)):
        values = [row.varied.value for row in found if row.varied and row.varied.field == field]
        assert (min(values), max(values)) == (least, most)  # type: ignore[type-var]
    preset, quick = read_preset("study"), read_preset("quick")
    assert (preset.known_as[:2], preset.label) == (("study", "quick"), "study")
    assert {**preset.content, "studies": None} == {**quick.content, "studies": None}
