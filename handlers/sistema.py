"""How the service is, in figures that an admin understands without a monitoring system."""

from collections.abc import Iterable

from msgspec import Struct

from core.http.endpoint import endpoint
from core.http.request import Request
from core.problems import Problem
from core.process.counters import LATENCIES, Sample
from handlers import health, metrics
from handlers.docs import VERSION

MOST_ROUTES = 50


class Ruta(Struct, frozen=True):
    """The requests of one route since the processes began; times in milliseconds, null before the first."""

    metodo: str
    ruta: str
    peticiones: int
    fallas: int
    mediana_ms: float | None
    p95_ms: float | None


class Sistema(Struct, frozen=True):
    """`estado` and `motivo` are what /readyz says; the figures are of all processes of this server.

    `fallas` are answers of 5xx. `correos` wait to leave, the oldest for `correo_segundos`; null when the database is
    away. Times are in milliseconds."""

    estado: str
    motivo: str
    version: str
    procesos: int
    memoria_bytes: int
    peticiones: int
    fallas: int
    mediana_ms: float | None
    p95_ms: float | None
    conexiones_max: int
    conexiones_abiertas: int
    conexiones_libres: int
    esperando_conexion: int
    sesiones: int
    correos: int | None
    correo_segundos: int | None
    rutas: list[Ruta]


@endpoint(admin=True)
async def show(request: Request) -> Sistema:
    """Tell how the service is: ready or not, requests, times, connections, mails.

    The routes are those with most requests, at most 50."""
    samples = await metrics.gather(request.services)
    estado, motivo = await _state(request)
    times = {key[1:]: series for key, series in samples if key[0] == "ventas_request_seconds"}
    of_routes: dict[tuple[str, str], list[tuple[str, list[float]]]] = {}
    for (route, method, status), series in times.items():
        of_routes.setdefault((method, route), []).append((status, series))
    every = [_route(method, route, answers) for (method, route), answers in of_routes.items()]
    routes = [route for route in every if route.peticiones]
    routes.sort(key=lambda route: -route.peticiones)
    total = _sum(times.values())
    outbox = _level(samples, "ventas_outbox_mails")
    age = _level(samples, "ventas_outbox_age_seconds")
    return Sistema(
        estado=estado,
        motivo=motivo,
        version=VERSION,
        procesos=_level(samples, "ventas_processes") or 0,
        memoria_bytes=_level(samples, "ventas_memory_bytes") or 0,
        peticiones=_count(total),
        fallas=sum(route.fallas for route in routes),
        mediana_ms=_quantile(total, 0.5),
        p95_ms=_quantile(total, 0.95),
        conexiones_max=_level(samples, "ventas_pool_max") or 0,
        conexiones_abiertas=_level(samples, "ventas_pool_open") or 0,
        conexiones_libres=_level(samples, "ventas_pool_idle") or 0,
        esperando_conexion=_level(samples, "ventas_pool_waiting") or 0,
        sesiones=_level(samples, "ventas_sessions_known") or 0,
        correos=outbox,
        correo_segundos=age,
        rutas=routes[:MOST_ROUTES],
    )


async def _state(request: Request) -> tuple[str, str]:
    try:
        ready = await health.ready.handler(request)
    except Problem as problem:
        return problem.kind.codigo, problem.detail
    return ready.estado, "La base de datos responde y tiene todas sus migraciones."


def _route(method: str, route: str, answers: list[tuple[str, list[float]]]) -> Ruta:
    series = _sum(series for _, series in answers)
    failed = sum(_count(series) for status, series in answers if status.startswith("5"))
    return Ruta(method, route, _count(series), failed, _quantile(series, 0.5), _quantile(series, 0.95))


def _level(samples: list[Sample], name: str) -> int | None:
    """The sum of a metric over its labels, or None where nothing said it."""
    values = [values[0] for key, values in samples if key[0] == name]
    return round(sum(values)) if values else None


def _sum(histograms: Iterable[list[float]]) -> list[float]:
    """One histogram of all: how many up to each of LATENCIES, above the last, and the sum of the seconds."""
    total = [0.0] * (len(LATENCIES) + 2)
    for series in histograms:
        total = [a + b for a, b in zip(total, series, strict=True)]
    return total


def _count(series: list[float]) -> int:
    return round(sum(series[:-1]))


def _quantile(series: list[float], share: float) -> float | None:
    """About how long that share of the answers took at most, in milliseconds; between two bounds by their numbers."""
    wanted = share * _count(series)
    if not wanted:
        return None
    below = 0.0
    for number, low, high in zip(series, (0.0, *LATENCIES), (*LATENCIES, LATENCIES[-1]), strict=False):
        if number and below + number >= wanted:
            return round(1000 * (low + (high - low) * (wanted - below) / number), 1)
        below += number
    return 1000 * LATENCIES[-1]
