"""Lines of the skin: those that age leaves, and those that each action unit folds for as long as it lasts."""

from __future__ import annotations

from dataclasses import dataclass

from nferbench.datasets.drawing.curves import Points, smooth_curve
from nferbench.datasets.drawing.expression import Performance
from nferbench.datasets.drawing.identity import Person


@dataclass(frozen=True, eq=False)
class Crease:
    """One fold: a line in face coordinates, the standard deviation of its profile, and its depth, both in units."""

    line: Points
    width: float
    depth: float


def creases(p: Points, person: Person, performance: Performance) -> list[Crease]:
    """The folds of a face with landmarks `p` (68, 2) under expression; those too shallow to see are left out."""
    old = person.age
    ready = 0.65 + 0.5 * old  # old skin folds more readily
    found: list[Crease] = []

    def fold(points: list[tuple[float, float]], width: float, depth: float) -> None:
        if depth > 0.0012:
            found.append(Crease(smooth_curve(points, per_segment=4), width, depth))

    def au(unit: int, side: int) -> float:
        return performance.units.get(unit, (0.0, 0.0))[side]

    for side, out, brow, eye, ala, corner in ((0, -1.0, 21, 36, 31, 48), (1, 1.0, 22, 45, 35, 54)):
        bx, by = p[brow].tolist()
        ex, ey = p[eye].tolist()
        ax, ay = p[ala].tolist()
        mx, my = p[corner].tolist()

        raised = 0.017 * ready * (0.7 * au(1, side) + 0.6 * au(2, side)) + 0.004 * max(0.0, old - 0.5)
        for i, level in enumerate((0.1, 0.175, 0.25)):  # forehead lines: inner part by unit 1, outer part by unit 2
            y, reach = by - level, 0.16 + 0.2 * min(1.0, au(2, side) + old * 0.5)
            bow = 0.012 * (i + 1) - 0.03 * au(1, side) * (1 - au(2, side))
            fold(
                [(-out * 0.09, y), (out * reach * 0.5, y - 0.006), (out * reach, y + bow)],
                0.011,
                raised * (1 - 0.15 * i),
            )

        frown = 0.026 * ready * (au(4, side) + 0.5 * au(9, side)) + 0.005 * max(0.0, old - 0.4)
        fold([(bx * 0.42, by - 0.055), (bx * 0.46, by + 0.005), (bx * 0.36, by + 0.07)], 0.012, frown)

        smile = 0.016 * ready * au(6, side) + 0.007 * max(0.0, old - 0.45)
        for rise, length in ((-0.05, 0.1), (0.0, 0.115), (0.05, 0.095)):  # crow's feet
            start = (ex + out * 0.035, ey + 0.35 * rise)
            middle = (ex + out * (0.035 + length * 0.5), ey + 0.75 * rise)
            fold([start, middle, (ex + out * (0.035 + length), ey + 1.5 * rise)], 0.008, smile)

        pouch = 0.011 * ready * (au(6, side) + 0.6 * au(7, side) + 0.4 * au(9, side)) + 0.007 * old
        inner = p[39 if side == 0 else 42]
        lower = p[41 if side == 0 else 46]
        drop = float(lower[1]) + 0.05
        fold([(float(inner[0]) + out * 0.02, drop - 0.015), (float(lower[0]), drop), (ex, drop - 0.035)], 0.011, pouch)

        cheek = 0.03 * (0.75 * au(12, side) + 0.75 * au(9, side) + 0.25 * au(6, side) + 0.2 * au(20, side))
        cheek = cheek * ready + 0.004 + 0.012 * old
        nasolabial = [
            (ax + out * 0.03, ay - 0.03),
            (ax + out * 0.085, ay + 0.06),
            (0.5 * (ax + mx) + out * 0.115, 0.5 * (ay + my)),
        ]
        fold([*nasolabial, (mx + out * 0.06, my + 0.01)], 0.02, cheek)

        wrinkled = 0.014 * ready * au(9, side)
        for lift, length in ((-0.29, 0.06), (-0.24, 0.075), (-0.19, 0.085)):  # across the side of the nose
            y = ay + lift
            fold(
                [(out * 0.02, y), (out * (0.02 + length * 0.6), y + 0.012), (out * (0.02 + length), y + 0.04)],
                0.01,
                wrinkled,
            )

        sulk = 0.02 * ready * (au(15, side) + 0.3 * au(16, side)) + 0.008 * max(0.0, old - 0.3)
        fold([(mx + out * 0.012, my + 0.012), (mx + out * 0.035, my + 0.06), (mx + out * 0.03, my + 0.12)], 0.013, sulk)

        stretch = 0.014 * ready * (au(20, side) + 0.5 * au(12, side))
        fold(
            [(mx + out * 0.03, my - 0.04), (mx + out * 0.05, my + 0.01), (mx + out * 0.035, my + 0.06)], 0.013, stretch
        )

    nose_root = 0.02 * ready * (performance.mean(9) + 0.25 * performance.mean(4))
    x, y = p[27].tolist()
    fold([(x - 0.06, y + 0.005), (x, y - 0.012), (x + 0.06, y + 0.005)], 0.01, nose_root)
    x, y = p[57].tolist()
    chin = 0.012 + 0.014 * (performance.mean(15) + performance.mean(23)) - 0.01 * performance.mean(26)
    fold([(x - 0.12, y + 0.045), (x, y + 0.06), (x + 0.12, y + 0.045)], 0.028, chin)
    return found
