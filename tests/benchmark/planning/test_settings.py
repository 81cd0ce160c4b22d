from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from nferbench.contract.errors import UsageError
from nferbench.contract.values import describe, differences, digest
from nferbench.planning.plugins import load_plugins
from nferbench.planning.presets import presets
from nferbench.planning.settings import Request, Settings, resolve

PLUGINS = load_plugins([str(Path(__file__).parents[2] / "plugins" / "toy.py")])


def settings(**request: Any) -> Settings:
    return resolve(Request(**request), PLUGINS)


def problems(**request: Any) -> str:
    with pytest.raises(UsageError) as caught:
        settings(**request)
    return str(caught.value)


def test_the_default_is_the_synthetic_set_at_quick() -> None:
    found = settings()
    assert (found.dataset.name, found.preset, found.size, found.folds) == ("synthetic-hfe", "quick", 32, 5)
    assert found.extra is not None and found.extra.name == "synthetic-vis-nir"


def test_every_preset_that_comes_along_resolves_with_all_rows() -> None:
    for name in presets():
        rows = settings(preset=name, methods=("all", "ablation")).rows
        assert {*PLUGINS.translators, "baseline", "cond", "cond+eh", "cond+ef", "cond+eh+ef"} == {
            row.name for row in rows
        }


def test_diffusion_methods_share_their_score_networks_at_every_preset() -> None:
    for name in presets():
        rows = {row.name: row.translator for row in settings(preset=name, methods=("all", "ablation", "variants")).rows}
        unconditional = {rows[name].networks()["score"] for name in UNCONDITIONAL if name in rows}
        conditional = {rows[name].networks()["score"] for name in CONDITIONAL if name in rows}
        assert len(unconditional) == 1 and len(conditional) == 1, name
        for row in settings(preset=name, methods=("variants",)).rows:
            assert row.translator.networks() in [rows[method].networks() for method in rows if method != row.name]


UNCONDITIONAL = ("ilvr", "sdedit", "egsde", "baseline")
CONDITIONAL = ("t2v-ddpm", "nfer-sde", "cond", "cond+eh", "cond+ef")


def test_the_last_ablation_row_is_the_method_itself() -> None:
    for name in presets():
        rows = {row.name: row.translator for row in settings(preset=name, methods=("all", "ablation")).rows}
        assert rows["cond+eh+ef"] == rows["nfer-sde"]
        assert rows["cond+eh+ef"].networks() == rows["nfer-sde"].networks()


def test_set_reaches_methods_data_sets_recognisers_and_sizes() -> None:
    found = settings(
        dataset="toy",
        methods=("toy-regression",),
        changes=(
            "methods.toy-regression.network.lr=0.5",
            "methods.toy-regression.grain=0",
            "datasets.toy.subjects=7",
            "fer-models.smallcnn.epochs=3",
            "size=48",
            "folds=2",
        ),
    )
    row = found.rows[0].translator
    assert (row.grain, row.network.lr) == (0, 0.5)  # type: ignore[attr-defined]
    assert (found.dataset.subjects, found.fer.epochs, found.size, found.folds) == (7, 3, 48, 2)  # type: ignore[attr-defined]


def test_a_preset_file_changes_single_fields_of_what_a_plugin_sets_itself(tmp_path: Path) -> None:
    (tmp_path / "sized_at_quick.py").write_text(
        "from dataclasses import dataclass, field\nfrom nferbench import hookimpl\nfrom toy import Regression\n\n"
        "@dataclass(frozen=True)\nclass Sized(Regression):\n    name: str = field(default='sized', compare=False)\n"
        "    presets = {'quick': {'network': {'steps': 5}}}\n\n"
        "@hookimpl\ndef nferbench_translators():\n    return [Sized()]\n"
    )
    (tmp_path / "own.yaml").write_text("base: quick\nmethods: {sized: {network: {lr: 0.5}}}\n")
    plugins = load_plugins([str(Path(__file__).parents[2] / "plugins" / "toy.py"), str(tmp_path / "sized_at_quick.py")])
    found: Any = resolve(Request(methods=("sized",), preset=str(tmp_path / "own.yaml")), plugins).rows[0].translator
    assert (found.network.steps, found.network.lr) == (5, 0.5)


def test_all_problems_are_told_together() -> None:
    text = problems(
        dataset="synthetic-hfa",
        methods=("pix2pics", "ablashun"),
        preset="quick",
        fer="smalcnn",
        changes=("sise=3", "methods.pix2pix.generator.widht=4", "size", "folds=1", "methods.nfer-sde.lambda_f=much"),
    )
    for part in (
        "unknown data set 'synthetic-hfa'; did you mean 'synthetic-hfe'?",
        "unknown method 'pix2pics'; did you mean 'pix2pix'?",
        "unknown method 'ablashun'; did you mean 'ablation'?",
        "unknown FER model 'smalcnn'; did you mean 'smallcnn'?",
        "--set sise: no such setting; did you mean 'size'?",
        "methods.pix2pix.generator has no field 'widht'; did you mean 'width'?",
        "--set size: write path=value",
        "folds must be at least 2, not 1",
        "methods.nfer-sde.lambda_f: 'much' is not allowed",
    ):
        assert part in text
    assert len(text.splitlines()) >= 9


def test_trainings_of_a_recogniser_are_set_like_any_other_number(tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text("base: quick\nfer_seeds: 5\n")
    mine = str(tmp_path / "mine.yaml")
    found = [
        settings(preset="small"),
        settings(),
        settings(fer_seeds=2),
        settings(changes=("fer_seeds=2",)),
        settings(preset=mine),
        settings(preset=mine, fer_seeds=100),
    ]
    assert [each.fer_seeds for each in found] == [1, 3, 2, 2, 5, 100]


@pytest.mark.parametrize(
    ("request_", "reason"),
    [
        ({"fer_seeds": 0}, "fer_seeds must be 1 to 100 trainings a recogniser, not 0"),
        ({"fer_seeds": 101}, "fer_seeds must be 1 to 100 trainings a recogniser, not 101"),
        ({"changes": ("fer_seeds=-2",)}, "fer_seeds must be 1 to 100 trainings a recogniser, not -2"),
        ({"changes": ("fer_seeds=2.5",)}, "fer_seeds must be a int, not 2.5"),
        ({"changes": ("fer_seeds=true",)}, "fer_seeds must be a int, not True"),
        (
            {"fer_seeds": 2, "changes": ("fer_seeds=2",)},
            "--set fer_seeds changes nothing: --fer-seeds is given too; keep one",
        ),
    ],
)
def test_a_number_of_trainings_that_cannot_be_is_refused(request_: dict[str, Any], reason: str) -> None:
    assert problems(**request_) == reason


def test_an_unknown_preset_is_answered_with_the_nearest() -> None:
    assert "unknown preset 'quik'; did you mean 'quick'?" in problems(preset="quik")


NO_VALUES = ("2020-13-45", "!!int abc", "!!int ''", "!!bool x", "!!timestamp abc", "- " * 3000 + "x")


@pytest.mark.parametrize("text", NO_VALUES)
def test_a_setting_whose_value_there_is_not_is_one_clear_line(text: str) -> None:
    assert problems(changes=(f"size={text}",)) == f"--set size={text}: the value is not YAML"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("size: [", "is not YAML (line 1)"),
        *((f"size: {text}", "is not YAML (") for text in NO_VALUES),
        ("- 1\n", "must be a mapping"),
        ("sizes: 3\n", "unknown section 'sizes'; did you mean 'size'?"),
        ("methods: 3\n", "'methods' must be a dict"),
        ("ablation: [{use: pix2pix}]\n", "ablation: an entry is {use: METHOD"),
        ("methods: {pix2pics: {}}\n", "unknown method 'pix2pics'"),
        ("size: big\n", "size must be a int, not 'big'"),
    ],
)
def test_a_bad_preset_file_is_one_clear_line(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(text)
    assert message in problems(preset=str(path), methods=("none",))


def test_a_preset_file_states_only_differences(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text("x-note: mine\nsize: 64\nrows: [{use: toy-regression, name: loud, set: {grain: 0.5}}]\n")
    found = settings(dataset="toy", preset=str(path), methods=("loud", "toy-regression"))
    assert (found.preset, found.size, found.fer.name) == ("mine", 64, "resnet18")
    loud, plain = (row.translator for row in found.rows)
    assert loud.grain == 0.5 and loud.networks() == plain.networks()  # type: ignore[attr-defined]
    assert loud.name == "loud" and digest(describe(loud)) != digest(describe(plain))


SIZES_AND_COUNTS = {
    *("size", "epochs", "steps", "batch_size", "width", "discriminator_width", "multipliers", "res_blocks"),
    *("attention", "head_channels", "levels", "input_size", "stem", "blocks", "halvings"),
    "perceptual",  # left out where faces are too small, else on weights that more machines have; rows carry a stamp
    *("start_step", "range_t", "skip"),  # a step, of another number of steps
    "init_sha256",  # weights to start from; rows say what they were trained on
    *("lr", "lr_generator", "lr_discriminator", "ema"),  # what goes with fewer updates
}


AT_32_PX = {
    "lambda_h",  # E_h at its published weight overshoots in few steps; rows carry a stamp that says so
    "dropout",  # where the paper has it: the places of the code lie too near the picture in a U-Net of five levels
}


def test_presets_change_sizes_and_counts_only() -> None:
    """No preset may touch what makes an algorithm: weights of losses and energies, schedules, orders, kernels.

    Those of 32 px have two exceptions, which the docs name.
    """
    for name in presets():
        allowed = SIZES_AND_COUNTS | (AT_32_PX if settings(preset=name).size == 32 else set())
        found = settings(preset=name)
        published = [(row.translator, PLUGINS.translators[row.name]) for row in found.rows]
        for mine, default in [*published, (found.fer, PLUGINS.fer_models[found.fer.name])]:
            lines = differences(describe(default), describe(mine))
            changed = {line.split()[0].rsplit(".", 1)[-1] for line in lines}
            assert changed <= allowed, (name, mine.name, changed - allowed)


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ("{use: none, name: all}", "the name 'all' means something else"),
        ("{use: none, name: 'a/../b'}", "the name is 'a/../b'"),
        ('{use: none, name: plain, title: "a\\nb"}', "the title is 'a"),
        ("{use: none, name: plain, title: ''}", "the title is ''"),
    ],
)
def test_rows_of_a_preset_are_held_to_the_rules_of_names(tmp_path: Path, row: str, reason: str) -> None:
    (tmp_path / "mine.yaml").write_text(f"base: quick\nrows: [{row}]\n")
    assert reason in problems(preset=str(tmp_path / "mine.yaml"), methods=("variants",))
