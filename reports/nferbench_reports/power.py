"""How many subjects would have been needed? A difference that is not seen says little where no one could have seen it.

The power of a paired t-test at the uncorrected level 0.05, two-sided: with n subjects whose differences have mean m and
standard deviation s, T has a noncentral t distribution with n - 1 degrees of freedom and noncentrality
sqrt(n) |m| / s. Needed is the smallest n with P(|T| > t(0.975; n - 1)) >= 0.8; T squared is noncentral F, which scipy
computes more safely. The test of this report flips signs; of differences that are near to normal it sees as much as a
t-test.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

POWER = 0.8
ALPHA = 0.05
_MANY = 1000  # from here on t is as good as normal
_FEWEST = 2


def subjects_needed(sizes: NDArray[np.float64]) -> NDArray[np.float64]:
    """How many subjects see differences of these sizes.

    Args:
        sizes: (...), mean difference over its standard deviation over subjects; the sign does not matter.

    Returns:
        (...), whole numbers from 2; NaN for a size that is 0, NaN or infinite.
    """
    from scipy.special import ncfdtr, ndtri, stdtrit

    sizes = np.abs(np.asarray(sizes, dtype=float))
    with np.errstate(divide="ignore", invalid="ignore"):
        normal = ((ndtri(1 - ALPHA / 2) + ndtri(POWER)) / sizes) ** 2
    needed = np.where(np.isfinite(normal) & (normal > 0), np.ceil(normal + ndtri(1 - ALPHA / 2) ** 2 / 2), np.nan)
    few = needed < _MANY
    # With few subjects t wants up to four more than normal; the first that is enough is the one.
    tried = np.maximum(_FEWEST, np.floor(normal[few])[:, None] + np.arange(8))
    limit, shift = stdtrit(tried - 1, 1 - ALPHA / 2), np.sqrt(tried) * sizes[few][:, None]
    enough = 1 - ncfdtr(1, tried - 1, shift**2, limit**2) >= POWER
    enough[:, -1] = True
    needed[few] = tried[np.arange(len(tried)), enough.argmax(axis=1)]
    return needed
