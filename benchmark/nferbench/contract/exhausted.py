"""Errors that mean: there is not enough memory for this. Of many types, some known by their text alone."""

from __future__ import annotations

import errno
import re
from typing import Literal

from nferbench.contract.chained import chain

# Of plain RuntimeErrors. CUDA's own, raised by a call other than torch's allocator; the libraries above it, which
# report a status; then cuDNN where no algorithm got its workspace, for torch drops the lack of memory that was the
# reason; and a handle that cannot be created, mostly because the card is full.
_DEVICE = re.compile(
    r"\b(?:CUDA|HIP)(?: driver)?(?: error:)? out of memory"
    r"|\bcudaErrorMemoryAllocation\b|\bCUDA_ERROR_OUT_OF_MEMORY\b"
    r"|\bCU[A-Z]+_(?:\w+_)?ALLOC(?:ATION)?_FAILED\b"
    r"|\bCUDNN_STATUS_NOT_SUPPORTED\w*\b.*\bworkspace\b"
    r"|unable to find an engine to execute this computation"
    r"|_STATUS_NOT_INITIALIZED\b.*\b(?:cublas|cublasLt|cudnn|cusolverDn|cusparse)Create\b",
    re.DOTALL | re.IGNORECASE,
)
_HOST = re.compile(
    r"\bDefaultCPUAllocator\b|\benforce fail at alloc_cpu\.cpp\b|\bstd::bad_alloc\b|\bCannot allocate memory\b"
    r"|_HOST_ALLOCATION_FAILED\b",
    re.IGNORECASE,
)


def out_of_memory(error: BaseException) -> bool:
    """Whether an error, or one that led to it, is a lack of memory: of a device or of the host.

    A smaller batch, or fewer workers beside this one, may then succeed. Nothing is asked of the device.
    """
    return lacking(error) is not None


def lacking(error: BaseException) -> Literal["device", "host"] | None:
    """Whose memory an error, or one that led to it, tells to be exhausted; None where it tells of nothing such."""
    return next((whose for one in chain(error) if (whose := _lacking(one))), None)


def _lacking(error: BaseException) -> Literal["device", "host"] | None:
    import torch

    if isinstance(error, torch.OutOfMemoryError):
        return "device"
    if isinstance(error, MemoryError) or (isinstance(error, OSError) and error.errno == errno.ENOMEM):
        return "host"
    if not isinstance(error, RuntimeError):
        return None
    if _HOST.search(str(error)):
        return "host"
    return "device" if _DEVICE.search(str(error)) else None
