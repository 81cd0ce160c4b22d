"""The 68 landmarks by number, in the order of the iBUG annotations."""

from __future__ import annotations

import numpy as np

JAW, BROWS, NOSE, EYES, MOUTH = slice(0, 17), slice(17, 27), slice(27, 36), slice(36, 48), slice(48, 68)
LEFT_BROW, RIGHT_BROW = slice(17, 22), slice(22, 27)  # left and right as seen in the image
LEFT_EYE, RIGHT_EYE = slice(36, 42), slice(42, 48)

# The landmark on the other side of each landmark; those on the midline are their own.
_JAW_BROWS_NOSE = [*range(16, -1, -1), *range(26, 16, -1), 27, 28, 29, 30, 35, 34, 33, 32, 31]
_EYES = [45, 44, 43, 42, 47, 46, 39, 38, 37, 36, 41, 40]
_MOUTH = [*range(54, 47, -1), *range(59, 54, -1), *range(64, 59, -1), 67, 66, 65]
MIRROR = np.array(_JAW_BROWS_NOSE + _EYES + _MOUTH)
