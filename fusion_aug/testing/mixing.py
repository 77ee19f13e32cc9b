"""What tensors of the host may do among those of the device: what CUDA allows, and no more."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch._ops import OpOverload
from torch.utils import _pytree as pytree

from fusion_aug.testing import rules
from fusion_aug.testing.tensor import MockTensor


def refuse_mixing(func: OpOverload, args: Any, kwargs: Any, device: torch.device) -> None:
    """Refuse an operator whose tensors lie on the device and on the host.

    Numbers of the host (no dimension) are given to pointwise kernels by value; indices of the host are copied where a
    tensor of the device is indexed, as is a number to put there.

    Raises:
        RuntimeError: names the operator and the shapes of the host's tensors.
    """
    leaves = pytree.tree_leaves((args, kwargs))
    if any(isinstance(x, torch.Generator) for x in leaves):
        raise RuntimeError(f"{func}: a generator of the CPU cannot draw on {device}")
    hosts = [x for x in leaves if isinstance(x, Tensor) and not isinstance(x, MockTensor)]
    if not hosts:
        return
    if rules.name_of(func) in rules.INDEXED and isinstance(args[0], MockTensor):
        wrong = [v for v in args[2:3] if not isinstance(v, MockTensor) and v.dim()]
    elif rules.takes_numbers(func):
        changed = rules.changed_arguments(func, args, kwargs)
        wrong = [x for x in hosts if x.dim() or rules.is_among(x, changed)]
    else:
        wrong = hosts
    if wrong:
        shapes = ", ".join(str(tuple(x.shape)) for x in wrong)
        raise RuntimeError(
            f"{func}: expected all tensors to be on the same device, but found at least two, {device} and cpu "
            f"(those on the cpu have shape {shapes})"
        )
