"""What a process counts, and how the processes of one parent add their counts up."""

import multiprocessing
import shutil
import tempfile
import time
from bisect import bisect_left
from collections.abc import Iterable
from contextlib import suppress
from hashlib import sha256
from os import getpid
from pathlib import Path

import msgspec
from msgspec import Struct

LATENCIES = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)  # seconds
BATCHES = (1, 2, 4, 8, 16, 32, 64, 128)  # askers
FRESH_SECONDS = 5.0

# A metric's name and the values of its labels; and its value, or how many were up to each bound, above the last,
# and their sum.
Sample = tuple[tuple[str, ...], list[float]]


class Requests:
    """Answers by route, method and status, and how long they took."""

    def __init__(self) -> None:
        self._series: dict[tuple[str, str, int], list[float]] = {}

    def expect(self, route: str, method: str, status: int) -> None:
        """Tells of such answers before there is one: alerts see no increase of a series that begins at 1."""
        self._series.setdefault((route, method, status), [0] * (len(LATENCIES) + 2))

    def add(self, route: str, method: str, status: int, seconds: float) -> None:
        try:
            series = self._series[route, method, status]
        except KeyError:
            series = self._series[route, method, status] = [0] * (len(LATENCIES) + 2)
        series[bisect_left(LATENCIES, seconds)] += 1
        series[-1] += seconds

    def samples(self, name: str) -> list[Sample]:
        return [
            ((name, route, method, str(status)), series)
            for (route, method, status), series in self._series.items()
        ]


class Report(Struct, frozen=True):
    """What one process has to tell: `totals` only grow, `levels` are as of `at`, in seconds of the machine's clock."""

    totals: list[Sample]
    levels: list[Sample]
    at: float
    ended: bool = False


def summed(reports: Iterable[Report]) -> list[Sample]:
    """The totals of all, and the levels of those that are alive."""
    sums: dict[tuple[str, ...], list[float]] = {}
    oldest = time.monotonic() - FRESH_SECONDS
    for report in reports:
        alive = report.at > oldest and not report.ended
        for key, values in report.totals + (report.levels if alive else []):
            sums[key] = [a + b for a, b in zip(sums[key], values, strict=True)] if key in sums else values
    return list(sums.items())


class Siblings:
    """The processes of one parent: each leaves its reports in a folder whose name only they can know.

    What a process has counted still counts when it died."""

    def __init__(self) -> None:
        secret = sha256(multiprocessing.current_process().authkey).hexdigest()  # they share it
        self._folder = Path(tempfile.gettempdir()) / f"ventas-{secret[:32]}"
        self._folder.mkdir(mode=0o700, exist_ok=True)

    def first(self, task: str) -> bool:
        """Whether this is the first process to ask so: one is to do the task for all."""
        try:
            (self._folder / task).touch(exist_ok=False)
        except FileExistsError:
            return False
        return True

    def first_to_fail(self) -> bool:
        """Whether no process failed to start in the last FRESH_SECONDS: one tells for all that fail together."""
        mark = self._folder / "failed"
        with suppress(FileNotFoundError):
            if time.time() - mark.stat().st_mtime > FRESH_SECONDS:
                mark.unlink()
        return self.first(mark.name)

    def forget(self) -> None:
        """Removes the folder, for the parent once none is left."""
        shutil.rmtree(self._folder, ignore_errors=True)

    def tell(self, report: Report) -> None:
        draft = self._folder / f"{getpid()}.new"
        draft.write_bytes(msgspec.json.encode(report))
        draft.replace(draft.with_suffix(".json"))

    def heard(self) -> list[Report]:
        """The latest report of each process that is or was there, this one's included."""
        return [msgspec.json.decode(file.read_bytes(), type=Report) for file in self._folder.glob("*.json")]

    def leave(self, last: Report) -> None:
        """The last one out removes the folder."""
        self.tell(last)
        if all(report.ended for report in self.heard()):
            shutil.rmtree(self._folder, ignore_errors=True)
