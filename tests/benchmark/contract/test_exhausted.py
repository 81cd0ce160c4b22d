"""A lack of memory is known in all its shapes, and nothing else is taken for one."""

from __future__ import annotations

import errno

import pytest
import torch

from nferbench.contract.chained import chain
from nferbench.contract.errors import DataError
from nferbench.contract.exhausted import lacking, out_of_memory

DEVICE: list[BaseException] = [
    torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB. GPU 0 has a total capacity of 23.65 GiB"),
    torch.AcceleratorError("CUDA error: out of memory\nCUDA kernel errors might be asynchronously reported"),
    RuntimeError("CUDA error: out of memory"),
    RuntimeError("CUDA driver error: out of memory"),
    RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"),
    RuntimeError("CUDA error: CUBLAS_STATUS_NOT_INITIALIZED when calling `cublasCreate(handle)`"),
    RuntimeError("cuDNN error: CUDNN_STATUS_ALLOC_FAILED"),
    RuntimeError("cuDNN error: CUDNN_STATUS_INTERNAL_ERROR_DEVICE_ALLOCATION_FAILED"),
    RuntimeError("cuDNN error: CUDNN_STATUS_NOT_SUPPORTED\nno plan fits the workspace of 0 bytes"),
    RuntimeError("FIND was unable to find an engine to execute this computation"),
    RuntimeError("cusolver error: CUSOLVER_STATUS_ALLOC_FAILED, when calling `cusolverDnCreate(handle)`"),
    RuntimeError("cuFFT error: CUFFT_ALLOC_FAILED"),
]
HOST: list[BaseException] = [
    RuntimeError("cuDNN error: CUDNN_STATUS_INTERNAL_ERROR_HOST_ALLOCATION_FAILED"),
    RuntimeError("[enforce fail at alloc_cpu.cpp:117] err == 0. DefaultCPUAllocator: can't allocate memory: 9 bytes"),
    RuntimeError("[enforce fail at alloc_cpu.cpp:80] data. not enough memory"),
    RuntimeError("unable to mmap 4096 bytes from file </t>: Cannot allocate memory (12)"),
    MemoryError(),
    OSError(errno.ENOMEM, "Cannot allocate memory"),
]
OTHERS: list[BaseException] = [
    RuntimeError("The size of tensor a (3) must match the size of tensor b (4)"),
    RuntimeError("CUDA error: an illegal memory access was encountered"),
    RuntimeError("CUDA error: CUBLAS_STATUS_EXECUTION_FAILED when calling `cublasSgemm( handle, opa, opb)`"),
    RuntimeError("CUDA error: CUBLAS_STATUS_NOT_INITIALIZED when calling `cublasSgemm( handle, opa, opb)`"),
    RuntimeError(
        "cuDNN error: CUDNN_STATUS_NOT_SUPPORTED. This error may appear if you passed in a non-contiguous input."
    ),
    RuntimeError("cuDNN error: CUDNN_STATUS_EXECUTION_FAILED"),
    ValueError("CUDA out of memory"),  # the words alone, of a type that no allocator raises
    OSError(errno.ENOSPC, "No space left on device"),
    KeyError("memory"),
]


@pytest.mark.parametrize("error", DEVICE, ids=str)
def test_every_shape_of_a_lack_of_a_devices_memory_is_known(error: BaseException) -> None:
    assert out_of_memory(error) and lacking(error) == "device"


@pytest.mark.parametrize("error", HOST, ids=str)
def test_every_shape_of_a_lack_of_the_hosts_memory_is_known(error: BaseException) -> None:
    assert out_of_memory(error) and lacking(error) == "host"


@pytest.mark.parametrize("error", OTHERS, ids=str)
def test_other_errors_are_none(error: BaseException) -> None:
    assert not out_of_memory(error)


@pytest.mark.parametrize("hidden", [False, True])
def test_a_lack_is_known_behind_what_a_plugin_made_of_it(hidden: bool) -> None:
    with pytest.raises(DataError) as caught:
        try:
            raise torch.OutOfMemoryError("CUDA out of memory")
        except RuntimeError as error:
            raise DataError("the faces cannot be translated") from (None if hidden else error)
    assert out_of_memory(caught.value)


def test_errors_that_lead_to_each_other_end() -> None:
    first, second = ValueError("a"), ValueError("b")
    first.__cause__, second.__context__ = second, first
    assert list(chain(first)) == [first, second] and not out_of_memory(first)
