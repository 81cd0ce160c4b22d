"""Taking images that others translated in the place of a translation."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nferbench.contract.errors import DataError
from nferbench.datasets.given import eight_bits, grey, read_given
from nferbench.engine.artifacts import prepared_faces, write_faces
from nferbench.engine.context import Context
from nferbench.faces.geometry import Square, cut
from nferbench.planning.given import content_of
from nferbench.workspace.files import sha256
from nferbench.workspace.stages import GivenImages, readable


def take_images(stage: GivenImages, context: Context) -> dict[str, Any]:
    """Read the images of a stage and write images.npy and faces.csv, as a translation has them.

    Raises:
        DataError: a file is gone, cannot be read, or is not the one that the key of the stage stands for.
    """
    by_id = {face.id: face for face in prepared_faces(stage.source, context).faces}
    size = stage.source.size
    images = np.empty((len(stage.files), size, size, 3), np.uint8)
    for done, (_, file) in enumerate(stage.files):
        context.progress(done, len(images))
        images[done] = face_of(Path(file), size)
    try:
        content = content_of([(face, sha256(Path(file))) for face, file in stage.files])
    except OSError as error:
        raise DataError(f"{error.filename} cannot be read ({error.strerror})") from None
    if content != stage.content:
        raise DataError(f"{readable(stage)}: images changed while they were read; start the same command again")
    folder = context.store.partial(stage)
    np.save(folder / "images.npy", images)
    write_faces(folder / "faces.csv", [by_id[face] for face, _ in stage.files])
    return {"images": len(images), "units": len(images)}


def face_of(path: Path, size: int) -> NDArray[np.uint8]:
    """An image as the output of a translator is stored: averaged to grey, in 8 bits, (size, size, 3).

    A square of another side is scaled as crops are: bicubic, antialiased.
    """
    image = eight_bits(grey(read_given(path)))
    return image if image.shape == (size, size, 3) else cut(image, Square(0, 0, image.shape[0]), size)
