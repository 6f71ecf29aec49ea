"""On a cluster: statements of one row each, many to a round trip, and none waits for another node's."""

from collections.abc import Awaitable, Callable, Mapping
from functools import partial

import psycopg
from psycopg.pq.abc import PGresult

from core.database.askers import reads, routed
from core.database.instants import Columns
from core.database.lanes import Batch, Lane
from core.database.pipelines import Pipeline
from core.database.wire import Wire

MOST_KEYS = 100_000
MOST_NODES = 8  # with lanes of their own; where there are more, some share

NODE = """
-- routes.node: the node of a cluster that keeps the rows of each asked key; uses no index
SELECT asked.n, p.groupid
  FROM unnest(%(key)s::bigint[]) WITH ORDINALITY AS asked (key, n)
 CROSS JOIN (SELECT logicalrelid FROM pg_dist_partition WHERE partmethod = 'h' ORDER BY 1 LIMIT 1) AS sharded
  JOIN pg_dist_placement AS p ON p.shardid = get_shard_id_for_distribution_column(sharded.logicalrelid, asked.key)
"""


class RoutedLane(Lane):
    """A lane whose batch is a statement for each asker, one behind the other on the same connection."""

    def _ask(self, wire: Wire, batch: Batch) -> None:
        for asker in batch.askers:
            one = Batch(batch.statement, [asker], batch.again)
            wire.ask(one.statement.sql, asker.elements, partial(self._told, wire, one), self._step_aside)

    def _told(self, wire: Wire, batch: Batch, result: PGresult | Exception) -> None:
        assert isinstance(wire, Pipeline)  # noqa: S101 - so are a routed lane's
        if isinstance(result, Exception):
            self._fail(wire, batch, result, sent=True)
        else:
            batch.askers[0].tell(wire.rows(result))
        if not wire.busy:
            self._answered(wire)

    def _hold(self, batch: Batch, error: psycopg.Error) -> None:
        """Refuses an asker who waited for a lock as long as any statement may."""
        batch.refuse(error)


class Routes:
    """Which lane a key's statement takes: each node has one for reads and one for writes.

    `locate` tells a key's node, and is asked once. That keeps nodes apart; where a statement runs the cluster decides
    anew each time."""

    def __init__(
        self, lane: Callable[[bool], RoutedLane], locate: Callable[[object], Awaitable[int | None]]
    ) -> None:
        self.lanes: dict[str, RoutedLane] = {}
        self._lane = lane
        self._locate = locate
        self._nodes: dict[object, int] = {}

    async def ask(self, sql: str, parameters: Mapping[str, object]) -> list[Columns]:
        """The rows of a statement for one asker."""
        asked = routed(sql)
        node = await self._node(parameters[asked.names[0]])
        name = f"node {node} {'reads' if reads(sql) else 'writes'}"
        lane = self.lanes.get(name)
        if lane is None:
            lane = self.lanes[name] = self._lane(reads(sql))
        return await lane.ask(asked, parameters)

    async def _node(self, key: object) -> int:
        node = self._nodes.get(key)
        if node is None:
            if len(self._nodes) >= MOST_KEYS:
                self._nodes.clear()
            node = self._nodes[key] = (await self._locate(key) or 0) % MOST_NODES
        return node

    async def close(self) -> None:
        """Answers those who wait, then closes the connections."""
        for lane in self.lanes.values():
            await lane.close()
