"""Metrics: what this process counts, and its siblings with it."""

import asyncio
import hmac
import os
import resource
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

from starlette.responses import Response

from core.database.rooms import Room
from core.http.endpoint import endpoint
from core.http.request import Request
from core.problems import BAD_TOKEN, NO_ROUTE, NO_TOKEN, DatabaseUnavailable, Problem, bad_token, no_token
from core.process.counters import BATCHES, Report, Sample, Siblings, summed
from core.process.services import Services
from core.process.tasks import meanwhile
from sql import enlaces, pressure

TELL_SECONDS = 1.0
# The names of psycopg_pool's statistics; a total also has its unit in ours.
POOL_TOTALS = {
    "ventas_pool_loans_total": ("requests_num", 1),
    "ventas_pool_waits_total": ("requests_queued", 1),
    "ventas_pool_wait_seconds_total": ("requests_wait_ms", 0.001),
    "ventas_pool_refused_total": ("requests_errors", 1),
    "ventas_pool_lost_total": ("connections_lost", 1),
}
POOL_LEVELS = {
    "ventas_pool_max": "pool_max",
    "ventas_pool_open": "pool_size",
    "ventas_pool_idle": "pool_available",
    "ventas_pool_waiting": "requests_waiting",
}
PAGE_BYTES = resource.getpagesize()


@endpoint(public=True, database=False, produces=["text/plain"], problems=[NO_ROUTE, NO_TOKEN, BAD_TOKEN])
async def show(request: Request) -> Response:
    """Give the metrics, in Prometheus' text format; needs METRICS_TOKEN as bearer when that is set."""
    _check_token(request)
    samples = await gather(request.services)
    body, media = await asyncio.to_thread(_encode, samples, request.headers.get("accept", ""))
    return Response(body, headers={"content-type": media, "vary": "Accept"})


async def gather(services: Services) -> list[Sample]:
    """What this process and its siblings count, and what only the database knows."""
    reports = [_report(services)]
    if services.siblings:
        services.siblings.tell(reports[0])
        reports = services.siblings.heard()
    return summed(reports) + await _database(services)


@asynccontextmanager
async def telling(services: Services) -> AsyncIterator[None]:
    """Tells the siblings, if there are any, what this process counts, for the length of the block."""
    if services.siblings is None:
        yield
        return
    async with meanwhile(_keep_telling(services, services.siblings)):
        yield
    services.siblings.leave(_report(services, ended=True))


async def _keep_telling(services: Services, siblings: Siblings) -> None:
    while True:
        siblings.tell(_report(services))
        await asyncio.sleep(TELL_SECONDS)


def _check_token(request: Request) -> None:
    """Raises Problem: 401 without METRICS_TOKEN; in production, 404 when there is none."""
    wanted = request.services.settings.metrics_token
    given = request.headers.get("authorization", "")
    if wanted and not given:
        raise no_token()
    scheme, _, token = given.partition(" ")
    if wanted and not (scheme.lower() == "bearer" and hmac.compare_digest(token.encode(), wanted.encode())):
        raise bad_token()
    if not wanted and request.services.settings.production:
        raise Problem(NO_ROUTE, "No existe esta ruta")


def _encode(samples: list[Sample], accept: str) -> tuple[bytes, str]:
    from core.process.exposition import exposition  # with the first scrape: it takes a while and 10 MB

    return exposition(samples, os.environ.get("DYNO", ""), accept)


def _report(services: Services, *, ended: bool = False) -> Report:
    databases = {"primary": services.db}
    if services.read_db is not services.db:
        databases["follower"] = services.read_db
    totals: list[Sample] = services.requests.samples("ventas_request_seconds")
    totals.append((("ventas_cpu_seconds_total",), [time.process_time()]))
    levels: list[Sample] = [
        (("ventas_processes",), [1]),
        (("ventas_memory_bytes",), [_resident_bytes()]),
        (("ventas_bcrypt_waiting",), [services.passwords.room.inside + services.passwords.room.waiting]),
        (("ventas_listening",), [float(services.known.live)]),
        (("ventas_sessions_known",), [services.known.known]),
    ]
    for name, database in databases.items():
        stats = database.pool.get_stats()
        totals += [
            ((metric, name), [stats.get(stat, 0) * unit]) for metric, (stat, unit) in POOL_TOTALS.items()
        ]
        levels += [((metric, name), [stats.get(stat, 0)]) for metric, stat in POOL_LEVELS.items()]
        for kind, room in database.rooms.items():
            totals += _room_totals(room, name, kind)
            levels += _room_levels(room, name, kind)
        for lane_name, lane in (database.lanes | database.routes.lanes).items():
            batches: list[float] = [lane.sizes[size] for size in BATCHES]
            totals.append((("ventas_batch_askers", name, lane_name), [*batches, 0]))
            levels.append((("ventas_lane_connected", name, lane_name), [float(lane.connected)]))
            levels.append((("ventas_lane_waiting", name, lane_name), [lane.waiting]))
    apart = {
        "files": services.transfers,
        "registrations": services.registrations,
        "passwords": services.passwords.room,
    }
    for what, room in apart.items():
        totals += _room_totals(room, "", what)
        levels += _room_levels(room, "", what)
    levels.append((("ventas_spool_bytes",), [services.disk.taken]))
    levels.append((("ventas_spool_max_bytes",), [services.disk.most]))
    return Report(totals, levels, time.monotonic(), ended)


def _room_totals(room: Room, database: str, kind: str) -> list[Sample]:
    return [
        (("ventas_room_waits_total", database, kind), [room.waits]),
        (("ventas_room_wait_seconds_total", database, kind), [room.wait_seconds]),
        (("ventas_room_refused_total", database, kind), [room.refused]),
    ]


def _room_levels(room: Room, database: str, kind: str) -> list[Sample]:
    return [
        (("ventas_room_max", database, kind), [room.most]),
        (("ventas_room_inside", database, kind), [room.inside]),
        (("ventas_room_waiting", database, kind), [room.waiting]),
    ]


async def _database(services: Services) -> list[Sample]:
    """What only the database knows; the same for every process."""
    try:
        outbox = await enlaces.outbox(services.db)
        figures = await pressure.figures(services.db)
    except DatabaseUnavailable:
        return [(("ventas_database_up",), [0])]
    return [
        *[((figure.metric, *filter(None, [figure.table])), [figure.value]) for figure in figures],
        *await _follower(services),
        (("ventas_database_up",), [1]),
        (("ventas_outbox_mails",), [outbox.mails]),
        (("ventas_outbox_age_seconds",), [outbox.age]),
    ]


async def _follower(services: Services) -> list[Sample]:
    """How far the follower is behind, where there is one that answers."""
    if services.read_db is services.db:
        return []
    try:
        return [(("ventas_replica_lag_seconds",), [await pressure.lag(services.read_db)])]
    except DatabaseUnavailable:
        return []


def _resident_bytes() -> float:
    """What the process has in memory now; where the kernel does not say, the most it ever had."""
    with suppress(FileNotFoundError):
        return int(Path("/proc/self/statm").read_text().split()[1]) * PAGE_BYTES
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024
