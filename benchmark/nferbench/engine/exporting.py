"""Fitted networks as files that other trainings can start from."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

from safetensors.torch import load_file, save

from nferbench.contract.errors import UsageError
from nferbench.planning.initial import CONTENT, ORIGIN, PAIRS, TRAINED_ON
from nferbench.workspace.entries import Entry
from nferbench.workspace.stages import TrainNetwork, readable


def export(stage: TrainNetwork, entry: Entry, path: Path, *, half: bool) -> int:
    """Write the weights of a fitted network, and of those that it was trained against, as one file.

    The same weights give the same bytes. The file says what they were trained on, and on how many pairs in all.

    Args:
        stage: the training.
        entry: its result, checked.
        path: of the file, which appears whole or not at all.
        half: round to float16, half the size.

    Returns:
        On how many pairs the network was trained, each counted as often as it was seen.

    Raises:
        UsageError: a weight is too large for float16, or the file cannot be written.
    """
    weights = load_file(entry.path / "weights.safetensors")
    if (others := entry.path / "others.safetensors").is_file():
        weights |= load_file(others)
    if half:
        weights = {name: value.half() if value.is_floating_point() else value for name, value in weights.items()}
        if large := [name for name, value in weights.items() if not bool(value.isfinite().all())]:
            raise UsageError(f"{readable(stage)}: '{large[0]}' is too large for float16; leave out --half")
    seen = int(entry.info["result"]["updates"] * stage.recipe.batch_size)
    told = {
        TRAINED_ON: stage.faces.dataset.title,
        PAIRS: seen,
        CONTENT: stage.faces.content,
    }
    # One text, for safetensors puts several in any order and the bytes shall be those of the last time.
    data = save({name: weights[name].contiguous() for name in sorted(weights)}, {ORIGIN: json.dumps(told)})
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=path.parent) as folder:
            whole = Path(folder) / path.name
            whole.write_bytes(data)
            whole.replace(path)
    except OSError as error:
        raise UsageError(f"{path} cannot be written ({error.strerror}); choose another folder: --out") from None
    return seen
