"""How fast a client takes what it is sent."""

import asyncio
import sys
from contextlib import suppress
from fcntl import ioctl
from termios import TIOCOUTQ

LEAST_RATE = 1024  # bytes per second that a client reads


class Uptake:
    """What a client has not taken yet, looked at from time to time."""

    def __init__(self, transport: asyncio.Transport) -> None:
        self._transport = transport
        self.unread = 0  # bytes, when the client was last looked at
        self.drained = False  # since then it has read most of what waited for it

    def stalls(self, seconds: float) -> bool:
        """Looks at the client: whether it reads slower than LEAST_RATE since the last look, `seconds` ago."""
        before, self.unread = self.unread, self._count_unread()
        drained, self.drained = self.drained, False
        return bool(before and self.unread) and not drained and before - self.unread <= LEAST_RATE * seconds

    def _count_unread(self) -> int:
        """Bytes that the client has not taken, if it keeps some from being sent: ours, and those of the kernel.

        The kernel takes more only when a third of its own, which may be megabytes, is gone."""
        unread = self._transport.get_write_buffer_size()
        if unread:
            with suppress(OSError):  # a system that does not tell
                sent = ioctl(self._transport.get_extra_info("socket").fileno(), TIOCOUTQ, bytes(4))
                unread += int.from_bytes(sent, sys.byteorder)
        return unread
