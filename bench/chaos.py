"""Faults under load: each for seconds, against real processes, with every promise counted afterwards."""

import argparse
import asyncio
import sys
import time
from contextlib import ExitStack
from dataclasses import dataclass

from bench import reliability_page
from bench.api import ApiProcess
from bench.chaos_cases import CASES, FaultCase
from bench.faults import Stage
from bench.faults_host import Unavailable
from bench.ledger import Crowd, Ledger

LONGEST_RECOVERY = 5  # seconds
MOST_CONNECTIONS = 11  # the pool, and one that listens
KEPT = """
SELECT venta, count(*)
  FROM venta
 WHERE usuario_id = (SELECT id FROM usuario WHERE username = 'ana')
 GROUP BY venta
"""
CONNECTIONS = "SELECT count(*) FROM pg_stat_activity WHERE application_name LIKE 'ventas%'"
HEAD = """\
| fault | requests | acknowledged sales | lost | doubled | unexpected | seconds to recover |
|---|---|---|---|---|---|---|"""


@dataclass(frozen=True)
class FaultRow:
    """A line of the table."""

    name: str
    requests: int
    acknowledged: int
    lost: int
    doubled: int
    unexpected: str
    seconds: float

    @property
    def good(self) -> bool:
        return not (self.lost or self.doubled or self.unexpected) and self.seconds <= LONGEST_RECOVERY

    def __str__(self) -> str:
        cells = (
            self.name,
            f"{self.requests:,}",
            f"{self.acknowledged:,}",
            self.lost,
            self.doubled,
            self.unexpected or "none",
        )
        return "| " + " | ".join(map(str, cells)) + f" | {self.seconds:.2f} |"


async def try_out(name: str, case: FaultCase, seconds: float, requests: int) -> FaultRow:
    """One fault, with `seconds` of load before it and after it; some faults are so many `requests`."""
    with ExitStack() as stack:
        place = await asyncio.to_thread(stack.enter_context, case.place())
        api = ApiProcess(place.url, **place.settings)
        await asyncio.to_thread(api.start)
        stack.callback(api.kill)
        stage, ledger = Stage(api, place, seconds, requests), Ledger()
        async with Crowd(api.url, api.token(), ledger):
            await asyncio.sleep(seconds)
            began = time.monotonic()
            await case.fault(stage)
            await asyncio.sleep(seconds + 2)
        kept = dict(place.database.execute(KEPT))
        lost, doubled = ledger.verdict(kept)
        unexpected = ledger.unexpected(case.allowed, began, stage.healed + LONGEST_RECOVERY)
        unexpected += [f"{what}×{count}" for what, count in stage.wrong.most_common(5)]
        if case.answered and (unanswered := ledger.unanswered(kept)):
            unexpected.append(f"sales without an answer×{unanswered}")
        [(connections,)] = place.database.execute(CONNECTIONS)
        if connections > MOST_CONNECTIONS:
            unexpected.append(f"connections×{connections}")
        return FaultRow(
            name,
            ledger.requests + stage.made,
            len(ledger.promised),
            lost,
            doubled,
            ", ".join(unexpected),
            ledger.recovery(stage.healed),
        )


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="scripts/chaos",
        description="Break things under load and count what was lost. Ends with 1 when anything was.",
    )
    parser.add_argument("--seconds", type=float, default=4, help="of load before and after each fault (4)")
    parser.add_argument(
        "--requests", type=int, default=10_000, help="that are generated, or have odd bytes in them (10,000)"
    )
    parser.add_argument("--only", metavar="WORDS", help="only the faults whose name has these words")
    parser.add_argument("--save", action="store_true", help="write the table to docs/reliability.md")
    parser.add_argument("--list", action="store_true", help="name the faults")
    chosen = parser.parse_args()
    names = [name for name in CASES if (chosen.only or "") in name]
    if chosen.save and chosen.only:
        parser.error("--save is for a run of all of them")
    if chosen.list:
        print(*names, sep="\n")
        return 0
    lines, good = [HEAD], True
    print(HEAD, flush=True)
    for name in names:
        try:
            row = asyncio.run(try_out(name, CASES[name], chosen.seconds, chosen.requests))
        except Unavailable as lack:
            lines.append(f"| {name} | not tried: {lack} | | | | | |")
        else:
            lines.append(str(row))
            good = good and row.good
        print(lines[-1], flush=True)
    if chosen.save:
        reliability_page.save("chaos", "\n".join(lines))
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
