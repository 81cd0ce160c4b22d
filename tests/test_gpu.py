"""What only a real GPU can show: agreement with the CPU, independence of the batch, resuming, recovery, whole runs.

Run by `pytest -m gpu`; tests say what they measured (`-rP` shows it). What can be known without a GPU is in
`test_devices`.
"""

from __future__ import annotations

import gc
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, TypeVar

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from nferbench import Batch, FaceSpec, Learner, Translator
from nferbench.contract.dataset import Face
from nferbench.contract.noise import ImageNoise
from nferbench.contract.translator import NetworkRecipe
from nferbench.engine import translating
from nferbench.engine.context import Context
from nferbench.engine.means import Means
from nferbench.engine.placing import placed
from nferbench.engine.training import train
from nferbench.engine.translating import translate
from nferbench.faces.prepared import PreparedFaces
from nferbench.machine.gpus import listed
from nferbench.machine.usable import Usable, usable
from nferbench.machine.visible import VARIABLE, visible
from nferbench.metrics.perceptual import load_lpips
from nferbench.planning.plugins import load_plugins
from nferbench.planning.settings import Request, resolve
from nferbench.weights import Found, find
from nferbench.workspace.unfinished import Unfinished

pytestmark = pytest.mark.gpu

GPU = torch.device("cuda")
SETTINGS = resolve(Request(preset="quick", methods=("all", "ablation")), load_plugins(installed=False))
ROWS = {row.name: row.translator for row in SETTINGS.rows}
SPEC = FaceSpec(SETTINGS.size, 68)
RECIPES: dict[NetworkRecipe, str] = {
    recipe: f"{name}-{role}" for name, row in ROWS.items() for role, recipe in row.networks().items()
}


class DrawnOnCpu(ImageNoise):
    """The CPU's streams, handed over to the GPU: generators of the two devices draw different numbers."""

    def __init__(self, seeds: list[int]) -> None:
        super().__init__(seeds, "cpu")

    def normal(self, *shape: int) -> Tensor:
        return super().normal(*shape).to(GPU)


def networks_of(translator: Translator) -> Mapping[str, nn.Module]:
    torch.manual_seed(0)
    built = {role: recipe.build(SPEC) for role, recipe in translator.networks().items()}
    for network in built.values():
        for parameter in network.parameters():
            parameter.data += 0.02 * torch.randn_like(parameter)
        network.requires_grad_(False).eval()
    return built


def faces(count: int) -> Tensor:
    return torch.rand(count, 3, SPEC.size, SPEC.size, generator=torch.Generator().manual_seed(3)) * 2 - 1


def batch(count: int, seed: int) -> Batch:
    rng = torch.Generator().manual_seed(seed)
    images = torch.rand(2, count, 3, SPEC.size, SPEC.size, generator=rng).to(GPU) * 2 - 1
    points = torch.rand(2, count, 68, 2, generator=rng).to(GPU) * (SPEC.size - 1)
    return Batch(images[0], images[1], points[0], points[1])


@pytest.mark.parametrize("name", ROWS)
def test_a_trajectory_agrees_with_the_cpu_within_bfloat16(name: str) -> None:
    # Dropout at test time is drawn on the device.
    translator = replace(ROWS[name], test_mode="no-dropout") if name == "pix2pix" else ROWS[name]
    networks = networks_of(translator)
    on_cpu = translate(translator, faces(4), networks, ImageNoise([1, 2, 3, 4], "cpu"))
    on_gpu = translate(
        translator, faces(4).to(GPU), {role: placed(n, GPU) for role, n in networks.items()}, DrawnOnCpu([1, 2, 3, 4])
    )
    error = (on_gpu.cpu() - on_cpu).abs()
    print(
        f"{name}: mean error {float(error.mean()) * 127.5:.3f} levels of 255, largest {float(error.max()) * 127.5:.2f}"
    )
    assert error.mean() < 0.02


@pytest.mark.parametrize("name", ROWS)
def test_an_output_depends_on_the_batch_by_rounding_only(name: str) -> None:
    networks = {role: placed(n, GPU) for role, n in networks_of(ROWS[name]).items()}
    vis, seeds = faces(8).to(GPU), list(range(8))
    whole = translate(ROWS[name], vis, networks, ImageNoise(seeds, GPU))
    again = translate(ROWS[name], vis, networks, ImageNoise(seeds, GPU))
    part = translate(ROWS[name], vis[3:5], networks, ImageNoise(seeds[3:5], GPU))
    error, repeated = (part - whole[3:5]).abs(), (again - whole).abs()
    print(
        f"{name}: batches of 8 and 2 differ by {float(error.mean()) * 127.5:.4f} levels (largest "
        f"{float(error.max()) * 127.5:.2f}); the same batch again by {float(repeated.max()) * 127.5:.4f}"
    )
    assert error.mean() < 0.02


def fresh(recipe: NetworkRecipe) -> Learner:
    torch.manual_seed(0)
    return recipe.learner(placed(recipe.build(SPEC), GPU), SPEC, 16)


def updated(recipe: NetworkRecipe, learner: Learner, ks: range) -> Learner:
    rng = torch.Generator(GPU)
    for k in ks:
        torch.manual_seed(k)
        rng.manual_seed(k)
        losses = learner.step(batch(recipe.batch_size, k), rng, k)
        assert all(bool(torch.isfinite(value)) and value.device.type == "cuda" for value in losses.values())
    return learner


def furthest(one: Mapping[str, Tensor], other: Mapping[str, Tensor]) -> float:
    return max(float((one[name] - value).abs().max()) for name, value in other.items())


@pytest.mark.parametrize("recipe", RECIPES, ids=list(RECIPES.values()))
def test_a_training_can_be_left_and_taken_up_again(recipe: NetworkRecipe, tmp_path: Path) -> None:
    straight = updated(recipe, fresh(recipe), range(6)).weights()
    torch.save(updated(recipe, fresh(recipe), range(3)).state_dict(), tmp_path / "checkpoint.pt")
    resumed = fresh(recipe)
    resumed.load_state_dict(torch.load(tmp_path / "checkpoint.pt", map_location=GPU, weights_only=True))
    moved = furthest(straight, updated(recipe, resumed, range(3, 6)).weights())
    print(f"{RECIPES[recipe]}: weights differ by {moved:g} at most")
    assert moved < 1e-2


@pytest.mark.parametrize("recipe", RECIPES, ids=list(RECIPES.values()))
def test_a_replayed_training_is_the_plain_one(recipe: NetworkRecipe, monkeypatch: pytest.MonkeyPatch) -> None:
    learner = fresh(recipe)
    if getattr(learner, "_captured", None) is None:
        pytest.skip("its loss is not replayed")
    replayed = updated(recipe, learner, range(6)).weights()
    monkeypatch.setattr("nferbench.contract.captured.ABLE", False)
    plain = updated(recipe, fresh(recipe), range(6)).weights()
    again = updated(recipe, fresh(recipe), range(6)).weights()
    moved, trained = distance(replayed, plain), distance(fresh(recipe).weights(), plain)
    noise = distance(again, plain)  # some of torch's gradients add up in any order
    print(f"{RECIPES[recipe]}: weights differ by {moved:g}, those of two plain trainings by {noise:g}, of {trained:g}")
    assert trained > 0 and moved < max(3 * noise, 0.01 * trained)


def test_lpips_agrees_with_the_cpu() -> None:
    if not all(isinstance(find(name), Found) for name in ("alexnet", "lpips-heads")):
        pytest.skip("the weights of LPIPS are missing")
    x, y = faces(8)[:4], faces(8)[4:]
    big = [torch.nn.functional.interpolate(each, size=64) for each in (x, y)]
    on_cpu = load_lpips(torch.device("cpu"))(*big)
    on_gpu = load_lpips(GPU)(*(each.to(GPU) for each in big)).cpu()
    print(f"LPIPS differs by {float((on_cpu - on_gpu).abs().max()):g}")
    assert torch.allclose(on_cpu, on_gpu, atol=1e-3)


QUICK = (
    "--preset",
    "quick",
    "--dataset",
    "synthetic-hfe",
    "--extra",
    "none",
    "--fold",
    "0",
    "--device",
    "cuda",
    "--yes",
)
SHORT = (
    "datasets.synthetic-hfe.subjects=5",
    "methods.pix2pix.generator.epochs=1",
    "methods.nfer-sde.score.steps=20",
    "methods.nfer-sde.steps=3",
)


def run(workspace: Path, *words: str) -> subprocess.CompletedProcess[str]:
    call = [sys.executable, "-m", "nferbench", "run", *QUICK, "--workspace", str(workspace), *words]
    call += [word for change in SHORT for word in ("--set", change)]
    return subprocess.run(call, capture_output=True, text=True, env={**os.environ, "COLUMNS": "200"})


def test_several_workers_share_one_card_and_a_second_run_finds_nothing_to_do(tmp_path: Path) -> None:
    first = run(tmp_path, "--methods", "none,pix2pix,cond", "--jobs", "3")
    assert first.returncode == 0, first.stdout + first.stderr
    again = run(tmp_path, "--methods", "none,pix2pix,cond")
    assert again.returncode == 0 and "nothing to do" in again.stdout + again.stderr


def test_a_deterministic_run_repeats_bit_for_bit(tmp_path: Path) -> None:
    made = []
    for folder in (tmp_path / "one", tmp_path / "two"):
        ended = run(folder, "--methods", "pix2pix,cond", "--deterministic")
        assert ended.returncode == 0, ended.stdout + ended.stderr
        paths = [*folder.rglob("weights.safetensors"), *folder.rglob("images.npy")]
        made.append({path.relative_to(folder): path.read_bytes() for path in paths})
    assert any(path.name == "weights.safetensors" for path in made[0])
    assert made[0].keys() == made[1].keys()
    assert not [str(path) for path, content in made[0].items() if content != made[1][path]]


T = TypeVar("T")


def peak_of(work: Callable[[], T]) -> tuple[T, int]:
    """What `work` gives, and the bytes that it took of the card beyond what was taken before."""
    gc.collect()
    torch.cuda.empty_cache()
    torch.cuda.reset_peak_memory_stats()
    before = torch.cuda.memory_allocated()
    result = work()
    return result, torch.cuda.max_memory_allocated() - before


@contextmanager
def left(room: int) -> Iterator[None]:
    """Take the card away but for `room` bytes."""
    gc.collect()
    torch.cuda.empty_cache()
    free, _ = torch.cuda.mem_get_info()
    taken = torch.empty(max(0, free - room), dtype=torch.uint8, device=GPU)
    try:
        yield
    finally:
        del taken
        torch.cuda.empty_cache()


def test_a_training_that_runs_out_of_memory_goes_on_in_pieces(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nferbench.contract.learning.CAPTURED_BELOW", 0)  # as with networks that can fill a card
    recipe, rows = ROWS["cond"].networks()["score"], 1024
    told: list[str] = []

    def trained(name: str) -> tuple[dict[str, Tensor], Means]:
        folder = tmp_path / name
        folder.mkdir()
        done = train(
            lambda: fresh(recipe),
            lambda which: batch(rows, 7),
            lambda k: np.arange(rows),
            3,
            0,
            GPU,
            Unfinished(folder, "key", "", tmp_path / "damaged"),
            batch_size=rows,
            tell=told.append,
        )
        return done.learner.weights(), done.means

    (whole, _), peak = peak_of(lambda: trained("whole"))
    assert not told
    with left(peak // 2):
        in_pieces, means = trained("pieces")
    assert told and means.piece < rows
    start = fresh(recipe).weights()
    moved, trained_by = distance(whole, in_pieces), distance(whole, start)
    print(
        f"{told[-1]} in half of {peak / 1e6:.0f} MB; weights differ by {moved:g}, training moved them by {trained_by:g}"
    )
    assert moved < 0.2 * trained_by  # by the rounding of bfloat16


def distance(one: Mapping[str, Tensor], other: Mapping[str, Tensor]) -> float:
    return float(sum(float((one[name] - value).double().square().sum()) for name, value in other.items()) ** 0.5)


def test_a_translation_that_runs_out_of_memory_goes_on_with_fewer_faces(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    translator, count = ROWS["cond"], 1024
    levels = np.random.default_rng(0).integers(0, 256, (count, SPEC.size, SPEC.size, 3), np.uint8)
    chosen = tuple(Face(f"{row:04}", "vis", "a", "fear") for row in range(count))
    networks = {role: placed(n, GPU) for role, n in networks_of(translator).items()}
    seen: list[int] = []
    plain = translating.translate

    def noted(translator: Translator, vis: Tensor, *rest: Any) -> Tensor:
        seen.append(len(vis))
        return plain(translator, vis, *rest)

    monkeypatch.setattr(translating, "prepared_faces", lambda *_: PreparedFaces(levels, None, chosen))
    monkeypatch.setattr(translating, "fitted", lambda *_: networks)
    monkeypatch.setattr(translating, "translate", noted)
    monkeypatch.setattr("nferbench.engine.context.foreign", lambda _: "")
    source = SimpleNamespace(size=SPEC.size)
    stage: Any = SimpleNamespace(
        source=source, part="all", fold=None, seed=0, first=None, only=None, translator=translator, networks=()
    )

    def translated(name: str) -> np.ndarray:
        folder = tmp_path / name
        folder.mkdir()
        unfinished = Unfinished(folder, "key", "", tmp_path / "damaged")
        store: Any = SimpleNamespace(unfinished=lambda *_: unfinished)
        translating.translate_faces(stage, Context(store, {}, GPU, count))
        return np.load(folder / "images.npy")

    whole, peak = peak_of(lambda: translated("whole"))
    assert seen == [count]
    with left(peak // 2):
        in_parts = translated("parts")
    assert min(seen) < count and sum(seen) >= 2 * count
    apart = np.abs(whole.astype(int) - in_parts).mean()
    print(f"batches {seen[1:]} in half of {peak / 1e6:.0f} MB; faces differ by {apart:.3f} levels")
    assert apart < 0.02 * 127.5


def test_an_assertion_on_the_device_loses_it() -> None:
    """In a process of its own, which has no device after it."""
    code = (
        "import torch\n"
        "from nferbench.engine.lost import answers, lost_device\n"
        "here = torch.device('cuda')\n"
        "row = torch.zeros(3, device=here)\n"
        "assert answers(here)\n"
        "try:\n"
        "    row[torch.tensor([7], device=here)].cpu()\n"
        "except RuntimeError as error:\n"
        "    print(lost_device(error), answers(here), flush=True)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout.split() == ["True", "False"], done.stdout + done.stderr


def test_the_cards_that_are_found_are_those_that_torch_sees() -> None:
    names = visible(os.environ.get(VARIABLE), listed())
    assert usable(names) == Usable(names) and (len(names) == torch.cuda.device_count() or names[0].startswith("MIG-"))
