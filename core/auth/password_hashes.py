"""bcrypt off the event loop: a small pool of low-priority threads with a bounded queue."""

import asyncio
import os
import sys
import threading
import unicodedata
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TypeVar

import bcrypt
from msgspec import Struct
from precis_i18n import get_profile

from core.problems import BUSY, Problem

MAX_BYTES = 72
THREADS = 2
MAX_WAITING = 64
NICENESS = 10

_OPAQUE = get_profile("OpaqueString")

T = TypeVar("T")


def one_form(password: str) -> str:
    """How a password is hashed: in Unicode NFC, each kind of space as the plain one (RFC 8265 section 4.2).

    Characters that the standard's profile disallows stay: passwords that hold them are in use."""
    return _OPAQUE.apply_five_rules(password)


class PasswordVerdict(Struct, frozen=True):
    """Whether a password is the one of a hash, and whether that hash should be made anew."""

    matches: bool
    outdated: bool = False

    def __bool__(self) -> bool:
        return self.matches


class Passwords:
    """Hashes and verifies passwords at one cost (`rounds`, a power of two).

    Every call raises Problem 503 when MAX_WAITING others already wait."""

    def __init__(self, rounds: int) -> None:
        self.rounds = rounds
        self.waiting = 0
        self._threads = ThreadPoolExecutor(THREADS, "bcrypt", initializer=_yield_to_requests)
        self._decoy = self.of_nobody()  # verifying against it takes the time of a real one

    async def hash(self, password: str) -> str:
        """The bcrypt hash of at most 72 bytes of UTF-8, in its one form."""
        hashed = await self._run(bcrypt.hashpw, one_form(password).encode(), bcrypt.gensalt(self.rounds))
        return hashed.decode()

    def of_nobody(self) -> str:
        """A well-formed hash that no password has; each is another."""
        return bcrypt.gensalt(self.rounds).decode() + "." * 31

    async def verify(self, password: str, hashed: str | None) -> PasswordVerdict:
        """Whether `hashed` is of `password`. With None (no such user) it takes as long, and no password matches.

        A hash from before passwords had one form is tried with what was typed, and with its decomposed form (NFD)."""
        kept = one_form(password)
        forms = dict.fromkeys([kept, password, unicodedata.normalize("NFD", kept)])
        for form in forms:
            check = partial(_check, self.rounds)
            if await self._run(check, form.encode(), (hashed or self._decoy).encode()) and hashed:
                differs = form != kept and len(kept.encode()) <= MAX_BYTES
                return PasswordVerdict(matches=True, outdated=differs or self._cost_differs(hashed))
        return PasswordVerdict(matches=False)

    def _cost_differs(self, hashed: str) -> bool:
        return not hashed.startswith(f"$2b${self.rounds:02d}$")

    def close(self) -> None:
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def _run(self, function: Callable[[bytes, bytes], T], password: bytes, other: bytes) -> T:
        if self.waiting >= MAX_WAITING:
            raise Problem(BUSY, "Demasiadas contraseñas por verificar", headers=[(b"retry-after", b"2")])
        self.waiting += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._threads, function, password, other)
        finally:
            self.waiting -= 1


def _check(rounds: int, password: bytes, hashed: bytes) -> bool:
    """False for what can be no password here (too long): bcrypt itself would raise.

    A refusal by a hash of a lower cost c takes as long as one of `rounds`: 2^c + 2^c + 2^(c+1) + … = 2^rounds."""
    tried = password[:MAX_BYTES]
    if bcrypt.checkpw(tried, hashed) and tried == password:
        return True
    for cost in range(int(hashed[4:6]), rounds):
        bcrypt.checkpw(tried, b"$2b$%02d$%b" % (cost, hashed[7:]))
    return False


def _yield_to_requests() -> None:
    """On Linux a thread has a priority of its own: requests go before hashes."""
    if sys.platform == "linux":
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), NICENESS)
