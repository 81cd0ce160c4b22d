"""What the time of an update goes into on one core, by kind of operator. By hand; never part of the tests.

python tests/operators.py --preset small --batch 8
"""

from __future__ import annotations

import argparse
from collections import Counter
from dataclasses import replace

import torch
from torch.profiler import ProfilerActivity, profile

from nferbench import Batch, FaceSpec
from nferbench.contract.translator import NetworkRecipe
from nferbench.engine.translating import build
from nferbench.planning.plugins import load_plugins
from nferbench.planning.settings import Request, resolve

UPDATES = 3  # that are looked at, after as many that are not
KINDS = {  # by what the names of torch's operators have in them; the first that fits
    "convolutions": ("convolution", "conv2d", "conv_transpose"),
    "matrices": ("mm", "linear", "attention", "bmm", "mv"),
    "norms": ("norm",),
    "dropout": ("bernoulli", "dropout"),
}


def shares(recipe: NetworkRecipe, spec: FaceSpec) -> dict[str, float]:
    """The part of an update's time that each kind of operator takes.

    Args:
        recipe: of the network that is trained.
        spec: of the faces, which are noise.
    """
    vis = torch.rand(recipe.batch_size, 3, spec.size, spec.size) * 2 - 1
    points = torch.rand(recipe.batch_size, spec.landmarks, 2) * spec.size
    batch = Batch(vis, vis.mean(1, keepdim=True).expand_as(vis).clone(), points, points)
    learner = recipe.learner(build(recipe, spec), spec, 50)
    rng = torch.Generator()

    def update(k: int) -> None:
        torch.manual_seed(k)
        learner.step(batch, rng.manual_seed(k), k)

    for k in range(UPDATES):
        update(k)
    with profile(activities=[ProfilerActivity.CPU]) as seen:
        for k in range(UPDATES, 2 * UPDATES):
            update(k)
    taken: Counter[str] = Counter()
    for event in seen.key_averages():
        kind = next((kind for kind, parts in KINDS.items() if any(part in event.key for part in parts)), "other")
        taken[kind] += event.self_cpu_time_total
    return {kind: taken[kind] / taken.total() for kind in (*KINDS, "other")}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--preset", default="small")
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--set", dest="changes", action="append", default=[], help="as for nferbench run")
    asked = parser.parse_args()
    torch.set_num_threads(1)
    request = Request(preset=asked.preset, methods=("all",), changes=tuple(asked.changes))
    settings = resolve(request, load_plugins(installed=False))
    recipes: dict[NetworkRecipe, str] = {}
    for row in settings.rows:
        for role, recipe in row.translator.networks().items():
            recipes.setdefault(recipe, recipe.title or f"{row.name} {role}")
    print(f"torch {torch.__version__}, one thread, {settings.size} px, batches of {asked.batch}")
    print(f"{'':24}" + "".join(f"{kind:>14}" for kind in (*KINDS, "other")))
    for recipe, label in recipes.items():
        found = shares(replace(recipe, batch_size=asked.batch), FaceSpec(settings.size, 68))  # type: ignore[type-var]
        print(f"{label:24}" + "".join(f"{share:14.0%}" for share in found.values()), flush=True)


if __name__ == "__main__":
    main()
