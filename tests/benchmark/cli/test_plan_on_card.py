"""`nferbench plan --on`: what a plan asks of a card, computed on a machine that has none."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess

import pytest
from program import program
from typer.testing import CliRunner

from nferbench.cli import on_card
from nferbench.cli.app import app
from nferbench.contract.errors import UsageError
from nferbench.planning.cards import card
from nferbench.planning.demands import Demand, Item
from nferbench.workspace.stages import PrepareFaces

TOY = Path(__file__).parents[2] / "plugins" / "toy.py"
Start = Callable[..., CompletedProcess[str]]
PLAN = ("--plugin", str(TOY), "--dataset", "toy", "--extra", "toy-extra", "--folds", "2")


def plan(tmp_path: Path, *words: str, code: int = 0, start: Start = program) -> CompletedProcess[str]:
    done = start("plan", *PLAN, "--workspace", str(tmp_path / "runs"), *words)
    assert done.returncode == code, done.stdout + done.stderr
    return done


def anew(*words: str) -> CompletedProcess[str]:
    """As from a shell: what plugins do in the program's processes depends on how these are started."""
    call = [sys.executable, "-m", "nferbench", *words]
    return subprocess.run(call, capture_output=True, text=True, timeout=300)


def test_json_is_all_that_is_printed_and_names_every_network(tmp_path: Path) -> None:
    found = json.loads(plan(tmp_path, "--methods", "none,toy-regression", "--on", "rtx-4090", "--json").stdout)
    (network,), (translation,), (recogniser,) = found["networks"], found["translations"], found["recognisers"]
    assert translation["name"] == "toy-regression" and recogniser["name"] == "smallcnn"
    assert network["parameters"] == 84 and network["stages"] == 2 and network["updates"] == 60
    assert network["batch"] == network["piece"] == 4 and network["fits"] and not network["recompute"]
    once = 2 * (4 * 32 * 32 * 3) * (3 * 3 * 3)
    assert network["float32_tflop"] * 1e12 == pytest.approx(2 * once)  # its input needs no gradient
    assert network["seconds"] == pytest.approx(2 * once / (0.4 * 82.5e12))
    assert translation["float32_tflop"] * 1e12 == pytest.approx(once / 4)
    assert 0 < network["peak_gb"] < 0.1
    assert found["card"]["room_gb"] == 22 and found["share_of_peak"] == 0.4 and found["fits"]
    assert found["hours"]["all"] == pytest.approx(sum(found["hours"][f"{kind}s"] for kind in on_card.KINDS))
    assert "not measured" in found["note"]
    assert not (tmp_path / "runs").exists()  # nothing is written


def test_tables_and_a_total_are_told_and_an_unknown_card_is_one_line(tmp_path: Path) -> None:
    told = plan(tmp_path, "--methods", "toy-regression", "--on", "8:20").stdout
    for word in ("toy-regression", "smallcnn", "in all", "8:20 at 40% of its peak", "6.5 of its 8 GB", "not measured"):
        assert word in told
    done = plan(tmp_path, "--methods", "toy-regression", "--on", "gtx-1080", code=2)
    assert done.stderr.count("\n") == 1 and "rtx-4090" in done.stderr and "GB:TFLOPS" in done.stderr


@pytest.mark.parametrize(
    ("words", "part"),
    [
        (("--json",), "--on CARD"),
        (("--on", "h100", "--precision", "float32"), "known by their speed in bf16"),
        (("--on", "h100", "--json", "--splits"), "allowed without --on"),
        (("--on", ""), "rtx-4090"),
    ],
)
def test_options_that_do_not_go_together_are_refused(words: tuple[str, ...], part: str) -> None:
    result = CliRunner().invoke(app, ["plan", *words])
    assert isinstance(result.exception, UsageError) and part in str(result.exception)


LOUD = """
import multiprocessing
import os
from dataclasses import dataclass, field

import toy
from nferbench import hookimpl


def speak():
    print("print")
    if multiprocessing.parent_process() is not None:
        os.write(1, b"written")


speak()


@dataclass(frozen=True)
class LoudRecipe(toy.RegressionRecipe):
    def build(self, faces):
        speak()
        return super().build(faces)

    def updates(self, pairs):
        speak()
        return super().updates(pairs)


@dataclass(frozen=True)
class Loud(toy.Regression):
    name: str = field(default="loud", compare=False)
    network: LoudRecipe = LoudRecipe()


@hookimpl
def nferbench_translators():
    return [Loud()]
"""


def test_json_is_all_that_is_printed_whatever_plugins_say_and_whatever_this_machine_has(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONPATH", str(TOY.parent), prepend=os.pathsep)
    (tmp_path / "loud.py").write_text(LOUD, "utf-8")
    (tmp_path / "broken.py").write_text("raise ValueError('broken')", "utf-8")
    plugins = ("--plugin", str(tmp_path / "loud.py"), "--plugin", str(tmp_path / "broken.py"))
    done = plan(tmp_path, *plugins, "--methods", "loud", "--on", "24:165", "--json", "--device", "cuda", start=anew)
    assert [each["name"] for each in json.loads(done.stdout)["translations"]] == ["loud"]
    assert "print" in done.stderr and "written" in done.stderr and "broken.py did not load" in done.stderr


def test_a_plugin_that_ends_the_process_is_one_line(tmp_path: Path) -> None:
    lines = "import multiprocessing, os\nif multiprocessing.parent_process() is not None:\n    os._exit(3)\n"
    (tmp_path / "ends.py").write_text(lines, "utf-8")
    words = ("--plugin", str(tmp_path / "ends.py"), "--methods", "toy-regression", "--on", "h100", "--json")
    done = plan(tmp_path, *words, code=1, start=anew)
    assert not done.stdout and "exit code 3" in done.stderr.splitlines()[-1] and "Traceback" not in done.stderr


def rows(demand: Demand | str, seconds: float | None = None) -> list[on_card.Row]:
    stage = PrepareFaces(None, "", 32, "", 0)  # type: ignore[arg-type]
    return [(Item("network", "c-v2n", stage, 5, 3600, 0), demand, seconds)]


FITS = Demand(7, 16, 4, False, 10**9, 2 * 10**12, 10**12)


def test_what_does_not_fit_is_named_with_what_would_help() -> None:
    found = rows(Demand(7, 16, 1, True, 30 * 10**9, 1, 1, lacks="8.0 GB too little; a smaller network would help"))
    (said, *_) = on_card.lines(card("rtx-4090"), found)
    assert said == "network c-v2n does not fit: 8.0 GB too little; a smaller network would help"
    data = json.loads(on_card.as_json(card("rtx-4090"), found))
    assert not data["fits"] and not data["networks"][0]["fits"] and data["networks"][0]["lacks"]


def test_what_could_not_be_computed_is_told_and_the_total_is_a_least_one() -> None:
    said = on_card.lines(card("h100"), rows("RuntimeError: a number was read"))
    assert said[0] == "network c-v2n could not be computed: RuntimeError: a number was read"
    assert said[1].startswith("in all at least ")
    assert on_card.cells("network", rows("x"), card("h100")) == []
    data = json.loads(on_card.as_json(card("h100"), rows("x")))
    assert data["networks"][0]["not_computed"] == "x" and not data["fits"]


def test_hours_are_operations_over_a_share_of_the_peak() -> None:
    one = card("24:100")
    assert FITS.seconds(one) == pytest.approx((2 / 100 + 1 / 50) / 0.4)
    assert json.loads(on_card.as_json(one, rows(FITS)))["hours"]["all"] == pytest.approx(FITS.seconds(one))


def test_a_measurement_stands_beside_what_was_computed() -> None:
    one = card("24:100")
    said = on_card.lines(one, rows(FITS, seconds=0.3))
    assert said[0] == "network c-v2n: 3 times as long was measured as was computed"
    assert "measured" in on_card.heads("network", rows(FITS, seconds=0.3))
    assert on_card.cells("network", rows(FITS, seconds=0.3), one)[0][-1] == "0.3"
    assert "measured" not in on_card.heads("network", rows(FITS))
    data = json.loads(on_card.as_json(one, rows(FITS, seconds=0.3)))["networks"][0]
    assert (data["measured_seconds"], data["measured_over_computed"]) == (0.3, pytest.approx(3))
