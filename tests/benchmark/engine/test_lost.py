"""Errors that leave a process without its device are told from those after which it can go on."""

from __future__ import annotations

import pytest
import torch

from nferbench.contract.errors import PluginError
from nferbench.engine.lost import answers, lost_device


def coded(code: int, text: str = "CUDA error") -> torch.AcceleratorError:
    error = torch.AcceleratorError(text)
    error.error_code = code  # as torch sets it
    return error


@pytest.mark.parametrize(
    "error",
    [
        coded(700),
        coded(710),
        coded(719),
        coded(214),
        coded(999),
        coded(721),
        coded(803),
        coded(810),
        torch.AcceleratorError("CUDA error: an illegal memory access was encountered\nCUDA kernel errors might be"),
        RuntimeError("CUDA error: unspecified launch failure"),
        RuntimeError("CUDA error: device-side assert triggered"),
        RuntimeError("CUDA error: uncorrectable ECC error encountered"),
        RuntimeError("CUDA error: the launch timed out and was terminated"),
        RuntimeError("Triton Error [CUDA]: misaligned address"),
        RuntimeError("CUDA error: CUBLAS_STATUS_EXECUTION_FAILED when calling `cublasSgemm( handle, opa, opb)`"),
        RuntimeError("CUDA error: CUBLAS_STATUS_INTERNAL_ERROR when calling `cublasGemmEx(`"),
        RuntimeError("cuDNN error: CUDNN_STATUS_EXECUTION_FAILED"),
        RuntimeError("cuDNN error: CUDNN_STATUS_EXECUTION_FAILED_CUDA_DRIVER"),
        RuntimeError("cuFFT error: CUFFT_EXEC_FAILED"),
        RuntimeError("No CUDA GPUs are available"),
        RuntimeError("CUDA error: initialization error"),
        RuntimeError("CUDA driver initialization failed, you might not have a CUDA gpu."),
        RuntimeError("CUDA error: the MPS client has been terminated by the server"),
    ],
    ids=lambda error: f"{getattr(error, 'error_code', '')}{error}",
)
def test_what_leaves_a_process_without_its_device(error: Exception) -> None:
    assert lost_device(error)
    with pytest.raises(PluginError) as wrapped:
        try:
            raise error
        except RuntimeError:
            raise PluginError("the faces cannot be translated") from None
    assert lost_device(wrapped.value)


@pytest.mark.parametrize(
    "error",
    [
        coded(2, "CUDA error: out of memory"),
        coded(1, "CUDA error: invalid argument"),
        coded(9, "CUDA error: invalid configuration argument"),
        coded(209, "CUDA error: no kernel image is available for execution on the device"),
        coded(901, "CUDA error: operation failed due to a previous error during capture"),
        torch.OutOfMemoryError("CUDA out of memory"),
        RuntimeError("cuDNN error: CUDNN_STATUS_INTERNAL_ERROR_HOST_ALLOCATION_FAILED"),
        RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"),
        RuntimeError("misaligned address book"),
        RuntimeError("shapes differ"),
        ValueError("CUDA error: an illegal memory access was encountered"),
    ],
    ids=lambda error: f"{getattr(error, 'error_code', '')}{error}",
)
def test_what_does_not(error: Exception) -> None:
    assert not lost_device(error)


def test_a_device_that_was_used_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    def dead(device: torch.device) -> None:
        raise torch.AcceleratorError("CUDA error: an illegal memory access was encountered")

    monkeypatch.setattr("torch.cuda.synchronize", dead)
    assert answers(torch.device("cpu")) and answers(torch.device("cuda"))
    monkeypatch.setattr("torch.cuda.is_initialized", lambda: True)
    assert answers(torch.device("cpu")) and not answers(torch.device("cuda"))
    monkeypatch.setattr("torch.cuda.synchronize", lambda device: None)
    assert answers(torch.device("cuda"))
