"""A mock device: tensors that refuse what a GPU refuses, hold real values, and write down what a GPU would be paid for.

It is torch's device type ``lazy``, which nothing else of torch uses while its lazy backend is not started. The type for
plugins (PrivateUse1) would need a name, hooks and a guard that stay for the life of the process, and has no gradients
where autograd has run before them; this one needs nothing, so that nothing is left behind.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor
from torch._ops import OpOverload
from torch.utils import _pytree as pytree
from torch.utils._python_dispatch import TorchDispatchMode

from fusion_aug.testing import rules
from fusion_aug.testing.log import CopyIn, DeviceLog, Launch, Sync
from fusion_aug.testing.mixing import refuse_mixing
from fusion_aug.testing.pinned import PinnedMemory
from fusion_aug.testing.places import places
from fusion_aug.testing.tensor import MockTensor

DEVICE = torch.device("lazy", 0)


@contextmanager
def mock_device() -> Iterator[DeviceLog]:
    """Context: a device without hardware, and the log of what happens on it.

    Inside of it ``tensor.to(log.device)``, ``sample.to(log.device)`` and factories with ``device=log.device`` give
    tensors that hold real values and mix with those of the CPU as on CUDA: not, but for numbers (no dimension) and
    indices. Kernels, bytes, copies in and every way back to the host are written down with their lines. Afterwards
    nothing is left but the log and tensors that can only be brought to the host. Blocks may lie in one another; the
    innermost writes. Other threads have no factories on the device, but may work on its tensors.

    Yields:
        the log.
    """
    mode = MockDevice()
    lifted = torch._C._only_lift_cpu_tensors()
    torch._C._set_only_lift_cpu_tensors(True)  # or torch.tensor(..., device=...) would go past the mode
    try:
        with mode:
            yield mode.log
    finally:
        torch._C._set_only_lift_cpu_tensors(lifted)
        mode.closed = True


class MockDevice(TorchDispatchMode):
    """What runs operators on the device. As a mode it also meets those that no tensor of the device announces."""

    def __init__(self) -> None:
        super().__init__()
        self.device, self.closed = DEVICE, False
        self.log = DeviceLog(DEVICE)
        self._pinned = PinnedMemory()

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        return False  # or torch imports its compiler, seconds of it, to say that this is not compiled

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        leaves = pytree.tree_leaves((args, kwargs))
        if _is_ours(kwargs.get("device")) or any(isinstance(x, MockTensor) for x in leaves):
            return self.call(func, args, kwargs)
        return self._pinned.call(func, args, kwargs)

    def call(self, func: OpOverload, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Run an operator: look whether devices mix, write down, compute on the CPU.

        Raises:
            RuntimeError: devices mix, the device is closed, or a tensor would change its shape in place.
        """
        if func._can_decompose():  # in inference mode torch has not done it
            with self:
                parts = func.decompose(*args, **kwargs)
            if parts is not NotImplemented:
                return parts
        name, goal = rules.name_of(func), kwargs.get("device")
        real_args, real_kwargs = pytree.tree_map_only(MockTensor, lambda x: x.held, (args, dict(kwargs)))
        if _is_ours(goal):
            real_kwargs["device"] = torch.device("cpu")
        if name in rules.COPIES and self._crosses(name, args, goal):
            return self._copied(func, args, kwargs, real_args, real_kwargs)
        if name == "is_pinned" or (goal is not None and not _is_ours(goal)):  # such as zeros_like(x, device="cpu")
            return func(*real_args, **real_kwargs)
        if self.closed:
            raise RuntimeError(
                f"{func}: the block of mock_device() has ended; its tensors can only be copied to the host"
            )
        if goal is None:
            refuse_mixing(func, args, kwargs, self.device)
        return self._run(func, args, kwargs, real_args, real_kwargs)

    # --- copies -------------------------------------------------------------------------------------------------------
    @staticmethod
    def _crosses(name: str, args: Any, goal: torch.device | None) -> bool:
        """Whether a copy goes from host to device or back."""
        here = isinstance(args[0], MockTensor)
        if name == "copy_":
            return here != isinstance(args[1], MockTensor)
        return goal is not None and here != _is_ours(goal)

    def _copied(self, func: OpOverload, args: Any, kwargs: Any, real_args: Any, real_kwargs: Any) -> Any:
        """A copy from host to device or back."""
        in_place = rules.name_of(func) == "copy_"
        source = args[1] if in_place else args[0]
        if isinstance(source, MockTensor):
            self.read_back("copy to the host", source.held)
            return func(*real_args, **real_kwargs)
        non_blocking = bool(args[2]) if in_place and len(args) > 2 else bool(kwargs.get("non_blocking"))
        self._copy_in("copy to the device", source, rules.span(source), non_blocking)
        out = func(*real_args, **real_kwargs)
        return args[0] if in_place else MockTensor(out, self)

    def _copy_in(self, what: str, source: Tensor, size: int, non_blocking: bool = False) -> None:
        """Write down that values of the host go to the device."""
        if size:
            self.log.add(CopyIn(what, places(), size, self._pinned.holds(source), non_blocking))

    def _copy_operands(self, name: str, args: Any) -> None:
        """Write down what indexing copies by itself: indices of the host, and a number to put at indices."""
        for index in args[1]:
            if isinstance(index, Tensor) and not isinstance(index, MockTensor):
                a_mask = bool(rules.masks([index]))
                size = 8 * int(index.count_nonzero()) * index.dim() if a_mask else rules.span(index)
                self._copy_in("an index of the host", index, size)
        if len(args) > 2 and not isinstance(args[2], MockTensor) and not rules.is_masked_fill(name, args):
            self._copy_in("a number to put", args[2], args[2].element_size())

    def read_back(self, what: str, held: Tensor) -> Tensor:
        """Write down that the host asks for values of the device; gives them."""
        if held.numel() and not self.closed:
            self.log.add(Sync(what, places(), rules.span(held)))
        return held

    # --- kernels ------------------------------------------------------------------------------------------------------
    def _run(self, func: OpOverload, args: Any, kwargs: Any, real_args: Any, real_kwargs: Any) -> Any:
        """An operator on the device."""
        name = rules.name_of(func)
        if torch.Tag.inplace_view in func.tags and name != "detach_":
            raise RuntimeError(f"{func}: the mock device cannot follow a tensor that changes its shape in place")
        if name in rules.INDEXED:
            self._copy_operands(name, args)
        wait = rules.wait_of(func, args, kwargs)
        if wait is not None:
            self.log.add(Sync(wait.why, places(), wait.size))
        put = rules.scattered(func, real_args, real_kwargs)
        out = func(*real_args, **real_kwargs)
        if rules.is_kernel(func):
            leaves = pytree.tree_leaves((args, kwargs))
            numbers = [x for x in leaves if isinstance(x, Tensor) and x.is_cpu and not x.dim()]
            read, written = rules.traffic(func, real_args, real_kwargs, out, scatters=put, numbers=numbers)
            if read + written:
                self.log.add(Launch(str(func._schema.name), places(), read, written))
        return self._wrapped(func, args, kwargs, out)

    def _wrapped(self, func: OpOverload, args: Any, kwargs: Any, out: Any) -> Any:
        """A result as tensors of the device; what was given and changed is given back."""
        known = {id(x.held): x for x in pytree.tree_leaves((args, kwargs)) if isinstance(x, MockTensor)}
        for x in known.values():
            if x.held.shape != x.shape:  # a result that was given with another shape
                raise RuntimeError(f"{func}: the result does not fit the tensor that was given for it")

        def wrap(t: Tensor) -> Tensor:
            return known[id(t)] if id(t) in known else MockTensor(t, self)

        return pytree.tree_map_only(Tensor, wrap, out)


def _is_ours(device: Any) -> bool:
    """Whether a device that an operator is given is the mock device.

    Raises:
        RuntimeError: it is another one of its type.
    """
    if device is None or device.type != DEVICE.type:
        return False
    if device.index not in (None, DEVICE.index):
        raise RuntimeError(f"there is no {device}: the one mock device is {DEVICE}")
    return True
