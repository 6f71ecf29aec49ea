"""Locks on files: the kernel takes them back however their holder ends."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from core.local.programs import EmbeddedPostgresError


def open_private(path: Path) -> BinaryIO:
    """Open a file of ours for appending, made when missing."""
    try:
        return os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600), "ab")
    except OSError as error:
        raise EmbeddedPostgresError(f"cannot open {path}: {error.strerror}") from error


@contextmanager
def locked(path: Path) -> Iterator[BinaryIO]:
    """Wait for the file's lock and hold it; a process that gets the open file holds it too."""
    with open_private(path) as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield file


def is_free(path: Path) -> bool:
    """Whether nobody holds the file's lock."""
    with open_private(path) as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
    return True
