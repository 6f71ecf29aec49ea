"""Which database a list, an export or a sum is read from."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from core.database.database import Database, Runner
from core.problems import DatabaseUnavailable
from core.process.services import Services
from sql import replication

LOOKS = 5
PAUSE_SECONDS = 0.01


@asynccontextmanager
async def reading(services: Services, *, heavy: bool) -> AsyncIterator[Runner]:
    """That database; heavy work begins when it is the account's turn. Raises Problem 429."""
    db = await up_to_date(services)
    if not heavy:
        yield db
        return
    async with db.work("heavy") as work:
        yield work


async def up_to_date(services: Services) -> Database:
    """The follower, once it has replayed all that the primary had written when this was asked; else the primary.

    So a client reads what it wrote, through whatever process it did. A follower that lags is looked at LOOKS times;
    one that is away, or is no follower any more, is not used."""
    if services.read_db is services.db:
        return services.db
    lsn = await replication.written(services.db)
    try:
        for _ in range(LOOKS):
            if await replication.replayed(services.read_db, lsn):
                return services.read_db
            await asyncio.sleep(PAUSE_SECONDS)
    except DatabaseUnavailable:
        pass
    return services.db
