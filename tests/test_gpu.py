"""What only a real GPU can show: agreement with the CPU, independence of the batch, resuming, recovery, whole runs.

Run by `pytest -m gpu`; tests say what they measured (`-rP` shows it).
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from nferbench import Batch, FaceSpec, Learner, Translator
from nferbench.contract.noise import ImageNoise
from nferbench.contract.translator import NetworkRecipe
from nferbench.engine.placing import placed
from nferbench.engine.translating import translate
from nferbench.machine.gpus import listed
from nferbench.machine.usable import Usable, usable
from nferbench.machine.visible import VARIABLE, visible
from nferbench.metrics.perceptual import load_lpips
from nferbench.planning.plugins import load_plugins
from nferbench.planning.settings import Request, resolve
from nferbench.weights import Found, find

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
    if name == "pix2pix":
        pytest.skip("its dropout at test time is drawn on the device")
    networks = networks_of(ROWS[name])
    on_cpu = translate(ROWS[name], faces(4), networks, ImageNoise([1, 2, 3, 4], "cpu"))
    on_gpu = translate(
        ROWS[name], faces(4).to(GPU), {role: placed(n, GPU) for role, n in networks.items()}, DrawnOnCpu([1, 2, 3, 4])
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
    monkeypatch.setattr("nferbench.contract.learning.CAPTURED_BELOW", 0)
    plain = updated(recipe, fresh(recipe), range(6)).weights()
    moved, trained = furthest(replayed, plain), furthest(fresh(recipe).weights(), plain)
    print(f"{RECIPES[recipe]}: weights differ by {moved:g} at most, training moved them by {trained:g}")
    assert trained > 0 and moved < 0.1 * trained  # some of torch's gradients add up in any order


def test_lpips_agrees_with_the_cpu() -> None:
    if not isinstance(find("alexnet"), Found):
        pytest.skip("the trunk of LPIPS is missing")
    x, y = faces(8)[:4], faces(8)[4:]
    big = [torch.nn.functional.interpolate(each, size=64) for each in (x, y)]
    on_cpu = load_lpips(torch.device("cpu"))(*big)
    on_gpu = load_lpips(GPU)(*(each.to(GPU) for each in big)).cpu()
    print(f"LPIPS differs by {float((on_cpu - on_gpu).abs().max()):g}")
    assert torch.allclose(on_cpu, on_gpu, atol=1e-3)


QUICK = ("--preset", "quick", "--dataset", "synthetic-hfe", "--fold", "0", "--device", "cuda", "--yes")


def run(workspace: Path, *words: str) -> subprocess.CompletedProcess[str]:
    call = [sys.executable, "-m", "nferbench", "run", *QUICK, "--workspace", str(workspace), *words]
    return subprocess.run(call, capture_output=True, text=True, env={**os.environ, "COLUMNS": "200"})


def test_several_workers_share_one_card_and_a_second_run_finds_nothing_to_do(tmp_path: Path) -> None:
    first = run(tmp_path, "--methods", "none,pix2pix,cond", "--jobs", "3")
    assert first.returncode == 0, first.stdout + first.stderr
    again = run(tmp_path, "--methods", "none,pix2pix,cond")
    assert again.returncode == 0 and "nothing to do" in again.stdout + again.stderr


def test_a_batch_without_room_is_told_as_such_and_a_smaller_one_goes_on() -> None:
    """All but a little of the card is taken away, so that 64 faces at a time do not fit and fewer do."""
    translator = ROWS["cond"]
    networks = {role: placed(n, GPU) for role, n in networks_of(translator).items()}
    torch.cuda.reset_peak_memory_stats()
    translate(translator, faces(4).to(GPU), networks, ImageNoise(range(4), GPU))
    small = torch.cuda.max_memory_reserved()
    total = torch.cuda.get_device_properties(GPU).total_memory
    torch.cuda.empty_cache()
    torch.cuda.set_per_process_memory_fraction(min(1.0, 4 * small / total))
    try:
        with pytest.raises(torch.OutOfMemoryError):
            translate(translator, faces(4096).to(GPU), networks, ImageNoise(range(4096), GPU))
        torch.cuda.empty_cache()
        assert bool(torch.isfinite(translate(translator, faces(4).to(GPU), networks, ImageNoise(range(4), GPU))).all())
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0)


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
