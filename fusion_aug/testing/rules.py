"""What an operator of torch costs on a GPU: whether it launches a kernel, what it moves, whether the host waits for it.

Operators are known by their schema and their tags; the few names here are those whose tags do not say it. The rules are
those of torch's CUDA backend.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch._ops import OpOverload
from torch.utils import _pytree as pytree

COPIES = ("_to_copy", "copy_")
INDEXED = ("index", "index_put_", "index_put", "_index_put_impl_", "_unsafe_index", "_unsafe_index_put")
# numbers that the host keeps and gives to a kernel by value, though their operator is not called pointwise
TAKES_A_NUMBER = ("fill_", "fill", "masked_fill_", "masked_fill", "index_fill_", "index_fill", "full_like")

_VIEWS = ("_unsafe_view", "lift_fresh", "lift", "_reshape_alias", "alias")
_ALLOCATES = ("empty", "empty_like", "empty_strided", "new_empty", "new_empty_strided", "empty_permuted")
_OVERWRITES = ("copy_", "fill_", "zero_", "uniform_", "normal_", "random_", "bernoulli_", "exponential_")
_GATHERS = ("index", "_unsafe_index", "index_select", "gather", "take", "embedding")
_PUTS = ("index_put_", "_index_put_impl_")
_SCATTERS = ("scatter_", "scatter_add_", "scatter_reduce_")
_SCATTERS_ROWS = ("index_add_", "index_copy_", "index_reduce_")
_ADDS = ("scatter_add_", "scatter_reduce_", "index_add_", "index_reduce_")
_SAYS_A_VALUE = ("_local_scalar_dense", "item", "equal", "allclose", "is_nonzero")  # the first two by a copy alone
# torch reads back whether these have succeeded
_CHECKED = ("_linalg_check_errors", "_linalg_eigh", "_linalg_svd", "linalg_lstsq", "linalg_eig", "_linalg_eigvals")
_CHECKED_IF_ASKED = ("linalg_inv_ex", "linalg_cholesky_ex", "linalg_ldl_factor_ex", "_linalg_solve_ex")


def name_of(func: OpOverload) -> str:
    """The operator's name without namespace and overload."""
    return str(func._schema.name.split("::")[-1])


def is_kernel(func: OpOverload) -> bool:
    """Whether it works on values: no view, no allocation, and no question about a tensor's form."""
    name = name_of(func)
    if func.is_view or name in _VIEWS + _ALLOCATES + _SAYS_A_VALUE[:2]:
        return False
    gives = any("Tensor" in str(r.type) for r in func._schema.returns)
    return gives or func._schema.is_mutable or name in _SAYS_A_VALUE + _CHECKED


def takes_numbers(func: OpOverload) -> bool:
    """Whether tensors of no dimension may lie on the host: they are numbers to the kernel."""
    return torch.Tag.pointwise in func.tags or name_of(func) in TAKES_A_NUMBER


def span(tensor: Tensor) -> int:
    """Bytes of a tensor; what is expanded is held, read and written once."""
    entries = math.prod(n for n, step in zip(tensor.shape, tensor.stride(), strict=True) if step or n == 0)
    return entries * tensor.element_size()


def is_among(tensor: Tensor, tensors: Sequence[Tensor]) -> bool:
    """Whether a tensor is one of some, not only equal to it."""
    return any(tensor is t for t in tensors)


def changed_arguments(func: OpOverload, args: Sequence[Any], kwargs: dict[str, Any]) -> list[Tensor]:
    """Tensors among the arguments that the operator writes."""
    found = []
    for i, argument in enumerate(func._schema.arguments):
        if argument.alias_info is not None and argument.alias_info.is_write:
            given = args[i] if i < len(args) and not argument.kwarg_only else kwargs.get(argument.name)
            found += [t for t in pytree.tree_leaves(given) if isinstance(t, Tensor)]
    return found


def scattered(func: OpOverload, args: Sequence[Any], kwargs: dict[str, Any]) -> int:
    """Entries that a scatter in place will write; 0 of another operator."""
    name = name_of(func)
    if name in _PUTS:
        return int(torch.ops.aten.index.Tensor(args[0], args[1]).numel())
    if name in _SCATTERS_ROWS:
        return int((args[3] if len(args) > 3 else kwargs["source"]).numel())
    if name in _SCATTERS:
        return int((args[2] if len(args) > 2 else kwargs["index"]).numel())
    return 0


def traffic(
    func: OpOverload,
    args: Sequence[Any],
    kwargs: dict[str, Any],
    out: Any,
    *,
    scatters: int = 0,
    numbers: Sequence[Tensor] = (),
) -> tuple[int, int]:
    """Bytes that an operator reads and writes on the device.

    What is gathered is read as far as it is asked for, and what is scattered written as far as it is given.

    Args:
        func: the operator. args, kwargs, out: of it, as tensors of the host. scatters: what ``scattered`` says.
        numbers: those of the arguments that the host gives by value.
    """
    name = name_of(func)
    changed = changed_arguments(func, args, kwargs)
    given = [t for t in pytree.tree_leaves((args, kwargs)) if isinstance(t, Tensor) and not is_among(t, numbers)]
    fresh = [t for t in pytree.tree_leaves(out) if isinstance(t, Tensor) and not is_among(t, changed)]
    if name in _PUTS + _SCATTERS + _SCATTERS_ROWS:
        put = scatters * args[0].element_size()
        adds = name in _ADDS or (name in _PUTS and bool(args[3] if len(args) > 3 else kwargs.get("accumulate")))
        return sum(map(span, given[1:])) + (put if adds else 0), put
    unread = changed if name in _OVERWRITES or "out" in kwargs else []
    read = sum(span(t) for t in given if not is_among(t, unread))
    written = sum(map(span, (*changed, *fresh)))
    if name in _GATHERS:
        return read - span(args[0]) + written, written
    return 0 if name.startswith("new_") or name.endswith("_like") else read, written


def masks(indices: Sequence[Tensor | None]) -> list[Tensor]:
    """Those of some indices that are masks."""
    return [i for i in indices if i is not None and i.dtype in (torch.bool, torch.uint8)]


class Wait(NamedTuple):
    """Why the host waits, and the bytes that it waits for."""

    why: str
    size: int


def wait_of(func: OpOverload, args: Sequence[Any], kwargs: dict[str, Any]) -> Wait | None:
    """Why the host waits for an operator; None where it does not.

    Args:
        func: the operator. args, kwargs: of it, before tensors of the device are replaced by what they hold.
    """
    name = name_of(func)
    if name in _SAYS_A_VALUE:
        alone = name in _SAYS_A_VALUE[:2]
        return Wait("item" if alone else name, args[0].element_size() if alone else 1)
    if name in _CHECKED or (name in _CHECKED_IF_ASKED and kwargs.get("check_errors")):
        return Wait(f"{name} looks whether it has succeeded", 4)
    if name in INDEXED:
        ours = [i for i in masks(args[1]) if not i.is_cpu]
        return (
            Wait(f"{name} by a mask: a size that depends on data", 8)
            if ours and not is_masked_fill(name, args)
            else None
        )
    if name == "repeat_interleave" and kwargs.get("output_size") is not None:
        return None
    if name == "histc" and (len(args) < 4 or args[2] == args[3]):
        return Wait("histc without a range looks for the least and the largest value", 8)
    return Wait(f"{name}: a size that depends on data", 8) if torch.Tag.dynamic_output_shape in func.tags else None


def is_masked_fill(name: str, args: Sequence[Any]) -> bool:
    """Whether a number is put by one mask of the device: ``x[mask] = 1`` has no size that depends on data.

    Args:
        name: of the operator. args: of it, before tensors of the device are replaced by what they hold.
    """
    if name not in ("index_put_", "index_put", "_index_put_impl_"):
        return False
    given, value = [i for i in args[1] if i is not None], args[2]
    one_mask = len(given) == 1 == len(masks(given)) and not given[0].is_cpu
    return one_mask and bool(value.numel() == 1 and value.is_cpu)
