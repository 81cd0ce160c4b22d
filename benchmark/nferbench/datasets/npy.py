"""Arrays of numbers as .npy files hold them."""

from __future__ import annotations

import errno
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nferbench.contract.errors import DataError

if TYPE_CHECKING:
    from numpy.typing import NDArray


def mapped(path: Path) -> NDArray[Any]:
    """The array in an .npy file, of any shape and type, mapped and not yet read.

    Raises:
        DataError: the file holds something else, whatever it is called: text, a .npz archive, objects of Python, an
            array that is cut off; or it cannot be read.
        OSError: there is no memory to map it into, which says nothing of the file.
    """
    from numpy.lib.format import open_memmap

    try:
        return open_memmap(path, mode="r")  # numpy's load would open archives too
    except Exception as error:  # the header is a line of Python, and what is wrong with one is an error of any type
        # A MemoryError is what a deeply nested header gives.
        if isinstance(error, OSError) and error.errno == errno.ENOMEM:
            raise
        reason = " ".join(str(error).split()) or type(error).__name__
        raise DataError(f"{path}: not an .npy file ({reason}); is the copy complete?") from None
