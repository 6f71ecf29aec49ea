"""Errors of the database: it is away, full or slow, or did not say whether it changed something."""

from core.problems.kinds import Kind, Problem, kind

DB_AWAY = kind(
    "bd_no_disponible",
    503,
    "Base de datos no disponible",
    "No hay conexión con la base de datos, o se cortó a mitad de la petición.",
    "Espere lo que dice `Retry-After` y repita la petición; las escrituras, con `Idempotency-Key`.",
)
DB_POOL = kind(
    "bd_sin_conexiones",
    503,
    "Sin conexiones libres",
    "Todas las conexiones están en uso, aquí o en la base de datos.",
    "Espere lo que dice `Retry-After` y repita la petición.",
)
DB_RESTARTING = kind(
    "bd_reiniciando",
    503,
    "Base de datos reiniciando",
    "La base de datos se está apagando o arrancando.",
    "Espere lo que dice `Retry-After` y repita la petición; las escrituras, con `Idempotency-Key`.",
)
DB_READ_ONLY = kind(
    "bd_solo_lectura",
    503,
    "Base de datos en solo lectura",
    "La base de datos no acepta cambios por ahora (por ejemplo, durante un cambio de servidor).",
    "Espere lo que dice `Retry-After` y repita la petición.",
)
DB_FULL = kind(
    "bd_sin_espacio",
    503,
    "Base de datos sin espacio",
    "La base de datos no puede guardar más; nada quedó a medias.",
    "Quien opera el servicio debe ampliar el disco; repita la petición después.",
)
DB_BEHIND = kind(
    "bd_numeracion",
    503,
    "Numeración atrasada",
    "La base de datos dio un id que ya está en uso; nada quedó a medias.",
    "Quien opera el servicio debe adelantar las secuencias (docs/upgrades.md); repita la petición después.",
)
DB_SLOW = kind(
    "bd_lenta",
    503,
    "La base de datos tardó demasiado",
    "La consulta pasó de su tiempo o esperó demasiado por un bloqueo; no cambió nada.",
    "Espere lo que dice `Retry-After` y repita la petición, con filtros más estrechos si es una lista.",
)
OUTCOME_UNKNOWN = kind(
    "resultado_desconocido",
    503,
    "No se sabe si el cambio se hizo",
    "La base de datos recibió el cambio y no respondió: pudo haberse hecho, o no.",
    "Consulte si el cambio está antes de repetirlo; con `Idempotency-Key` la repetición es segura.",
)
NOT_MIGRATED = kind(
    "bd_sin_migrar",
    503,
    "Base de datos sin migrar",
    "A la base de datos le faltan migraciones de esta versión.",
    "Quien opera el servicio debe ejecutar `scripts/ventas migrate`.",
)


class DatabaseUnavailable(Problem):
    """503: the database cannot serve this now. Whether something changed, `kind` says."""

    def __init__(self, kind: Kind = DB_AWAY, *, retry_after: int = 1) -> None:
        super().__init__(kind, kind.cuando, headers=[(b"retry-after", b"%d" % retry_after)])
