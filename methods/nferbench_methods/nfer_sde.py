"""NFER-SDE: a conditional score model of NIR faces, guided by landmarks and high frequencies of the VIS face.

Luo, Wang, Wang, Zhu, Zhao, Gao, "Multi-Energy Guided Image Translation with Stochastic Differential Equations for
Near-Infrared Facial Expression Recognition", AAAI 2024. Its authors published no code; this follows the equations. The
rows of its Table 3 are values of this one method: an unconditional score without energies is "Baseline", a conditional
one without is "Cond", and lambda_h = 0 or lambda_f = 0 leaves out one energy.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar, Literal, final

from nferbench import Group, NetworkRecipe, Translator, UsageError, hookimpl
from nferbench_methods.diffusion.heatmaps import HeatmapRecipe
from nferbench_methods.diffusion.score import CONDITIONAL_SCORE, ScoreRecipe, Variance, check_variance
from nferbench_methods.diffusion.start import check_start_step, check_steps, levels_from

if TYPE_CHECKING:
    from torch import Tensor, nn

    from nferbench import ImageNoise
    from nferbench_methods.diffusion.sampling import Deviation, Gradient, Level, Mean

Start = Literal["perturbed-source", "noise"]
Discretisation = Literal["ancestral", "euler-maruyama"]
Kernel = Literal["linear", "bicubic", "box"]
Reduction = Literal["sum", "mean"]

LAMBDA_H, LAMBDA_F = 100.0, 0.5  # as published


@final
@dataclass(frozen=True)
class NFERSDE(Translator):
    """Reverse SDE with score s([x_t, c], t) - grad(lambda_h E_h + lambda_f E_f) (Eqs. 5, 8 and 9)."""

    group: ClassVar[Group] = "diffusion"

    name: str = field(default="nfer-sde", compare=False)
    title: str = field(default="NFER-SDE", compare=False)
    score: ScoreRecipe = CONDITIONAL_SCORE  # unconditional in the row Baseline
    heatmaps: HeatmapRecipe = field(default_factory=HeatmapRecipe)  # H; not trained where lambda_h is 0
    lambda_h: float = LAMBDA_H  # weight of E_h, the distance of landmark heat maps; 0 leaves it out
    lambda_f: float = LAMBDA_F  # weight of E_f, the distance of high frequencies; 0 leaves it out
    # Deviation: the paper does not say where the reverse process starts. It builds on EGSDE, which starts from the
    # source noised half-way, and its unconditional Baseline keeps the expression, which it could not from pure noise.
    start: Start = "perturbed-source"  # the state that the reverse process starts from
    start_step: int = 500  # M: a perturbed source starts at index M - 1 of 1000; 0 returns the source; unused for noise
    # Deviation: silent. All steps, as EGSDE's code; fewer are spread evenly, with betas that keep the noise levels.
    steps: int | None = None  # reverse steps; None takes all of them
    # Deviation: the paper writes the Euler-Maruyama step (Eq. 3); the code that it builds on runs ancestral steps.
    discretisation: Discretisation = "ancestral"
    # Deviation: silent; EGSDE's choice.
    variance: Variance = "fixed-small"  # of an ancestral step; Euler-Maruyama always has that of the SDE, beta
    # Deviation: with the clamp, guidance acts on the score before it; EGSDE's code, which has no clamp, moves the mean.
    clamp_x0: bool = False  # clamp the predicted clean face to [-1, 1] in each ancestral step
    # Deviation: Phi is "a high-pass filter" in the paper. It is what EGSDE's low-pass filter takes away.
    cells: int = 8  # the low-pass filter keeps cells x cells values of a face: N = size / cells, 32 at 256 px
    kernel: Kernel = "linear"  # of the low-pass filter
    # Deviation: silent. Eqs. 6 and 7 are norms, hence sums; with means the weights of both energies nearly vanish.
    reduction: Reduction = "sum"  # of squared distances over maps, channels and pixels, for each face
    # Deviation: silent; as in EGSDE's code one draw of noise perturbs the source at all levels.
    resample_source_noise: bool = False  # draw new noise for the perturbed source c_t at every step

    @property
    def stamps(self) -> tuple[str, ...]:
        published = self.lambda_h in (0, LAMBDA_H) and self.lambda_f in (0, LAMBDA_F)
        return () if published else ("its energies have other weights than published",)

    def __post_init__(self) -> None:
        check_start_step(self.name, self.start_step)
        check_steps(self.name, self.steps, self._steps_left)
        check_variance(self.name, self.variance, self.score)
        if self.lambda_h < 0 or self.lambda_f < 0:
            raise UsageError(f"{self.name}: lambda_h is {self.lambda_h}, lambda_f {self.lambda_f}; allowed: 0 or more")

    @property
    def _steps_left(self) -> int:
        """Reverse steps from the start to a clean face: M for a perturbed source, all 1000 for noise."""
        return 1000 if self.start == "noise" else self.start_step

    def networks(self) -> Mapping[str, NetworkRecipe]:
        return {"score": self.score, "heatmaps": self.heatmaps} if self.lambda_h else {"score": self.score}

    def translate(self, vis: Tensor, networks: Mapping[str, nn.Module], noise: ImageNoise) -> Tensor:
        from nferbench_methods.diffusion import sampling
        from nferbench_methods.diffusion.schedule import perturb

        levels = levels_from(self._steps_left, self.steps, vis.device)
        if not levels:
            return vis

        e = noise.normal(*vis.shape[1:])
        x = perturb(vis, e, levels[-1].alpha_bar) if self.start == "perturbed-source" else e
        score = sampling.network_score(networks["score"], vis if self.score.conditional else None)
        gradient = self._gradient(vis, e, networks, noise) if self.lambda_h or self.lambda_f else None
        mean, deviation = _step(self.discretisation, self.clamp_x0, self.variance)
        return sampling.reverse(x, levels, score, noise, mean=mean, deviation=deviation, gradient=gradient)

    def _gradient(self, vis: Tensor, e: Tensor, networks: Mapping[str, nn.Module], noise: ImageNoise) -> Gradient:
        """Gradients of lambda_h E_h and lambda_f E_f (Eq. 8) at x, for the source c = `vis` perturbed by `e`."""
        from nferbench_methods.diffusion.energy import frequency_gradient, heatmap_gradient
        from nferbench_methods.diffusion.filters import shrink_factor
        from nferbench_methods.diffusion.schedule import perturb

        n = shrink_factor(self.name, self.cells, vis.shape[-1]) if self.lambda_f else 1  # nothing is filtered without

        def gradient(x: Tensor, level: Level) -> dict[str, Tensor]:
            drawn = noise.normal(*vis.shape[1:]) if self.resample_source_noise else e
            c_t = perturb(vis, drawn, level.alpha_bar)
            terms = {}
            if self.lambda_h:
                of_e_h = heatmap_gradient(networks["heatmaps"], x, c_t, level.t, self.reduction)
                terms["E_h"] = self.lambda_h * of_e_h
            if self.lambda_f:
                of_e_f = frequency_gradient(x, c_t, n, self.kernel, self.reduction)
                terms["E_f"] = self.lambda_f * of_e_f
            return terms

        return gradient


def _step(discretisation: Discretisation, clamp_x0: bool, variance: Variance) -> tuple[Mean, Deviation]:
    from nferbench_methods.diffusion import sampling

    if discretisation == "euler-maruyama":
        return sampling.euler_maruyama_mean, sampling.fixed_large
    return sampling.clamped_mean if clamp_x0 else sampling.ancestral_mean, sampling.DEVIATIONS[variance]


@hookimpl
def nferbench_translators() -> list[Translator]:
    return [NFERSDE()]
