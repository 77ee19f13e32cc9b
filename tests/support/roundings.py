"""Other values that a processor may give for the products, inverses, determinants and solutions of float64.

Under ``rounding(order)`` the terms of every product are summed from the left, from the right, as 80-bit numbers that
are rounded once, or in one of these ways by its shape, as libraries with a kernel for each shape do; an inverse is the
transposed inverse of the transpose, and so on. All of these are right to the last bits, and which of them a machine
gives hangs on its vector units and its libraries. What may not hang on it is a decision. (One ulp on a result would not
do: sums of whole numbers are exact on every processor, and what cancels to zero by one order of summation does not by
another.)

torch is reached by a function mode. NumPy's ``@`` cannot be replaced, but arrays that come from tensors are handed out
as a subclass which passes itself on and does its products here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

ORDERS = ("left", "right", "once", "by shape")
Array = np.ndarray


def product(a: Any, b: Any, order: str) -> Any:
    """``a @ b`` of tensors or arrays (..., n, k) and (..., k, m), summed over k in an order."""
    terms = range(a.shape[-1]) if order == "left" else range(a.shape[-1] - 1, -1, -1)
    total = None
    for k in terms:
        term = a[..., :, k : k + 1] * b[..., k : k + 1, :]
        total = term if total is None else total + term
    return a[..., :, :0] @ b[..., :0, :] if total is None else total


def rounded_once(a: Any, b: Any) -> Array:
    """``a @ b`` of tensors or arrays by 80-bit sums, as float64."""
    wide = [np.asarray(x.detach().numpy() if isinstance(x, Tensor) else x).astype(np.longdouble) for x in (a, b)]
    return np.matmul(*wide).astype(np.float64)


def multiplied(a: Any, b: Any, order: str, own: Callable[[Any, Any], Any]) -> Any:
    """A product of any shapes that ``@`` takes, in an order; ``own`` is what torch or NumPy does."""
    row, column = a.ndim == 1, b.ndim == 1
    x, y = a[None] if row else a, b[:, None] if column else b
    if order == "by shape":
        order = ORDERS[(x.ndim + x.shape[-2] + y.shape[-1]) % 3]
    if order != "once":
        out = product(x, y, order)
    elif isinstance(a, Tensor):
        out = torch.from_numpy(rounded_once(x, y))
        if a.requires_grad or b.requires_grad:  # the value is ours, the gradient is torch's
            theirs = own(x, y)
            out = theirs + (out - theirs).detach()
    else:
        out = rounded_once(x, y)
    out = out[..., 0, :] if row else out
    return out[..., 0] if column else out


def contracted(pattern: str, *parts: Any, order: str, own: Callable[..., Any]) -> Any:
    """An einsum of two float64 factors as one sum of products; others as they are."""
    inputs, _, wanted = pattern.replace(" ", "").partition("->")
    names = inputs.split(",")
    if len(parts) != 2 or not wanted or "." in pattern:
        return own(pattern, *parts)
    summed = sorted(set("".join(names)) - set(wanted))
    if not summed:
        return own(pattern, *parts)
    # every factor as (wanted..., summed), with axes of length 1 where it has none
    aligned = []
    for letters, part in zip(names, parts, strict=True):
        order_of = [n for n in wanted + "".join(summed) if n in letters]
        part = own(f"{letters}->{''.join(order_of)}", part)
        shape = [part.shape[order_of.index(n)] if n in letters else 1 for n in wanted + "".join(summed)]
        aligned.append(part.reshape(shape))
    a, b = aligned
    sizes = tuple(max(x, y) for x, y in zip(a.shape, b.shape, strict=True))
    spread = torch.broadcast_to if isinstance(a, Tensor) else np.broadcast_to
    a, b = (spread(x, sizes).reshape(*sizes[: len(wanted)], -1) for x in (a, b))
    return multiplied(a[..., None, :], b[..., :, None], order, own_matmul(a))[..., 0, 0]


def own_matmul(like: Any) -> Callable[[Any, Any], Any]:
    """torch's product or NumPy's."""
    return torch.matmul if isinstance(like, Tensor) else np.matmul


def transposed(matrix: Any) -> Any:
    """A matrix (..., n, n) transposed, in an order of memory that torch does not undo by itself."""
    swapped = matrix.swapaxes(-1, -2)
    return swapped.contiguous() if isinstance(swapped, Tensor) else np.ascontiguousarray(swapped)


def of_the_transpose(own: Callable[[Any], Any], matrix: Any) -> Any:
    """The inverse or exponential of a matrix (..., n, n) by way of its transpose."""
    return own(transposed(matrix)).swapaxes(-1, -2)


def solved(own: Callable[[Any, Any], Any], matrix: Any, values: Any) -> Any:
    """The solution of a system whose unknowns are asked for in the opposite order."""
    flipped = matrix.flip(-1) if isinstance(matrix, Tensor) else matrix[..., ::-1]
    found = own(flipped, values)
    axis = -1 if values.ndim == 1 else -2
    return found.flip(axis) if isinstance(found, Tensor) else np.flip(found, axis)


def is_float64(*values: Any) -> bool:
    """Whether all are float64 tensors on the CPU, or arrays."""
    wanted = (torch.float64, np.dtype(np.float64))
    return all(isinstance(v, Tensor | Array) and v.dtype in wanted and getattr(v, "is_cpu", True) for v in values)


def _product(own: Callable[..., Any], order: str, *args: Any, **kwargs: Any) -> Any:
    plain = len(args) == 2 and not kwargs and is_float64(*args) and min(a.ndim for a in args) > 0
    return multiplied(*args, order, own_matmul(args[0])) if plain else own(*args, **kwargs)


def _einsum(own: Callable[..., Any], order: str, *args: Any, **kwargs: Any) -> Any:
    plain = not kwargs and is_float64(*args[1:])
    return contracted(*args, order=order, own=own) if plain else own(*args, **kwargs)


def _transposed(own: Callable[..., Any], order: str, matrix: Any, **kwargs: Any) -> Any:
    return of_the_transpose(partial(own, **kwargs), matrix) if is_float64(matrix) else own(matrix, **kwargs)


def _determinant(own: Callable[..., Any], order: str, matrix: Any) -> Any:
    return own(transposed(matrix) if is_float64(matrix) else matrix)


def _solution(own: Callable[..., Any], order: str, matrix: Any, values: Any) -> Any:
    return solved(own, matrix, values) if is_float64(matrix, values) else own(matrix, values)


RULES: dict[Any, Callable[..., Any]] = {
    **dict.fromkeys((torch.matmul, torch.mm, torch.bmm, torch.mv, torch.dot, np.matmul, np.dot), _product),
    **{getattr(Tensor, name): _product for name in ("matmul", "mm", "bmm", "mv", "dot", "__matmul__")},
    **dict.fromkeys((torch.einsum, np.einsum), _einsum),
    **dict.fromkeys((torch.linalg.inv, torch.inverse, Tensor.inverse, np.linalg.inv), _transposed),
    **dict.fromkeys((torch.linalg.pinv, np.linalg.pinv, torch.linalg.matrix_exp, torch.matrix_exp), _transposed),
    **dict.fromkeys((torch.linalg.det, torch.det, Tensor.det, np.linalg.det), _determinant),
    **dict.fromkeys((torch.linalg.solve, np.linalg.solve), _solution),
}


def answer(own: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any], order: str) -> Any:
    """What ``own`` gives on another processor."""
    rule = RULES.get(own)
    return own(*args, **kwargs) if rule is None else rule(own, order, *args, **kwargs)


class OtherArray(np.ndarray):
    """An array whose products another processor makes. What is made of it is one too."""

    order = ""  # of the rounding that is in force

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **kwargs: Any) -> Any:
        plain = [_plain(x) for x in inputs]
        if "out" in kwargs:
            kwargs["out"] = tuple(_plain(x) for x in kwargs["out"])
        if method == "__call__" and not kwargs:
            return _other(answer(ufunc, tuple(plain), {}, self.order) if self.order else ufunc(*plain))
        return _other(getattr(ufunc, method)(*plain, **kwargs))

    def __array_function__(self, func: Any, types: Any, args: Any, kwargs: Any) -> Any:
        args, kwargs = _plain(args), {k: _plain(v) for k, v in kwargs.items()}
        return _other(answer(func, args, kwargs, self.order) if self.order else func(*args, **kwargs))

    def dot(self, other: Any) -> Any:  # type: ignore[override]
        """As ``np.dot``."""
        return np.dot(self, other)


def _plain(value: Any) -> Any:
    if isinstance(value, OtherArray):
        return value.view(np.ndarray)
    return type(value)(_plain(v) for v in value) if type(value) in (list, tuple) else value


def _other(value: Any) -> Any:
    if type(value) is np.ndarray:
        return value.view(OtherArray) if value.ndim else value[()]
    return type(value)(_other(v) for v in value) if type(value) in (list, tuple) else value


class _Rounding(TorchFunctionMode):
    def __init__(self, order: str):
        super().__init__()
        self.order = order

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = answer(func, args, kwargs or {}, self.order)
        return _other(out) if func is torch.Tensor.numpy else out


@contextmanager
def rounding(order: str) -> Iterator[None]:
    """Every float64 product, inverse, determinant and solution comes in another order of summation."""
    before, OtherArray.order = OtherArray.order, order
    try:
        with _Rounding(order):
            yield
    finally:
        OtherArray.order = before
