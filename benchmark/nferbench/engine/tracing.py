"""What work on a GPU computes and holds, followed on device `meta`, where tensors have a shape and no memory.

On `meta` nothing is computed, so that the largest network takes seconds, and anything that reads a number fails. Every
operation is seen by two modes of torch: `LikeCUDA`, above autograd, changes what a GPU does otherwise; `Ledger`, below
it, counts what is left. Kernels' own workspaces, CUDA's context and fragments are not seen.
"""

from __future__ import annotations

import re
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, final

import torch
from torch import Tensor
from torch.optim import optimizer
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_iter, tree_map
from torch.utils.flop_counter import flop_registry

from nferbench.contract.precision import meta_as_gpu

META = torch.device("meta")
GRAIN = 512  # bytes; CUDA's allocator hands out multiples of it

# What CUDA's autocast casts, by the names under which Python calls it.
TO_BFLOAT16 = re.compile(
    "conv(_transpose)?[123]d|linear|matmul|__r?matmul__|mm|mv|bmm|addmm|addmv|addbmm|baddbmm|einsum|multi_dot|prelu"
    "|scaled_dot_product_attention"
)
TO_FLOAT32 = re.compile(
    "(group|layer)_norm|(log_)?softmax|logsumexp|softplus|exp|expm1|log|log1p|log2|log10|pow|__pow__|square|rsqrt"
    "|reciprocal|sum|prod|cumsum|cumprod|norm|vector_norm|dist|cdist|cosine_similarity|normalize|interpolate"
    "|(mse|l1|smooth_l1|huber|nll)_loss|cross_entropy|kl_div|binary_cross_entropy_with_logits"
)


@final
class Ledger(TorchDispatchMode):
    """Counts the arithmetic of operations and follows the memory that they allocate, on any device.

    Memory is that of storages, from when an operation returns one to when nothing refers to it any more. All devices
    count: on `meta` random numbers come from the CPU's generator, since there is none of its own.
    """

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.bf16 = 0  # operations whose operands are 16 bits wide; a multiplication and an addition are two
        self.float32 = 0  # all other operations
        self.held = 0  # bytes
        self.peak = 0  # bytes; the largest `held`
        self._storages: set[int] = set()

    def restart(self) -> None:
        """Forget what was counted, and the peak; what is held stays."""
        self.bf16 = self.float32 = 0
        self.peak = self.held

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        count = flop_registry.get(func.overloadpacket)
        if count is None and torch.is_inference_mode_enabled():
            with self:  # what inference mode leaves whole, such as a convolution of two dimensions
                if (parts := func.decompose(*args, **kwargs)) is not NotImplemented:
                    return parts
        out = func(*args, **kwargs)
        if count is not None:
            operations = count(*args, **kwargs, out_val=out)
            narrow = any(x.is_floating_point() and x.itemsize == 2 for x in tree_iter(args) if isinstance(x, Tensor))
            if narrow:
                self.bf16 += operations
            else:
                self.float32 += operations
        for each in tree_iter(out):
            if isinstance(each, Tensor):
                self.hold(each)
        return out

    def hold(self, tensor: Tensor) -> None:
        """Count the memory of a tensor from now on, if it is not counted yet."""
        storage = tensor.untyped_storage()
        name = storage._cdata
        if name in self._storages:
            return
        size = -(-storage.nbytes() // GRAIN) * GRAIN
        self._storages.add(name)
        self.held += size
        self.peak = max(self.peak, self.held)
        weakref.finalize(storage, self._free, name, size).atexit = False

    def _free(self, name: int, size: int) -> None:
        self._storages.discard(name)
        self.held -= size


@final
class LikeCUDA(TorchFunctionMode):
    """Lets tensors on `meta` do what CUDA's do: casts of autocast, fused attention, dropout with a mask of bytes."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        name = getattr(func, "__name__", "")
        if torch.is_autocast_enabled("cpu"):  # what `mixed_precision` sets for `meta`
            if TO_BFLOAT16.fullmatch(name):
                args, kwargs = tree_map(_cast(torch.float32, torch.bfloat16), (args, kwargs))
            elif TO_FLOAT32.fullmatch(name):
                args, kwargs = tree_map(_cast(torch.bfloat16, torch.float32), (args, kwargs))
        if name == "scaled_dot_product_attention" and args[0].is_meta:
            return _attention(*args, **kwargs)
        if name == "dropout" and args[0].is_meta:
            return _dropout(*args, **kwargs)
        return func(*args, **kwargs)


@contextmanager
def following(ledger: Ledger) -> Iterator[None]:
    """Let a ledger count and follow what is done in the block on `meta`, as if a GPU with bfloat16 did it."""
    like_cuda = LikeCUDA()
    run = torch.autograd._engine_run_backward  # type: ignore[attr-defined]

    def run_alike(*args: Any, **kwargs: Any) -> Any:
        with like_cuda:  # torch takes a mode away from whatever `backward` calls, such as a forward done anew
            return run(*args, **kwargs)

    with (
        _replaced(torch.autograd, "_engine_run_backward", run_alike),
        _replaced(optimizer, "_get_fused_kernels_supported_devices", lambda: ["meta", "cpu"]),
        meta_as_gpu(),
        like_cuda,
        ledger,
    ):
        yield


@contextmanager
def _replaced(owner: Any, name: str, value: object) -> Iterator[None]:
    """Put something else in the place of a name that torch keeps to itself, in the block."""
    before = getattr(owner, name)
    setattr(owner, name, value)
    try:
        yield
    finally:
        setattr(owner, name, before)


def _cast(source: torch.dtype, target: torch.dtype) -> Callable[[Any], Any]:
    def change(value: Any) -> Any:
        if isinstance(value, Tensor) and value.is_meta and value.dtype == source:
            return value.to(target)
        return value

    return change


def _attention(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attn_mask: Tensor | None = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    scale: float | None = None,
    enable_gqa: bool = False,
) -> Tensor:
    """Attention without a matrix of weights, as the kernels of a GPU do it in either precision."""
    flash = torch.ops.aten._scaled_dot_product_flash_attention
    answer: Tensor = flash(query, key, value, dropout_p, is_causal, scale=scale)[0]
    return answer


def _dropout(input: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False) -> Tensor:
    return torch.native_dropout(input, p, training)[0] if training and p else input
