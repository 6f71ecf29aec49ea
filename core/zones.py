"""Time zones by their IANA names. The pinned package tzdata decides what a zone's clock shows.

Neither the machine's zone files nor PostgreSQL's are asked, so every process and every day agree."""

import zoneinfo
from difflib import get_close_matches
from zoneinfo import ZoneInfo

zoneinfo.reset_tzpath(to=())

LONGEST = 64  # characters
MOST_NEAR = 5
NAMES = frozenset(name for name in zoneinfo.available_timezones() if name != "Factory")


class UnknownZone(ValueError):
    """No zone has that name; `near` are up to MOST_NEAR names that look like it."""

    def __init__(self, near: list[str]) -> None:
        super().__init__(near)
        self.near = near


def zone(name: str) -> ZoneInfo:
    """The zone of an IANA name such as America/Argentina/Buenos_Aires. Raises UnknownZone."""
    if name not in NAMES:
        raise UnknownZone(_near(name))
    return ZoneInfo(name)


def _near(name: str) -> list[str]:
    asked = "_".join(name[:LONGEST].lower().split())
    if not asked:
        return []
    by_name = {known.lower(): known for known in sorted(NAMES)}
    by_city = {lowered.rpartition("/")[2]: known for lowered, known in by_name.items()}
    near = [known for lowered, known in by_name.items() if asked in lowered]
    near += [by_name[close] for close in get_close_matches(asked, by_name, cutoff=0.8)]
    near += [by_city[close] for close in get_close_matches(asked.rpartition("/")[2], by_city)]
    return list(dict.fromkeys(near))[:MOST_NEAR]
