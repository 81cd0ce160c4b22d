"""The exact Gaussian model, against which samplers are tested without any training.

For faces distributed as N(mu, s^2) in every pixel the best noise predictor is known, and each step of a sampler is an
affine map of its state. An output is then an affine function of the noise that was drawn; its coefficients are read off
the sampler itself by feeding it one unit of noise at a time, so that means and variances are exact, not estimated.
"""

from __future__ import annotations

import torch

MU, SOURCE = 0.3, -0.6


class Gaussian(torch.nn.Module):
    """The exact noise predictor of N(mu, s^2 I) on the linear schedule, which keeps what it was given.

    Args:
        mu: a number, a tensor (3, H, W), or a function of the condition (B, 3, H, W), the last channels of its input.
        s: standard deviation.
        v: what it says of the variance, everywhere.
    """

    def __init__(self, mu, s, v=0.0):
        super().__init__()
        self.mu, self.s, self.v, self.seen = mu, s, v, []
        self.alpha_bar = (1 - torch.linspace(1e-4, 2e-2, 1000, dtype=torch.float64)).cumprod(0)

    def forward(self, x, t):
        self.seen.append((x, t.tolist()))
        mu = self.mu(x[:, 3:]) if callable(self.mu) else self.mu
        x, level = x[:, :3], self.alpha_bar[t].to(x.dtype).view(-1, 1, 1, 1)
        eps = (1 - level).sqrt() * (x - level.sqrt() * mu) / (level * self.s**2 + 1 - level)
        return eps, torch.full_like(eps, self.v)


class UnitNoise:
    """Draw number j is `pattern` for image j + 1 and 0 for all others, so that image 0 sees no noise at all."""

    def __init__(self, draws, pattern=None):
        self.images, self.draws = draws + 1, 0
        self.pattern = torch.ones(3, 1, 1, dtype=torch.float64) if pattern is None else pattern

    def __len__(self):
        return self.images

    def normal(self, *shape):
        z = torch.zeros(self.images, *shape, dtype=torch.float64)
        z[self.draws + 1] = self.pattern
        self.draws += 1
        return z


def moments(translate, draws, pattern=None, source=SOURCE):
    """Exact mean and variance of an output's coefficient along a pattern.

    Args:
        translate: (vis, noise) to the output; must draw noise `draws` times.
        draws: number of draws.
        pattern: (3, H, W), of unit length, that the sampler maps to multiples of itself; one pixel by default.
        source: coefficient of the source along the pattern.
    """
    pattern = torch.ones(3, 1, 1, dtype=torch.float64) if pattern is None else pattern
    noise = UnitNoise(draws, pattern)
    out = translate((source * pattern).expand(draws + 1, *pattern.shape), noise)
    assert noise.draws == draws
    along = (out * pattern).sum((1, 2, 3)) / pattern.square().sum()
    assert torch.allclose(out, along[:, None, None, None] * pattern, atol=1e-12)
    return along[0].item(), (along[1:] - along[0]).square().sum().item()
