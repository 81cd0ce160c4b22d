"""Evaluating a network on a CPU so that an image gets the same bits whatever batch it came in.

A CPU's kernels, and with them the last bits, depend on the batch size; so every image gets the bits of a batch of fixed
size, a group. Where a group is not full, most operations give those bits all the same, and only the others are filled
up. Which is which depends on the CPU, on shapes and on threads, and is found out once a process, by trying.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from functools import cache
from itertools import permutations
from typing import Any, NamedTuple, final

import torch
from torch import Generator, Tensor
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode

LARGE, SMALL = 4, 16  # images that a CPU evaluates at a time; small ones keep it busy only if they are more
LARGEST_SMALL = 8192  # numbers in a small image: 32 px with a condition beside it has 6144
COMPARED = 1024  # equal numbers after which two ways of computing count as the same

# Operations that add up or approximate, with how many of their first arguments have a row an image. All others that the
# networks here use are copies, or sums and products of two numbers, which are rounded alike in any batch.
ROWS: Mapping[Callable[..., Any], int] = {
    F.linear: 1,
    F.conv2d: 1,
    F.scaled_dot_product_attention: 3,
    F.group_norm: 1,
    F.silu: 1,
    F.normalize: 1,
    torch.linalg.vector_norm: 1,
    torch.sin: 1,
    torch.cos: 1,
    Tensor.sin: 1,
    Tensor.cos: 1,
    Tensor.sum: 1,
}


def in_groups(evaluate: Callable[[Tensor, Tensor], Tensor], x: Tensor, t: Tensor) -> Tensor:
    """Apply a network to groups of fixed size, the last one with the bits that it would have if it were full.

    Args:
        evaluate: (n, ...) images and (n,) times to (n, ...) results, each of which depends on its own image only.
        x: (B, ...) images.
        t: (B,) time of each image, or (1,) of all.
    """
    size = SMALL if x[0].numel() <= LARGEST_SMALL else LARGE
    results = []
    for images, times in zip(torch.split(x, size), torch.split(t.expand(len(x)), size), strict=True):
        with nullcontext() if len(images) == size else _AsIfFull(len(images), size):
            results.append(evaluate(images, times))
    return torch.cat(results)


class _Form(NamedTuple):
    """What the way in which a tensor is computed with may depend on; never its values."""

    shape: tuple[int, ...]
    stride: tuple[int, ...]
    dtype: torch.dtype


class _Call(NamedTuple):
    """A call of an operation, as far as the way in which it is computed may depend on it."""

    func: Callable[..., Any]
    args: tuple[Any, ...]  # tensors by their forms
    kwargs: tuple[tuple[str, Any], ...]
    traced: bool  # whether gradients are due
    threads: int


@final
class _AsIfFull(TorchFunctionMode):
    """Gives a few images the bits that they would have in a full group."""

    def __init__(self, present: int, size: int) -> None:
        super().__init__()
        self._present, self._size = present, size

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        if (first := ROWS.get(func)) is None:
            return func(*args, **kwargs)
        traced = torch.is_grad_enabled() and any(rows.requires_grad for rows in args[:first])
        named = tuple((name, _form(value)) for name, value in kwargs.items())
        call = _Call(func, tuple(map(_form, args)), named, traced, torch.get_num_threads())
        enough = _enough(call, self._present, self._size)
        filled = (_resized(rows, enough) for rows in args[:first])
        return _resized(func(*filled, *args[first:], **kwargs), self._present)


@cache
def _enough(call: _Call, present: int, size: int) -> int:
    """How many rows, from `present` to `size`, give those that are present the bits that they have among `size`."""
    return next((count for count in range(present, size) if _alike(call, present, count, size)), size)


def _alike(call: _Call, present: int, count: int, size: int) -> bool:
    """Whether `present` rows filled up to `count` give the bits that they have among `size` rows.

    Tried on random numbers, for in those of a network, which may be zeros, a difference may not show.
    """
    first, rng, compared = ROWS[call.func], Generator().manual_seed(0), 0
    while compared < COMPARED:
        group = [_drawn(_of_rows(form, size), rng) for form in call.args[:first]]
        others = [_drawn(arg, rng) for arg in call.args[first:]]
        named = {name: _drawn(value, rng) for name, value in call.kwargs}
        whole = _outcome(call, group, others, named, size)
        parts = _outcome(call, [rows[:present] for rows in group], others, named, count)
        if not all(_same(part, each[:present]) for part, each in zip(parts, whole, strict=True)):
            return False
        compared += parts[0].numel()
    return True


def _outcome(
    call: _Call, rows: Sequence[Tensor], others: Sequence[Any], named: Mapping[str, Any], count: int
) -> list[Tensor]:
    """The result for some rows filled up to `count`; where they are due, gradients of half its square too.

    A gradient depends on the layout of the one that comes from behind, too, so all are tried.
    """
    rows = [each.detach().requires_grad_(call.traced) for each in rows]
    filled = (_resized(each, count) for each in rows)
    result = _resized(call.func(*filled, *others, **named), len(rows[0]))
    gradients: list[Tensor] = []
    for order in permutations(range(1, result.ndim)) if call.traced else ():
        slope = torch.empty_permuted(result.shape, (0, *order), dtype=result.dtype).copy_(result.detach())
        gradients += torch.autograd.grad(result, rows, slope, retain_graph=True)
    return [result.detach(), *gradients]


def _same(a: Tensor, b: Tensor) -> bool:
    """Whether two tensors have the same bits, and rows of the same layout, by which the next operation may go."""
    return torch.equal(a, b) and a.stride()[1:] == b.stride()[1:]


def _resized(rows: Tensor, count: int) -> Tensor:
    """The first rows, or all of them and copies, `count` in all and in the same layout."""
    if len(rows) == count:
        return rows
    if rows.requires_grad and torch.is_grad_enabled():
        return _Resized.apply(rows, count)  # type: ignore[no-untyped-call, no-any-return]
    if count < len(rows):
        return rows[:count]
    copies = torch.cat([rows] * -(-count // len(rows)))[:count]
    like = _of_rows(_form(rows), count)
    if copies.stride()[1:] == like.stride[1:]:
        return copies
    return torch.empty_strided(like.shape, like.stride, dtype=like.dtype).copy_(copies)


@final
class _Resized(torch.autograd.Function):
    """`_resized` where gradients are due; those of slices and concatenations would not keep their layout.

    Rows that are added or left out have no part in anything that is kept, and so none in a gradient.
    """

    @staticmethod
    def forward(ctx: Any, rows: Tensor, count: int) -> Tensor:
        ctx.count = len(rows)
        return _resized(rows, count)

    @staticmethod
    def backward(ctx: Any, slope: Tensor) -> tuple[Tensor, None]:  # type: ignore[override]
        return _resized(slope, ctx.count), None


def _of_rows(form: _Form, count: int) -> _Form:
    """The form of a tensor of `count` rows like those of another, each in a memory of its own."""
    shape, steps = (count, *form.shape[1:]), form.stride[1:]
    if any(n > 1 and step == 0 for n, step in zip(shape[1:], steps, strict=True)):
        steps = torch.empty(shape, device="meta").stride()[1:]
    return _Form(shape, (max(form.stride[0], _span(shape[1:], steps)), *steps), form.dtype)


def _span(shape: Sequence[int], stride: Sequence[int]) -> int:
    """Numbers from the first to the last of a tensor in memory."""
    return 1 + sum((n - 1) * step for n, step in zip(shape, stride, strict=True))


def _form(arg: Any) -> Any:
    return _Form(arg.shape, arg.stride(), arg.dtype) if isinstance(arg, Tensor) else arg


def _drawn(arg: Any, rng: Generator) -> Any:
    if not isinstance(arg, _Form):
        return arg
    return torch.randn(_span(*arg[:2]), generator=rng, dtype=arg.dtype).as_strided(arg.shape, arg.stride)
