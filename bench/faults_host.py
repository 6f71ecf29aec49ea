"""Faults of the machine: a disk that fills, a clock that jumps."""

import errno
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bench.nodes import Node
from core.local.programs import account, is_root, temporary_folder

MOUNTED_MEGABYTES = 160  # PostgreSQL's own files take half of it
BLOCK = b"\0" * 65536


class Unavailable(Exception):
    """What this machine lacks for the fault."""


@contextmanager
def small_disk(megabytes: int = MOUNTED_MEGABYTES) -> Iterator[Path]:
    """A folder of PostgreSQL's user on a disk of its own, in memory. Raises Unavailable for anyone but root."""
    if not is_root():
        raise Unavailable("mounting a small disk needs root")
    with temporary_folder() as folder:
        options = f"size={megabytes}m,mode=0700,uid={account().pw_uid},gid={account().pw_gid}"
        mounted = subprocess.run(
            ["mount", "-t", "tmpfs", "-o", options, "tmpfs", folder], capture_output=True
        )
        if mounted.returncode:
            raise Unavailable("mounting is not allowed here")
        try:
            yield folder
        finally:
            subprocess.run(["umount", folder], check=True)


@contextmanager
def node_on(folder: Path) -> Iterator[Node]:
    """A primary whose files are in `folder`, which keeps little of its log."""
    one = Node(folder, max_wal_size="32MB", min_wal_size="32MB")
    one.initialise()
    one.start()
    try:
        yield one
    finally:
        one.stop()


@contextmanager
def filled(folder: Path) -> Iterator[None]:
    """Not a byte is left on the folder's disk, for the length of the block."""
    filler = folder / "filler"
    try:
        with filler.open("wb", buffering=0) as file:
            for size in (len(BLOCK), 512, 1):
                with until_full():
                    while True:
                        file.write(BLOCK[:size])
        yield
    finally:
        filler.unlink()


@contextmanager
def until_full() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno != errno.ENOSPC:
            raise


class Clock:
    """The clock of processes that are started with `environ`; others keep the true one."""

    def __init__(self, folder: Path) -> None:
        libraries = list(Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1"))
        if not libraries:
            raise Unavailable("needs libfaketime")
        self._file = folder / "clock"
        self.jump("+0")
        self.environ = {
            "LD_PRELOAD": str(libraries[0]),
            "FAKETIME_TIMESTAMP_FILE": str(self._file),
            "FAKETIME_NO_CACHE": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        }

    def jump(self, offset: str) -> None:
        """To so much from the true time, at once: `+2h`, `-30m`, `+0`."""
        draft = self._file.with_suffix(".new")
        draft.write_text(f"{offset}\n")
        draft.replace(self._file)
