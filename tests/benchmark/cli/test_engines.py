"""What does stages, as the command line chooses it; clusters are made up."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from processes import TOY

from nferbench.cli import engines, working
from nferbench.cli.engines import Choice, engine_of
from nferbench.cli.options import RunOptions
from nferbench.contract.errors import UsageError
from nferbench.engine import cluster
from nferbench.engine.cluster import Node
from nferbench.engine.worker import Setup
from nferbench.workspace.stages import PrepareFaces
from nferbench.workspace.store import Store

FACES = PrepareFaces(TOY.Blobs(), "content", 32, "given", 0)
NODES = (Node("a" * 56, "one", 4, 0), Node("b" * 56, "two", 8, 2))


@pytest.fixture
def made_up(monkeypatch: pytest.MonkeyPatch) -> list[str | None]:
    """The addresses that were connected to."""
    addresses: list[str | None] = []
    monkeypatch.setattr(cluster, "connected", lambda address: addresses.append(address) or nullcontext())
    monkeypatch.setattr(cluster, "nodes", lambda: NODES)
    monkeypatch.setattr(cluster, "check", lambda view, there: None)
    monkeypatch.setattr(engines, "device_for", lambda wanted: ("cpu", ()))
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    return addresses


def setup(workspace: Path) -> Setup:
    return Setup(workspace, {}, (), "cpu", 8, 30.0)


@pytest.mark.parametrize(
    ("device", "gpus", "jobs", "expected"),
    [
        ("cpu", 1.0, None, ("cpu", 12)),
        ("auto", 1.0, None, ("cuda", 2)),
        ("auto", 0.5, None, ("cuda", 4)),
        ("cuda", 1.0, 1, ("cuda", 1)),
    ],
)
def test_a_cluster_says_which_device_and_how_many_stages_at_a_time(
    made_up: list[str | None],
    tmp_path: Path,
    device: str,
    gpus: float,
    jobs: int | None,
    expected: tuple[str, int],
    capsys: pytest.CaptureFixture[str],
) -> None:
    chosen = replace(RunOptions(), device=device, jobs=jobs)  # type: ignore[arg-type]
    with engine_of(Choice("ray", "head:6379", gpus), chosen, setup(tmp_path), (FACES,)) as engine:
        assert (engine.setup.device, engine.workers) == expected and engine.ahead.device == "cpu"
        assert len(list((tmp_path / "cache").iterdir())) == 1
    assert made_up == ["head:6379"] and not list((tmp_path / "cache").iterdir())
    assert "Ray: 2 nodes with 12 CPUs and 2 GPUs" in capsys.readouterr().out


def test_the_environment_names_a_cluster_where_no_option_does(
    made_up: list[str | None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with engine_of(Choice("ray", None, 1.0), RunOptions(), setup(tmp_path), ()):
        monkeypatch.setenv("RAY_ADDRESS", "head:1")
    with engine_of(Choice("ray", None, 1.0), RunOptions(), setup(tmp_path), ()):
        pass
    with engine_of(Choice("local", None, 1.0), RunOptions(), setup(tmp_path), ()) as local:
        assert local.setup == local.ahead == setup(tmp_path)
    assert made_up == [None, "head:1"]


@pytest.mark.parametrize(
    ("address", "gpus", "said"), [("head:1", 1.0, "--ray-address head:1"), (None, 0.5, "--gpus-per-stage 0.5")]
)
def test_options_of_ray_without_it_are_refused(address: str | None, gpus: float, said: str) -> None:
    with pytest.raises(UsageError, match=f"{said}: only --engine ray"):
        Choice("local", address, gpus)


def test_a_machine_without_the_device_of_the_cluster_does_not_pretend_to_know_how_long(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    told: list[tuple[str, bool]] = []

    def preflight(_: object, states: Sequence[Any], setup: Setup, store: Store, *, timed: bool) -> Any:
        told.append((setup.device, timed))
        return SimpleNamespace(notes=("of weights",))

    monkeypatch.setattr("nferbench.engine.preflight.preflight", preflight)
    monkeypatch.setattr("nferbench.planning.costs.estimate", lambda *_: SimpleNamespace(bytes=2_000_000))
    there = replace(setup(tmp_path), device="cuda")
    working.accept_cost(None, (), there, Store(tmp_path), 8, False, setup(tmp_path))  # type: ignore[arg-type]
    assert told == [("cpu", False)] and "2 MB of disk; how long it takes is not known" in (
        said := capsys.readouterr().out
    )
    assert "note: of weights" in said
