"""Errors of what a request says: its JSON, its fields, its Idempotency-Key."""

import re
from collections.abc import Sequence

from core.problems.kinds import CONSTRAINTS, Problem, kind

BAD_JSON = kind(
    "json_invalido",
    400,
    "JSON mal formado",
    "El cuerpo no es JSON (RFC 8259) o no está en UTF-8.",
    "Revise comas, comillas y codificación antes de enviarlo de nuevo.",
)
INVALID = kind(
    "datos_invalidos",
    422,
    "Datos inválidos",
    "El JSON, la consulta o un campo no cumplen lo que la ruta pide; `errores` nombra cada campo.",
    "Corrija los campos nombrados y envíe la petición de nuevo.",
)
KEY_IN_USE = kind(
    "clave_en_uso",
    409,
    "Clave en uso",
    "La primera petición con esta `Idempotency-Key` todavía no terminó.",
    "Espere lo que dice `Retry-After` y repita la misma petición: recibirá la misma respuesta.",
)
KEY_REUSED = kind(
    "clave_reutilizada",
    422,
    "Clave reutilizada",
    "La `Idempotency-Key` ya se usó, en las últimas 24 horas, con otra petición.",
    "Envíe una clave nueva con cada petición distinta, y la misma solo para repetir.",
)


def invalid(campo: str, mensaje: str) -> Problem:
    """422 for one field."""
    return invalid_fields([{"campo": campo, "mensaje": mensaje}])


def invalid_fields(errores: Sequence[dict[str, object]]) -> Problem:
    """422 for several fields; `detail` names them all."""
    campos = ", ".join(dict.fromkeys(str(error["campo"]) for error in errores))
    return Problem(INVALID, f"Datos inválidos: {campos}", errores=errores)


class ConstraintViolated(Problem):
    """A constraint of the schema refused the change; raised by core.database, by the constraint's name."""


CHECK_NAME = re.compile(r"^[a-z]+_(?P<campo>[a-z_]+)_check$")


def violated(constraint: str) -> ConstraintViolated:
    """The problem that a violated constraint means. A sharded table adds `_102034` to its name."""
    name = re.sub(r"_\d+$", "", constraint)
    if name in CONSTRAINTS:
        return ConstraintViolated(*CONSTRAINTS[name])
    campo = match["campo"] if (match := CHECK_NAME.match(name)) else "cuerpo"
    mensaje = {"campo": campo, "mensaje": "no es un valor permitido"}
    return ConstraintViolated(INVALID, f"Datos inválidos: {campo}", errores=[mensaje])
