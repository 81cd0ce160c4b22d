"""GPUs are found without torch, by whatever on a computer tells of them."""

from __future__ import annotations

import ctypes
from pathlib import Path
from typing import Any

import pytest

from nferbench.machine.gpus import Card, listed

NONE = "/nowhere"


def no_library(name: str) -> Any:
    raise OSError(f"{name}: cannot open shared object file")


def program(folder: Path, script: str) -> str:
    """A folder with an nvidia-smi of that script."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "nvidia-smi"
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return str(folder)


class Nvml:
    """NVML with cards given as their UUID and those of their slots; None is a card that cannot be reached."""

    def __init__(self, cards: list[tuple[str, list[str]] | None], started: int = 0, counted: int = 0) -> None:
        self.cards, self.started, self.counted, self.ended = cards, started, counted, False

    def nvmlInit_v2(self) -> int:
        return self.started

    def nvmlShutdown(self) -> int:
        self.ended = True
        return 0

    def nvmlDeviceGetCount_v2(self, count: Any) -> int:
        count._obj.value = len(self.cards)
        return self.counted

    def nvmlDeviceGetHandleByIndex_v2(self, index: Any, handle: Any) -> int:
        handle._obj.value = index.value + 1
        return 15 if self.cards[index.value] is None else 0

    def nvmlDeviceGetMaxMigDeviceCount(self, handle: Any, count: Any) -> int:
        slots = self.card(handle)[1]
        count._obj.value = len(slots)
        return 0 if slots else 3

    def nvmlDeviceGetMigDeviceHandleByIndex(self, handle: Any, slot: Any, found: Any) -> int:
        found._obj.value = handle.value * 100 + slot.value
        return 0 if self.card(handle)[1][slot.value] else 6

    def nvmlDeviceGetUUID(self, handle: Any, text: Any, size: ctypes.c_uint) -> int:
        divided = handle.value >= 100
        name = (
            self.card(ctypes.c_void_p(handle.value // 100))[1][handle.value % 100] if divided else self.card(handle)[0]
        )
        text.value = name.encode()
        return 0

    def card(self, handle: Any) -> tuple[str, list[str]]:
        card = self.cards[handle.value - 1]
        assert card is not None
        return card


@pytest.mark.parametrize(
    ("script", "cards"),
    [
        (
            "echo 'GPU 0: A (UUID: GPU-aa-1)'; echo 'GPU 1: B (R) (UUID: GPU-bb-2)'",
            (Card("GPU-aa-1"), Card("GPU-bb-2")),
        ),
        ("echo GPU 0: A; echo GPU 1: B", (Card(), Card())),
        (
            "echo 'GPU 0: A100 (UUID: GPU-aa)'; echo '  MIG 1g.5gb      Device  0: (UUID: MIG-1)';"
            "echo '  MIG 2g.10gb     Device  1: (UUID: MIG-GPU-aa/7/0)'; echo 'GPU 1: A100 (UUID: GPU-bb)'",
            (Card("GPU-aa", ("MIG-1", "MIG-GPU-aa/7/0")), Card("GPU-bb")),
        ),
        ("echo 'GPU 0: Orin (nvgpu) (UUID: N/A)'", (Card(),)),
        ("true", ()),
        ("exit 9", None),
        ("echo GPU 0: A; exit 15", None),
        ("printf 'GPU 0: \\377 (UUID: GPU-aa)\\n'", (Card("GPU-aa"),)),
    ],
)
def test_the_drivers_program_is_asked(tmp_path: Path, script: str, cards: tuple[Card, ...] | None) -> None:
    assert listed(tmp_path, program(tmp_path / "bin", script), no_library) == cards


def test_the_program_is_found_where_windows_puts_it(tmp_path: Path) -> None:
    program(tmp_path / "usr/lib/wsl/lib", "echo 'GPU 0: A (UUID: GPU-aa)'")
    assert listed(tmp_path, NONE, no_library) == (Card("GPU-aa"),)


@pytest.mark.parametrize("search", [NONE, "broken"])
def test_without_the_program_the_library_is_asked(tmp_path: Path, search: str) -> None:
    nvml = Nvml([("GPU-aa", []), None, ("GPU-bb", ["MIG-1", "", "MIG-2"])])
    search = program(tmp_path / search, "exit 1") if search == "broken" else search
    assert listed(tmp_path, search, lambda _: nvml) == (Card("GPU-aa"), Card(), Card("GPU-bb", ("MIG-1", "MIG-2")))
    assert nvml.ended


@pytest.mark.parametrize("nvml", [Nvml([], started=9), Nvml([], counted=999), object()])
def test_a_library_without_its_driver_tells_nothing(tmp_path: Path, nvml: Any) -> None:
    assert listed(tmp_path, NONE, lambda _: nvml) is None


def test_a_library_that_counts_none_is_believed(tmp_path: Path) -> None:
    (tmp_path / "dev").mkdir()
    (tmp_path / "dev/nvidia0").touch()
    assert listed(tmp_path, NONE, lambda _: Nvml([])) == ()


def test_else_the_drivers_folder_tells(tmp_path: Path) -> None:
    for bus, uuid in (("0000:01:00.0", "GPU-5d2c-1"), ("0000:41:00.0", "GPU-????????-????")):
        folder = tmp_path / "proc/driver/nvidia/gpus" / bus
        folder.mkdir(parents=True)
        (folder / "information").write_text(f"Model: \t\t A\nIRQ:   \t\t 11\nGPU UUID: \t {uuid}\nVideo BIOS: \t 1\n")
    assert listed(tmp_path, NONE, no_library) == (Card("GPU-5d2c-1"), Card())


def test_else_device_files_are_counted(tmp_path: Path) -> None:
    (tmp_path / "dev").mkdir()
    for name in ("nvidia0", "nvidia3", "nvidiactl", "nvidia-uvm", "nvidia-caps"):
        (tmp_path / "dev" / name).touch()
    assert listed(tmp_path, NONE, no_library) == (Card(), Card())


@pytest.mark.parametrize("driver", [True, False])
def test_windows_shows_a_gpu_where_its_driver_is_that_of_nvidia(tmp_path: Path, driver: bool) -> None:
    (tmp_path / "dev").mkdir()
    (tmp_path / "dev/dxg").touch()
    (tmp_path / "usr/lib/wsl/lib").mkdir(parents=True)
    if driver:
        (tmp_path / "usr/lib/wsl/lib/libcuda.so.1").touch()
    assert listed(tmp_path, NONE, no_library) == ((Card(),) if driver else None)


def test_without_anything_there_is_nothing_to_tell(tmp_path: Path) -> None:
    assert listed(tmp_path, NONE, no_library) is None
