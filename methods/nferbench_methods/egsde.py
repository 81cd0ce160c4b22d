"""EGSDE: SDEdit with an energy that takes the VIS look away and holds the low frequencies of the VIS face.

Zhao, Bao, Li, Zhu, "EGSDE: Unpaired Image-to-Image Translation via Energy-Guided Stochastic Differential Equations",
NeurIPS 2022, as in the authors' code. NFER-SDE modifies this framework. Pairs are not used.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import accumulate, pairwise
from operator import mul
from typing import TYPE_CHECKING, ClassVar, Literal, final

from nferbench import Group, NetworkRecipe, Translator, UsageError, hookimpl
from nferbench_methods.diffusion.domains import DomainRecipe
from nferbench_methods.diffusion.score import UNCONDITIONAL_SCORE, ScoreRecipe, Variance, check_variance
from nferbench_methods.diffusion.spacing import nearest
from nferbench_methods.diffusion.start import check_start_step, check_steps, levels_from

if TYPE_CHECKING:
    from torch import Tensor, nn

    from nferbench import ImageNoise
    from nferbench_methods.diffusion.sampling import Gradient, Level

Similarity = Literal["cosine", "neg-l2"]


@final
@dataclass(frozen=True)
class EGSDE(Translator):
    """Reverse SDE with score s(y, t) - grad(lambda_s S_s - lambda_i S_i), started from the noised source (Eqs. 6, 8).

    The source x_0 is the VIS face and y the sample; at index i both energies compare y with x_i, the source noised to
    that index. A larger S_s means that y looks more like a VIS face, a larger S_i that it keeps more of this one.
    """

    group: ClassVar[Group] = "diffusion"

    name: str = field(default="egsde", compare=False)
    title: str = field(default="EGSDE", compare=False)
    score: ScoreRecipe = UNCONDITIONAL_SCORE  # s; its variance channels are ignored, as in the authors' code
    domains: DomainRecipe = field(default_factory=DomainRecipe)  # E_s; not trained where lambda_s is 0
    # Deviation: NFER-SDE does not say with which settings it ran EGSDE. Those of every profile in the authors' code are
    # taken, from lambda_s to repeats; what the weights mean still changes with the side of faces and features.
    lambda_s: float = 500.0  # weight of S_s; 0 leaves it out
    lambda_i: float = 2.0  # weight of S_i; 0 leaves it out
    similarity_s: Similarity = "cosine"  # of domain-specific features: a mean over positions; neg-l2 is a sum
    similarity_i: Similarity = "neg-l2"  # of low frequencies: a sum over pixels; cosine is a mean
    cells: int = 8  # the low-pass filter keeps cells x cells values of a face: N = size / cells, 32 at 256 px
    kernel: Literal["linear", "bicubic", "box"] = "linear"  # of the low-pass filter
    start_step: int = 500  # M: the face is noised to index M - 1 of 1000; 0 returns it as it is
    repeats: int = 1  # K: passes, each from the result of the one before; energies always look at the source itself
    # Deviation: the code always takes all M steps. Fewer have betas that keep the noise levels, so that the guidance of
    # a whole pass stays what it was.
    steps: int | None = None  # reverse steps; None takes all M, fewer are spread evenly over the same noise levels
    variance: Variance = "fixed-small"  # of a step
    # Deviation: in the paper energies are expectations over x_i, estimated by a new draw at each step; the code goes on
    # with the draw that y started from, and what it ran is what was published.
    resample_source_noise: bool = False  # draw new noise for x_i at every step
    grey_source: bool = False  # take the luma of the VIS face for x_0; domains.grey_source must say the same

    def __post_init__(self) -> None:
        check_start_step(self.name, self.start_step)
        check_steps(self.name, self.steps, self.start_step)
        if self.repeats < 1:
            raise UsageError(f"{self.name}: repeats is {self.repeats}; allowed: 1 or more")
        if self.lambda_s < 0 or self.lambda_i < 0:
            raise UsageError(f"{self.name}: lambda_s is {self.lambda_s}, lambda_i {self.lambda_i}; allowed: 0 or more")
        if self.lambda_s and self.grey_source != self.domains.grey_source:
            raise UsageError(
                f"{self.name}: grey_source is {self.grey_source}, domains.grey_source {self.domains.grey_source}; "
                "set both alike"
            )
        # A step of beta multiplies the distance to low frequencies of the source by about 1 - 2 lambda_i beta.
        beta = _largest_beta(self.start_step, self.steps)
        if self.similarity_i == "neg-l2" and self.lambda_i * beta >= 1:
            raise UsageError(
                f"{self.name}: lambda_i is {self.lambda_i}, too much for a step of beta {beta:.3g}; "
                f"allowed: less than {1 / beta:.3g}, or more steps"
            )
        check_variance(self.name, self.variance, self.score)

    def networks(self) -> Mapping[str, NetworkRecipe]:
        return {"score": self.score, "domains": self.domains} if self.lambda_s else {"score": self.score}

    def translate(self, vis: Tensor, networks: Mapping[str, nn.Module], noise: ImageNoise) -> Tensor:
        from nferbench import luma
        from nferbench_methods.diffusion import sampling
        from nferbench_methods.diffusion.schedule import perturb

        x_0 = luma(vis) if self.grey_source else vis
        levels = levels_from(self.start_step, self.steps, vis.device)
        if not levels:
            return x_0
        score = sampling.network_score(networks["score"])
        deviation = sampling.DEVIATIONS[self.variance]
        y = x_0
        for _ in range(self.repeats):
            e = noise.normal(*vis.shape[1:])
            gradient = self._gradient(x_0, e, networks, noise) if self.lambda_s or self.lambda_i else None
            y = perturb(y, e, levels[-1].alpha_bar)
            y = sampling.reverse(
                y, levels, score, noise, mean=sampling.ancestral_mean, deviation=deviation, gradient=gradient
            )
        return y

    def _gradient(self, x_0: Tensor, e: Tensor, networks: Mapping[str, nn.Module], noise: ImageNoise) -> Gradient:
        """Gradients of E_s = lambda_s S_s and E_i = -lambda_i S_i (Eq. 8) at y, for the source `x_0` noised by `e`."""
        from nferbench_methods.diffusion.domain_energy import independent_gradient, specific_gradient
        from nferbench_methods.diffusion.filters import shrink_factor
        from nferbench_methods.diffusion.schedule import perturb

        n = shrink_factor(self.name, self.cells, x_0.shape[-1]) if self.lambda_i else 1  # nothing is filtered without

        def gradient(y: Tensor, level: Level) -> dict[str, Tensor]:
            x_i = perturb(x_0, noise.normal(*x_0.shape[1:]) if self.resample_source_noise else e, level.alpha_bar)
            terms = {}
            if self.lambda_s:
                of_s_s = specific_gradient(networks["domains"], y, x_i, level.t, self.similarity_s)
                terms["E_s"] = self.lambda_s * of_s_s
            if self.lambda_i:
                of_s_i = independent_gradient(y, x_i, n, self.kernel, self.similarity_i)
                terms["E_i"] = -self.lambda_i * of_s_i
            return terms

        return gradient


def _largest_beta(start_step: int, steps: int | None) -> float:
    """The largest beta of the reverse steps, worked out like `schedule` does but without torch; 0 where there are none.

    Args:
        start_step: M, 0 to 1000.
        steps: 2 to M, spread evenly; None takes all M.
    """
    alpha_bar = list(accumulate((1 - (1e-4 + (2e-2 - 1e-4) * i / 999) for i in range(start_step)), mul))
    if steps is not None and steps < start_step:
        alpha_bar = [alpha_bar[k] for k in nearest(start_step, steps)]
    return max((1 - after / before for before, after in pairwise([1.0, *alpha_bar])), default=0.0)


@hookimpl
def nferbench_translators() -> list[Translator]:
    return [EGSDE()]
