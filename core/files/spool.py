"""Blocks that one side makes faster than the other takes them: they wait in a file, up to a bound."""

import asyncio
import logging
import os
import tempfile
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import aclosing, asynccontextmanager, closing
from typing import BinaryIO, ParamSpec, TypeVar, cast

from core.problems import BUSY, TOO_LARGE, DatabaseUnavailable, Problem

P = ParamSpec("P")
T = TypeVar("T")

log = logging.getLogger("ventas.spool")

IN_MEMORY = 1 << 20  # bytes of a spool that need no disk
BLOCK = 256 * 1024


class Disk:
    """How many bytes all spools of a process may have on disk: `most`; `taken` are in use.

    `folder` is where; empty: the system's own for temporary files."""

    def __init__(self, most: int, folder: str = "") -> None:
        self.most = most
        self.taken = 0
        self._folder = folder or None

    def take(self, size: int) -> bool:
        if self.taken + size > self.most:
            return False
        self.taken += size
        return True

    def file(self) -> BinaryIO:
        """A file that has no name: the system frees it when it is closed, or the process dies."""
        return cast("BinaryIO", tempfile.TemporaryFile(dir=self._folder, buffering=0))


class Spool:
    """Blocks of bytes, first in, first out: some in memory, the others on `disk`."""

    def __init__(self, disk: Disk) -> None:
        self._disk = disk
        self._blocks: deque[bytes] = deque()
        self._in_memory = 0
        self._file: BinaryIO | None = None
        self._start = self._end = 0  # of what is in the file and has not been read
        self._writing = False

    async def put(self, block: bytes) -> bool:
        """Keeps a block; False, and nothing is kept, while there is no room for it."""
        if self._start == self._end and (not self._in_memory or self._in_memory + len(block) <= IN_MEMORY):
            self._blocks.append(block)
            self._in_memory += len(block)
            return True
        if not self._disk.take(len(block)):
            return False
        try:
            self._writing = True
            await _in_thread(self._write, block)
        except OSError as error:
            self._disk.taken -= len(block)
            log.warning("spool: %s", error)
            return False
        finally:
            self._writing = False
        self._end += len(block)
        return True

    async def get(self) -> bytes:
        """The next block; empty when there is none."""
        if self._blocks:
            block = self._blocks.popleft()
            self._in_memory -= len(block)
            return block
        if self._start == self._end:
            return b""
        block = await _in_thread(self._read)
        self._start += len(block)
        if self._start == self._end and not self._writing:
            self._free()
        return block

    def close(self) -> None:
        self._free()
        if self._file:
            self._file.close()

    def _free(self) -> None:
        if self._file:
            self._disk.taken -= self._end
            self._file.truncate(0)
        self._start = self._end = 0

    def _write(self, block: bytes) -> None:
        if self._file is None:
            self._file = self._disk.file()
        rest, at = memoryview(block), self._end
        while rest:
            written = os.pwrite(self._file.fileno(), rest, at)
            rest, at = rest[written:], at + written

    def _read(self) -> bytes:
        assert self._file  # noqa: S101 - something is in it
        return os.pread(self._file.fileno(), min(BLOCK, self._end - self._start), self._start)


async def _in_thread(function: Callable[P, T], *arguments: P.args, **named: P.kwargs) -> T:
    """As asyncio.to_thread; but one who is cancelled waits until it is done."""
    work = asyncio.ensure_future(asyncio.to_thread(function, *arguments, **named))
    try:
        return await asyncio.shield(work)
    except asyncio.CancelledError:
        await asyncio.wait([work])
        raise


@asynccontextmanager
async def kept(blocks: AsyncIterator[bytes], disk: Disk) -> AsyncIterator[AsyncIterator[bytes]]:
    """The same blocks, once the last one is there.

    Raises Problem: 413 for more than half of the disk, DatabaseUnavailable while the disk has no room."""
    size, joined = 0, bytearray()
    with closing(Spool(disk)) as spool:
        async for block in blocks:
            size += len(block)
            if size > disk.most // 2:
                raise Problem(TOO_LARGE, f"El cuerpo pasa de lo que cabe: {disk.most // 2} bytes")
            joined += block
            if len(joined) >= BLOCK:
                await _put(spool, joined)
        await _put(spool, joined)
        yield _read_all(spool)


async def _put(spool: Spool, joined: bytearray) -> None:
    if joined and not await spool.put(bytes(joined)):
        raise DatabaseUnavailable(BUSY)
    joined.clear()


async def _read_all(spool: Spool) -> AsyncIterator[bytes]:
    while block := await spool.get():
        yield block


async def ahead(blocks: AsyncGenerator[bytes, None], disk: Disk) -> AsyncGenerator[bytes, None]:
    """The blocks, which are made as fast as the disk has room: a slow reader does not hold up their maker."""
    changed = asyncio.Event()
    with closing(Spool(disk)) as spool:

        async def make() -> None:
            try:
                async with aclosing(blocks):
                    async for block in blocks:
                        while not await spool.put(block):
                            changed.clear()
                            await changed.wait()
                        changed.set()
            finally:
                changed.set()

        making = asyncio.create_task(make())
        try:
            while True:
                changed.clear()
                done = making.done()
                if block := await spool.get():
                    changed.set()
                    yield block
                elif done:
                    await making  # raises what ended it
                    return
                else:
                    await changed.wait()
        finally:
            making.cancel()
            await asyncio.wait([making])
