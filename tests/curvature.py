"""How steep E_h of NFER-SDE is, and from which weight on it overshoots in a number of steps.

    python tests/curvature.py --preset quick

Near the source E_h = 1/2 |H(x) - H(c)|^2 (Eq. 6) is a bowl whose largest curvature is s^2, the square of the largest
singular value of the Jacobian of H: found by power iteration on drawn faces, at several noise levels. A step that moves
x by lambda beta grad E_h comes closer to the bottom only if lambda beta s^2 < 2, and does not pass it below 1.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.autograd.functional import jvp, vjp
from torch.nn.attention import SDPBackend, sdpa_kernel

from nferbench import FaceSpec
from nferbench.contract import pixels
from nferbench.contract.initial import load_initial
from nferbench.datasets.synthetic import nferbench_datasets
from nferbench.planning.plugins import load_plugins
from nferbench.planning.settings import Request, resolve
from nferbench.workspace.files import sha256
from nferbench_methods.diffusion.schedule import linear_schedule, perturb
from nferbench_methods.diffusion.start import levels_from
from nferbench_methods.nfer_sde import NFERSDE

TIMES = (20, 100, 200, 300, 400, 499)
STEPS = (5, 8, 10, 25, 50, 100, 250, 500)
ITERATIONS = 12


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--preset", default="quick")
    parser.add_argument("--set", dest="changes", action="append", default=[], help="as for nferbench run")
    parser.add_argument("--weights", type=Path, help="of H; what the preset starts from by default")
    parser.add_argument("--faces", type=int, default=12)
    parser.add_argument("--device", default="cpu", help="as torch names it, such as cuda")
    asked = parser.parse_args()
    torch.set_num_threads(1)
    settings = resolve(
        Request(preset=asked.preset, methods=("nfer-sde",), changes=tuple(asked.changes)), load_plugins()
    )
    method = settings.rows[0].translator
    if not isinstance(method, NFERSDE):
        raise SystemExit("nfer-sde is another method here")
    file = asked.weights or Path(method.heatmaps.init)
    network = method.heatmaps.build(FaceSpec(settings.size, 68))
    load_initial(str(file), sha256(file), network)
    device = torch.device(asked.device)
    network.eval().requires_grad_(False).to(device)
    faces = drawn(settings.size, asked.faces).to(device)
    schedule = linear_schedule()
    found = []
    for t in TIMES:
        torch.manual_seed(t)
        x = perturb(faces, torch.randn_like(faces), schedule.alpha_bar[t].item())
        each = curvature(network, x, torch.tensor([t], device=device))
        found.append(each.mean().item())
        print(f"t = {t:3}: s^2 {each.mean():7.2f} on average, {each.min():.2f} to {each.max():.2f}", flush=True)
    for steps in STEPS:
        levels = levels_from(method.start_step, steps, "cpu")
        steepest = max(level.beta * float(np.interp(level.t.item(), TIMES, found)) for level in levels)
        print(
            f"{steps:3} steps: lambda_h = 100 takes the steepest by {100 * steepest:7.2f}; "
            f"stable below {2 / steepest:8.2f}, never past the bottom below {1 / steepest:8.2f}"
        )


def drawn(size: int, count: int) -> Tensor:
    """The first VIS faces of synthetic-hfe."""
    data = next(each for each in nferbench_datasets() if each.name == "synthetic-hfe")
    faces = [face for face in data.listing(None).faces if face.modality == "vis"][:count]
    images = np.stack([data.load(face, None, size).pixels for face in faces])
    return pixels.to_float(torch.from_numpy(images))


def curvature(network: nn.Module, x: Tensor, t: Tensor) -> Tensor:
    """The largest eigenvalue of J^T J at each x, (B,), J being the Jacobian of the heat maps."""

    def maps(y: Tensor) -> Tensor:
        heat: Tensor = network(y, t)
        return heat

    direction, largest = torch.randn_like(x), torch.zeros(len(x), device=x.device)
    with sdpa_kernel(SDPBackend.MATH):  # the only attention here that can be differentiated twice
        for _ in range(ITERATIONS):
            direction = direction / direction.flatten(1).norm(dim=1)[:, None, None, None]
            _, along = jvp(maps, x, direction)
            _, back = vjp(maps, x, along)
            largest = (back * direction).flatten(1).sum(1)
            direction = back
    return largest


if __name__ == "__main__":
    main()
