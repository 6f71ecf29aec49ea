"""The connection budget: what all processes together may open, against what the database allows."""

from core.process.settings import Settings

LISTENER = 1  # connection of each process, beside its pool


def shortage(settings: Settings, allowed: int) -> str:
    """What to set where the `allowed` connections are too few; nothing where they are enough, or behind a pooler."""
    processes = settings.web_concurrency * settings.instances
    needed = processes * (settings.db_pool_max + LISTENER)
    if settings.db_prepare == "off" or needed <= allowed:
        return ""
    return (
        f"{needed} connections may be needed ({processes} processes with DB_POOL_MAX={settings.db_pool_max} and a"
        f" listener), the database allows {allowed}: set DB_POOL_MAX={max(1, allowed // processes - LISTENER)},"
        " or WEB_CONCURRENCY or INSTANCES lower"
    )
