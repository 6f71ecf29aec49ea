"""What must not grow while the API works: memory, files and connections, of its process and of PostgreSQL's."""

from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from statistics import median

from bench.machine import family, resident_megabytes
from bench.nodes import Node

CONNECTIONS = "SELECT count(*) FROM pg_stat_activity WHERE application_name LIKE 'ventas%'"


@dataclass(frozen=True)
class Gauge:
    """Something that may grow by `slack` between the second quarter of the time and the last, in their medians."""

    name: str
    slack: float


GAUGES = {
    "memory": Gauge("memory of the server, MB", 5),
    "files": Gauge("open file descriptors of the server", 5),
    "connections": Gauge("connections to PostgreSQL", 3),
    "postgres": Gauge("memory of PostgreSQL without its shared buffers, MB", 10),
}


@dataclass(frozen=True)
class GaugeReading:
    memory: float
    files: float
    connections: float
    postgres: float

    @classmethod
    def of(cls, pid: int, database: Node) -> "GaugeReading":
        return cls(
            memory=resident_megabytes(pid),
            files=len(list(Path(f"/proc/{pid}/fd").iterdir())),
            connections=database.execute(CONNECTIONS)[0][0],
            postgres=sum(map(_own_kilobytes, family(database.pid))) / 1024,
        )

    def __str__(self) -> str:
        return (
            f"server {self.memory:.1f} MB, {self.files} files, {self.connections} connections, "
            f"PostgreSQL {self.postgres:.1f} MB"
        )


def quarters(samples: list[GaugeReading], gauge: str) -> list[float]:
    """The median of each quarter; there must be four samples at least."""
    values = [getattr(sample, gauge) for sample in samples]
    edges = [len(values) * quarter // 4 for quarter in range(5)]
    return [median(values[begin:end]) for begin, end in pairwise(edges)]


def grown(samples: list[GaugeReading]) -> list[str]:
    """The names of the gauges that grew by more than their slack."""
    medians = {key: quarters(samples, key) for key in GAUGES}
    return [
        GAUGES[key].name for key, (_, second, _, last) in medians.items() if last - second > GAUGES[key].slack
    ]


def table(samples: list[GaugeReading]) -> str:
    """The medians of the quarters, in Markdown."""
    lines = ["| median of each quarter | 1st | 2nd | 3rd | 4th | may grow by |", "|---|---|---|---|---|---|"]
    for key, gauge in GAUGES.items():
        cells = [gauge.name, *(f"{value:.1f}" for value in quarters(samples, key)), f"{gauge.slack:g}"]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _own_kilobytes(pid: int) -> int:
    """Without files and shared buffers; what was shared at a fork counts in parts; 0 once the process has ended."""
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except (FileNotFoundError, ProcessLookupError):
        return 0
    return next(int(line.split()[1]) for line in lines if line.startswith("Pss_Anon:"))
