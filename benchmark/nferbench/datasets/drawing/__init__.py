"""Drawn faces: a person, an expression and a light become a picture with exact landmarks."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from nferbench.contract.dataset import Modality
from nferbench.datasets.drawing.camera import frame, project, second_camera
from nferbench.datasets.drawing.expression import displaced, perform
from nferbench.datasets.drawing.identity import draw_person
from nferbench.datasets.drawing.light import draw_ambient, draw_lamp, infrared, visible
from nferbench.datasets.drawing.relief import Head
from nferbench.datasets.drawing.sensor import develop, grid_side
from nferbench.datasets.drawing.shape import at_rest, head_outline
from nferbench.datasets.drawing.surface import build_surface
from nferbench.datasets.drawing.wrinkles import creases

__all__ = ["draw"]


def draw(
    subject: str, expression: str, moment: str, modality: Modality, size: int
) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
    """Picture (size, size, 3) and landmarks (68, 2) in its pixels, from names alone.

    Args:
        subject: the person; equal names are the same person.
        expression: one of the six.
        moment: this take; both modalities of one moment see the same face, from cameras side by side.
        modality: "vis" or "nir"; the latter gives three equal channels.
        size: side of the picture in pixels. What is drawn does not depend on it.
    """
    person = draw_person(_stream(subject))
    performance = perform(expression, person, _stream(moment, "performance"))
    rest = at_rest(person)
    p = displaced(rest, performance)
    eyes = float(rest[36:42, 1].mean()), float(rest[42:48, 1].mean())
    head = Head(person, performance, p, head_outline(p, person), tuple(creases(p, person, performance)), eyes)

    camera = frame(p, _stream(moment, "pose"))
    scene, light = _stream(moment, "scene"), _stream(moment, modality, "light")
    if modality == "vis":
        surface = build_surface(head, camera, grid_side(size), modality)
        image, noise_level = visible(surface, draw_ambient(light), camera, scene), 0.012
    else:
        camera = second_camera(camera, _stream(moment, "second camera"))
        surface = build_surface(head, camera, grid_side(size), modality)
        image, noise_level = infrared(surface, draw_lamp(light), camera, scene), 0.016
    return develop(image, size, noise_level, _stream(moment, modality, "sensor")), project(camera, p, size)


def _stream(*names: str) -> np.random.Generator:
    """A random stream that depends on the names alone: the same in every process."""
    return np.random.default_rng([*"/".join(names).encode()])
