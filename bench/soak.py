"""A long run of mixed load at a steady rate: nothing lost, nothing doubled, nothing that grows."""

import argparse
import asyncio
import sys
import time
from collections import Counter
from contextlib import AsyncExitStack, ExitStack
from dataclasses import dataclass

import httpx

from bench import gauges, reliability_page
from bench.api import ApiProcess
from bench.gauges import GaugeReading
from bench.nodes import Node, node, url_of
from bench.visitors import Record, Visitor
from core.migrating import guard

VISITORS = 8
SAMPLES = 120
KEPT = "SELECT venta, count(*) FROM venta GROUP BY venta"


@dataclass(frozen=True)
class Outcome:
    """What a run was like; `strange` sales are there though nobody was told so, or still there though deleted."""

    seconds: float
    requests: int
    record: Record
    samples: list[GaugeReading]
    sales: int
    lost: int
    doubled: int
    strange: int

    @property
    def faults(self) -> list[str]:
        counts = {"lost": self.lost, "doubled": self.doubled, "strange": self.strange}
        found = [f"{count} sales {name}" for name, count in counts.items() if count]
        found += [f"{what} ×{count}" for what, count in self.record.unexpected.most_common(10)]
        return found + [f"grew: {name}" for name in gauges.grown(self.samples)]

    def __str__(self) -> str:
        done = ", ".join(f"{name} {count:,}" for name, count in self.record.done.most_common())
        return "\n".join(
            [
                f"{self.seconds / 60:.1f} minutes, {self.requests:,} requests "
                f"({self.requests / self.seconds:.0f} a second), {self.sales:,} sales kept; "
                f"lost: {self.lost}, doubled: {self.doubled}, strange: {self.strange}, "
                f"unexpected: {self.record.unexpected.total() or 'none'}.",
                f"What the visitors did: {done}.",
                "",
                gauges.table(self.samples),
            ]
        )


async def soak(seconds: float, rate: float) -> Outcome:
    """Real processes, as in production, and visitors who together make `rate` requests a second."""
    with ExitStack() as stack:
        database = stack.enter_context(node())
        guard.apply(url_of(database), say=lambda line: None)
        api = ApiProcess(url_of(database), BCRYPT_ROUNDS="12")
        await asyncio.to_thread(api.start)
        stack.callback(api.kill)
        record = Record()
        async with AsyncExitStack() as open_clients:
            visitors = []
            for number in range(VISITORS):
                client = await open_clients.enter_async_context(
                    httpx.AsyncClient(base_url=api.url, timeout=30)
                )
                visitors.append(Visitor(client, f"v{number}", record))
                await visitors[-1].register()
            over = time.monotonic() + seconds
            samples, *_ = await asyncio.gather(
                _watch(api, database, visitors, record, seconds),
                *(_visit(visitor, VISITORS / rate, over) for visitor in visitors),
            )
        api.terminate()
        kept = Counter(dict(database.execute(KEPT)))
        owed = {amount for visitor in visitors for amount in visitor.kept}
        return Outcome(
            seconds,
            sum(visitor.requests for visitor in visitors),
            record,
            samples,
            sales=len(owed),
            lost=len(owed - kept.keys()),
            doubled=sum(count > 1 for count in kept.values()),
            strange=len(kept.keys() - owed),
        )


async def _visit(visitor: Visitor, interval: float, over: float) -> None:
    """An interval for each request; whoever is late does not hurry afterwards."""
    due = time.monotonic()
    while due < over:
        await asyncio.sleep(due - time.monotonic())
        before = visitor.requests
        await visitor.act()
        due = max(due + interval * (visitor.requests - before), time.monotonic())


async def _watch(
    api: ApiProcess, database: Node, visitors: list[Visitor], record: Record, seconds: float
) -> list[GaugeReading]:
    """Samples at equal intervals, each printed."""
    began, samples = time.monotonic(), []
    for number in range(1, SAMPLES + 1):
        await asyncio.sleep(began + seconds * number / SAMPLES - time.monotonic())
        samples.append(await asyncio.to_thread(GaugeReading.of, api.pid, database))
        minutes = (time.monotonic() - began) / 60
        requests = sum(visitor.requests for visitor in visitors)
        unexpected = record.unexpected.total() or "none"
        print(
            f"{minutes:.1f} min: {requests:,} requests, unexpected: {unexpected}, {samples[-1]}", flush=True
        )
    return samples


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="scripts/soak",
        description="Mixed load at a steady rate. Ends with 1 when a promise was broken or something grew.",
    )
    parser.add_argument("--minutes", type=float, default=60, help="how long (60)")
    parser.add_argument("--rate", type=float, default=100, help="requests a second (100)")
    parser.add_argument("--save", action="store_true", help="write what was found to docs/reliability.md")
    chosen = parser.parse_args()
    outcome = asyncio.run(soak(chosen.minutes * 60, chosen.rate))
    print(f"\n{outcome}")
    if chosen.save:
        reliability_page.save("soak", str(outcome))
    print(*outcome.faults, sep="\n", file=sys.stderr)
    return 1 if outcome.faults else 0


if __name__ == "__main__":
    sys.exit(main())
