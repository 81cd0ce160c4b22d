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
        self._images: Tensor | None = None  # (capacity, C, H, W), made when the first image comes
        self._stored = 0  # places of it that are taken

    def __len__(self) -> int:
        return self._stored

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
        # Decisions stay on the device: reading them would make the host wait for it, four times an update.
        draws = torch.rand(len(images), generator=rng, device=rng.device)
        exchanged = (draws < 0.5).to(images.device)
        places = torch.randint(self._capacity, (len(images),), generator=rng, device=rng.device).to(images.device)
        if self._images is None:
            self._images = images.new_empty((self._capacity, *images.shape[1:]))
        answers: list[Tensor] = []
        for i, image in enumerate(images):
            if self._stored < self._capacity:
                self._images[self._stored] = image
                self._stored += 1
                answers.append(image)
            else:
                place = places[i : i + 1]
                old = self._images.index_select(0, place)[0]
                answers.append(torch.where(exchanged[i], old, image))
                self._images.index_copy_(0, place, torch.where(exchanged[i], image, old)[None])
        return torch.stack(answers)

    def state_dict(self) -> dict[str, Any]:
        """Copies of the stored images, (C, H, W) each, in their places."""
        return {"images": [] if self._images is None else [image.clone() for image in self._images[: self._stored]]}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Hold what a `state_dict` held, and nothing else.

        Raises:
            ValueError: it held more images than this pool can.
        """
        images: list[Tensor] = state["images"]
        if len(images) > self._capacity:
            raise ValueError(f"{len(images)} images for a pool of {self._capacity}")
        self._images, self._stored = None, len(images)
        if images:
            self._images = images[0].new_empty((self._capacity, *images[0].shape))
            self._images[: len(images)] = torch.stack(images)
