"""Two updates of each published network on a CPU, in pieces of one pair: that they can be done, and what they hold.

    python tests/real_size.py

Each network is trained in a process of its own. `held` is what its tensors took at most, followed storage by storage,
`resident` the most memory that its process had, `predicted` what a rehearsal on device `meta` says in float32, with the
weights in the layout of a GPU. HiFaceGAN, which normalises over a batch, is not divided.
"""

from __future__ import annotations

import argparse
import multiprocessing
import resource
import time
from dataclasses import replace

import torch

from nferbench import Batch, FaceSpec
from nferbench.contract.precision import compute_in
from nferbench.contract.translator import NetworkRecipe
from nferbench.engine.means import Means, given
from nferbench.engine.rehearsing import Training
from nferbench.engine.tracing import Ledger
from nferbench.planning.plugins import load_plugins
from nferbench.planning.settings import Request, resolve

ROWS = 4  # pairs of an update
UPDATES = 2
NETWORKS = ("hifacegan", "domains", "sr3", "u-nir", "c-v2n")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", nargs="+", default=NETWORKS)
    parser.add_argument("--piece", type=int, default=1)
    asked = parser.parse_args()
    print(
        f"torch {torch.__version__}, one thread, {UPDATES} updates of {ROWS} pairs in pieces of {asked.piece}, 256 px"
    )
    for name in asked.only:
        process = multiprocessing.get_context("spawn").Process(target=train, args=(name, asked.piece))
        process.start()
        process.join()


def train(name: str, piece: int) -> None:
    torch.set_num_threads(1)
    compute_in("float32")
    recipe, spec = replace(published()[name], batch_size=ROWS), FaceSpec(256, 68)
    training = Training(recipe, spec)
    means = Means(piece if training.divisible else ROWS)
    rehearsed = training.update(ROWS, means)
    torch.manual_seed(0)
    held = Ledger()
    with held:
        network = recipe.build(spec).to(memory_format=torch.contiguous_format)  # type: ignore[call-overload]
        learner = recipe.learner(network, spec, 100)
        given(learner, means, ROWS)
        vis, nir = torch.rand(2, ROWS, 3, spec.size, spec.size) * 2 - 1
        began = time.process_time()
        for k in range(UPDATES):
            points = torch.rand(ROWS, spec.landmarks, 2) * spec.size
            losses = learner.step(Batch(vis, nir, points, points), torch.Generator().manual_seed(k), k)
        seconds = (time.process_time() - began) / UPDATES
    resident = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    told = ", ".join(f"{key} {float(value):.4g}" for key, value in losses.items())
    print(
        f"{name}: {training.parameters / 1e6:.1f} M, pieces of {means.piece}, predicted {rehearsed.peak / 1e9:.2f} GB, "
        f"held {held.peak / 1e9:.2f} GB, resident {resident / 1e9:.2f} GB, {seconds:.0f} s an update; losses {told}",
        flush=True,
    )


def published() -> dict[str, NetworkRecipe]:
    """The recipes of preset paper by title; without the perceptual loss, whose weights may be missing."""
    request = Request(preset="paper", methods=("all",), changes=("methods.hifacegan.generator.perceptual=none",))
    recipes = [
        (recipe.title or role, recipe)
        for row in resolve(request, load_plugins(installed=False)).rows
        for role, recipe in row.translator.networks().items()
    ]
    return dict(recipes)


if __name__ == "__main__":
    main()
