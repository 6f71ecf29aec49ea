"""The connection budget: what all processes together may open, against what the database allows."""

from core.database.routes import MOST_NODES
from core.process.settings import Settings

LISTENER = 1  # connection of each process, beside its pool
LANES_OF_A_NODE = 2  # connections too, where the database is a cluster: one for reads and one for writes


def shortage(settings: Settings, allowed: int, nodes: int) -> str:
    """What to set where the `allowed` connections are too few; nothing where they are enough, or behind a pooler.

    `nodes` keep the rows of a cluster; they are none where the database is no cluster."""
    processes = settings.web_concurrency * settings.instances
    lanes = LANES_OF_A_NODE * min(nodes, MOST_NODES)
    beside = LISTENER + lanes
    needed = processes * (settings.db_pool_max + beside)
    if settings.db_prepare == "off" or needed <= allowed:
        return ""
    return (
        f"{needed} connections may be needed ({processes} processes with DB_POOL_MAX={settings.db_pool_max}"
        f"{f', {lanes} more for the nodes of the cluster' if lanes else ''} and a listener),"
        f" the database allows {allowed}: set DB_POOL_MAX={max(1, allowed // processes - beside)},"
        " or WEB_CONCURRENCY or INSTANCES lower"
    )
