"""SR3: a diffusion model of NIR faces that sees the VIS face and is told the noise level, sampled from pure noise.

Saharia, Ho, Chan, Salimans, Fleet, Norouzi, "Image Super-Resolution via Iterative Refinement", TPAMI 2022, with the VIS
face in the place of the enlarged image. The authors published no code; where the paper is silent, the usual open
implementation (Janspiry, "Image-Super-Resolution-via-Iterative-Refinement") is followed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar, Literal, final

from nferbench import Group, NetworkRecipe, Translator, hookimpl
from nferbench_methods.diffusion.sr3_score import SR3_STEPS, SR3Recipe, gamma_schedule, told
from nferbench_methods.diffusion.start import check_steps

if TYPE_CHECKING:
    from torch import Tensor, nn

    from nferbench import ImageNoise
    from nferbench_methods.diffusion.sampling import Level


@final
@dataclass(frozen=True)
class SR3(Translator):
    """Ancestral sampling from pure noise with f([c, y_t], sqrt(gamma_t)) (Algorithm 2 of the paper)."""

    group: ClassVar[Group] = "diffusion"

    name: str = field(default="sr3", compare=False)
    title: str = field(default="SR3", compare=False)
    score: SR3Recipe = field(default_factory=SR3Recipe)
    # Deviation: the paper searches a schedule of at most 100 steps by FID on held-out images. Here fewer steps are
    # spread evenly over the levels of the training, so that all start at the same noise; nothing is selected.
    steps: int | None = None  # reverse steps; None takes all 2000
    # Deviation: fixed-large in the paper, fixed-small in the code, whose author found both alike.
    variance: Literal["fixed-small", "fixed-large"] = "fixed-small"  # of a step
    # Deviation: the paper's Algorithm 2 has no clamp, the code has one.
    clamp_x0: bool = True  # clamp the predicted clean face to [-1, 1] in each step

    def __post_init__(self) -> None:
        check_steps(self.name, self.steps, SR3_STEPS)

    def networks(self) -> Mapping[str, NetworkRecipe]:
        return {"score": self.score}

    def translate(self, vis: Tensor, networks: Mapping[str, nn.Module], noise: ImageNoise) -> Tensor:
        import torch

        from nferbench_methods.diffusion import sampling
        from nferbench_methods.diffusion.schedule import spread

        schedule = spread(gamma_schedule(), self.steps or SR3_STEPS)
        # On the device before the loop starts, so that no step waits for a transfer.
        noise_levels = torch.split(told(schedule.alpha_bar, self.score.noise_level).to(vis.device, vis.dtype), 1)

        def score(x: Tensor, level: Level) -> tuple[Tensor, None]:
            return networks["score"](torch.cat([vis, x], dim=1), noise_levels[level.k]), None

        return sampling.reverse(
            noise.normal(*vis.shape[1:]),
            sampling.levels(schedule, vis.device),
            score,
            noise,
            mean=sampling.clamped_mean if self.clamp_x0 else sampling.ancestral_mean,
            deviation=sampling.DEVIATIONS[self.variance],
        )


@hookimpl
def nferbench_translators() -> list[Translator]:
    return [SR3()]
