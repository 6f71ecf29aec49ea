"""What a process does now and then in the background, while no request waits for it."""

import asyncio
import logging
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager

from msgspec import Struct

from core.problems import DatabaseUnavailable

log = logging.getLogger("ventas.sweeps")


class Sweep(Struct, frozen=True):
    """A `job` to be done about every `seconds`; never twice at once in one process, and never in step with others.

    It tells how many rows it took, and is done again at once until it tells 0."""

    name: str
    job: Callable[[], Awaitable[int]]
    seconds: float


@asynccontextmanager
async def sweeping(sweeps: Iterable[Sweep]) -> AsyncIterator[None]:
    """Keeps sweeping for the length of the block; a job that fails is logged, and tried again when its time comes."""
    tasks = [asyncio.create_task(_repeat(sweep)) for sweep in sweeps]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _repeat(sweep: Sweep) -> None:
    await asyncio.sleep(sweep.seconds * random.random())  # noqa: S311 - spreads the processes, hides nothing
    while True:
        try:
            while await sweep.job():
                continue
        except DatabaseUnavailable as error:
            log.warning("sweep %s put off: %s", sweep.name, error)
        except Exception:
            log.exception("sweep %s failed", sweep.name)
        await asyncio.sleep(sweep.seconds * random.uniform(0.5, 1.5))  # noqa: S311
