"""Stages on a Ray cluster of two nodes, on this machine; without Ray these tests are skipped."""

from __future__ import annotations

import os
import signal
import socket
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from processes import TOY, Waiting, view_of_another_workspace

from nferbench.contract.errors import UsageError
from nferbench.engine import cluster, on_ray
from nferbench.engine.agenda import Outcome
from nferbench.engine.cluster import Node, View, check, compare, connected, device_of, in_view, nodes
from nferbench.engine.on_ray import gpus_of, run_stages_on_ray
from nferbench.engine.runner import run_stages
from nferbench.engine.worker import Finished, Setup
from nferbench.planning.plugins import import_file
from nferbench.workspace.stages import (
    HeldOut,
    PrepareFaces,
    Recognise,
    ScoreTranslation,
    Stage,
    TrainNetwork,
    Translate,
)
from nferbench.workspace.store import Store

ray = pytest.importorskip("ray", reason="Ray is not installed: pip install 'nferbench[ray]'")

TESTS = Path(__file__).parents[2]
PLUGINS = (str(TESTS / "plugins" / "toy.py"), str(TESTS / "plugins" / "faulty.py"))
FAULTY = import_file(PLUGINS[1])
SMALL = 80 * 2**20  # bytes of object store: the least that Ray takes
FACES = PrepareFaces(TOY.Blobs(), "content", 32, "given", 0)
FOLD = HeldOut(0, ("p000",))
TWO_NODES = (Node("a" * 56, "one (10.0.0.1, aaaaaaaa)", 4, 0), Node("b" * 56, "two (10.0.0.2, bbbbbbbb)", 2, 2))


@pytest.fixture(scope="module")
def two_nodes() -> Iterator[Any]:
    from ray.cluster_utils import Cluster

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", os.pathsep.join(path for path in sys.path if path))  # nodes import as tests do
        patch.setenv("RAY_USAGE_STATS_ENABLED", "0")
        before = signal.getsignal(signal.SIGTERM)
        small = {"num_cpus": 1, "object_store_memory": SMALL, "include_dashboard": False}
        made = Cluster(initialize_head=True, head_node_args=small)
        try:
            made.add_node(num_cpus=1, object_store_memory=SMALL)
            with connected(made.address):
                yield made
        finally:
            made.shutdown()
            signal.signal(signal.SIGTERM, before)  # nodes put their own there, which later forks inherit


class Telling:
    """Keeps what it is told, and calls a function whenever a stage starts or moves on."""

    def __init__(self, when: Callable[[list[Any]], None] = lambda begun: None) -> None:
        self.when = when
        self.begun: list[Any] = []
        self.ends: list[Any] = []

    def started(self, stage: Any) -> None:
        self.begun.append(stage)
        self.when(self.begun)

    def progress(self, stage: Any, done: int, total: int) -> None:
        self.when(self.begun)

    def told(self, stage: Any, text: str) -> None: ...

    def left(self, stage: Any) -> None: ...

    def waits(self, stage: Any, holder: str) -> None: ...

    def ended(self, stage: Any, finished: Finished) -> None:
        self.ends.append(stage)


def setup(workspace: Path) -> Setup:
    return Setup(workspace, {}, PLUGINS, "cpu", 8, 30.0)


def training(number: int, steps: int) -> TrainNetwork:
    return TrainNetwork(TOY.RegressionRecipe(steps=steps, lr=0.01 * (number + 1)), FACES, FOLD, 0)


def on_cluster(workspace: Path, stages: Sequence[Stage], telling: Telling | None = None, **options: Any) -> Outcome:
    with in_view(setup(workspace), stages) as view:
        return run_stages_on_ray(
            stages,
            options.pop("setup", setup(workspace)),
            Store(workspace),
            telling or Telling(),
            jobs=options.pop("jobs", 2),
            view=view,
            gpus=1.0,
            **options,
        )


def files(workspace: Path, stages: Sequence[Stage]) -> list[Any]:
    entries = [Store(workspace).find(stage) for stage in stages]
    return [entry and (entry.info["key"], entry.info["files"], entry.info["result"]) for entry in entries]


def test_results_are_those_of_worker_processes_digit_for_digit(two_nodes: Any, tmp_path: Path) -> None:
    from nferbench.recognisers.smallcnn import SmallCNN

    network = training(0, 30)
    translation = Translate(TOY.Regression(), (network,), FACES, "test", FOLD, 0)
    recognition = Recognise(SmallCNN(), FACES, FOLD, 0, None)
    stages = (FACES, network, translation, ScoreTranslation(translation, "none"), recognition)
    telling = Telling()
    with in_view(setup(tmp_path / "ray"), stages) as view:
        check(view, nodes())
    gates: list[int] = []
    outcome = on_cluster(tmp_path / "ray", stages, telling, gate=lambda: gates.append(len(telling.ends)))
    assert set(outcome.done) == set(stages) and gates == [1]
    assert sorted(map(str, telling.begun)) == sorted(map(str, stages)) and not list((tmp_path / "ray/cache").iterdir())
    run_stages(stages, setup(tmp_path / "local"), Store(tmp_path / "local"), Telling(), jobs=1)
    assert None not in files(tmp_path / "ray", stages)
    assert files(tmp_path / "ray", stages) == files(tmp_path / "local", stages)


def test_a_dead_process_and_a_raised_error_cost_their_stages_only(two_nodes: Any, tmp_path: Path) -> None:
    kill, bad = (Translate(FAULTY.Faulty(what=what), (), FACES, "test", FOLD, 0) for what in ("kill", "raise"))
    stages = (FACES, kill, ScoreTranslation(kill, "none"), bad, training(0, 10))
    outcome = on_cluster(tmp_path, stages)
    assert {stage: finished.status for stage, finished in outcome.failed.items()} == {
        kill: "killed",
        stages[2]: "waiting",
        bad: "failed",
    }
    assert "\n" not in outcome.failed[kill].reason and "is gone: WorkerCrashedError" in outcome.failed[kill].reason
    noted = Store(tmp_path).failure(kill)
    assert noted is not None and noted["status"] == "killed" and Store(tmp_path).holder(kill) is None
    assert set(outcome.done) == {FACES, stages[-1]}


def test_a_node_that_is_lost_costs_its_stages_only(two_nodes: Any, tmp_path: Path) -> None:
    """Three stages begin on three nodes, none can end before one of the nodes is lost, and a fourth begins after."""
    victim = two_nodes.add_node(num_cpus=1, object_store_memory=SMALL)
    go = tmp_path / "go"
    stages = [PrepareFaces(Waiting(first=i, until=str(go)), "content", 32, "given", 0) for i in range(4)]
    lost: list[Any] = []

    class Losing(Telling):
        def ended(self, stage: Any, finished: Finished) -> None:
            super().ended(stage, finished)
            go.touch()

    def lose(begun: list[Any]) -> None:
        if len(begun) == 3 and not lost:
            lost.append(victim)
            two_nodes.remove_node(victim, allow_graceful=False)

    outcome = on_cluster(tmp_path / "runs", stages, Losing(lose), jobs=3)
    ((stage, finished),) = outcome.failed.items()
    assert lost and stage in stages[:3] and set(outcome.done) == {*stages} - {stage}
    assert finished.status == "killed" and "is gone: NodeDiedError" in finished.reason and "\n" not in finished.reason
    dead = Node(victim.node_id, "three", 1, 0)
    view = View(tmp_path, "", "", tmp_path, (), (), ())
    with pytest.raises(UsageError, match=r"Ray node three is gone; start the same command again when ray status does"):
        check(view, (dead,))
    deadline = time.monotonic() + 60
    while any(node.id == victim.node_id for node in nodes()) and time.monotonic() < deadline:
        time.sleep(0.2)  # Ray misses it after a while; other tests ask the nodes that it lists


def test_a_stage_is_stopped_after_its_time(two_nodes: Any, tmp_path: Path) -> None:
    endless = PrepareFaces(Waiting(until=str(tmp_path / "never")), "content", 32, "given", 0)
    outcome = on_cluster(tmp_path / "runs", (endless,), jobs=1, timeout=1.0)
    assert outcome.failed[endless].status == "timeout"
    noted = Store(tmp_path / "runs").failure(endless)
    assert noted is not None and noted["reason"] == "stopped after 1 s (--timeout)"


def test_ctrl_c_stops_all_tasks_and_leaves_what_the_next_run_goes_on_from(two_nodes: Any, tmp_path: Path) -> None:
    def stop(_: object) -> None:
        if list(tmp_path.glob("partial/*/checkpoint.json")):
            raise KeyboardInterrupt

    endless = training(0, 10**7)
    eager = replace(setup(tmp_path), checkpoint_seconds=0.0)
    with pytest.raises(KeyboardInterrupt):
        on_cluster(tmp_path, (FACES, endless), Telling(stop), setup=eager)
    deadline = time.monotonic() + 20
    while Store(tmp_path).holder(endless) is not None and time.monotonic() < deadline:
        time.sleep(0.1)  # the process is killed, not asked
    assert Store(tmp_path).holder(endless) is None and Store(tmp_path).find(FACES) is not None
    assert list(tmp_path.glob("partial/*/checkpoint*"))


def test_what_no_node_that_is_left_can_do_waits(two_nodes: Any, tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setattr(on_ray, "COUNT", 0.1)
    stages = (FACES, training(0, 10))
    outcome = on_cluster(tmp_path, stages, setup=replace(setup(tmp_path), device="cuda"))
    assert outcome.done == (FACES,) and outcome.failed[stages[1]].status == "waiting"
    assert "no node of the Ray cluster has 1 CPU and 1 GPU for a stage (" in outcome.failed[stages[1]].reason


def test_a_node_that_sees_another_workspace_is_refused(two_nodes: Any, tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setattr(cluster, "look", view_of_another_workspace)
    refused = pytest.raises(UsageError, match=r"Ray node .*: the workspace .* is another .* where .* shared; all nodes")
    with in_view(setup(tmp_path), (FACES,)) as view, refused:
        check(view, nodes())
    # One that came after the nodes had looked does nothing.
    with in_view(setup(tmp_path), (FACES,)) as view:
        late = replace(view, word="of another run")
        outcome = run_stages_on_ray((FACES,), setup(tmp_path), Store(tmp_path), Telling(), jobs=1, view=late, gpus=1.0)
    assert outcome.failed[FACES].status == "failed" and "does not see the workspace" in outcome.failed[FACES].reason


@pytest.mark.parametrize(
    ("what", "theirs", "said"),
    [
        ("Python", "3.12", "Python is 3.12 where this process finds 3.11"),
        ("torch", "2.5.0", "torch is 2.5.0 where this process finds 2.6.0"),
        ("nferbench", "0.0.9", "nferbench is 0.0.9 where"),
        ("the data root /data", "no folder", "the data root /data is no folder where"),
        ("the code of toy", "missing", "the code of toy is missing where"),
        ("the plugin my.py", None, "the plugin my.py is unknown where"),
    ],
)
def test_a_node_that_finds_something_else_is_named_in_one_line(what: str, theirs: str | None, said: str) -> None:
    mine = {"Python": "3.11", "torch": "2.6.0", "nferbench": "0.1.0", "the data root /data": "one of 3 files"}
    mine |= {"the code of toy": "ab", "the plugin my.py": "one"}
    compare(TWO_NODES[0], mine, dict(mine))
    other = {name: value for name, value in {**mine, what: theirs}.items() if value is not None}
    with pytest.raises(UsageError) as refusal:
        compare(TWO_NODES[0], mine, other)
    assert str(refusal.value).startswith(f"Ray node one (10.0.0.1, aaaaaaaa): {said}")
    assert "\n" not in str(refusal.value)


def test_what_a_process_finds_follows_the_files_that_are_there(tmp_path: Path) -> None:
    data, plugin = tmp_path / "data", tmp_path / "one_plugin.py"
    data.mkdir()
    (data / "a.png").write_bytes(b"1")
    plugin.write_text("VALUE = 1\n")
    asked = replace(setup(tmp_path), roots={"key": data}, plugin_files=(str(plugin),))

    def found(view: Any) -> dict[str, str]:
        before = Path.cwd()
        try:
            return cluster.look(view, "here")
        finally:
            os.chdir(before)

    with in_view(asked, (training(0, 1),)) as view:
        first = found(view)
        assert first[f"the workspace {tmp_path}"] == "shared" and {"the code of toy", "torch"} <= set(first)
        (data / "a.png").write_bytes(b"12")
        plugin.write_text("VALUE = 2\n")
        second = found(view)
    assert [name for name in first if first[name] != second[name]] == [f"the data root {data}", f"the plugin {plugin}"]
    third = found(view)
    assert third[f"the workspace {tmp_path}"].startswith("another")
    plugin.unlink()
    assert "cannot be used (FileNotFoundError)" in found(view)[f"the plugin {plugin}"]


def test_only_stages_that_compute_on_a_gpu_take_one(tmp_path: Path) -> None:
    cuda, network = replace(setup(tmp_path), device="cuda"), training(0, 1)
    translation = Translate(TOY.Regression(), (network,), FACES, "test", FOLD, 0)
    scored, unscored = ScoreTranslation(translation, "lpips-0.1"), ScoreTranslation(translation, "no LPIPS")
    assert [gpus_of(stage, cuda, 0.5) for stage in (network, translation, scored)] == [0.5, 0.5, 0.5]
    assert [gpus_of(stage, cuda, 0.5) for stage in (FACES, unscored)] == [0.0, 0.0]
    assert gpus_of(network, setup(tmp_path), 0.5) == 0.0


@pytest.mark.parametrize(("gpus", "slots"), [(0.0, [4, 2]), (1.0, [0, 2]), (0.5, [0, 2]), (0.1, [0, 2])])
def test_a_node_has_room_for_as_many_stages_as_cpus_and_gpus_allow(gpus: float, slots: list[int]) -> None:
    assert [node.slots(gpus) for node in TWO_NODES] == slots
    assert Node("c", "three", 64, 1).slots(0.1) == 10


def test_a_device_that_no_node_has_is_refused_with_what_each_has() -> None:
    assert [device_of(wanted, TWO_NODES, 1.0) for wanted in ("auto", "cuda", "cpu")] == ["cuda", "cuda", "cpu"]
    assert device_of("auto", TWO_NODES[:1], 1.0) == "cpu"
    with pytest.raises(UsageError, match=r"--device cuda: no node .* 1 CPU and 0.5 GPU .*one \(10.*: 4 CPUs, 0 GPUs\)"):
        device_of("cuda", TWO_NODES[:1], 0.5)
    with pytest.raises(UsageError, match="no node of the Ray cluster has 1 CPU for a stage"):
        device_of("cpu", (), 1.0)


@contextmanager
def without_ray(patch: pytest.MonkeyPatch) -> Iterator[None]:
    with patch.context() as hidden:
        hidden.setitem(sys.modules, "ray", None)
        yield


def test_without_ray_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    with without_ray(monkeypatch), pytest.raises(UsageError, match=r"pip install 'nferbench\[ray\]'"), connected(None):
        pass


def test_an_address_where_nobody_answers_is_one_line_at_once() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # and does not listen
        port = taken.getsockname()[1]
        refused = pytest.raises(
            UsageError, match=rf"--ray-address 127\.0\.0\.1:{port}: nobody answers there \(Connection"
        )
        with refused, connected(f"127.0.0.1:{port}"):
            pass


def test_what_ray_says_of_a_cluster_that_it_cannot_use_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    def nobody(*_: Any, **__: Any) -> None:
        raise ConnectionError("Could not find any running Ray instance.\nPlease specify")

    monkeypatch.setattr(ray, "init", nobody)
    refused = pytest.raises(
        UsageError, match=r"--ray-address auto: no Ray cluster can be used \(Could not find .*\); see"
    )
    with refused as refusal, connected("auto"):
        pass
    assert "\n" not in str(refusal.value)
