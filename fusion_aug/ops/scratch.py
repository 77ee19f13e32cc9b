"""Memory for what a kernel makes and throws away before it returns.

The system clears every page that a process asks for, which takes as long as a pass over a picture does; a block that is
written to again is not cleared again.
"""

from __future__ import annotations

import math
import threading

import numpy as np

MOST_BYTES = 2**23  # of a block that is kept; larger ones are asked for each time
_blocks = threading.local()


def scratch(name: str, shape: tuple[int, ...], dtype: np.dtype) -> np.ndarray:
    """An array with nothing of meaning in it.

    Args:
        name: of what it is for. The next who asks in the same thread for the same name writes to the same memory: it
            must not outlive the kernel that asks.
        shape, dtype: of the array.
    """
    size = math.prod(shape) * dtype.itemsize
    if size > MOST_BYTES:
        return np.empty(shape, dtype)
    block = _blocks.__dict__.get(name)
    if block is None or len(block) < size:
        block = _blocks.__dict__[name] = np.empty(size, np.uint8)
    return block[:size].view(dtype).reshape(shape)
