"""Fitting an expression recogniser on NIR faces plus an extra set, and testing it on real NIR faces."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from nferbench.contract import pixels
from nferbench.contract.dataset import Face
from nferbench.contract.errors import DivergedError, PluginError
from nferbench.contract.fer import LabelledBatch
from nferbench.contract.noise import derive_seed
from nferbench.engine.artifacts import prepared_faces, translated_faces, write_table
from nferbench.engine.batches import in_halves
from nferbench.engine.context import EVALUATION_BATCH, Context
from nferbench.engine.placing import placed, sent
from nferbench.engine.training import computed, resumption, sample_order, train
from nferbench.faces.folds import classes_of
from nferbench.faces.prepared import rows_of
from nferbench.workspace.predictions import PREDICTIONS, SCORE
from nferbench.workspace.stages import Recognise, Translation, readable


def recognise(stage: Recognise, context: Context) -> dict[str, Any]:
    """Train on the fold's NIR faces and the extra set, predict its test faces, and write predictions.csv.

    A column `score:<class>` has the probability of each class: the softmax of the class scores, six digits.

    Raises:
        PluginError: class scores are no floating-point tensor of one row a face and one column a class.
        DivergedError: a loss or a class score is not finite.
    """
    prepared = prepared_faces(stage.faces, context)
    everyone = {face.subject for face in prepared.faces}
    training = rows_of(prepared, "nir", everyone.difference(stage.fold.test)).tolist()
    testing = rows_of(prepared, "nir", stage.fold.test).tolist()
    classes = classes_of(prepared.faces)
    images = [np.asarray(prepared.images[training])]
    names = [prepared.faces[row].expression for row in training]
    if stage.extra is not None:
        extra_images, extra_faces = _extra(stage, context)
        usable = [row for row, face in enumerate(extra_faces) if face.expression in classes]
        images.append(np.asarray(extra_images[usable]))
        names += [extra_faces[row].expression for row in usable]
    pool = torch.from_numpy(np.concatenate(images)).to(context.device)
    labels = torch.tensor([classes.index(name) for name in names], device=context.device)

    # The same seed for every row of the table: they differ in the extra set alone.
    repeat = (stage.repeat,) if stage.repeat else ()  # the first has the seed that it had when there was but one
    seed = derive_seed("recognise", stage.seed, stage.fold.index, *repeat)

    def built() -> nn.Module:
        torch.manual_seed(seed)
        return placed(stage.fer.build(stage.faces.size, len(classes)), context.device, context.how)

    def batch_of(rows: np.ndarray) -> LabelledBatch:
        index = sent(rows, context.device)
        return LabelledBatch(pixels.to_float(pool[index]), labels[index])

    updates = stage.fer.updates(len(labels))
    unfinished = context.unfinished(stage)
    trained = train(
        lambda: stage.fer.learner(built(), len(labels)),
        batch_of,
        sample_order(len(labels), stage.fer.batch_size, seed),
        updates,
        seed,
        context.device,
        unfinished,
        batch_size=stage.fer.batch_size,
        progress=context.progress,
        tell=context.tell,
        stopping=context.stopping,
        checkpoint_seconds=context.checkpoint_seconds,
    )
    network = built()
    network.load_state_dict(trained.learner.weights())
    network.eval()
    table = []
    with torch.inference_mode():
        for start in range(0, len(testing), EVALUATION_BATCH):
            rows = testing[start : start + EVALUATION_BATCH]
            batch = pixels.to_float(torch.from_numpy(np.asarray(prepared.images[rows])).to(context.device))
            scores = in_halves(partial(stage.fer.logits, network), batch)
            check_scores(stage.fer.name, scores, (len(rows), len(classes)))
            if not bool(torch.isfinite(scores).all()):
                raise DivergedError(f"{readable(stage)}: class scores are not finite")
            answers = scores.argmax(1).tolist()
            # In double precision, which some devices do not have: scores that differ shall not look equal.
            likely = scores.cpu().double().softmax(1).tolist()
            for row, answer, shares in zip(rows, answers, likely, strict=True):
                face = prepared.faces[row]
                table.append(
                    {
                        "id": face.id,
                        "subject": face.subject,
                        "expression": face.expression,
                        "predicted": classes[answer],
                        **{f"{SCORE}{name}": f"{share:.6g}" for name, share in zip(classes, shares, strict=True)},
                    }
                )
    write_table(unfinished.folder / PREDICTIONS, table)
    return {
        "training": len(labels),
        "test": len(table),
        "classes": list(classes),
        "units": updates,
        **resumption(trained),
        "made_with": computed(trained, stage.fer.batch_size),
    }


def check_scores(name: str, scores: object, shape: tuple[int, int]) -> None:
    """Hold class scores to floating point of a shape, (faces, classes).

    Raises:
        PluginError: something else.
    """
    if not isinstance(scores, Tensor):
        raise PluginError(f"recogniser '{name}' returned {type(scores).__name__}; a tensor of class scores is due")
    if tuple(scores.shape) != shape or not scores.is_floating_point():
        raise PluginError(
            f"recogniser '{name}' returned {scores.dtype} of shape {tuple(scores.shape)}; floating point of shape "
            f"{shape} is due, one row a face and one column a class"
        )


def _extra(stage: Recognise, context: Context) -> tuple[np.ndarray, Sequence[Face]]:
    if isinstance(stage.extra, Translation):
        return translated_faces(stage.extra, context)
    if stage.extra is None:
        raise ValueError("no extra set")
    prepared = prepared_faces(stage.extra, context)
    rows = [row for row, face in enumerate(prepared.faces) if face.modality == stage.extra_modality]
    return prepared.images[rows], [prepared.faces[row] for row in rows]
