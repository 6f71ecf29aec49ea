"""Which access tokens must no longer be believed, known in every process without a query per request."""

import asyncio
import logging
import secrets
import time
from collections.abc import Awaitable, Callable, Iterable
from contextlib import suppress

import psycopg
from msgspec import Struct, structs

from core.tokens import Caller, Rol

CHANNEL = "revocacion"
BEAT_SECONDS = 0.25
MOST_STALE_SECONDS = 0.9
LONGEST_RETRY_SECONDS = 5.0

log = logging.getLogger("ventas.revocation")


class Revocation(Struct, frozen=True):
    """A session that ended, or the new rol of a user."""

    usuario_id: int
    sesion_id: int | None
    rol: Rol | None


class Revocations:
    """What `LISTEN revocacion` has told, for as long as a token issued before it may live.

    A beat is sent through the pool and must come back through the listener. Notifications arrive in the order
    of their commits, so whatever was revoked before a beat was sent is known once that beat is heard. While the
    last one heard is older than MOST_STALE_SECONDS, `live` is false and the database has to be asked."""

    def __init__(
        self,
        url: str,
        *,
        lifetime: int,
        load: Callable[[int], Awaitable[list[Revocation]]],
        beat: Callable[[str, str], Awaitable[object]],
    ) -> None:
        self._url = url
        self._lifetime = lifetime
        self._load = load
        self._beat = beat
        self._channel = f"latido_{secrets.token_hex(8)}"
        self._ended: dict[int, float] = {}
        self._roles: dict[int, tuple[Rol, float]] = {}
        self._sound = float("-inf")

    @property
    def live(self) -> bool:
        """Whether everything that was revoked up to a moment ago is known."""
        return time.monotonic() - self._sound < MOST_STALE_SECONDS

    @property
    def known(self) -> int:
        """How many revocations are held."""
        return len(self._ended) + len(self._roles)

    def judge(self, caller: Caller) -> Caller | None:
        """The caller as of now: with today's rol, or None when the session ended."""
        if caller.session in self._ended:
            return None
        if caller.id in self._roles:
            return structs.replace(caller, rol=self._roles[caller.id][0])
        return caller

    async def listen(self) -> None:
        """Keeps listening, and reconnects with growing waits, until cancelled."""
        wait = BEAT_SECONDS
        while True:
            try:
                await self._listen_once()
            except (psycopg.Error, OSError, TimeoutError) as error:
                log.warning("not listening, sessions are checked in the database: %s", type(error).__name__)
            wait = BEAT_SECONDS if self.live else min(wait * 2, LONGEST_RETRY_SECONDS)
            self._sound = float("-inf")
            await asyncio.sleep(wait)

    async def _listen_once(self) -> None:
        connection = await psycopg.AsyncConnection.connect(self._url, autocommit=True, connect_timeout=3)
        async with connection:
            await connection.execute(f"LISTEN {CHANNEL}")
            await connection.execute(f"LISTEN {self._channel}")
            self._learn(await self._load(self._lifetime))
            beats = asyncio.create_task(self._send_beats())
            try:
                await self._hear(connection)
            finally:
                beats.cancel()
                with suppress(asyncio.CancelledError):
                    await beats

    async def _hear(self, connection: psycopg.AsyncConnection) -> None:
        """Hears until nothing, not even a beat, was heard for MOST_STALE_SECONDS."""
        heard = True
        while heard:
            heard = False
            async for notification in connection.notifies(timeout=MOST_STALE_SECONDS, stop_after=1):
                heard = True
                if notification.channel == CHANNEL:
                    self._learn([_parse(notification.payload)])
                else:
                    self._sound = float(notification.payload)

    async def _send_beats(self) -> None:
        while True:
            with suppress(Exception):  # a beat that is not heard says it all
                await self._beat(self._channel, repr(time.monotonic()))
            self._forget()
            await asyncio.sleep(BEAT_SECONDS)

    def _learn(self, revocations: Iterable[Revocation]) -> None:
        now = time.monotonic()
        for revocation in revocations:
            if revocation.sesion_id is not None:
                self._ended[revocation.sesion_id] = now
            elif revocation.rol is not None:
                self._roles.pop(revocation.usuario_id, None)
                self._roles[revocation.usuario_id] = (revocation.rol, now)

    def _forget(self) -> None:
        """Drops what no token can need any more; both dicts are in the order of learning."""
        oldest = time.monotonic() - self._lifetime
        while self._ended and next(iter(self._ended.values())) < oldest:
            del self._ended[next(iter(self._ended))]
        while self._roles and next(iter(self._roles.values()))[1] < oldest:
            del self._roles[next(iter(self._roles))]


def _parse(payload: str) -> Revocation:
    """`usuario_id sesion_id` or `usuario_id rol`, as the statements send it."""
    usuario_id, _, what = payload.partition(" ")
    if what.isdigit():
        return Revocation(int(usuario_id), int(what), None)
    return Revocation(int(usuario_id), None, "admin" if what == "admin" else "usuario")
