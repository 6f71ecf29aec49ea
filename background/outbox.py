"""The outbox: mails that wait in the database leave, recoveries first, then what tells of a change, then verifications.

Any process sends what any of them was asked for."""

import asyncio
import logging
import random
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from email.message import EmailMessage
from email.policy import SMTP, SMTPUTF8

from background import letters, notices
from core.addresses import ascii_form
from core.auth.links import Link
from core.problems import DatabaseUnavailable
from core.process.mail import Mail, MailError, ServerAway, Undeliverable
from core.process.services import Services
from sql import avisos, enlaces
from sql.avisos import Notice
from sql.enlaces import Mailing

AT_ONCE = 3  # mails on their way; one of them is never a verification: of those strangers can ask for masses
LOOK_SECONDS = 5
AWAY_SECONDS = 5
COMMIT_SECONDS = 0.1  # the transaction that asked for the mail may not have committed yet
LAST_MAIL_SECONDS = 10
ADDRESS = re.compile(r"\S+@\S+")

log = logging.getLogger("ventas.mail")


@asynccontextmanager
async def sending(services: Services) -> AsyncIterator[None]:
    """Sends for the length of the block; a mail on its way at the end has ten seconds to arrive."""
    if services.mail is None:
        yield
        return
    outbox = Outbox(services, services.mail)
    tasks = [asyncio.create_task(outbox.work()) for _ in range(AT_ONCE)]
    try:
        yield
    finally:
        outbox.ending.set()
        services.mail.waiting.set()
        _, unfinished = await asyncio.wait(tasks, timeout=LAST_MAIL_SECONDS)
        for late in unfinished:
            late.cancel()


class Outbox:
    """What the senders of one process share. A failure is one mail's own; only a server that is away stops them all."""

    def __init__(self, services: Services, mail: Mail) -> None:
        self.ending = asyncio.Event()
        self._services = services
        self._mail = mail
        self._busy = 0
        self._away_until = 0.0

    async def work(self) -> None:
        """Sends one mail after the other, and waits for more, until the outbox is `ending`."""
        while not self.ending.is_set():
            self._mail.waiting.clear()
            try:
                while not self._at_end() and await self._send_next():
                    continue
            except DatabaseUnavailable as error:
                log.warning("mail put off: %s", error)
            except Exception:
                log.exception("mail put off")
            with suppress(TimeoutError):
                async with asyncio.timeout(LOOK_SECONDS * random.uniform(0.5, 1.5)):  # noqa: S311 - spreads the processes
                    await self._mail.waiting.wait()
                    async with asyncio.timeout(COMMIT_SECONDS):
                        await self.ending.wait()

    def _at_end(self) -> bool:
        return self.ending.is_set() or self._services.shutdown.begun

    async def _send_next(self) -> bool:
        """Whether to go on at once."""
        if asyncio.get_running_loop().time() < self._away_until:
            return False
        self._busy += 1
        try:
            waiting = await self._claim()
            if waiting is None:
                return False
            await self._send(waiting)
            return True
        finally:
            self._busy -= 1

    async def _claim(self) -> Mailing | Notice | None:
        db = self._services.db
        first = await enlaces.claim(db, verifications=False) or await avisos.claim(db)
        if first is None and self._busy < AT_ONCE:
            return await enlaces.claim(db, verifications=True)
        return first

    async def _send(self, waiting: Mailing | Notice) -> None:
        """A crash between a mail's leaving and its record makes it leave twice, never not."""
        try:
            message = self._compose(waiting)
            await self._mail.send(message, ascii_form(waiting.correo))
        except ServerAway as error:
            log.warning("no mail leaves, the mail server is away: %s", error)
            self._away_until = asyncio.get_running_loop().time() + AWAY_SECONDS
            await self._put_off(waiting, str(error))
        except MailError as error:
            # Mail servers repeat the address that they refuse; the log names users by id alone.
            log.warning("mail to user %s did not leave: %s", waiting.usuario_id, ADDRESS.sub("…", str(error)))
            await self._failed(waiting, str(error), again=not isinstance(error, Undeliverable))
        except Exception as error:  # a defect of ours must not hold up the other mails either
            log.exception("mail to user %s did not leave", waiting.usuario_id)
            await self._failed(waiting, f"{type(error).__name__}: {error}", again=True)
        else:
            await self._sent(waiting)

    async def _sent(self, waiting: Mailing | Notice) -> None:
        db = self._services.db
        await (avisos.sent(db, waiting) if isinstance(waiting, Notice) else enlaces.sent(db, waiting))

    async def _put_off(self, waiting: Mailing | Notice, error: str) -> None:
        db = self._services.db
        if isinstance(waiting, Notice):
            await avisos.put_off(db, waiting, error)
        else:
            await enlaces.put_off(db, waiting, error)

    async def _failed(self, waiting: Mailing | Notice, error: str, *, again: bool) -> None:
        db = self._services.db
        if isinstance(waiting, Notice):
            await avisos.failed(db, waiting, error, again=again)
        else:
            await enlaces.failed(db, waiting, error, again=again)

    def _compose(self, waiting: Mailing | Notice) -> EmailMessage:
        """Raises Undeliverable: what stands in a row may be more than the mail library can write."""
        keys, url, sender = self._services.keys, self._services.settings.public_url, self._mail.sender
        link = Link(waiting.usuario_id, waiting.id)
        try:
            if isinstance(waiting, Notice):
                token = link.encode(keys, "deshacer")
                message = notices.compose(waiting, token, sender=sender, public_url=url)
            else:
                token = link.encode(keys, waiting.tipo)
                message = letters.compose(waiting, token, sender=sender, public_url=url)
            message.as_bytes(policy=SMTP if ascii_form(waiting.correo).isascii() else SMTPUTF8)
        except Exception as error:  # its parsers raise whatever they stumble over
            raise Undeliverable(f"it cannot be composed: {type(error).__name__}: {error}") from error
        return message
