"""Page-locked memory of a host that has no accelerator: which tensors a program has asked to be pinned."""

from __future__ import annotations

from typing import Any

from torch import Tensor
from torch._ops import OpOverload
from torch.multiprocessing.reductions import StorageWeakRef

from fusion_aug.testing.rules import name_of


class PinnedMemory:
    """Storages of the host that count as pinned."""

    def __init__(self) -> None:
        self._storages: dict[int, StorageWeakRef] = {}

    def holds(self, tensor: Tensor) -> bool:
        """Whether a tensor of the host lies in pinned memory."""
        known = self._storages.get(tensor.untyped_storage()._cdata)
        return known is not None and not known.expired()

    def call(self, func: OpOverload, args: Any, kwargs: Any) -> Any:
        """Run an operator on the host's tensors: torch alone would refuse to pin where there is no accelerator."""
        name = name_of(func)
        if name == "is_pinned":
            return self.holds(args[0])
        if name == "_pin_memory":
            return self._pin(args[0].clone())
        if kwargs.get("pin_memory"):
            return self._pin(func(*args, **{**kwargs, "pin_memory": False}))
        return func(*args, **kwargs)

    def _pin(self, tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        self._storages = {k: s for k, s in self._storages.items() if not s.expired()}
        self._storages[storage._cdata] = StorageWeakRef(storage)
        return tensor
