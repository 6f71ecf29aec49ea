"""Sessions: whether a token's session still stands."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial

from msgspec import structs

from core.database import Database
from core.revocation import Revocations
from core.services import Services
from core.tokens import Caller
from sql import sesiones


@asynccontextmanager
async def listening(services: Services) -> AsyncIterator[Revocations]:
    """Hears of ended sessions and changed roles for the length of the block."""
    revocations = Revocations(
        services.settings.direct_url,
        lifetime=services.tokens.seconds,
        load=partial(sesiones.revoked, services.db),
        beat=partial(sesiones.beat, services.db),
    )
    task = asyncio.create_task(revocations.listen())
    try:
        yield revocations
    finally:
        task.cancel()
        await asyncio.wait([task])


async def check(db: Database, caller: Caller) -> Caller | None:
    """Whether the caller's session still stands, and with which rol, as the database knows it now."""
    rol = await sesiones.active(db, caller.id, caller.session)
    return structs.replace(caller, rol=rol) if rol else None
