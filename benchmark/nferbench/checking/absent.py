"""A device that this machine lacks: its tensors have shapes and no values, and what a real one would wait for is seen.

There are two kinds. Fake tensors on "cuda" take the branches that code has for a GPU, but know no backward pass without
a driver. Those on "meta" know it, and say that they are a GPU's where code asks. Host tensors stay real, so that tables
can be worked out and read there.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import Any, Literal, Self, final
from unittest.mock import patch

import torch
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensorMode, unset_fake_temporarily
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from nferbench.contract import captured

aten = torch.ops.aten

COPIES = {aten._to_copy.default, aten.copy_.default, aten.copy.default}
LOOKUPS = {aten.index.Tensor, aten.index_put.default, aten.index_put_.default, aten._index_put_impl_.default}
READS = {torch.Tag.data_dependent_output, torch.Tag.dynamic_output_shape}


class Refused(AssertionError):
    """What would fail on a real device, or make the host wait for it."""


@final
class Waits(Refused):
    """What would make the host wait for a real device: slow, and not to be followed without one."""


@final
class Mixed(Refused):
    """Tensors of both sides in one operation, which would fail on a real device."""


@final
class AbsentDevice(TorchDispatchMode):
    """Lets code compute on the device inside a block, and raises `Refused` for three things.

    - An operation on tensors of both sides. Without values torch lets a convolution or a matrix product of such pass in
      silence. A host tensor without dimensions is a number, which torch allows.
    - A value of the device that the host asks for: a copy to the host, `item`, `tolist`, `bool`, or a shape that
      follows from values (`nonzero`, an index of truth values).
    - Once `settled`, a copy from the host to the device: what a loop needs belongs there before.
    """

    def __init__(self, kind: Literal["cuda", "meta"]) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.device = torch.device(kind)
        self.settled = False
        self._fake = FakeTensorMode(allow_non_fake_inputs=True) if kind == "cuda" else None
        self._constants = _Constants(self)

    def __enter__(self) -> Self:
        if self._fake is not None:
            self._fake.__enter__()
        self._constants.__enter__()  # type: ignore[no-untyped-call]
        super().__enter__()  # type: ignore[no-untyped-call]
        return self

    def __exit__(self, *error: Any) -> None:
        super().__exit__(*error)  # type: ignore[no-untyped-call]
        self._constants.__exit__(*error)  # type: ignore[no-untyped-call]
        if self._fake is not None:
            self._fake.__exit__(*error)

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        leaves = tree_leaves((args, kwargs))
        tensors = [leaf for leaf in leaves if isinstance(leaf, Tensor)]
        target = next((leaf for leaf in leaves if isinstance(leaf, torch.device)), None)
        if not any(map(self._here, tensors)) and (target is None or target.type != self.device.type):
            with unset_fake_temporarily():
                return func(*args, **kwargs)
        if func.namespace != "aten":  # what fake tensors ask each other
            return func(*args, **kwargs)
        # In inference mode `item`, `matmul` and others arrive in one piece.
        with torch._C.DisableTorchFunction(), self:
            parts = func.decompose(*args, **kwargs)
        if parts is not NotImplemented:
            return parts
        if func in COPIES:
            source = args[0] if func is aten._to_copy.default else args[1]
            self._check_copy(func, source, target or args[0].device)
        else:
            self._check(func, tensors)
        return func(*args, **kwargs)

    def _check(self, func: Any, tensors: list[Tensor]) -> None:
        if func in LOOKUPS:
            waits = any(each.dtype in (torch.bool, torch.uint8) for each in tensors[1:])
        else:
            waits = bool(READS.intersection(func.tags))
        if waits:
            raise Waits(f"{func} waits for the device")
        for each in tensors:
            if each.ndim and not self._here(each):
                raise Mixed(f"{func} of tensors on {self.device} and on {each.device}, {tuple(each.shape)}")

    def _check_copy(self, func: Any, source: Tensor, target: torch.device) -> None:
        leaves, arrives = self._here(source), target.type == self.device.type
        if leaves and not arrives:
            raise Waits(f"{func} to the host waits for the device")
        if arrives and not leaves and self.settled:
            raise Waits(f"{func} of {tuple(source.shape)} from the host, inside of a loop")

    def _here(self, tensor: Tensor) -> bool:
        return tensor.device.type == self.device.type


@final
class _Constants(TorchFunctionMode):
    """Sees what torch makes of Python's numbers for a device: on "meta" no dispatch mode does."""

    def __init__(self, device: AbsentDevice) -> None:
        super().__init__()
        self._device = device

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        result = func(*args, **(kwargs or {}))
        if self._device.settled and self._brings(func.__name__, args, result):
            raise Waits(f"{func.__name__} of Python's numbers from the host, inside of a loop")
        return result

    def _brings(self, name: str, args: tuple[Any, ...], result: Any) -> bool:
        if name in ("__getitem__", "__setitem__"):
            places = args[1] if isinstance(args[1], tuple) else args[1:2]
            return args[0].device.type == self._device.device.type and any(isinstance(each, list) for each in places)
        given = args[1] if name == "new_tensor" else args[0] if args else None
        made = name in ("tensor", "as_tensor", "asarray", "new_tensor") and not isinstance(given, Tensor)
        return made and result.device.type == self._device.device.type


@contextmanager
def absent(kind: Literal["cuda", "meta"]) -> Iterator[AbsentDevice]:
    """Compute on an absent device inside the block, with stand-ins for what torch has for present ones only."""
    device = AbsentDevice(kind)
    optimizer = importlib.import_module("torch.optim.optimizer")  # no attribute of torch.optim
    fused = [*optimizer._get_fused_kernels_supported_devices(), "meta"]
    stand_ins: list[tuple[Any, str, object]] = [
        (torch, "Generator", _stream_on(device.device)),
        (torch.cuda, "get_rng_state", lambda device: torch.empty(0)),
        (torch.cuda, "set_rng_state", lambda state, device: None),
        # Networks compute in bfloat16 as on a GPU of these days.
        (torch.cuda.amp.common, "amp_definitely_not_available", lambda: False),
        (torch.cuda, "is_bf16_supported", lambda: True),
        # A CUDA graph would need the driver; an update that is captured is made of what is seen here.
        (captured, "ABLE", False),
    ]
    if kind == "meta":
        stand_ins += [
            (torch.Tensor, "is_cuda", property(lambda tensor: tensor.is_meta)),
            (optimizer, "_get_fused_kernels_supported_devices", lambda: list(fused)),
        ]
    with ExitStack() as stack:
        for owner, name, stand_in in stand_ins:
            stack.enter_context(patch.object(owner, name, stand_in))
        stack.enter_context(device)
        yield device


def _stream_on(device: torch.device) -> type[torch.Generator]:
    """Generators of the host that claim to be the device's, so that what they draw is there from the start."""

    class Stream(torch.Generator):
        def __new__(cls, *_: Any) -> Self:
            return super().__new__(cls, "cpu")  # type: ignore[call-arg]

        @property
        def device(self) -> torch.device:  # type: ignore[override]
            return device

    return Stream
