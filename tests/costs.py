"""What an update and a translated face cost: seconds, peak memory and arithmetic, network by network.

    python tests/costs.py --preset paper --device cuda

Arithmetic is counted by torch (a multiplication and an addition are two operations); shares are of the speed at which
the same device multiplies two 8192 x 8192 matrices in bfloat16. A CPU is timed with one thread and no share is given.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any
from unittest.mock import patch

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry

from nferbench import Batch, FaceSpec, Translator
from nferbench.contract.noise import ImageNoise
from nferbench.contract.translator import NetworkRecipe
from nferbench.engine.placing import placed
from nferbench.engine.timing import Clocked
from nferbench.engine.translating import build, translate
from nferbench.planning.plugins import load_plugins
from nferbench.planning.settings import Request, resolve

STEPS = 10  # reverse steps that are timed; the time a face is scaled to all steps
SAMPLED = ("ilvr", "sr3", "sdedit", "egsde", "t2v-ddpm", "nfer-sde")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--preset", default="paper")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--faces", type=int, default=32, help="faces translated at a time")
    parser.add_argument("--seconds", type=float, default=5.0, help="timing per network or method")
    parser.add_argument("--set", dest="changes", action="append", default=[], help="as for nferbench run")
    parser.add_argument("--only", nargs="+", help="networks and methods by name")
    parser.add_argument("--json", type=Path, help="where the figures go")
    asked = parser.parse_args()
    device = torch.device(asked.device)
    if device.type == "cpu":
        torch.set_num_threads(1)
    torch.backends.cudnn.benchmark = device.type == "cuda"
    limit = matrix_speed(device) if device.type == "cuda" else None
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else "cpu, one thread"
    matrices = f"; matrices: {limit / 1e12:.0f} TFLOP/s" if limit else ""
    print(f"{name}, torch {torch.__version__}, preset {asked.preset}{matrices}")
    published = {
        r.name: r.translator
        for r in resolve(Request(preset=asked.preset, methods=("all",), changes=tuple(asked.changes)), PLUGINS).rows
    }
    few = [*(f"methods.{name}.steps={STEPS}" for name in SAMPLED), "methods.ilvr.range_t=2", "methods.t2v-ddpm.skip=0"]
    named = {change.partition("=")[0] for change in asked.changes}
    changes = (*(change for change in few if change.partition("=")[0] not in named), *asked.changes)
    settings = resolve(Request(preset=asked.preset, methods=("all", "baseline"), changes=changes), PLUGINS)
    spec = FaceSpec(settings.size, 68)
    figures = []
    recipes: dict[NetworkRecipe, str] = {}
    for row in settings.rows:
        for role, recipe in row.translator.networks().items():
            recipes.setdefault(recipe, recipe.title or f"{row.name} {role}")
    works: list[tuple[str, Callable[[], dict[str, object]]]] = [
        (label, lambda recipe=recipe: update(recipe, spec, device, asked.seconds))  # type: ignore[misc]
        for recipe, label in recipes.items()
    ]
    works += [
        (row.name, lambda row=row: face(row.translator, published, spec, device, asked.faces, asked.seconds))  # type: ignore[misc]
        for row in settings.rows
        if row.translator.networks() and row.name != "baseline"
    ]
    for label, work in works:
        if asked.only and label not in asked.only:
            continue
        try:
            found = work()
        except torch.OutOfMemoryError:
            found = {"failed": "out of memory"}
        except Exception as error:  # one network must not end the others
            found = {"failed": f"{type(error).__name__}: {error}"}
        if limit and "flop" in found:
            found["share"] = found["flop"] / found["seconds"] / limit  # type: ignore[operator]
        figures.append({"name": label, **found})
        print(label, {key: float(f"{v:.4g}") if isinstance(v, float) else v for key, v in found.items()}, flush=True)
        if device.type == "cuda":
            torch.cuda.empty_cache()
    if asked.json:
        asked.json.write_text(json.dumps({"device": name, "matrices": limit, "preset": asked.preset, "rows": figures}))


def update(recipe: NetworkRecipe, spec: FaceSpec, device: torch.device, budget: float) -> dict[str, object]:
    """An update of the recipe's own batch size."""
    torch.manual_seed(0)
    network = placed(recipe.build(spec), device)
    with patch("nferbench.contract.learning.CAPTURED_BELOW", 0):  # a capture does an update several times
        counted = recipe.learner(network, spec, 1000)
    points = torch.rand(recipe.batch_size, 68, 2, device=device) * (spec.size - 1)
    batch = Batch(noise(recipe.batch_size, spec, device), noise(recipe.batch_size, spec, device), points, points)
    rng = torch.Generator(device)
    arithmetic = Arithmetic()
    with arithmetic:
        counted.step(batch, rng, 0)
    del counted
    learner = recipe.learner(network, spec, 1000)
    found = timed(lambda k: learner.step(batch, rng, k), device, budget)
    count = sum(each.numel() for each in learner.networks().get("network", network).parameters())
    return {"batch": recipe.batch_size, "parameters": count, "flop": float(arithmetic.flop), **found}


def face(
    translator: Translator,
    published: dict[str, Translator],
    spec: FaceSpec,
    device: torch.device,
    count: int,
    budget: float,
) -> dict[str, object]:
    """A translated face: some steps of a batch, and what all steps of the preset take."""
    torch.manual_seed(0)
    networks = {
        role: build(recipe, spec).eval().requires_grad_(False) for role, recipe in translator.networks().items()
    }
    networks = {role: placed(network, device) for role, network in networks.items()}
    vis = noise(count, spec, device)

    def work(_: int) -> Tensor:
        return translate(translator, vis, networks, ImageNoise(range(count), device))

    arithmetic = Arithmetic()
    with arithmetic:
        work(0)
    found = timed(work, device, budget)
    whole, some = (evaluations(each, networks, vis[:1]) for each in (published[translator.name], translator))
    seconds = float(found["seconds"])  # type: ignore[arg-type]
    return {
        "batch": count,
        "flop": float(arithmetic.flop),
        **found,
        "evaluations": whole,
        "seconds_a_face": seconds * whole / some / count,
    }


class Arithmetic(TorchDispatchMode):
    """Counts operations. torch's own counter also follows modules, and stumbles over gradients of leaves."""

    def __init__(self) -> None:
        super().__init__()
        self.flop = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func.overloadpacket not in flop_registry:
            with self:  # what inference mode leaves whole, such as a convolution of two dimensions
                if (parts := func.decompose(*args, **(kwargs or {}))) is not NotImplemented:
                    return parts
        out = func(*args, **(kwargs or {}))
        if (count := flop_registry.get(func.overloadpacket)) is not None:
            self.flop += count(*args, **(kwargs or {}), out_val=out)
        return out


def evaluations(translator: Translator, networks: Mapping[str, nn.Module], vis: Tensor) -> int:
    """How often a translation of one face asks the network that it asks most."""
    clocked = {role: Clocked(network, vis.device) for role, network in networks.items()}
    translate(translator, vis, clocked, ImageNoise([0], vis.device))
    return max(each.calls for each in clocked.values())


def noise(count: int, spec: FaceSpec, device: torch.device) -> Tensor:
    return torch.rand(count, 3, spec.size, spec.size, device=device) * 2 - 1


def timed(work: Callable[[int], object], device: torch.device, budget: float) -> dict[str, object]:
    """Median seconds and peak gigabytes of a piece of work, after two times that warm up."""
    for k in (1, 2):
        work(k)
    if device.type == "cuda":
        torch.cuda.synchronize()
        torch.cuda.reset_peak_memory_stats()
    times: list[float] = []
    while len(times) < 3 or sum(times) < budget:
        began = time.perf_counter()
        work(len(times) + 3)
        if device.type == "cuda":
            torch.cuda.synchronize()
        times.append(time.perf_counter() - began)
    peak = {"peak_gb": torch.cuda.max_memory_allocated() / 1e9} if device.type == "cuda" else {}
    return {"seconds": statistics.median(times), **peak}


def matrix_speed(device: torch.device) -> float:
    """Operations a second of a large product of random matrices in bfloat16."""
    a, b = (torch.randn(8192, 8192, device=device, dtype=torch.bfloat16) for _ in range(2))
    found = timed(lambda _: [a @ b for _ in range(10)], device, 0.5)
    return 10 * 2 * 8192**3 / float(found["seconds"])  # type: ignore[arg-type]


PLUGINS = load_plugins(installed=False)

if __name__ == "__main__":
    main()
