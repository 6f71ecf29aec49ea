"""What compression costs and saves: `python -m bench.compression` prints the table of docs/performance.md."""

import random
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import msgspec

from core.checkout import CHECKOUT
from core.http.codings import FAST, SMALL
from sql.usuarios import Publico
from sql.ventas import Venta

ROUNDS = 200


def bodies() -> Iterator[tuple[str, bytes]]:
    """What is answered, and its name."""
    chance = random.Random(1)
    users = [
        Publico(n, f"usuario{n}", f"Nombre{chance.randrange(500)}", f"Apellido{n}", f"usuario{n}@example.com")
        for n in range(1, 101)
    ]
    began = datetime(2026, 1, 1, tzinfo=UTC)
    sales = [
        Venta(
            n,
            chance.randrange(1, 500),
            chance.randrange(10**7),
            chance.randrange(1, 9),
            began + timedelta(seconds=n),
        )
        for n in range(1, 1001)
    ]
    yield "100 users", msgspec.json.encode(users)
    yield "100 sales", msgspec.json.encode(sales[:100])
    yield "1000 sales", msgspec.json.encode(sales)
    yield "a block of an NDJSON export", b"\n".join(map(msgspec.json.encode, sales))[: 64 * 1024]
    yield "panel.css, once per process", (CHECKOUT / "web/panel/panel.css").read_bytes()


def main() -> None:
    print("| body | bytes | zstd | CPU µs | gzip | CPU µs |\n| --- | ---: | ---: | ---: | ---: | ---: |")
    for name, body in bodies():
        cells = [name, f"{len(body):,}"]
        for coding in FAST:
            compress = (SMALL if "once" in name else FAST)[coding]
            began = time.thread_time()
            for _ in range(ROUNDS):
                packed = compress(body)
            spent = (time.thread_time() - began) / ROUNDS
            cells += [f"{len(packed):,}", f"{1_000_000 * spent:,.0f}"]
        print(f"| {' | '.join(cells)} |")


if __name__ == "__main__":
    main()
