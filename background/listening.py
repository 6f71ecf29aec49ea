"""Listening: how a process hears of the sessions that ended, whichever process ended them."""

from contextlib import AbstractAsyncContextManager
from functools import partial

from core.database.listener import open_listener
from core.database.pool import Connector
from core.process.services import Services
from core.process.tasks import meanwhile
from sql import sesiones


def listening(services: Services) -> AbstractAsyncContextManager[None]:
    """Hears of the sessions that end, for the length of the block."""
    settings = services.settings
    pooled = settings.direct_url == settings.database_url and settings.db_prepare == "off"
    connector = Connector(settings.direct_url, timeout=settings.db_timeout_seconds, prepare=not pooled)
    listener = partial(open_listener, connector, tell=partial(sesiones.probe, services.db))
    return meanwhile(services.known.listen(listener))
