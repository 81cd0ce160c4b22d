"""The generator of Lotayou/Face-Renovation, from the `*_net_G.pth` of a training with `--netG hifacegan`.

The class there is `HiFaceGANGenerator`. The weights that its authors put on line are of another class and do not fit.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from torch import Tensor

from nferbench_methods.gan.replenishment import HiFaceGenerator
from nferbench_methods.released.renaming import renamed

_BLOCK = {"head": "head_0", "middle": "G_middle_{}", "up": "ups.{}"}
_INNER = {
    r"^spade_(.)\.hidden\.": r"norm_\1.mlp_shared.",
    r"^spade_(.)\.(gamma|beta)\.": r"norm_\1.mlp_\2.",
    r"^stem\.": "encoder.head.",
    r"^stages\.(\d+)\.0\.importance\.": r"encoder.encoder_\1.0.logit.",
    r"^stages\.(\d+)\.": r"encoder.encoder_\1.",
}


def hiface_generator(state: Mapping[str, Tensor], network: HiFaceGenerator) -> dict[str, Tensor]:
    """The tensors of the generator, spectral norms with their vectors.

    Running averages of its norms are not used, for each face is normalised by itself; nor are output convolutions for
    smaller images, which that training never reaches.

    Raises:
        UsageError: they are not those of `network`.
    """
    last = len(network.up) - 1

    def theirs(ours: str) -> str:
        part, rest = ours.split(".", 1)
        if part == "seed":
            return f"fc.{rest}"
        if part == "output":
            return f"to_rgbs.{last}.{rest}"
        number = ""
        if part in ("middle", "up"):
            number, rest = rest.split(".", 1)
        for pattern, instead in _INNER.items():
            rest, found = re.subn(pattern, instead, rest)
            if found:
                break
        return f"{_BLOCK[part].format(number)}.{rest}" if part in _BLOCK else rest

    averages = r".*\.param_free_norm\.(running_mean|running_var|num_batches_tracked)"
    smaller = "|".join(str(i) for i in range(last)) or "(?!)"
    return renamed(state, network, theirs, unused=rf"{averages}|to_rgbs\.({smaller})\.(weight|bias)")
