"""How numbers are computed reaches the process that computes them, and no key."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from torch import nn

from nferbench.contract.precision import compute_in, precision_on
from nferbench.engine.context import Context
from nferbench.engine.execute import execute
from nferbench.engine.how import AS_USUAL, How, settle
from nferbench.engine.placing import placed
from nferbench.planning.plan import plan_work
from nferbench.planning.plugins import load_plugins
from nferbench.planning.settings import Request, resolve
from nferbench.workspace.stages import TrainNetwork
from nferbench.workspace.store import Store

CPU, GPU = torch.device("cpu"), torch.device("cuda")
PLUGINS = load_plugins([str(Path(__file__).parents[2] / "plugins" / "toy.py")])


@pytest.fixture(autouse=True)
def _as_before(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(os, "environ", dict(os.environ))
    threads, products, short = (
        torch.get_num_threads(),
        torch.get_float32_matmul_precision(),
        torch.backends.cudnn.allow_tf32,
    )
    choosing, repeating = torch.backends.cudnn.benchmark, torch.backends.cudnn.deterministic
    yield
    torch.set_num_threads(threads)
    torch.set_float32_matmul_precision(products)
    torch.backends.cudnn.allow_tf32 = short
    torch.backends.cudnn.benchmark, torch.backends.cudnn.deterministic = choosing, repeating
    torch.use_deterministic_algorithms(False)
    compute_in("bf16")


def test_a_gpu_computes_networks_in_bfloat16_and_the_rest_in_tf32() -> None:
    settle(AS_USUAL, GPU)
    assert precision_on(GPU) == "bf16"
    assert torch.get_float32_matmul_precision() == "high" and torch.backends.cudnn.allow_tf32
    assert torch.backends.cudnn.benchmark and not torch.are_deterministic_algorithms_enabled()


def test_float32_is_32_bits_everywhere() -> None:
    settle(How(precision="float32"), GPU)
    assert precision_on(GPU) == "float32"
    assert torch.get_float32_matmul_precision() == "highest" and not torch.backends.cudnn.allow_tf32


def test_a_run_that_is_to_repeat_itself_takes_no_algorithm_by_its_speed() -> None:
    settle(How(deterministic=True), GPU)
    assert torch.are_deterministic_algorithms_enabled() and torch.is_deterministic_algorithms_warn_only_enabled()
    assert torch.backends.cudnn.deterministic and not torch.backends.cudnn.benchmark
    assert os.environ["CUBLAS_WORKSPACE_CONFIG"] == ":4096:8"


def test_a_cpu_is_left_as_it_is_but_for_its_threads() -> None:
    products = torch.get_float32_matmul_precision()
    settle(How(deterministic=True), CPU)
    assert torch.get_num_threads() == 1
    assert torch.get_float32_matmul_precision() == products
    assert not torch.are_deterministic_algorithms_enabled()


def test_networks_are_compiled_where_that_was_asked_for() -> None:
    assert placed(nn.Linear(2, 2), CPU)._compiled_call_impl is None
    assert placed(nn.Linear(2, 2), CPU, How(compiled=True))._compiled_call_impl is not None


def test_how_a_training_was_computed_is_recorded_and_changes_no_key(tmp_path: Path) -> None:
    changes = (
        "size=16",
        "datasets.synthetic-hfe.subjects=4",
        "methods.sdedit.score={steps: 2, batch_size: 4, width: 8, multipliers: [1, 2], attention: [8]}",
    )
    request = Request("synthetic-hfe", ("sdedit",), "none", "quick-cold", folds=2, changes=changes)
    settings = resolve(request, PLUGINS)
    recorded = []
    for how in (AS_USUAL, How(piece=1)):
        store = Store(tmp_path / str(how.piece))
        stage = next(stage for stage in plan_work(settings, {}, store, "").stages if isinstance(stage, TrainNetwork))
        context = Context(store, {}, CPU, 8, how=how)
        for need in stage.needs():
            execute(need, context)
        execute(stage, context)
        entry = store.find(stage)
        assert entry is not None
        recorded.append((entry.path.name, entry.info["made_with"]["piece"], entry.info["made_with"]["recompute"]))
        assert "made_with" not in entry.info["result"] and "ways" not in entry.info["made_with"]
    assert recorded == [(recorded[0][0], 4, False), (recorded[0][0], 1, False)]
