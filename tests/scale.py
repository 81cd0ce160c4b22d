"""What planning, looking up and dispatching cost a stage in a run of ten thousand. By hand; never part of the tests.

A workspace is filled with made-up results of every stage of a plan. No stage is done: workers are stand-ins that
answer at once, so that what is timed is what the harness adds.
"""

from __future__ import annotations

import multiprocessing
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from nferbench.cli.formatting import plan_lines
from nferbench.engine import runner
from nferbench.engine.preflight import measured
from nferbench.engine.timing import build_all
from nferbench.engine.worker import Finished, Setup
from nferbench.planning.again import again, changed_code
from nferbench.planning.costs import Preflight, cost_key, estimate
from nferbench.planning.plan import Work, plan_work
from nferbench.planning.plugins import load_plugins
from nferbench.planning.records import write_record
from nferbench.planning.settings import Request, resolve
from nferbench.planning.status import statuses
from nferbench.workspace.files import sha256, write_json
from nferbench.workspace.stages import Stage, description, key, readable
from nferbench.workspace.store import Store

T = TypeVar("T")
SEEDS = 45  # trainings of each recogniser


def timed(what: str, stages: int, work: Callable[[], T]) -> T:
    """Do something and tell what it took, a stage."""
    began = time.perf_counter()
    result = work()
    taken = time.perf_counter() - began
    print(f"{what:<44} {taken:8.2f} s  {1000 * taken / stages:7.3f} ms a stage", flush=True)
    return result


def planned(store: Store, seeds: int) -> Work:
    """The studies of preset `study` and all methods, five folds, with many recognisers each."""
    request = Request("synthetic-hfe", ("all", "ablation", "studies"), None, "study", fer_seeds=seeds)
    return plan_work(resolve(request, load_plugins(installed=False)), {}, store, "none")


def fill(store: Store, stages: Sequence[Stage]) -> None:
    """Made-up results of stages, each one small file and what describes it."""
    for stage in stages:
        folder = store.path(stage)
        folder.mkdir(parents=True)
        (folder / "table.csv").write_text("id,label\n")
        files = {"table.csv": {"bytes": 9, "sha256": sha256(folder / "table.csv")}}
        said = {"stage": readable(stage), "key": key(stage), "description": description(stage), "files": files}
        write_json(folder / "stage.json", {**said, "created": "2026-01-01T00:00:00+00:00", "result": {"dropped": 0}})


def answers_at_once(connection: Any, setup: Setup) -> None:
    """A worker all of whose stages are done as soon as they are sent."""
    while connection.recv() is not None:
        connection.send(Finished("done"))


class Silent:
    """A reporter that tells nobody."""

    def __getattr__(self, name: str) -> Callable[..., None]:
        return lambda *_: None


@contextmanager
def stand_ins() -> Iterator[None]:
    """Workers that are copies of this process and answer at once."""
    forked, spawned, real = multiprocessing.get_context("fork"), multiprocessing.get_context, runner.serve
    multiprocessing.get_context = lambda _=None: forked  # type: ignore[assignment, misc]
    runner.serve = answers_at_once
    yield
    multiprocessing.get_context, runner.serve = spawned, real  # type: ignore[method-assign]


def main(seeds: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        store = Store(Path(folder))
        began = time.perf_counter()
        work = planned(store, seeds)
        count = len(work.stages)
        taken = time.perf_counter() - began
        print(f"{count} stages, {len(work.rows)} rows, {len(work.rows[0].folds)} folds")
        print(f"{'plan':<44} {taken:8.2f} s  {1000 * taken / count:7.3f} ms a stage", flush=True)
        timed("keys", count, lambda: [key(stage) for stage in work.stages])
        states = timed("status, nothing stored", count, lambda: statuses(work, store))
        timed("the lines of nferbench plan", count, lambda: plan_lines(states))
        costs = timed("keys of costs", count, lambda: {one: cost_key(one, "cpu") for one in work.stages})
        timed("the estimate", count, lambda: estimate(work, states, Preflight(keys=costs)))
        setup = Setup(store.workspace, {}, (), "cpu", 32, 30.0)
        for waiting in (False, True):
            with stand_ins():
                outcome = timed(
                    f"dispatch{', waiting for others' * waiting}",
                    count,
                    lambda waiting=waiting: runner.run_stages(  # type: ignore[misc]
                        work.stages, setup, store, Silent(), jobs=2, wait_for_others=waiting
                    ),
                )
            assert len(outcome.done) == count
        half = work.stages[: count // 2]
        fill(store, half)
        timed("status, half of it stored", count, lambda: statuses(work, store))
        timed("the record, half of it stored", count, lambda: write_record(work, store, "nferbench run"))
        fill(store, work.stages[count // 2 :])
        states = timed("status, all of it stored", count, lambda: statuses(work, store))
        assert all(state.state == "done" for state in states)
        timed("what earlier stages took", count, lambda: measured(store))
        timed("--again and changed code", count, lambda: changed_code(work, again(work, states, ())))
        timed("the record, all of it stored", count, lambda: write_record(work, store, "nferbench run"))
        timed("every network built once", count, lambda: build_all(work.stages, setup, {}))


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else SEEDS)
