"""Errors after which a process can do nothing more on its device: every later call there raises the same again."""

from __future__ import annotations

import re

import torch

from nferbench.contract.chained import chain

# Of cudaError_t. CUDA says of most that the process must be ended to go on; the others tell of a device that is gone.
_CODES = frozenset(
    {
        3,  # initialisation failed
        46,  # devices are busy or unavailable
        100,  # no device
        101,  # no such device
        214,  # ECC, beyond repair
        220,  # NVLink, beyond repair
        226,  # an exception that the device contained
        700,  # illegal address
        702,  # a kernel ran too long
        709,  # the context is destroyed
        710,  # an assertion on the device
        714,  # the hardware's stack
        715,  # illegal instruction
        716,  # misaligned address
        717,  # invalid address space
        718,  # invalid program counter
        719,  # launch failure
        721,  # memory of tensor cores that a kernel kept
        802,  # the system is not ready
        803,  # the driver was replaced by one that does not fit
        804,  # likewise
        *range(805, 811),  # MPS, which processes share a device by: its server is gone, full, or has ended this client
        999,  # unknown
    }
)
# Of RuntimeErrors without a code: the same in the driver's words, a library's kernel that failed, and torch where it
# finds no device any more.
_TEXT = re.compile(
    r"CUDA.*(?:illegal memory access|device-side assert|launch failure|launch timed out|uncorrectable \w+ error"
    r"|illegal instruction|misaligned address|hardware stack error|operation not supported on global/shared address"
    r"|invalid program counter|unknown error|busy or unavailable|no CUDA-capable device|context is destroyed"
    r"|initialization error|initialization failed|\bMPS (?:client|server|control))"
    r"|\bCU[A-Z]+_(?:STATUS_)?(?:EXECUTION_FAILED|MAPPING_ERROR|EXEC_FAILED|LAUNCH_FAILURE)"
    r"|\bCU[A-Z]+_(?:STATUS_)?INTERNAL_ERROR\b"
    r"|No CUDA GPUs are available|Unexpected error from cudaGetDeviceCount",
    re.DOTALL,
)


def lost_device(error: BaseException) -> bool:
    """Whether an error, or one that led to it, leaves this process without its device.

    Torch tells the code of an error of CUDA itself (`AcceleratorError.error_code`), and a text alone of others.
    """
    return any(isinstance(one, RuntimeError) and _lost(one) for one in chain(error))


def answers(device: torch.device) -> bool:
    """Whether a device still does what it is told; true where this process has not used it yet.

    What an error looks like says little: a plugin may have caught the one that counts.
    """
    if device.type != "cuda" or not torch.cuda.is_initialized():  # type: ignore[no-untyped-call]
        return True
    try:
        torch.cuda.synchronize(device)
    except RuntimeError:
        return False
    return True


def _lost(error: RuntimeError) -> bool:
    code = getattr(error, "error_code", None)
    if isinstance(error, torch.AcceleratorError) and code is not None:
        return code in _CODES
    return _TEXT.search(str(error)) is not None
