"""Retention of the audit in the background: its old months end, where the process is the tables' owner and told to."""

import asyncio
import logging
from contextlib import AbstractAsyncContextManager

from core.migrating.migrations import MigrationError
from core.problems import DatabaseUnavailable
from core.process.services import Services
from core.process.tasks import meanwhile
from sql import auditoria_months, auditoria_retention

log = logging.getLogger("ventas")


def watching(services: Services) -> AbstractAsyncContextManager[None]:
    """Warns during the block when AUDIT_MONTHS differs from what the other processes have."""
    return meanwhile(_watch(services))


async def sweep(services: Services) -> int:
    """Makes the months that are missing and, unless AUDIT_MONTHS is 0, drops those that were kept long enough.

    Returns 0: all is done at once."""
    url, months = services.settings.direct_url, services.settings.audit_months
    try:
        await asyncio.to_thread(auditoria_months.make_months, url, say=log.info)
        if months:
            await asyncio.to_thread(auditoria_retention.forget, url, months, say=log.info)
    except MigrationError as error:
        log.warning("retention: %s", error)
    return 0


async def _watch(services: Services) -> None:
    if services.siblings and not services.siblings.first("retention"):
        return
    try:
        rule = await auditoria_retention.agreed(services.db)
    except DatabaseUnavailable:
        return
    if rule is not None and rule != services.settings.audit_months:
        log.warning(
            "AUDIT_MONTHS is %d here and %d in the database, which decides: set it alike in every process",
            services.settings.audit_months,
            rule,
        )
