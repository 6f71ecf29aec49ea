"""What a process does in the background: over and over, whatever fails, and no longer than the process."""

import asyncio
import logging

from background.sweeps import sweeps
from core.problems import DatabaseUnavailable
from core.process import start
from core.process.sweeping import Sweep, sweeping


def test_a_job_is_done_again_also_after_it_failed(caplog):
    fails = iter([RuntimeError("a defect"), DatabaseUnavailable()])

    async def run():
        done = asyncio.Event()

        async def job():
            for error in fails:
                raise error
            done.set()

        async with sweeping([Sweep("prueba", job, seconds=0.001)]):
            await done.wait()

    with caplog.at_level(logging.WARNING, "ventas.sweeps"):
        asyncio.run(run())
    assert [record.levelname for record in caplog.records] == ["ERROR", "WARNING"]
    assert all("prueba" in record.message for record in caplog.records)


def test_a_job_ends_with_the_process():
    async def run():
        began, ended = asyncio.Event(), asyncio.Event()

        async def job():
            began.set()
            try:
                await asyncio.Event().wait()
            finally:
                ended.set()

        async with sweeping([Sweep("prueba", job, seconds=0)]):
            await began.wait()
        assert ended.is_set()

    asyncio.run(run())


def test_every_sweep_of_the_app_runs(database):
    async def run():
        async with start.services({"DATABASE_URL": database, "BCRYPT_ROUNDS": "4"}) as services:
            for sweep in sweeps(services):
                await sweep.job()

    asyncio.run(run())
