"""A tensor that says that it lies on the mock device, and holds its values in a tensor of the CPU."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

import torch
from torch import Tensor
from torch._ops import OpOverload


class Owner(Protocol):
    """The mock device of a tensor."""

    device: torch.device

    def call(self, func: OpOverload, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Run an operator on it."""

    def read_back(self, what: str, held: Tensor) -> Tensor:
        """Say that the host asks for values; gives them."""


class MockTensor(Tensor):
    """A tensor on a mock device.

    Attributes:
        held: its values on the CPU. owner: the device.
    """

    held: Tensor
    owner: Owner

    @staticmethod
    def __new__(cls, held: Tensor, owner: Owner) -> MockTensor:
        made = Tensor._make_wrapper_subclass(
            cls,
            held.size(),
            strides=held.stride(),
            storage_offset=held.storage_offset(),
            dtype=held.dtype,
            device=owner.device,
        )
        made.held, made.owner = held, owner
        return made

    def __init__(self, held: Tensor, owner: Owner):
        super().__init__()

    __torch_function__ = torch._C._disabled_torch_function_impl  # type: ignore[assignment]

    @classmethod
    def __torch_dispatch__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:  # type: ignore[override]
        """Outside the device's block and in other threads; inside of it the block's mode comes first."""
        return _first(args, kwargs or {}).owner.call(func, args, kwargs or {})

    # --- ways back to the host, each by its name ----------------------------------------------------------------------
    def item(self) -> Any:
        return self.owner.read_back("item", self.held).item()

    def tolist(self) -> Any:
        return self.owner.read_back("tolist", self.held).tolist()

    def __bool__(self) -> bool:
        return bool(self.owner.read_back("bool", self.held))

    def __int__(self) -> int:
        return int(self.owner.read_back("int", self.held))

    def __float__(self) -> float:
        return float(self.owner.read_back("float", self.held))

    def __complex__(self) -> complex:
        return complex(self.owner.read_back("complex", self.held))

    def __index__(self) -> int:
        return self.owner.read_back("index", self.held).__index__()

    def __repr__(self, *, tensor_contents: Any = None) -> str:  # type: ignore[override]
        return f"{self.owner.read_back('repr', self.held)!r} on {self.owner.device}"

    def __format__(self, spec: str) -> str:
        return format(self.item() if self.dim() == 0 else repr(self), spec)

    # --- what a GPU refuses -------------------------------------------------------------------------------------------
    def numpy(self, *args: Any, **kwargs: Any) -> Any:
        self.owner.read_back("numpy", self.held)
        raise TypeError(f"a tensor on {self.owner.device} has no NumPy array: bring it to the host with .cpu() first")

    def __array__(self, *args: Any, **kwargs: Any) -> Any:
        return self.numpy()

    def __reduce_ex__(self, protocol: Any) -> Any:
        raise TypeError(f"a tensor on {self.owner.device} cannot be pickled: bring it to the host with .cpu() first")

    # --- as CUDA does it ----------------------------------------------------------------------------------------------
    def __setitem__(self, index: Any, value: Any) -> None:
        """A number stays on the host until a kernel takes it, as on CUDA; for other devices torch makes a tensor."""
        if isinstance(value, bool | int | float | complex):
            value = torch.tensor(value, dtype=self.dtype)
        super().__setitem__(index, value)


def _first(args: Any, kwargs: Any) -> MockTensor:
    """A tensor of the device among arguments."""
    leaves: Callable[[Any], list[Any]] = torch.utils._pytree.tree_leaves
    return next(x for x in leaves((args, kwargs)) if isinstance(x, MockTensor))
