"""The outbox: mails that wait in the database leave one after the other, from whichever process takes them."""

import asyncio
import logging
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from background.letters import compose
from core.auth.links import Link
from core.problems import DatabaseUnavailable
from core.process.mail import Mail, MailError, Undeliverable
from core.process.services import Services
from sql import enlaces

LOOK_SECONDS = 5
COMMIT_SECONDS = 0.1  # who asked for the mail may not have committed it yet
LAST_MAIL_SECONDS = 10

log = logging.getLogger("ventas.mail")


@asynccontextmanager
async def sending(services: Services) -> AsyncIterator[None]:
    """Sends for the length of the block; a mail on its way at the end has ten seconds to arrive."""
    if services.mail is None:
        yield
        return
    ending = asyncio.Event()
    task = asyncio.create_task(_keep_sending(services, services.mail, ending))
    try:
        yield
    finally:
        ending.set()
        services.mail.waiting.set()
        _, unfinished = await asyncio.wait([task], timeout=LAST_MAIL_SECONDS)
        for late in unfinished:
            late.cancel()


async def _keep_sending(services: Services, mail: Mail, ending: asyncio.Event) -> None:
    while not ending.is_set():
        mail.waiting.clear()
        try:
            while not (ending.is_set() or services.shutdown.begun) and await _send_next(services, mail):
                continue
        except DatabaseUnavailable as error:
            log.warning("mail put off: %s", error)
        except Exception:
            log.exception("mail put off")
        with suppress(TimeoutError):
            async with asyncio.timeout(LOOK_SECONDS * random.uniform(0.5, 1.5)):  # noqa: S311 - spreads the processes
                await mail.waiting.wait()
                if not ending.is_set():
                    await asyncio.sleep(COMMIT_SECONDS)


async def _send_next(services: Services, mail: Mail) -> bool:
    """Whether to go on at once. A crash between a mail's leaving and its record makes it leave twice, never not."""
    waiting = await enlaces.claim(services.db)
    if waiting is None:
        return False
    token = Link(waiting.usuario_id, waiting.id).encode(services.keys, waiting.tipo)
    message = compose(waiting, token, sender=mail.sender, public_url=services.settings.public_url)
    try:
        await mail.send(message, waiting.correo)
    except MailError as error:
        hopeless = isinstance(error, Undeliverable)
        log.warning("mail to user %s did not leave: %s", waiting.usuario_id, error)
        await enlaces.failed(services.db, waiting, str(error), again=not hopeless)
        return hopeless
    await enlaces.sent(services.db, waiting)
    return True
