"""Memory that a burst took and that is free again: the C library keeps it for the next one; glibc can give it back."""

import asyncio
import ctypes
from typing import Any

QUIET_SECONDS = 1.0

libc: Any = ctypes.CDLL(None)


class BurstMemory:
    """Gives free memory back to the system, at most once per QUIET_SECONDS."""

    def __init__(self) -> None:
        self._due = False

    def give_back_soon(self) -> None:
        """QUIET_SECONDS from now, what is free by then goes back."""
        if not self._due:
            self._due = True
            asyncio.get_running_loop().call_later(QUIET_SECONDS, self._give_back)

    def _give_back(self) -> None:
        self._due = False
        if hasattr(libc, "malloc_trim"):
            libc.malloc_trim(0)


burst_memory = BurstMemory()
