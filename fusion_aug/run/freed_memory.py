"""What a process does with memory that it has freed.

Pictures and chunks of recordings are larger than what the allocator of glibc keeps: each is taken from the system and
given back, and the system clears every page of it again, which is a quarter of the time of a run that copies.
"""

from __future__ import annotations

import ctypes
import platform

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3  # malloc.h of glibc
KEPT, LARGEST_KEPT = 2**26, 2**25  # bytes: of freed memory, and of one block; glibc takes no more for the latter


def keep_freed_memory() -> bool:
    """Let this process use freed memory again before it asks for more.

    It holds up to ``KEPT`` bytes that it does not use. A variable of the environment ``MALLOC_TRIM_THRESHOLD_`` or
    ``MALLOC_MMAP_THRESHOLD_`` is overruled.

    Returns:
        whether the allocator is one that can be told so (glibc's; others keep what they do).
    """
    if platform.libc_ver()[0] != "glibc":
        return False
    set_option = ctypes.CDLL(None).mallopt
    return bool(set_option(M_MMAP_THRESHOLD, LARGEST_KEPT)) and bool(set_option(M_TRIM_THRESHOLD, KEPT))
