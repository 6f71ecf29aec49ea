"""Which sessions are open: every process knows it without a query per request."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager

from msgspec import Struct, structs

from core.caller import Caller, Standing
from core.database.listener import DeafError, Listener
from core.problems import DatabaseUnavailable

CHANNEL = "revocacion"
PING_SECONDS = 0.25
MOST_STALE_SECONDS = 0.9
LONGEST_WAIT_SECONDS = 5.0
DEAF_WAIT_SECONDS = 60.0
MOST_KNOWN = 50_000

log = logging.getLogger("ventas.revocation")


# What a caller is today, or None when their session or API key does not stand.
Ask = Callable[[Caller], Awaitable[Standing | None]]


class Known(Struct, frozen=True, gc=False):
    """An open session or a good API key: its owner's rol, and when its latest token ends (`expires`)."""

    rol: Standing
    expires: int


class KnownSessions:
    """The sessions and API keys that this process has met, and what the database said of them.

    The database is asked once about each. Every statement that ends one or changes a rol notifies the channel
    `revocacion` with the user's id; then this process forgets what it knows of that user. Pings show that notices
    arrive. When the last ping is MOST_STALE_SECONDS old, nothing counts as known, and the database is asked for each
    request."""

    def __init__(self) -> None:
        self.known = 0
        self._standing: dict[int, dict[int, Known]] = {}
        self._heard = 0
        self._sound = float("-inf")

    @property
    def live(self) -> bool:
        """Whether notices arrive: the last ping is younger than MOST_STALE_SECONDS."""
        return time.monotonic() - self._sound < MOST_STALE_SECONDS

    def recall(self, caller: Caller) -> Caller | None:
        """The caller with today's rol, if that is known without asking."""
        found = self._standing.get(caller.id, {}).get(caller.session) if self.live else None
        if found is None or found.expires < caller.expires:
            return None
        return caller if found.rol == caller.rol else structs.replace(caller, rol=found.rol)

    async def check(self, caller: Caller, ask: Ask) -> Caller | None:
        """The caller with today's rol, as the database knows it; None when the session or the key has ended."""
        heard = self._heard
        rol = await ask(caller)
        if rol is None:
            return None
        if heard == self._heard and self.live:  # else the answer may be older than what was heard meanwhile
            self._keep(caller, Known(rol, caller.expires))
        return structs.replace(caller, rol=rol)

    async def listen(
        self, listener: Callable[[str, Callable[[str], None]], AbstractAsyncContextManager[Listener]]
    ) -> None:
        """Keeps hearing, with growing waits between attempts, until cancelled. `listener` opens a connection."""
        wait = PING_SECONDS
        while True:
            try:
                async with listener(CHANNEL, self.hear) as opened:
                    self.forget_all()
                    log.info("listening")
                    wait = PING_SECONDS
                    await self._keep_hearing(opened)
            except DeafError:
                log.warning("LISTEN does not work through this pooler: set DATABASE_DIRECT_URL to go past it")
                wait = DEAF_WAIT_SECONDS
            except (DatabaseUnavailable, OSError) as error:  # TimeoutError is an OSError
                log.warning(
                    "not listening, each request asks for its session: %s", error or type(error).__name__
                )
            except Exception:
                log.exception("not listening, each request asks for its session")
            self._sound = float("-inf")
            await asyncio.sleep(wait)
            wait = min(wait * 2, LONGEST_WAIT_SECONDS)

    async def _keep_hearing(self, listener: Listener) -> None:
        while True:
            sent = time.monotonic()
            await listener.ping()
            self._sound = sent
            await asyncio.sleep(PING_SECONDS)

    def hear(self, payload: str) -> None:
        """Forgets the user whose id is told or, when it is no id, everyone."""
        if payload.isascii() and payload.isdigit():
            self.forget(int(payload))
        else:
            self.forget_all()

    def forget(self, usuario_id: int) -> None:
        """Forgets a user at once after a change; the other processes do when the notice arrives."""
        self._heard += 1
        self.known -= len(self._standing.pop(usuario_id, ()))

    def forget_all(self) -> None:
        """Forgets every user."""
        self._heard += 1
        self._standing.clear()
        self.known = 0

    def _keep(self, caller: Caller, known: Known) -> None:
        if self.known >= MOST_KNOWN:
            self.forget_all()
        sessions = self._standing.setdefault(caller.id, {})
        self.known += caller.session not in sessions
        sessions[caller.session] = known
