"""The machine under test: its cores, the CPU time and memory of its processes, its description."""

import os
import platform
import time
from collections.abc import Iterable
from pathlib import Path

TICK = 1e6 / os.sysconf("SC_CLK_TCK")  # microseconds
PROC = Path("/proc")


def cores() -> tuple[int, int]:
    """The server's core, and the one that PostgreSQL and the load share: the same where there is but one."""
    available = sorted(os.sched_getaffinity(0))
    return available[0], available[-1]


def pin(core: int) -> None:
    os.sched_setaffinity(0, {core})


def family(pid: int) -> list[int]:
    """The process and all its living descendants."""
    parents: dict[int, list[int]] = {}
    for entry in PROC.iterdir():
        if entry.name.isdigit() and (fields := _stat(int(entry.name))):
            parents.setdefault(int(fields[1]), []).append(int(entry.name))
    found = [pid]
    for parent in found:
        found.extend(parents.get(parent, ()))
    return found


def cpu_microseconds(pid: int) -> float:
    """CPU time of a process and its descendants, ended ones included (proc(5): utime to cstime)."""
    return TICK * sum(sum(map(int, fields[11:15])) for fields in map(_stat, family(pid)) if fields)


class OtherWork:
    """How busy all else keeps the machine from now on: all but this process, its children and one other."""

    def __init__(self, also_ours: int) -> None:
        self.also_ours = also_ours
        self.began, self.before = time.monotonic(), self._microseconds()

    def share(self) -> float:
        """Of one core; above a few hundredths the figures say more about the others than about us."""
        return (self._microseconds() - self.before) / 1e6 / (time.monotonic() - self.began)

    def _microseconds(self) -> float:
        user, nice, system, _idle, _iowait, irq, softirq, steal, *_ = map(
            int, (PROC / "stat").read_text().split("\n")[0].split()[1:]
        )
        busy = TICK * (user + nice + system + irq + softirq + steal)
        return busy - cpu_microseconds(os.getpid()) - cpu_microseconds(self.also_ours)


def resident_megabytes(pid: int) -> float:
    return sum(map(_resident_kilobytes, family(pid))) / 1024


def description(versions: Iterable[str]) -> str:
    """CPU, cores, memory, kernel and the given versions: what a reader needs to judge the figures."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    kernel = platform.release().split("-")[0]
    return ", ".join(
        [
            _cpu_model(),
            f"{os.cpu_count()} cores",
            f"{memory:.0f} GiB",
            f"{platform.system()} {kernel}",
            *versions,
        ]
    )


def _stat(pid: int) -> list[str]:
    """The fields of /proc/PID/stat from `state` on; none when the process has just ended."""
    try:
        return (PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return []


def _resident_kilobytes(pid: int) -> int:
    status = (PROC / str(pid) / "status").read_text()
    return next((int(line.split()[1]) for line in status.splitlines() if line.startswith("VmRSS:")), 0)


def _cpu_model() -> str:
    lines = (PROC / "cpuinfo").read_text().splitlines()
    models = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(models, platform.machine())
