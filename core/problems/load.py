"""Errors of too much at once: too many attempts, too many requests, a process that stops."""

from core.problems.kinds import Problem, kind

THROTTLED = kind(
    "demasiados_intentos",
    429,
    "Demasiados intentos",
    "La cuenta o la dirección de red hizo demasiados intentos; mientras dura la espera ni los correctos se atienden.",
    "Espere los segundos que dice `Retry-After`.",
)
CROWDED = kind(
    "demasiado_a_la_vez",
    429,
    "Demasiado a la vez",
    "La cuenta, o la dirección de red, ya tiene en curso y en espera tantas peticiones de esta clase como se admiten.",
    "Espere a que terminen las anteriores, o lo que dice `Retry-After`, y repita la petición.",
)
BUSY = kind(
    "servidor_ocupado",
    503,
    "Servidor ocupado",
    "Hay demasiadas peticiones en espera.",
    "Espere lo que dice `Retry-After` y repita la petición.",
)
STOPPING = kind(
    "servidor_apagandose",
    503,
    "Servidor apagándose",
    "El proceso recibió la orden de terminar: atiende lo que ya aceptó, y otro ocupará su lugar.",
    "Repita la petición: la atenderá otro proceso.",
)


def stopping() -> Problem:
    """503: this process takes no more work, or has no more time for it."""
    return Problem(STOPPING, STOPPING.cuando, headers=[(b"retry-after", b"1")])
