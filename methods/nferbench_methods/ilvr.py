"""ILVR: draw a NIR face from noise, and after each step give it the low frequencies of the noised VIS face.

Choi, Kim, Jeong, Gwon, Yoon, "ILVR: Conditioning Method for Denoising Diffusion Probabilistic Models", ICCV 2021, as in
the authors' code on guided-diffusion. Nothing is trained on VIS faces.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar, Literal, final

from nferbench import LATER, Group, NetworkRecipe, Translator, UsageError, hookimpl
from nferbench_methods.diffusion.score import UNCONDITIONAL_SCORE, ScoreRecipe, Variance, check_variance
from nferbench_methods.diffusion.spacing import rounding_of

if TYPE_CHECKING:
    from torch import Tensor, nn

    from nferbench import ImageNoise
    from nferbench_methods.diffusion.sampling import Level


@final
@dataclass(frozen=True)
class ILVR(Translator):
    """Reverse steps of a NIR model, each followed by x <- x - phi_N(x) + phi_N(y_k) for the noised VIS face y_k."""

    group: ClassVar[Group] = "diffusion"

    name: str = field(default="ilvr", compare=False)
    title: str = field(default="ILVR", compare=False)
    score: ScoreRecipe = UNCONDITIONAL_SCORE
    # Deviation: NFER-SDE gives no settings for ILVR; these are the command of the authors' README (100 steps, N = 32 at
    # 256 px, the last 21 of the steps free).
    steps: int = 100  # n: reverse steps, spread evenly over the 1000 noise levels
    cells: int = 8  # phi_N keeps cells x cells values of a face: N = size / cells, 32 at 256 px
    range_t: int = 20  # steps k > range_t are refined, the last range_t + 1 are free; -1 refines all
    # Deviation: a step from level k ends at level k - 1, where the paper noises the reference too; the code leaves it
    # at level k. "code" is what others ran.
    reference_noise: Literal["code", "paper"] = "code"  # level of y_k: k (code) or k - 1 (paper)
    kernel: Literal["bicubic", "linear", "box"] = "bicubic"  # of the low-pass filter
    variance: Variance = "learned-range"  # of a step
    clamp_x0: bool = True  # clamp the predicted clean face to [-1, 1] in each step
    grey_reference: bool = False  # take the low frequencies from the luma of the VIS face
    # Follows from the other fields; keeps results of steps that were once rounded otherwise apart (see `rounding_of`).
    rounding: int = field(default=1, init=False, repr=False, metadata={LATER: True})

    def __post_init__(self) -> None:
        if not 2 <= self.steps <= 1000:
            raise UsageError(f"{self.name}: steps is {self.steps}; allowed: 2 to 1000")
        if self.range_t < -1:
            raise UsageError(f"{self.name}: range_t is {self.range_t}; allowed: 0 or more, or -1 to refine every step")
        check_variance(self.name, self.variance, self.score)
        object.__setattr__(self, "rounding", rounding_of(1000, self.steps, used=self.steps))

    def networks(self) -> Mapping[str, NetworkRecipe]:
        return {"score": self.score}

    def translate(self, vis: Tensor, networks: Mapping[str, nn.Module], noise: ImageNoise) -> Tensor:
        from nferbench import luma
        from nferbench_methods.diffusion import sampling
        from nferbench_methods.diffusion.filters import low_pass, shrink_factor
        from nferbench_methods.diffusion.schedule import linear_schedule, perturb, respace

        n = shrink_factor(self.name, self.cells, vis.shape[-1])
        y = luma(vis) if self.grey_reference else vis

        def refine(x: Tensor, level: Level) -> Tensor:
            if level.k <= self.range_t:
                return x
            reached = level.alpha_bar if self.reference_noise == "code" else level.alpha_bar_prev
            y_k = perturb(y, noise.normal(*y.shape[1:]), reached)
            return x - low_pass(x, n, self.kernel) + low_pass(y_k, n, self.kernel)

        return sampling.reverse(
            noise.normal(*vis.shape[1:]),
            sampling.levels(respace(linear_schedule(), self.steps), vis.device),
            sampling.network_score(networks["score"]),
            noise,
            mean=sampling.clamped_mean if self.clamp_x0 else sampling.ancestral_mean,
            deviation=sampling.DEVIATIONS[self.variance],
            after_step=refine,
        )


@hookimpl
def nferbench_translators() -> list[Translator]:
    return [ILVR()]
