"""Settings of torch and NumPy that hold for a whole thread or process, put aside while the package works.

A training step under ``torch.autocast``, a script with ``torch.set_default_dtype(torch.float64)`` or
``np.seterr(all="raise")`` would otherwise change results, or stop them.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import numpy as np
import torch

AUTOCAST_DEVICES = ("cpu", "cuda", "xpu")


@contextmanager
def standard_modes() -> Iterator[None]:
    """Autocast off, default dtype float32, default device the CPU, NumPy's own error state; put back afterwards.

    Also a decorator, of every function through which work enters the package. What is set so already costs nothing.
    """
    with ExitStack() as stack:
        stack.enter_context(np.errstate(divide="warn", over="warn", under="ignore", invalid="warn"))
        for device in AUTOCAST_DEVICES:
            if torch.is_autocast_enabled(device):
                stack.enter_context(torch.autocast(device, enabled=False))
        if torch.get_default_device().type != "cpu":
            stack.enter_context(torch.device("cpu"))
        stack.enter_context(_FLOAT32)
        yield


class _DefaultFloat32:
    """float32 as torch's default dtype, which all threads share: the last one to leave puts the old one back."""

    def __init__(self) -> None:
        self._lock, self._inside, self._before = threading.Lock(), 0, torch.float32

    def __enter__(self) -> None:
        with self._lock:
            if self._inside == 0:
                self._before = torch.get_default_dtype()
                if self._before != torch.float32:
                    torch.set_default_dtype(torch.float32)
            self._inside += 1

    def __exit__(self, *error: object) -> None:
        with self._lock:
            self._inside = max(self._inside - 1, 0)  # 0 already in a child that was forked meanwhile
            if self._inside == 0 and self._before != torch.float32:
                torch.set_default_dtype(self._before)

    def reset(self) -> None:
        """What a forked child begins with: nobody inside, and the lock free."""
        self._lock, inside, self._inside = threading.Lock(), self._inside, 0
        if inside and self._before != torch.float32:
            torch.set_default_dtype(self._before)


_FLOAT32 = _DefaultFloat32()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_FLOAT32.reset)
