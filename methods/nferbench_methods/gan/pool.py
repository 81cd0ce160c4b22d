"""A pool of earlier generated images, so that a discriminator does not forget what it once could tell.

The idea is that of Shrivastava et al., "Learning from Simulated and Unsupervised Images through Adversarial Training"
(CVPR 2017), Section 2.3; the rule of exchange is that of CycleGAN (Zhu et al., ICCV 2017) and its authors' code.
"""

from __future__ import annotations

from typing import Any, final

import torch
from torch import Generator, Tensor


@final
class ImagePool:
    """Hand out generated images, about every other one exchanged for an older one.

    Args:
        capacity: images that are kept; 0 keeps none and hands out what comes.
    """

    def __init__(self, capacity: int) -> None:
        self._capacity = capacity
        self._images: list[Tensor] = []  # (C, H, W) each, never written to: an exchange replaces the whole entry

    def __len__(self) -> int:
        return len(self._images)

    def exchange(self, images: Tensor, rng: Generator) -> Tensor:
        """Take new images in turn and answer each with itself or with a stored one, whose place it then takes.

        A pool that is not full keeps a copy and answers with the image itself; a full one exchanges with probability
        1/2, the place being drawn uniformly.

        Args:
            images: (B, C, H, W); gradients end here.
            rng: source of the decisions, drawn for every image whether or not they are needed.

        Returns:
            (B, C, H, W), without a graph.
        """
        images = images.detach()
        if not self._capacity:
            return images
        exchanged = (torch.rand(len(images), generator=rng, device=rng.device) < 0.5).tolist()
        places = torch.randint(self._capacity, (len(images),), generator=rng, device=rng.device).tolist()
        answers: list[Tensor] = []
        for image, old, place in zip(images, exchanged, places, strict=True):
            answer = image
            if len(self._images) < self._capacity:
                self._images.append(image.clone())
            elif old:
                answer, self._images[place] = self._images[place], image.clone()
            answers.append(answer)
        return torch.stack(answers)

    def state_dict(self) -> dict[str, Any]:
        """The stored images in their places."""
        return {"images": list(self._images)}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Hold what a `state_dict` held, and nothing else."""
        self._images = list(state["images"])
