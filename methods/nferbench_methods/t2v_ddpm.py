"""T2V-DDPM: a diffusion model of NIR faces that sees the VIS face, started from the noised VIS face.

Nair & Patel, "T2V-DDPM: Thermal to Visible Face Translation using Denoising Diffusion Probabilistic Models", FG 2023,
as in the authors' code, with VIS in the place of thermal and NIR in that of visible faces. Its network is the
conditional score network of NFER-SDE, whose paper refers to this one for the training.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar, Literal, final

from nferbench import LATER, Group, NetworkRecipe, Translator, UsageError, hookimpl
from nferbench_methods.diffusion.score import CONDITIONAL_SCORE, ScoreRecipe, Variance, check_variance
from nferbench_methods.diffusion.spacing import rounding_of

if TYPE_CHECKING:
    from torch import Tensor, nn

    from nferbench import ImageNoise


@final
@dataclass(frozen=True)
class T2VDDPM(Translator):
    """The last n - skip of n reverse steps with the score of [x, c], from the noised VIS face c."""

    # Deviation: the authors' test script also fills dark parts of the source from a training image of the other
    # modality. That is made for thermal faces, whose background is black; dark parts of a VIS face carry content.

    # Deviation: the test script cuts the faces that it writes off to 8 bits. All faces here are rounded where they are
    # stored, which leaves these half a level of 255 brighter on average.

    group: ClassVar[Group] = "diffusion"
    heterogeneous: ClassVar[bool] = True

    name: str = field(default="t2v-ddpm", compare=False)
    title: str = field(default="T2V-DDPM", compare=False)
    score: ScoreRecipe = CONDITIONAL_SCORE
    steps: int = 100  # n: reverse steps of the whole chain, spread evenly over the 1000 noise levels
    skip: int = 40  # steps left out at the noisy end, where the noised VIS face takes their place; 0 starts from noise
    # Deviation: the code noises the face to level n - skip and takes the first step from level n - skip - 1. Followed
    # here; "first-step" noises to the level of the first step.
    start_level: Literal["code", "first-step"] = "code"
    variance: Variance = "learned-range"  # of a step
    clamp_x0: bool = True  # clamp the predicted clean face to [-1, 1] in each step
    # Follows from the other fields; keeps results of steps that were once rounded otherwise apart (see `rounding_of`).
    rounding: int = field(default=1, init=False, repr=False, metadata={LATER: True})

    def __post_init__(self) -> None:
        if not 2 <= self.steps <= 1000:
            raise UsageError(f"{self.name}: steps is {self.steps}; allowed: 2 to 1000")
        if not 0 <= self.skip < self.steps:
            raise UsageError(f"{self.name}: skip is {self.skip}; allowed: 0 to {self.steps - 1}, fewer than all steps")
        if not self.score.conditional:
            raise UsageError(f"{self.name}: score.conditional is false; this method needs a score that sees the source")
        check_variance(self.name, self.variance, self.score)
        used = self.steps - self.skip + (self.start_level == "code")
        object.__setattr__(self, "rounding", rounding_of(1000, self.steps, used))

    def networks(self) -> Mapping[str, NetworkRecipe]:
        return {"score": self.score}

    def translate(self, vis: Tensor, networks: Mapping[str, nn.Module], noise: ImageNoise) -> Tensor:
        from nferbench_methods.diffusion import sampling
        from nferbench_methods.diffusion.schedule import linear_schedule, perturb, respace

        levels = sampling.levels(respace(linear_schedule(), self.steps), vis.device)
        taken = levels[: self.steps - self.skip]
        x = noise.normal(*vis.shape[1:])
        if self.skip:
            start = levels[len(taken)] if self.start_level == "code" else taken[-1]
            x = perturb(vis, x, start.alpha_bar)
        return sampling.reverse(
            x,
            taken,
            sampling.network_score(networks["score"], vis),
            noise,
            mean=sampling.clamped_mean if self.clamp_x0 else sampling.ancestral_mean,
            deviation=sampling.DEVIATIONS[self.variance],
        )


@hookimpl
def nferbench_translators() -> list[Translator]:
    return [T2VDDPM()]
