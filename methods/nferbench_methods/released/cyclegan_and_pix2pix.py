"""Generators of junyanz/pytorch-CycleGAN-and-pix2pix: its `*_net_G.pth`, `*_net_G_A.pth` and `*_net_G_B.pth`.

The classes there are `UnetGenerator` with batch norm and `ResnetGenerator` with instance norm without dropout, the
defaults of pix2pix and of CycleGAN.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from torch import Tensor

from nferbench_methods.gan.networks import UNetGenerator
from nferbench_methods.gan.resnet_generator import ResnetGenerator
from nferbench_methods.released.renaming import renamed

# Instance norms kept running averages in their first versions; their own loader drops them too.
_AVERAGES = r"model\.\d+(\.conv_block\.\d+)?\.(running_mean|running_var|num_batches_tracked)"


def unet_generator(state: Mapping[str, Tensor], network: UNetGenerator) -> dict[str, Tensor]:
    """The tensors of a U-Net, whose levels lie inside each other there and beside each other here.

    Raises:
        UsageError: they are not those of `network`.
    """
    levels = len(network.encoder)

    def theirs(ours: str) -> str:
        side, number, layer, kind = ours.split(".")
        level, place = int(number) + 1, int(layer)
        within = "model.model" + ".1.model" * (level > 1) + ".3.model" * (level - 2)
        if side == "decoder":  # after the way down, and what lies inside
            place += 2 if level == 1 else 2 if level == levels else 4
        return f"{within}.{place}.{kind}"

    return renamed(state, network, theirs)


def resnet_generator(state: Mapping[str, Tensor], network: ResnetGenerator) -> dict[str, Tensor]:
    """The tensors of a residual generator.

    Raises:
        UsageError: they are not those of `network`.
    """

    def theirs(ours: str) -> str:
        return re.sub(r"(?<=\d)\.layers\.", ".conv_block.", ours.replace("layers.", "model.", 1))

    return renamed(state, network, theirs, unused=_AVERAGES)
