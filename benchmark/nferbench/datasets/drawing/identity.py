"""A drawn person: proportions, pigments, hair and skin, all drawn from one random stream."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from nferbench.datasets.drawing.curves import Points
from nferbench.datasets.drawing.points import BROWS, EYES, MIRROR, MOUTH

HairStyle = Literal["cropped", "short", "parted", "fringe", "long", "tied"]


@dataclass(frozen=True, eq=False)
class Person:
    """What stays the same in every picture of one subject. Proportions are factors around 1, offsets around 0."""

    masculinity: float  # 0 to 1; moves jaw, brows, lips, hair and beard together
    age: float  # 0 young to 1 old: depth of lines at rest and under expression
    expressivity: float  # 0 to 1: how strongly this person shows an expression

    face_width: float
    jaw_width: float
    chin_length: float
    forehead: float  # -1 low to 1 high
    eye_size: float
    eye_opening: float
    eye_spacing: float
    eye_tilt: float  # slope; positive: outer corners up
    brow_height: float  # units above average
    brow_arch: float
    brow_tilt: float  # slope; positive: outer ends up, which reads as a frown
    brow_thickness: float
    brow_density: float  # 0 to 1
    nose_width: float
    nose_length: float
    nose_relief: float
    mouth_width: float
    mouth_height: float
    mouth_tilt: float  # slope; positive: corners up at rest
    upper_lip: float
    lower_lip: float
    cheek: float  # fullness around 1
    asymmetry: Points  # (68, 2) displacement that the two sides do not share

    skin_melanin: float  # 0 fair to 1 dark
    skin_redness: float  # 0 to 1
    freckles: float  # 0 to 1
    oiliness: float  # 0 to 1
    iris_melanin: float  # 0 blue to 1 dark brown
    hair_melanin: float  # 0 blond to 1 black
    hair_red: float  # 0 to 1
    hair_grey: float  # 0 to 1
    hair_style: HairStyle
    hair_volume: float  # 0 to 1
    hair_part: float  # x of the parting
    beard: float  # 0 to 1
    moustache: float  # 0 to 1
    stubble: float  # 0 to 1
    garment: tuple[float, float, float]  # linear RGB reflectance
    garment_nir: float  # reflectance in near-infrared, which the visible colour does not tell
    texture: int  # seed of the person's skin and hair grain


def draw_person(rng: np.random.Generator) -> Person:
    """One person from a random stream."""

    def around(mean: float, sd: float, limit: float = 2.2) -> float:
        return mean + sd * float(np.clip(rng.standard_normal(), -limit, limit))

    def share(a: float = 0.0, b: float = 1.0) -> float:
        return float(rng.uniform(a, b))

    masculinity = float(np.clip(rng.choice([0.22, 0.78]) + 0.14 * rng.standard_normal(), 0, 1))
    man = masculinity - 0.5
    age = share() ** 1.4
    melanin = float(rng.choice([0.12, 0.3, 0.5, 0.8], p=[0.35, 0.3, 0.2, 0.15])) + share(-0.1, 0.1)
    hair_melanin = float(np.clip(around(0.3 + 1.1 * melanin, 0.28), 0.05, 1.0))
    styles: tuple[HairStyle, ...] = ("cropped", "short", "parted", "fringe", "long", "tied")
    odds = np.array([0.32, 0.34, 0.24, 0.1, 0.0, 0.0]) if man > 0 else np.array([0.0, 0.06, 0.14, 0.2, 0.38, 0.22])
    bearded = man > 0 and share() < 0.42
    asymmetry = rng.standard_normal((68, 2)) * 0.0035
    for part, sd in ((BROWS, 0.009), (EYES, 0.004), (MOUTH, 0.006)):
        asymmetry[part, 1] += sd * rng.standard_normal() * np.where(MIRROR[part] > np.arange(68)[part], 1, -1)

    cloth = share(0.02, 0.55) ** 1.3
    return Person(
        masculinity=masculinity,
        age=age,
        expressivity=share(),
        face_width=around(1.0 + 0.02 * man, 0.045),
        jaw_width=around(1.0 + 0.1 * man, 0.055),
        chin_length=around(1.0 + 0.05 * man, 0.035),
        forehead=share(-1, 1),
        eye_size=around(1.0 - 0.06 * man, 0.05),
        eye_opening=around(1.0 - 0.12 * man, 0.15),
        eye_spacing=around(1.0, 0.05),
        eye_tilt=around(0.02, 0.06),
        brow_height=around(-0.02 * man, 0.025),
        brow_arch=around(0.95 - 0.3 * man, 0.22),
        brow_tilt=around(0.02, 0.085),
        brow_thickness=around(1.0 + 0.4 * man, 0.18),
        brow_density=share(0.7, 1.0),
        nose_width=around(1.0 + 0.1 * man + 0.12 * melanin, 0.09),
        nose_length=around(1.0 + 0.04 * man, 0.045),
        nose_relief=around(1.05 + 0.1 * man - 0.2 * melanin, 0.14),
        mouth_width=around(1.0, 0.075),
        mouth_height=around(0.0, 0.014),
        mouth_tilt=around(0.0, 0.09),
        upper_lip=around(1.0 - 0.3 * man + 0.4 * melanin, 0.2),
        lower_lip=around(1.0 - 0.2 * man + 0.3 * melanin, 0.17),
        cheek=around(1.0 - 0.2 * man, 0.25),
        asymmetry=asymmetry,
        skin_melanin=melanin,
        skin_redness=share(),
        freckles=share(0.3, 1.0) if melanin < 0.3 and share() < 0.35 else 0.0,
        oiliness=share(0.1, 1.0),
        iris_melanin=float(np.clip(around(1.7 * melanin + 0.15, 0.3), 0, 1)),
        hair_melanin=hair_melanin,
        hair_red=share(0.3, 1.0) if share() < 0.15 else share(0.0, 0.2),
        hair_grey=share(0.2, 0.9) if age > 0.7 and share() < 0.7 else 0.0,
        hair_style=styles[int(rng.choice(6, p=odds))],
        hair_volume=share(),
        hair_part=share(-0.28, 0.28),
        beard=share(0.55, 1.0) if bearded else 0.0,
        moustache=share(0.5, 1.0) if bearded and share() < 0.8 else 0.0,
        stubble=share(0.2, 0.9) if man > 0 else 0.0,
        garment=(cloth + share(-0.3, 0.3) * cloth, cloth, cloth + share(-0.45, 0.45) * cloth),
        garment_nir=share(0.12, 0.6),
        texture=int(rng.integers(2**31)),
    )
