"""What an update and a translated face cost, measured beside what `nferbench plan --on` computes of it.

    python tests/costs.py --preset paper --device cuda

Operations and `predicted_gb` are computed, seconds and `peak_gb` are measured. `share` is of the speed at which the
device multiplies two 8192 x 8192 matrices in bfloat16, `share_of_peak` of what the maker of a known card says. A CPU is
timed with one thread, and its memory is that of tensors that are really allocated; it translates faces in groups of a
fixed size, which a rehearsal, being of a GPU, does not.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

import torch
from torch import Tensor

from nferbench import Batch, FaceSpec, Translator
from nferbench.contract.noise import ImageNoise
from nferbench.contract.precision import compute_in
from nferbench.contract.translator import NetworkRecipe
from nferbench.engine.means import Means
from nferbench.engine.placing import placed
from nferbench.engine.rehearsing import Rehearsed, Training, rehearsed_translation
from nferbench.engine.tracing import Ledger
from nferbench.engine.translating import build, translate
from nferbench.planning.cards import KNOWN
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
        compute_in("float32")  # rehearsals too
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
            speed = found["flop"] / found["seconds"]  # type: ignore[operator]
            found["share"] = speed / limit
            for card in KNOWN:
                if name in card.devices:
                    found["share_of_peak"] = speed / card.bf16
        figures.append({"name": label, **found})
        print(label, {key: float(f"{v:.4g}") if isinstance(v, float) else v for key, v in found.items()}, flush=True)
        if device.type == "cuda":
            torch.cuda.empty_cache()
    if asked.json:
        asked.json.write_text(json.dumps({"device": name, "matrices": limit, "preset": asked.preset, "rows": figures}))


def update(recipe: NetworkRecipe, spec: FaceSpec, device: torch.device, budget: float) -> dict[str, object]:
    """An update of the recipe's own batch size."""
    rehearsed = Training(recipe, spec).update(recipe.batch_size, Means(recipe.batch_size))
    torch.manual_seed(0)
    held = Ledger()
    points = torch.rand(recipe.batch_size, 68, 2, device=device) * (spec.size - 1)
    rng = torch.Generator(device)
    with counted(held, device):
        network = placed(recipe.build(spec), device)
        learner = recipe.learner(network, spec, 1000)
        batch = Batch(noise(recipe.batch_size, spec, device), noise(recipe.batch_size, spec, device), points, points)
        learner.step(batch, rng, 0)
    found = timed(lambda k: learner.step(batch, rng, k), device, budget, held)
    count = sum(each.numel() for each in learner.networks().get("network", network).parameters())
    return {"batch": recipe.batch_size, "parameters": count, **computed(rehearsed), **found}


def face(
    translator: Translator,
    published: dict[str, Translator],
    spec: FaceSpec,
    device: torch.device,
    count: int,
    budget: float,
) -> dict[str, object]:
    """A translated face: some steps of a batch, and what all steps of the preset take, by their operations."""
    specs = dict.fromkeys(translator.networks(), spec)
    (_, some), (_, whole) = (
        rehearsed_translation(each, specs, spec.size, count) for each in (translator, published[translator.name])
    )
    torch.manual_seed(0)
    held = Ledger()
    with counted(held, device):
        networks = {
            role: placed(build(recipe, spec).eval().requires_grad_(False), device)
            for role, recipe in translator.networks().items()
        }
        vis = noise(count, spec, device)

    def work(_: int) -> Tensor:
        return translate(translator, vis, networks, ImageNoise(range(count), device))

    found = timed(work, device, budget, held)
    seconds = float(found["seconds"])  # type: ignore[arg-type]
    all_steps = operations(whole) / operations(some)
    return {
        "batch": count,
        **computed(some),
        **found,
        "flop_a_face": operations(whole) / count,
        "seconds_a_face": seconds * all_steps / count,
    }


def computed(rehearsed: Rehearsed) -> dict[str, float]:
    return {"flop": operations(rehearsed), "predicted_gb": rehearsed.peak / 1e9}


def operations(rehearsed: Rehearsed) -> float:
    return float(rehearsed.bf16 + rehearsed.float32)


def counted(ledger: Ledger, device: torch.device) -> AbstractContextManager[object]:
    """On a CPU follow what is allocated; a GPU does that by itself."""
    return ledger if device.type == "cpu" else nullcontext()


def noise(count: int, spec: FaceSpec, device: torch.device) -> Tensor:
    return torch.rand(count, 3, spec.size, spec.size, device=device) * 2 - 1


def timed(
    work: Callable[[int], object], device: torch.device, budget: float, held: Ledger | None = None
) -> dict[str, object]:
    """Median seconds and peak gigabytes of a piece of work, after two times that warm up."""
    work(1)
    if held is not None:
        held.restart()
        with counted(held, device):
            work(2)
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
    if device.type == "cuda":
        peak = {"peak_gb": torch.cuda.max_memory_allocated() / 1e9}
    else:
        peak = {"peak_gb": held.peak / 1e9} if held is not None else {}
    return {"seconds": statistics.median(times), **peak}


def matrix_speed(device: torch.device) -> float:
    """Operations a second of a large product of random matrices in bfloat16."""
    a, b = (torch.randn(8192, 8192, device=device, dtype=torch.bfloat16) for _ in range(2))
    found = timed(lambda _: [a @ b for _ in range(10)], device, 0.5)
    return 10 * 2 * 8192**3 / float(found["seconds"])  # type: ignore[arg-type]


PLUGINS = load_plugins(installed=False)

if __name__ == "__main__":
    main()
