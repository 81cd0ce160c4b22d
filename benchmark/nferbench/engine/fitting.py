"""Fitting one network on the training pairs of a fold."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from nferbench.contract import pixels
from nferbench.contract.errors import DataError, DivergedError, UsageError
from nferbench.contract.initial import APART
from nferbench.contract.noise import derive_seed
from nferbench.contract.translator import Batch, Learner, NetworkRecipe
from nferbench.contract.values import describe
from nferbench.engine.affording import means_within, room_on
from nferbench.engine.artifacts import prepared_faces
from nferbench.engine.context import Context
from nferbench.engine.means import Means
from nferbench.engine.placing import placed, sent
from nferbench.engine.training import computed, resumption, sample_order, train
from nferbench.faces.prepared import PreparedFaces, pairs
from nferbench.workspace.stages import TrainNetwork, key, readable


def fit(stage: TrainNetwork, context: Context) -> dict[str, Any]:
    """Train; write weights.safetensors, losses.csv, and in others.safetensors the networks that were trained against.

    Raises:
        DataError: the training part of the fold has no pairs.
        UsageError: no updates, and no weights to start from.
        DivergedError: a loss or a weight is not finite.
    """
    prepared = prepared_faces(stage.faces, context)
    vis_rows, nir_rows = pairs(prepared, {face.subject for face in prepared.faces}.difference(stage.fold.test))
    if not len(vis_rows):
        raise DataError(f"{readable(stage)}: no VIS-NIR pairs in the training part of fold {stage.fold.index}")
    resident = _resident(prepared, context.device)

    def batch_of(rows: np.ndarray) -> Batch:
        vis, nir = vis_rows[rows[0]], nir_rows[rows[1]]
        points = _points(prepared, vis, nir, context)
        return Batch(pixels.to_float(resident(vis)), pixels.to_float(resident(nir)), *points)

    seed = derive_seed(key(stage))
    updates = stage.recipe.updates(len(vis_rows))
    if updates < 0 or (updates == 0 and not getattr(stage.recipe, "init_sha256", "")):
        raise UsageError(
            f"{readable(stage)}: {updates} updates of no given weights would give a network that learned nothing; "
            "allowed: 1 or more, or 0 with init"
        )

    parameters = 0
    network: nn.Module

    def fresh() -> Learner:
        nonlocal parameters, network
        torch.manual_seed(seed)
        network = placed(stage.recipe.build(stage.faces.spec()), context.device, context.how)
        parameters = sum(parameter.numel() for parameter in network.parameters())
        return stage.recipe.learner(network, stage.faces.spec(), len(vis_rows))

    unfinished = context.unfinished(stage)
    trained = train(
        fresh,
        batch_of,
        _order(stage.recipe, len(vis_rows), seed),
        updates,
        seed,
        context.device,
        unfinished,
        batch_size=stage.recipe.batch_size,
        means=_means(stage, context),
        progress=context.progress,
        tell=context.tell,
        stopping=context.stopping,
        checkpoint_seconds=context.checkpoint_seconds,
    )
    weights = {name: value.cpu().contiguous() for name, value in trained.learner.weights().items()}
    if bad := [name for name, value in weights.items() if not bool(torch.isfinite(value).all())]:
        raise DivergedError(f"{readable(stage)}: weights are not finite after training ({bad[0]})")
    save_file(weights, unfinished.folder / "weights.safetensors", {"recipe": json.dumps(describe(stage.recipe))})
    others = {name: each for name, each in trained.learner.networks().items() if each is not network}
    if others:
        save_file(_named(others), unfinished.folder / "others.safetensors")
    return {
        "updates": updates,
        "pairs": len(vis_rows),
        "parameters": parameters,
        "units": updates,
        **resumption(trained),
        "made_with": computed(trained, stage.recipe.batch_size),
    }


def _means(stage: TrainNetwork, context: Context) -> Means:
    """The memory that an update is given at first; the faces are on the device already."""
    batch, piece = stage.recipe.batch_size, context.how.piece
    if context.device.type != "cuda":
        return Means(min(piece or batch, batch))
    grain = 1 << 28  # so that free memory that varies a little is looked at once
    room = room_on(context.device, context.sharing) // grain * grain
    return means_within(stage.recipe, stage.faces.spec(), room, piece)


def _named(networks: Mapping[str, nn.Module]) -> dict[str, Tensor]:
    """The tensors of several networks, each as `nferbench.contract.initial` names it."""
    return {
        f"{network}{APART}{name}": value.detach().cpu().contiguous()
        for network, module in networks.items()
        for name, value in module.state_dict().items()
    }


def _order(recipe: NetworkRecipe, pairs: int, seed: int) -> Callable[[int], np.ndarray]:
    """Which pairs the VIS faces (first row) and the NIR faces (second row) of update k are taken from."""
    nir = sample_order(pairs, recipe.batch_size, seed)
    vis = nir if recipe.paired else sample_order(pairs, recipe.batch_size, derive_seed(seed, "unpaired"))
    return lambda k: np.stack([vis(k), nir(k)])


def _resident(prepared: PreparedFaces, device: torch.device) -> Callable[[np.ndarray], Tensor]:
    """Rows of the prepared images as uint8 on the device; on a GPU all of them are uploaded once."""
    if device.type == "cpu":
        return lambda rows: torch.from_numpy(prepared.images[rows])
    images = torch.from_numpy(np.array(prepared.images)).to(device)
    return lambda rows: images[sent(rows, device)]


def _points(
    prepared: PreparedFaces, vis: np.ndarray, nir: np.ndarray, context: Context
) -> tuple[Tensor | None, Tensor | None]:
    if prepared.landmarks is None:
        return None, None
    landmarks = prepared.landmarks
    vis_points, nir_points = (sent(np.array(landmarks[rows]), context.device) for rows in (vis, nir))
    return vis_points, nir_points
