"""The connection budget: what all processes together may open, against what the database allows."""

import logging
from contextlib import AbstractAsyncContextManager

from core.problems import DatabaseUnavailable
from core.process.services import Services
from core.process.tasks import meanwhile
from sql import connections

log = logging.getLogger("ventas")


def watching(services: Services) -> AbstractAsyncContextManager[None]:
    """Warns, meanwhile, when the budget cannot be met; behind a pooler there is none."""
    return meanwhile(_watch(services))


async def _watch(services: Services) -> None:
    settings = services.settings
    if settings.db_prepare == "off" or (services.siblings and not services.siblings.first("budget")):
        return
    processes = settings.web_concurrency * settings.instances
    listener = 1
    needed = processes * (settings.db_pool_max + listener)
    try:
        allowed = await connections.allowed(services.db)
    except DatabaseUnavailable:
        return
    if needed > allowed:
        log.warning(
            "%d connections may be needed (%d processes with DB_POOL_MAX=%d and a listener), the database allows %d: "
            "set DB_POOL_MAX=%d, or WEB_CONCURRENCY or INSTANCES lower",
            needed,
            processes,
            settings.db_pool_max,
            allowed,
            max(1, allowed // processes - listener),
        )
