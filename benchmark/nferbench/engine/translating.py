"""Translating faces with fitted networks."""

from __future__ import annotations

import hashlib
import os
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from nferbench.contract import pixels
from nferbench.contract.errors import DataError, DivergedError, PluginError
from nferbench.contract.exhausted import out_of_memory
from nferbench.contract.noise import ImageNoise, derive_seed
from nferbench.contract.pushes import Push, hear_pushes
from nferbench.contract.translator import FaceSpec, NetworkRecipe, Translator
from nferbench.engine import pushing
from nferbench.engine.artifacts import (
    entry_of,
    prepared_faces,
    write_faces,
    write_table,
)
from nferbench.engine.batches import halving, wanted
from nferbench.engine.context import Context
from nferbench.engine.counting import counted
from nferbench.engine.placing import placed
from nferbench.faces.prepared import pairs, rows_of
from nferbench.workspace.files import write_bytes
from nferbench.workspace.stages import Translate, readable
from nferbench.workspace.unfinished import Mark, Unfinished

BEYOND_WHITE = 1.5  # a bright face may overshoot white by less
BEYOND_NOISE = 16.0  # of samplers with untrained networks half of the values lie within 5
MID_GREY = 127  # of 8 bits: 0 in [-1, 1]


def translate_faces(stage: Translate, context: Context) -> dict[str, Any]:
    """Translate the faces of a stage and write images.npy and faces.csv; a killed attempt goes on where it was.

    Of a method that notes its pushes, those of the first faces are written to pushes.csv (`nferbench.engine.pushing`).

    Returns:
        What stage.json says of the result; `evaluations` are those of each network a face, by role, of the faces that
        were translated here.

    Raises:
        DataError: there are no VIS faces.
        PluginError, DivergedError: as `translate`.
    """
    prepared = prepared_faces(stage.source, context)
    if stage.part == "test" and stage.fold is not None:
        rows = pairs(prepared, stage.fold.test)[0].tolist()
    else:
        rows = rows_of(prepared, "vis", {face.subject for face in prepared.faces}).tolist()
    if stage.only is not None:
        ids = set(stage.only)
        rows = [row for row in rows if prepared.faces[row].id in ids]
    rows = rows[: stage.first]
    if not rows:
        raise DataError(f"{readable(stage)}: no VIS faces to translate")
    chosen = [prepared.faces[row] for row in rows]
    unfinished = context.unfinished(stage)
    size = stage.source.size
    output, done, so_far = _open_output(unfinished, (len(rows), size, size, 3), context.tell)
    pushes_file, pushes = _pushes_so_far(unfinished)
    networks = fitted(stage, context)
    batch = context.fitting.get((stage.translator, size), wanted(context.batch, context.device))
    before = done
    evaluations: Counter[str] = Counter()

    def attempted(count: int) -> tuple[np.ndarray, list[Push], Counter[str]]:
        here = slice(done, done + count)
        # One stream an image, the same for every method: a difference between two rows is due to the methods.
        seeds = [derive_seed(stage.seed, stage.fold and stage.fold.index, face.id) for face in chosen[here]]
        source = torch.from_numpy(np.ascontiguousarray(prepared.images[rows[here]]))
        vis = pixels.to_float(source.to(context.device))
        listening: AbstractContextManager[list[Push]] = hear_pushes() if done < pushing.LISTENED else nullcontext([])
        # What is compiled counts nothing: a hook would be compiled into it.
        with listening as heard, counted({} if context.how.compiled else networks) as asked:
            images = translate(stage.translator, vis, networks, ImageNoise(seeds, context.device))
        return pixels.to_uint8(images).cpu().numpy(), heard, asked

    context.progress(done, len(rows))
    while done < len(rows):
        count = min(batch, len(rows) - done)
        (faces, heard, asked), fit = halving(count, attempted)
        if fit < count:
            batch = context.fitting[stage.translator, size] = fit
        output[done : done + len(faces)] = faces
        output.flush()
        so_far.update(faces.data)
        evaluations.update(asked)
        if heard:
            pushes = pushing.joined(pushes, pushing.by_face(heard, len(faces), pushing.LISTENED - done))
        done += len(faces)
        if heard:
            pushes_file = f"checkpoint-pushes-{done}.json"
            write_bytes(unfinished.folder / pushes_file, pushing.written(pushes))
        unfinished.write(Mark(done, _checksum(so_far, unfinished, pushes_file), pushes_file))
        context.reached(done, len(rows))
    write_faces(unfinished.folder / "faces.csv", chosen)
    if pushes:
        write_table(unfinished.folder / "pushes.csv", pushing.table(pushes))
    made_with = {"batch": min(batch, len(rows))}
    result: dict[str, Any] = {"images": len(rows), "units": len(rows), "made_with": made_with}
    if before:
        result["cost"] = {"units_before": before}
    if before < len(rows) and not context.how.compiled:
        result["evaluations"] = {role: evaluations[role] / (len(rows) - before) for role in networks}
    if output.min() >= MID_GREY:  # perhaps right, so it is told and not refused
        result["note"] = "no pixel of any translated face is darker than mid-grey, as if in 0 to 1 where -1 to 1 is due"
    return result


def translate(
    translator: Translator, vis: Tensor, networks: Mapping[str, nn.Module], noise: ImageNoise, name: str | None = None
) -> Tensor:
    """Call a translator and hold it to its contract.

    Args:
        translator: the method.
        vis: (B, 3, H, W) in [-1, 1].
        networks: by role.
        noise: a stream per image.
        name: what to call the translator in messages; its own name by default.

    Returns:
        (B, 3, H, W) in [-1, 1]; averaged to grey unless the translator keeps colour.

    Raises:
        PluginError: the result is not a floating-point tensor of the shape of `vis`, or a face of it is on another
            scale, see `check_scale`.
        DivergedError: the result is not finite.
    """
    name = name or translator.name
    with torch.inference_mode():
        images = translator.translate(vis.clone(), networks, noise)
        check_shape(name, images, vis)
        check_type(name, images)
        if not bool(torch.isfinite(images).all()):
            raise DivergedError(f"translator '{name}' returned NaN or infinity")
        images = images.float()
        check_scale(name, images)
        images = images.clamp(-1, 1)
        return pixels.grey(images) if translator.grey else images


def check_shape(name: str, images: object, vis: Tensor) -> None:
    """Hold what a translator returned to a tensor of the shape of its input.

    Raises:
        PluginError: something else.
    """
    if not isinstance(images, Tensor):
        raise PluginError(f"translator '{name}' returned {type(images).__name__}; a tensor like its input is due")
    if images.shape != vis.shape:
        raise PluginError(
            f"translator '{name}' returned shape {tuple(images.shape)} for faces of shape {tuple(vis.shape)}; "
            "both must be equal"
        )


def check_type(name: str, images: Tensor) -> None:
    """Hold what a translator returned to floating point.

    Raises:
        PluginError: integers, truth values or complex numbers.
    """
    if not images.is_floating_point():
        raise PluginError(
            f"translator '{name}' returned {images.dtype} in {_range(images)}; floating point in [-1, 1] is due"
        )


def check_scale(name: str, images: Tensor) -> None:
    """Tell faces of another scale, which clamping would turn white, from faces that overshoot [-1, 1].

    An overshoot goes to both sides, or is small: samplers whose networks have learned nothing yet reach 27 on either
    side. So a face is refused that has nothing below mid-grey and something above `BEYOND_WHITE` (0 to 255, 0 to 2), or
    has most of its values beyond `BEYOND_NOISE` (-128 to 127). Each face is judged by itself, whatever its batch mates.

    Args:
        name: of the translator.
        images: (B, 3, H, W), finite.

    Raises:
        PluginError: one of them is on another scale.
    """
    values = images.flatten(1)
    lifted = (values.amin(1) >= 0) & (values.amax(1) > BEYOND_WHITE)
    wide = (values.abs() > BEYOND_NOISE).float().mean(1) > 0.5
    for image in images[lifted | wide]:
        raise PluginError(f"translator '{name}' returned values in {_range(image)}; [-1, 1] is due")


def _range(images: Tensor) -> str:
    if images.is_complex() or not images.numel():
        return "no range"
    return f"{images.min().item():.4g} to {images.max().item():.4g}"


def fitted(stage: Translate, context: Context) -> dict[str, nn.Module]:
    """The fitted networks of a translation by role: frozen, in eval mode, on the device."""
    networks = {}
    for role, need in zip(sorted(stage.translator.networks()), stage.networks, strict=True):
        entry = entry_of(need, context)
        network = build(need.recipe, need.spec())
        network.load_state_dict(load_file(entry.path / "weights.safetensors"))
        networks[role] = placed(network.requires_grad_(False).eval(), context.device, context.how)
    return networks


def build(recipe: NetworkRecipe, spec: FaceSpec) -> nn.Module:
    """A network to be overwritten by stored weights; torch's generators are left as they were."""
    with torch.random.fork_rng(devices=[]):
        network: nn.Module = recipe.build(spec)
    return network


def _open_output(
    unfinished: Unfinished, shape: tuple[int, ...], tell: Callable[[str], None]
) -> tuple[np.memmap[Any, Any], int, Any]:
    """The array that a translation fills, how many of its rows a previous attempt has filled, and their hash so far."""
    path = unfinished.folder / "images.npy"
    try:
        if (mark := unfinished.mark()) is not None:
            output = np.lib.format.open_memmap(path, mode="r+")
            if output.shape != shape or output.dtype != np.uint8 or mark.done > shape[0]:
                raise DataError(f"{path} has another form")
            so_far = hashlib.sha256(output[: mark.done].data)
            if _checksum(so_far, unfinished, mark.file) != mark.sha256:
                raise DataError(f"{path} has changed since it was written")
            return output, mark.done, so_far
    except (OSError, ValueError, DataError) as error:
        if out_of_memory(error):
            raise
        tell(f"earlier images not used, {error}; kept in {unfinished.put_aside()}, starting anew")
    output = np.lib.format.open_memmap(path, mode="w+", dtype=np.uint8, shape=shape)
    if hasattr(os, "posix_fallocate"):  # a full disk is an error here and not a bus error later
        with path.open("r+b") as file:
            os.posix_fallocate(file.fileno(), 0, path.stat().st_size)
    return output, 0, hashlib.sha256()


def _checksum(images: Any, unfinished: Unfinished, pushes_file: str) -> str:
    """Of the images so far and of the pushes of the first of them, where there are any."""
    whole = images.copy()
    if pushes_file:
        whole.update((unfinished.folder / pushes_file).read_bytes())
    return str(whole.hexdigest())


def _pushes_so_far(unfinished: Unfinished) -> tuple[str, tuple[pushing.Series, ...]]:
    """The file that holds the pushes of an earlier attempt, and these; "" and none where there are none."""
    mark = unfinished.mark()
    if mark is None or not mark.file:
        return "", ()
    return mark.file, pushing.read((unfinished.folder / mark.file).read_bytes())
