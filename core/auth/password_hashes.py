"""bcrypt off the event loop: a small pool of low-priority threads, for which client addresses take turns."""

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

from core.database.rooms import Room
from core.problems import BUSY

MAX_BYTES = 72
THREADS = 2
WAITING_OF_ONE = 64  # an office where all log in at nine
TURN_SECONDS = 15.0
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

    Each hash waits for the turn of its client's `address`; None is this process itself. Every call raises Problem: 429
    when too many of the address wait, 503 when other addresses leave it no turn in TURN_SECONDS."""

    def __init__(self, rounds: int) -> None:
        self.rounds = rounds
        self.room = Room(
            most=THREADS,
            of_one=THREADS,
            waiting_of_one=WAITING_OF_ONE,
            timeout=TURN_SECONDS,
            in_vain=BUSY,
        )
        self._threads = ThreadPoolExecutor(THREADS, "bcrypt", initializer=_yield_to_requests)
        self._decoy = self.of_nobody()  # verifying against it takes the time of a real one

    async def hash(self, password: str, address: str | None) -> str:
        """The bcrypt hash of at most 72 bytes of UTF-8, in its one form."""
        salt = bcrypt.gensalt(self.rounds)
        hashed = await self._run(bcrypt.hashpw, one_form(password).encode(), salt, address)
        return hashed.decode()

    def of_nobody(self) -> str:
        """A well-formed hash that no password has; each is another."""
        return bcrypt.gensalt(self.rounds).decode() + "." * 31

    async def verify(self, password: str, hashed: str | None, address: str | None) -> PasswordVerdict:
        """Whether `hashed` is of `password`. With None (no such user) it takes as long, and no password matches.

        A hash from before passwords had one form is tried with what was typed, and with its decomposed form (NFD)."""
        kept = one_form(password)
        forms = dict.fromkeys([kept, password, unicodedata.normalize("NFD", kept)])
        for form in forms:
            check = partial(_check, self.rounds)
            if await self._run(check, form.encode(), (hashed or self._decoy).encode(), address) and hashed:
                differs = form != kept and len(kept.encode()) <= MAX_BYTES
                return PasswordVerdict(matches=True, outdated=differs or self._cost_differs(hashed))
        return PasswordVerdict(matches=False)

    def _cost_differs(self, hashed: str) -> bool:
        return not hashed.startswith(f"$2b${self.rounds:02d}$")

    def close(self) -> None:
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def _run(
        self, function: Callable[[bytes, bytes], T], password: bytes, other: bytes, address: str | None
    ) -> T:
        async with self.room.turn(address):
            return await asyncio.get_running_loop().run_in_executor(self._threads, function, password, other)


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
