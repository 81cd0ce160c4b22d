"""The NVIDIA GPUs of this computer, asked of whoever knows them, without torch."""

from __future__ import annotations

import ctypes
import os
import re
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nferbench.machine.asking import answer

# Of `nvidia-smi -L`; a UUID that is not available is written as N/A.
_LINE = re.compile(r"(?P<kind>GPU|\s+MIG)\s.*?(?:\(UUID: (?P<uuid>(?:GPU|MIG)-[^()\s]+)\))?\s*")
_WSL = "usr/lib/wsl/lib"  # where Windows puts its driver's files for Linux, seldom on any search path
_UUID_BYTES = 96  # of NVML's longest UUID, its end included


@dataclass(frozen=True)
class Card:
    """A GPU."""

    uuid: str = ""  # "GPU-…"; "" where it is not told
    slices: tuple[str, ...] = ()  # UUIDs "MIG-…" of the devices that it is divided into


def listed(
    root: Path = Path("/"), search: str | None = None, load: Callable[[str], Any] = ctypes.CDLL
) -> tuple[Card, ...] | None:
    """The GPUs of this computer in the driver's order, whatever CUDA_VISIBLE_DEVICES says.

    The first that answers: nvidia-smi, which a driver that hangs cannot hold up; NVML; the driver's folder under /proc;
    device files, those of WSL last, which tell of one GPU at least.

    Args:
        root: of the file system.
        search: folders to look for nvidia-smi in, as in PATH; PATH itself by default.
        load: opens a library by its name.

    Returns:
        None where nothing answers.
    """
    found = _told_by_program(root, search)
    if found is None:
        found = _told_by_nvml(root, load)
    if found is None:
        found = _told_by_proc(root) or _told_by_files(root) or None
    return found


def _told_by_program(root: Path, search: str | None) -> tuple[Card, ...] | None:
    search = os.environ.get("PATH", os.defpath) if search is None else search
    program = shutil.which("nvidia-smi", path=os.pathsep.join(filter(None, [search, str(root / _WSL)])))
    if program is None:
        return None
    try:
        code, told = answer([program, "-L"], 20.0)
    except OSError:
        return None
    if code:
        return None
    cards: list[Card] = []
    for line in filter(None, map(_LINE.fullmatch, told.splitlines())):
        uuid = line["uuid"] or ""
        if line["kind"] == "GPU":
            cards.append(Card(uuid))
        elif cards and uuid:
            cards[-1] = Card(cards[-1].uuid, (*cards[-1].slices, uuid))
    return tuple(cards)


def _told_by_nvml(root: Path, load: Callable[[str], Any]) -> tuple[Card, ...] | None:
    for name in ("libnvidia-ml.so.1", str(root / _WSL / "libnvidia-ml.so.1")):
        try:
            nvml = load(name)
            if nvml.nvmlInit_v2() != 0:
                continue
        except (OSError, AttributeError):
            continue
        try:
            count = ctypes.c_uint()
            if nvml.nvmlDeviceGetCount_v2(ctypes.byref(count)) == 0:
                return tuple(_card(nvml, index) for index in range(count.value))
        except AttributeError:  # a library so old that it lacks a function
            continue
        finally:
            nvml.nvmlShutdown()
    return None


def _card(nvml: Any, index: int) -> Card:
    handle, slots = ctypes.c_void_p(), ctypes.c_uint()
    if nvml.nvmlDeviceGetHandleByIndex_v2(ctypes.c_uint(index), ctypes.byref(handle)) != 0:
        return Card()  # it is lost or not permitted, and still has its number
    if nvml.nvmlDeviceGetMaxMigDeviceCount(handle, ctypes.byref(slots)) != 0:
        slots.value = 0
    return Card(_uuid(nvml, handle), tuple(filter(None, _slices(nvml, handle, slots.value))))


def _slices(nvml: Any, card: ctypes.c_void_p, slots: int) -> Iterator[str]:
    for slot in range(slots):
        handle = ctypes.c_void_p()
        if nvml.nvmlDeviceGetMigDeviceHandleByIndex(card, ctypes.c_uint(slot), ctypes.byref(handle)) == 0:
            yield _uuid(nvml, handle)


def _uuid(nvml: Any, handle: ctypes.c_void_p) -> str:
    text = ctypes.create_string_buffer(_UUID_BYTES)
    failed = nvml.nvmlDeviceGetUUID(handle, text, ctypes.c_uint(_UUID_BYTES))
    return "" if failed else text.value.decode("ascii", "replace")


def _told_by_proc(root: Path) -> tuple[Card, ...]:
    cards = []
    for path in sorted(root.glob("proc/driver/nvidia/gpus/*/information")):
        try:
            told = re.search(r"^GPU UUID:\s*(GPU-[0-9a-f-]+)\s*$", path.read_text("ascii", "replace"), re.MULTILINE)
        except OSError:
            told = None
        cards.append(Card(told[1] if told else ""))  # question marks until the driver first used it
    return tuple(cards)


def _told_by_files(root: Path) -> tuple[Card, ...]:
    numbered = [path for path in root.glob("dev/nvidia*") if re.fullmatch(r"nvidia\d+", path.name)]
    # Any GPU of Windows has /dev/dxg; only NVIDIA's driver brings this library.
    windows = (root / "dev/dxg").exists() and (root / _WSL / "libcuda.so.1").exists()
    return (Card(),) * (len(numbered) or int(windows))
