"""Settings of torch and NumPy that hold for a whole thread or process, put aside while the package works.

A training step under ``torch.autocast``, a script with ``torch.set_default_dtype(torch.float64)`` or
``np.seterr(all="raise")`` would otherwise change results, or stop them.
"""

from __future__ import annotations

import os
import threading
from contextlib import ContextDecorator, ExitStack
from typing import Any

import numpy as np
import torch

AUTOCAST_DEVICES = ("cpu", "cuda", "xpu")


def standard_modes() -> ContextDecorator:
    """Autocast off, default dtype float32, default device the CPU, NumPy's own error state; put back afterwards.

    A context, and a decorator of every function through which work enters the package. Inside of one, in the same
    thread, another has nothing to do.
    """
    return _StandardModes()


class _StandardModes(ContextDecorator):
    def _recreate_cm(self) -> _StandardModes:
        return _StandardModes()  # every call of a decorated function has a context of its own

    def __enter__(self) -> None:
        self._outermost = not getattr(_THREAD, "inside", False)
        if not self._outermost:
            return
        with ExitStack() as stack:
            stack.enter_context(np.errstate(divide="warn", over="warn", under="ignore", invalid="warn"))
            for device in AUTOCAST_DEVICES:
                if torch.is_autocast_enabled(device):
                    stack.enter_context(torch.autocast(device, enabled=False))
            if not torch.empty(0).is_cpu:  # a tenth of the time of torch.get_default_device
                stack.enter_context(torch.device("cpu"))
            stack.enter_context(_FLOAT32)
            self._entered = stack.pop_all()
        _THREAD.inside = True

    def __exit__(self, *error: Any) -> None:
        if self._outermost:
            _THREAD.inside = False
            self._entered.__exit__(*error)


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
        self._lock, inside, self._inside, _THREAD.inside = threading.Lock(), self._inside, 0, False
        if inside and self._before != torch.float32:
            torch.set_default_dtype(self._before)


_FLOAT32, _THREAD = _DefaultFloat32(), threading.local()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_FLOAT32.reset)
