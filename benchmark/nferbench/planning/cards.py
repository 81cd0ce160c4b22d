"""Graphics cards by name: how much they hold and how fast they multiply, as their maker says."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

from nferbench.contract.errors import UsageError
from nferbench.contract.printable import one_line

SHARE = 0.4  # of a card's peak that hours are computed at
LEAST_LEFT = 1.5e9  # bytes for CUDA's context, workspaces of kernels and fragments
SHARE_LEFT = 1 / 12  # of the memory, for the same where it is more
MOST = 1e6  # gigabytes, and TFLOP/s; more is a slip
SLOWEST = 1e-3  # TFLOP/s


@final
@dataclass(frozen=True)
class Card:
    """One kind of graphics card."""

    name: str  # as typed on the command line, or GB:TFLOPS
    memory: float  # bytes
    bf16: float  # operations a second at most, dense matrices of bfloat16 added up in float32
    devices: tuple[str, ...] = ()  # what torch calls it

    @property
    def tf32(self) -> float:
        """Operations a second at most in float32, whose products tensor cores take as TF32: half of bfloat16's."""
        return self.bf16 / 2

    @property
    def room(self) -> int:
        """Bytes that tensors may take."""
        return int(self.memory - max(LEAST_LEFT, SHARE_LEFT * self.memory))


KNOWN = (
    Card("rtx-3090", 24e9, 71e12, ("NVIDIA GeForce RTX 3090",)),
    Card("rtx-4090", 24e9, 165e12, ("NVIDIA GeForce RTX 4090",)),
    Card("a100-40", 40e9, 312e12, ("NVIDIA A100-SXM4-40GB", "NVIDIA A100-PCIE-40GB")),
    Card("a100-80", 80e9, 312e12, ("NVIDIA A100-SXM4-80GB", "NVIDIA A100 80GB PCIe")),
    Card("h100", 80e9, 989e12, ("NVIDIA H100 80GB HBM3",)),
    Card("h200", 141e9, 989e12, ("NVIDIA H200",)),
)


def card(text: str) -> Card:
    """The card that a text names, or "GB:TFLOPS": its memory and its dense bfloat16 peak.

    Raises:
        UsageError: neither.
    """
    for each in KNOWN:
        if each.name == text.strip().lower():
            return each
    before, _, after = text.partition(":")
    try:
        memory, speed = float(before), float(after)
    except ValueError:
        memory = speed = 0.0
    if LEAST_LEFT / 1e9 < memory <= MOST and SLOWEST <= speed <= MOST:  # false of what is no number
        return Card(f"{memory:g}:{speed:g}", memory * 1e9, speed * 1e12)
    raise UsageError(
        f"--on {one_line(text)}: no card; allowed: {', '.join(each.name for each in KNOWN)}, or GB:TFLOPS, such as "
        f"24:165, with more than {LEAST_LEFT / 1e9:g} GB, at least {SLOWEST:g} TFLOPS, and at most {MOST:.0f} of either"
    )
