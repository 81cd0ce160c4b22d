"""Ratios of what the harness takes to what the networks alone take. Run by `make bench`; never part of the tests.

Each ratio is the median over pairs of timings taken in turn, so that a drifting machine does not tilt it. Sizes are
those of preset `small` (64 px), on the CPU with one thread or on the first GPU (`make bench DEVICE=cuda`), for which
`tests/costs.py` then has what an update and a face cost at the published size.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from nferbench import Batch, FaceSpec, Translator, pixels
from nferbench.contract.noise import ImageNoise
from nferbench.engine.scoring import pixel_scores
from nferbench.engine.training import sample_order, train
from nferbench.planning.plugins import load_plugins
from nferbench.planning.settings import Request, resolve
from nferbench.workspace.unfinished import Unfinished

DEVICE = torch.device(*sys.argv[1:] or ["cpu"])
FACES = 4  # faces a batch
STEPS = 10  # reverse steps
PAIRS = 5  # pairs of timings


def seconds(work: Callable[[], object]) -> float:
    synchronise()
    began = time.perf_counter()
    work()
    synchronise()
    return time.perf_counter() - began


def synchronise() -> None:
    if DEVICE.type == "cuda":
        torch.cuda.synchronize()


def ratio(work: Callable[[], object], alone: Callable[[], object], pairs: int = PAIRS) -> tuple[float, float, float]:
    """Median of time(work) / time(alone), and both median times in seconds."""
    work(), alone()
    times = [(seconds(work), seconds(alone)) for _ in range(pairs)]
    return (
        statistics.median(a / b for a, b in times),
        statistics.median(a for a, _ in times),
        statistics.median(b for _, b in times),
    )


class Recorder(nn.Module):
    """Keeps what a network was asked and how, so that the same evaluations can be made again without the sampler."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network
        self.asked: list[tuple[Tensor, ...]] = []
        self.gradients: list[bool] = []
        self.modes: dict[nn.Module, bool] = {}

    def forward(self, *inputs: Tensor) -> object:
        self.asked.append(tuple(each.detach().clone() for each in inputs))
        self.gradients.append(inputs[0].requires_grad)
        self.modes = {module: module.training for module in self.network.modules()}
        return self.network(*inputs)

    def again(self) -> None:
        """All evaluations once more, each with the input gradient where the sampler took one."""
        before = {module: module.training for module in self.network.modules()}
        for module, mode in self.modes.items():
            module.training = mode
        for (x, *others), gradient in zip(self.asked, self.gradients, strict=True):
            if gradient:
                with torch.inference_mode(False), torch.enable_grad():
                    x, *others = (each.clone() for each in (x, *others))
                    answer = self.network(x.requires_grad_(True), *others)
                    torch.autograd.grad(answer.square().sum(), x)
            else:
                self.network(x, *others)
        for module, mode in before.items():
            module.training = mode


def sampling(name: str, translator: Translator, spec: FaceSpec) -> None:
    """A sampler against its bare network evaluations, on the very inputs that it gave them."""
    networks = {role: recipe.build(spec).eval().requires_grad_(False) for role, recipe in translator.networks().items()}
    networks = {role: network.to(DEVICE) for role, network in networks.items()}
    vis = torch.rand(FACES, 3, spec.size, spec.size, device=DEVICE) * 2 - 1

    def sample(through: Mapping[str, nn.Module]) -> Tensor:
        return translator.translate(vis, through, ImageNoise(range(FACES), DEVICE))

    with torch.inference_mode():
        recorders = {role: Recorder(network) for role, network in networks.items()}
        sample(recorders)

        def bare() -> None:
            for recorder in recorders.values():
                recorder.again()

        found, whole, alone = ratio(lambda: sample(networks), bare)
    asked = sum(len(recorder.asked) for recorder in recorders.values())
    print(f"sampling {name:<14} {found:5.3f}   {whole / FACES:.3f} s a face, {asked} evaluations {alone / FACES:.3f} s")


def training(name: str, translator: Translator, role: str, spec: FaceSpec) -> None:
    """The training loop against the learner's bare updates."""
    recipe = translator.networks()[role]
    images = torch.randint(0, 256, (64, spec.size, spec.size, 3), dtype=torch.uint8, device=DEVICE)

    def batch_of(rows: np.ndarray) -> Batch:
        faces = pixels.to_float(images[torch.from_numpy(rows).to(DEVICE)])
        return Batch(faces, faces)

    learner = recipe.learner(recipe.build(spec).to(DEVICE), spec, 64)
    order = sample_order(64, recipe.batch_size, 0)
    fixed = batch_of(order(0))
    rng = torch.Generator(DEVICE)
    updates = 5

    def loop() -> None:
        with tempfile.TemporaryDirectory() as folder:
            left = Unfinished(Path(folder), "", "", Path(folder))
            train(lambda: learner, batch_of, order, updates, 0, DEVICE, left, batch_size=recipe.batch_size)

    def bare() -> None:
        for k in range(updates):
            learner.step(fixed, rng, k)

    found, whole, _ = ratio(loop, bare, 5)
    print(f"training {name:<14} {found:5.3f}   {whole / updates:.3f} s an update of {recipe.batch_size}")


def metrics(size: int) -> None:
    """PSNR and SSIM of grey faces in both conventions, against bare calls of scikit-image one after the other."""
    from skimage.metrics import peak_signal_noise_ratio, structural_similarity

    preds, target = (pixels.grey(torch.rand(32, 3, size, size) * 2 - 1) for _ in range(2))
    pairs = list(zip(preds[:, 0].double().numpy(), target[:, 0].double().numpy(), strict=True))

    def reference() -> None:
        for peak in (2.0, 255.0):
            for x, y in pairs:
                peak_signal_noise_ratio(y, x, data_range=peak)
                structural_similarity(y, x, data_range=peak)

    found, whole, _ = ratio(lambda: list(pixel_scores(preds, target)), reference)
    print(f"scoring {size:>3} px         {found:5.3f}   {whole / 32 * 1000:.2f} ms a face")


def starting() -> None:
    """Seconds to the help text and to a list of methods, each in a fresh process."""
    for words in (("--help",), ("methods",)):
        call = [sys.executable, "-m", "nferbench", *words]
        times = [seconds(lambda call=call: subprocess.run(call, capture_output=True, check=True)) for _ in range(5)]  # type: ignore[misc]
        print(f"nferbench {words[0]:<12} {statistics.median(times):.2f} s")


def main() -> None:
    torch.set_num_threads(1)
    print(f"device {DEVICE}, 64 px, batches of {FACES}; ratios are harness / networks alone")
    changes = tuple(
        f"methods.{name}.steps={STEPS}" for name in ("ilvr", "sr3", "sdedit", "egsde", "t2v-ddpm", "nfer-sde")
    )
    changes += ("methods.ilvr.range_t=2", "methods.t2v-ddpm.skip=4")
    rows = resolve(Request(preset="small", methods=("all", "ablation"), changes=changes), load_plugins()).rows
    translators = {row.name: row.translator for row in rows if row.translator.networks()}
    spec = FaceSpec(64, 68)
    for name, translator in translators.items():
        if name != "cond+eh+ef":  # the same value as the method itself
            sampling(name, translator, spec)
    for name in ("pix2pix", "cyclegan", "hifacegan", "sr3", "cond"):
        training(name, translators[name], next(iter(translators[name].networks())), spec)
    for size in (64, 256):
        metrics(size)
    starting()


if __name__ == "__main__":
    main()
