"""What --device means: nothing is begun on a device that torch cannot use, and `auto` says what it passes over."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from typer.testing import CliRunner

from nferbench.cli import devices
from nferbench.cli.app import app
from nferbench.contract.errors import UsageError
from nferbench.machine.gpus import Card
from nferbench.machine.usable import Usable

Machine = Callable[..., None]


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> Machine:
    """Pretends a computer with these cards, this variable and a torch that lacks something."""

    def pretend(cards: Sequence[Card] | None, variable: str | None = None, lacks: str = "", broken: int = 0) -> None:
        def usable(names: Sequence[str]) -> Usable:
            return Usable((), lacks) if lacks else Usable(tuple(names[broken:]), "it is busy" if broken else "")

        monkeypatch.setattr(devices, "listed", lambda: cards)
        monkeypatch.setattr(devices, "usable", usable)
        if variable is None:
            monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
        else:
            monkeypatch.setenv("CUDA_VISIBLE_DEVICES", variable)

    return pretend


def test_the_visible_cards_are_taken_by_their_names(machine: Machine) -> None:
    machine((Card("GPU-aa"), Card("GPU-bb"), Card("GPU-cc")), "2,0")
    assert devices.device_for("auto") == devices.device_for("cuda") == ("cuda", ("2", "0"))
    assert devices.device_for("cpu") == ("cpu", ())
    machine((Card("GPU-aa"), Card("GPU-bb")), "GPU-b")
    assert devices.device_for("auto") == ("cuda", ("GPU-bb",))


@pytest.mark.parametrize(
    ("cards", "variable", "lacks", "told"),
    [
        ((Card(),), None, "torch 2.14.1+cpu was built without CUDA", "torch cannot use the GPU: torch 2.14.1+cpu was"),
        ((Card(),), "0", "The NVIDIA driver on your system is too old", "torch cannot use the GPU: The NVIDIA driver"),
        ((Card(), Card()), ",1", "", "CUDA_VISIBLE_DEVICES=,1 shows none of 2 GPUs"),
        (None, None, "", ""),
        ((), None, "", ""),
        ((Card(),), "", "", ""),
        ((Card(),), "-1", "", ""),
    ],
)
def test_without_a_device_auto_takes_the_cpu_and_cuda_is_refused(
    machine: Machine,
    capsys: pytest.CaptureFixture[str],
    cards: Sequence[Card] | None,
    variable: str | None,
    lacks: str,
    told: str,
) -> None:
    machine(cards, variable, lacks)
    assert devices.device_for("auto") == ("cpu", ())
    said = capsys.readouterr().out
    assert said.startswith(f"note: computing on the CPU: {told}") and said.count("\n") == 1 if told else not said
    with pytest.raises(UsageError, match=re.escape(f"--device cuda: {told or 'no CUDA device was found'}")) as refused:
        devices.device_for("cuda")
    assert str(refused.value).endswith("; see nferbench doctor, or use --device cpu")


def test_cards_that_torch_cannot_use_are_passed_over_in_a_line(
    machine: Machine, capsys: pytest.CaptureFixture[str]
) -> None:
    machine((Card("GPU-aa"), Card("GPU-bb"), Card("GPU-cc")), "2,0,1", broken=1)
    assert devices.device_for("auto") == ("cuda", ("0", "1"))
    told = "note: computing on CUDA_VISIBLE_DEVICES=0,1: torch cannot use CUDA_VISIBLE_DEVICES=2: it is busy\n"
    assert capsys.readouterr().out == told
    assert os.environ["CUDA_VISIBLE_DEVICES"] == "0,1"  # of what computes in this process, and looks ahead for others


def test_a_run_on_a_device_that_is_not_there_ends_before_anything(machine: Machine, tmp_path: Path) -> None:
    machine((Card(),), None, "torch 2.14.1+cpu was built without CUDA")
    words = ["run", "--methods", "none", "--device", "cuda", "--workspace", str(tmp_path / "runs")]
    done = CliRunner().invoke(app, words)
    assert isinstance(done.exception, UsageError) and not list(tmp_path.glob("runs/*/*"))


def test_the_doctor_says_why_no_gpu_is_used(machine: Machine) -> None:
    machine((Card(),), None, "torch 2.14.1+cpu was built without CUDA")
    said = CliRunner().invoke(app, ["doctor"]).output
    assert "torch cannot use the GPU: torch 2.14.1+cpu was built without CUDA: runs use the CPU" in said
    machine(None)
    assert "no CUDA device: runs use the CPU, one thread a worker" in CliRunner().invoke(app, ["doctor"]).output
