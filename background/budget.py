"""At the start: a warning when the processes may open more connections than the database allows."""

import logging
from contextlib import AbstractAsyncContextManager

from core.problems import DatabaseUnavailable
from core.process.connection_budget import shortage
from core.process.services import Services
from core.process.tasks import meanwhile
from sql import connections

log = logging.getLogger("ventas")


def watching(services: Services) -> AbstractAsyncContextManager[None]:
    """Warns during the block when the budget cannot be met. Behind a pooler there is no budget."""
    return meanwhile(_watch(services))


async def _watch(services: Services) -> None:
    settings = services.settings
    if settings.db_prepare == "off" or (services.siblings and not services.siblings.first("budget")):
        return
    try:
        allowed = await connections.allowed(services.db)
        nodes = await connections.nodes(services.db) if services.db.sharded else 0
    except DatabaseUnavailable:
        return
    if short := shortage(settings, allowed, nodes):
        log.warning("%s", short)
