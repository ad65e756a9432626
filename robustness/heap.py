"""Keep the memory that tensors free: handed back to the system, its pages are cleared anew."""

from __future__ import annotations

import ctypes
import platform

# Numbers of glibc's malloc.h, and what they are set to: no mapping of its own for a large block, nothing
# handed back from the end of the heap.
MMAP_MAX, TRIM_THRESHOLD = -4, -1
NEVER = 2**31 - 1


def keep_freed_memory() -> bool:
    """Let freed memory stay with this process until it ends; whether the system's C library can.

    A net's maps are freed and asked for again at every step, and each time the system clears their pages.
    Results do not change; the process does not shrink from its peak until it ends.
    """
    if platform.libc_ver()[0] != "glibc":
        return False
    setting = ctypes.CDLL(None).mallopt
    return bool(setting(MMAP_MAX, 0)) and bool(setting(TRIM_THRESHOLD, NEVER))
