"""A `UNet2DModel` that diffusers saved, read into our U-Net, which is built from the same class.

Settings that decide what is computed are compared; the schedule too, where the folder is part of a pipeline.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Mapping
from typing import Any

from diffusers import UNet2DModel
from torch import Tensor

from nferbench import StoredWeights, UsageError
from nferbench_methods.diffusion.unet import TimeUNet
from nferbench_methods.released.renaming import renamed

# Settings that change nothing in what a fitted network computes.
_FREE = ("sample_size", "dropout", "num_train_timesteps")
_FORMER = {"to_q": "query", "to_k": "key", "to_v": "value", "to_out.0": "proj_attn"}  # names of an attention's layers
_SCHEDULE: Mapping[str, Any] = {  # also the defaults of diffusers
    "num_train_timesteps": 1000,
    "beta_schedule": "linear",
    "beta_start": 1e-4,
    "beta_end": 0.02,
    "trained_betas": None,
    "prediction_type": "epsilon",
    "rescale_betas_zero_snr": False,
}


def diffusers_unet(stored: StoredWeights, network: TimeUNet) -> dict[str, Tensor]:
    """The tensors by the names of `network.net`.

    Raises:
        UsageError: the folder holds another class, other settings, another schedule, or tensors that do not fit.
    """
    if (name := stored.config.get("_class_name")) != UNet2DModel.__name__:
        raise UsageError(f"config.json is of a {name!r}; allowed: {UNet2DModel.__name__}")
    for setting, ours in _settings(network.net.config).items():
        theirs = _settings(stored.config)[setting]
        if theirs != ours:
            raise UsageError(f"{setting} is {theirs!r} in config.json, and {ours!r} here; the recipe must be the same")
    for setting, value in _SCHEDULE.items():
        if (come := stored.scheduler.get(setting, value)) != value:
            raise UsageError(
                f"{setting} is {come!r} in scheduler_config.json; allowed: {value!r}, as for every network"
            )
    former = any(".query." in name for name in stored.tensors)

    def theirs_of(ours: str) -> str:
        layer = re.search(r"to_(q|k|v|out\.0)(?=\.)", ours)
        return ours.replace(layer[0], _FORMER[layer[0]]) if former and layer else ours

    return renamed(stored.tensors, network.net, theirs_of)


def _settings(config: Mapping[str, Any]) -> dict[str, Any]:
    """All settings that decide what is computed; those that are not there have their defaults."""
    known = inspect.signature(UNet2DModel.__init__).parameters
    chosen = {name: config.get(name, each.default) for name, each in known.items() if name not in ("self", *_FREE)}
    return {name: list(value) if isinstance(value, tuple) else value for name, value in chosen.items()}
