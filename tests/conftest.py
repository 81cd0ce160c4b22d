"""What all tests share."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

# One thread a process, before anything loads torch: tests run side by side, and threads of all of them on the same
# cores would wait for each other for minutes; where more are asked for, they at least wait without taking the cores.
# Set in the environment, so that subprocesses have it too.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")


def pytest_configure(config: pytest.Config) -> None:
    """Hide the GPUs from all but the tests made for them: digits are the CPU's."""
    if config.getoption("markexpr") != "gpu":
        os.environ["CUDA_VISIBLE_DEVICES"] = ""


@pytest.fixture
def shared() -> Path:
    """Reference material that stands beside the project on some machines; a test that needs it skips elsewhere."""
    path = Path(__file__).resolve().parents[2] / "shared"
    if not path.is_dir():
        pytest.skip("reference material not present beside the checkout")
    return path
