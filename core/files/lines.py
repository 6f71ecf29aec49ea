"""A stream of bytes of any length, as slices of whole lines, in constant memory."""

from collections.abc import AsyncIterator

# The work between two turns of the event loop, about half a millisecond of parsing; and the longest line.
SLICE = 8 * 1024


class LineTooLong(Exception):
    """A line of more than SLICE bytes; the slices before it have been given."""


async def slices(chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    r"""Lines ended by \n, whole, up to SLICE bytes at a time; the last may lack its end. Raises LineTooLong."""
    waiting = bytearray()
    async for chunk in chunks:
        waiting += chunk
        while len(waiting) >= SLICE:
            end = waiting.rfind(b"\n", 0, SLICE) + 1
            if not end:
                raise LineTooLong
            yield bytes(waiting[:end])
            del waiting[:end]
    if waiting:
        yield bytes(waiting)
