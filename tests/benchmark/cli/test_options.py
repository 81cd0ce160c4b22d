"""Options that commands share are written once."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import typer
from typer.testing import CliRunner

from nferbench.cli.app import app
from nferbench.cli.options import RunOptions, taking_run_options
from nferbench.cli.requests import planned
from nferbench.workspace.stages import Recognise
from nferbench.workspace.store import Store


def options(command: str) -> list[str]:
    (found,) = (each for name, each in typer.main.get_command(app).commands.items() if name == command)  # type: ignore[attr-defined]
    return [parameter.name for parameter in found.params]


ENGINE = ("engine", "ray_address", "gpus_per_stage")


def test_run_plan_and_diagnose_take_the_same_options_and_their_own() -> None:
    shared = list(vars(RunOptions()))
    assert options("run") == [*shared, "timeout", "allow_leaks", "no_wait", "log", *ENGINE, "yes"]
    assert options("plan") == [*shared, "splits", "on", "as_json"]
    assert options("diagnose") == [*shared, "names", "faces", "out", "log", "yes"]
    mine = [name for name in shared if name not in ("methods", "again", "batch", "piece")]
    own = ["folders", "pred", "pred_extra", "resize", "allow_leaks", "out", "as_json", "log", "yes"]
    assert options("score") == [*mine, *own]


def test_a_command_gets_what_was_typed_and_defaults_for_the_rest() -> None:
    seen: list[tuple[RunOptions, bool]] = []

    @taking_run_options
    def probe(chosen: RunOptions, loud: bool = False) -> None:
        """A command."""
        seen.append((chosen, loud))

    probing = typer.Typer()
    probing.command()(probe)
    words = ["--methods", "none", "--set", "size=16", "--set", "folds=2", "--data-root", "A", "--jobs", "3", "--loud"]
    assert CliRunner().invoke(probing, words).exit_code == 0
    ((chosen, loud),) = seen
    assert loud and (chosen.methods, chosen.change, chosen.data_root, chosen.jobs) == ("none", words[3:6:2], ["A"], 3)
    assert (chosen.dataset, chosen.preset, chosen.plugin, chosen.workspace) == ("synthetic-hfe", None, [], Path("runs"))
    assert chosen.fer_seeds is None and CliRunner().invoke(probing, ["--fer-seeds", "3"]).exit_code == 0
    assert seen[-1][0].fer_seeds == 3
    assert CliRunner().invoke(probing, ["--jobs", "0"]).exit_code == 2
    assert CliRunner().invoke(probing, [], env={"NFERBENCH_DATA": "B"}).exit_code == 0
    assert seen[-1][0].data_root == ["B"]


def test_what_was_typed_reaches_the_settings_of_the_run(tmp_path: Path) -> None:
    toy = str(Path(__file__).parents[2] / "plugins" / "toy.py")
    numbers = RunOptions(folds=3, division="repeats", seed=4, fer="smallcnn", fer_seeds=2, crop="none")
    chosen = replace(numbers, dataset="toy", extra="toy-extra", methods="none", plugin=[toy], device="cpu")
    work, states, _ = planned(chosen, Store(tmp_path))
    found = work.settings
    assert (found.folds, found.division, found.seed, found.fer.name) == (3, "repeats", 4, "smallcnn")
    assert (found.fer_seeds, found.crop, found.detector) == (2, "none", None)
    assert sum(isinstance(state.stage, Recognise) for state in states) == 2 * 3 * len(work.rows)


def test_one_list_is_not_shared_by_two_calls() -> None:
    assert RunOptions().change is not RunOptions().change
