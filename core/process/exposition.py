"""The names of the metrics, what they tell, and Prometheus' text format for them."""

from collections.abc import Iterable, Iterator
from itertools import accumulate

from msgspec import Struct
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.exposition import choose_encoder

from core.process.counters import BATCHES, LATENCIES, Sample


class Family(Struct, frozen=True):
    """What a metric tells, and by what; `bounds` make it a histogram."""

    help: str
    labels: tuple[str, ...] = ()
    bounds: tuple[float, ...] = ()


ONE_LANE = ("database", "lane")
ONE_ROOM = ("database", "kind")
FAMILIES = {
    "ventas_request_seconds": Family("How long answers took.", ("route", "method", "status"), LATENCIES),
    "ventas_batch_askers": Family("How many requests shared a round trip.", ONE_LANE, BATCHES),
    "ventas_pool_loans_total": Family("Connections that the pools lent.", ("database",)),
    "ventas_pool_waits_total": Family("Loans that had to be waited for.", ("database",)),
    "ventas_pool_wait_seconds_total": Family("How long they were waited for.", ("database",)),
    "ventas_pool_refused_total": Family("Loans that were not to be had in time.", ("database",)),
    "ventas_pool_lost_total": Family("Connections of the pools that were found dead.", ("database",)),
    "ventas_pool_max": Family("Connections that the pools may open.", ("database",)),
    "ventas_pool_open": Family("Connections of the pools that are open.", ("database",)),
    "ventas_pool_idle": Family("Connections of the pools that are open and not lent.", ("database",)),
    "ventas_pool_waiting": Family("Requests that wait for a loan.", ("database",)),
    "ventas_room_max": Family("How many may do a kind of work at a time.", ONE_ROOM),
    "ventas_room_inside": Family("How many do it.", ONE_ROOM),
    "ventas_room_waiting": Family("How many wait for their turn.", ONE_ROOM),
    "ventas_room_waits_total": Family("Turns that had to be waited for.", ONE_ROOM),
    "ventas_room_wait_seconds_total": Family("How long they were waited for.", ONE_ROOM),
    "ventas_room_refused_total": Family("Requests that got no turn: 429 or 503.", ONE_ROOM),
    "ventas_spool_bytes": Family("Disk that files of slow clients take."),
    "ventas_spool_max_bytes": Family("Disk that they may take."),
    "ventas_cpu_seconds_total": Family("Processor time of all processes."),
    "ventas_processes": Family("Processes that are alive."),
    "ventas_memory_bytes": Family("Resident memory of all processes."),
    "ventas_lane_connected": Family("Lanes that have their connection.", ONE_LANE),
    "ventas_lane_waiting": Family("Requests that wait for a lane's next round trip.", ONE_LANE),
    "ventas_bcrypt_waiting": Family("Passwords that are being hashed or wait for it."),
    "ventas_listening": Family("Processes that hear at once of sessions that end."),
    "ventas_sessions_known": Family("Sessions that need no query."),
    "ventas_database_up": Family("Whether the database answers."),
    "ventas_outbox_mails": Family("Mails that are due and have not left."),
    "ventas_outbox_age_seconds": Family("How long the oldest of them has been due."),
    "ventas_audit_months_ahead": Family("Months after this one that the audit has a partition for."),
    "ventas_sweep_backlog": Family(
        "Rows that a sweep has still to forget, counted up to 10,000.", ("table",)
    ),
    "ventas_rows_dead": Family("Rows that wait for VACUUM.", ("table",)),
    "ventas_rows_live": Family("Rows that are not dead.", ("table",)),
    "ventas_transaction_seconds": Family("How long the oldest transaction has been open."),
    "ventas_transaction_ids": Family("How many transaction ids the oldest row is behind."),
    "ventas_lock_wait_seconds": Family("How long the longest wait for a lock has been."),
    "ventas_replica_lag_seconds": Family("How far the follower is behind."),
}


def exposition(samples: Iterable[Sample], dyno: str, accept: str) -> tuple[bytes, str]:
    """The text and its media type, as the `Accept` header asks: Prometheus' own or OpenMetrics.

    Every sample gets the label `dyno`: Heroku's router asks one dyno now, another then."""
    encoder, media = choose_encoder(accept)
    return encoder(_Samples(samples, dyno)), media


class _Samples:
    """A Collector of what was counted elsewhere."""

    def __init__(self, samples: Iterable[Sample], dyno: str) -> None:
        self._samples = sorted(((*key, dyno), values) for key, values in samples)

    def collect(self) -> Iterator[Metric]:
        for name, family in FAMILIES.items():
            metric = _metric(name, family)
            for (of, *labels), values in self._samples:
                if of != name:
                    continue
                if isinstance(metric, HistogramMetricFamily):
                    bounds = [*map(str, family.bounds), "+Inf"]
                    counts, total = values[: len(bounds)], values[len(bounds) :]
                    buckets = list(zip(bounds, accumulate(counts), strict=True))
                    metric.add_metric(labels, buckets, total[0] if total else None)
                else:
                    metric.add_metric(labels, values[0])
            yield metric


def _metric(name: str, family: Family) -> CounterMetricFamily | GaugeMetricFamily | HistogramMetricFamily:
    labels = (*family.labels, "dyno")
    if family.bounds:
        return HistogramMetricFamily(name, family.help, labels=labels)
    kind = CounterMetricFamily if name.endswith("_total") else GaugeMetricFamily
    return kind(name, family.help, labels=labels)
