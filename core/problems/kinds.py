"""A sort of error, the table of them all, and the problem that a request is answered with (RFC 9457)."""

from collections.abc import Mapping, Sequence

import msgspec
from msgspec import Struct


class Kind(Struct, frozen=True):
    """One sort of error: what a program matches on (`codigo`) and what a person reads about it."""

    codigo: str
    status: int
    title: str
    cuando: str
    solucion: str


KINDS: dict[str, Kind] = {}
CONSTRAINTS: dict[str, tuple[Kind, str]] = {}


def kind(
    codigo: str,
    status: int,
    title: str,
    cuando: str,
    solucion: str,
    *,
    constraints: Mapping[str, str] | None = None,
) -> Kind:
    """Adds a sort of error to the page of all of them. A resource's own kinds stand in its handler.

    `constraints` are those of the schema whose violation is this error, each with its sentence."""
    KINDS[codigo] = new = Kind(codigo, status, title, cuando, solucion)
    for constraint, detail in (constraints or {}).items():
        CONSTRAINTS[constraint] = new, detail
    return new


class Problem(Exception):
    """An error to be answered as application/problem+json.

    `detail` is the Spanish sentence a person reads; `errores` lists the fields at fault (422);
    `extra` adds members beside the standard ones (RFC 9457 section 3.2)."""

    def __init__(
        self,
        kind: Kind,
        detail: str,
        *,
        errores: Sequence[dict[str, object]] | None = None,
        headers: Sequence[tuple[bytes, bytes]] = (),
        extra: dict[str, object] | None = None,
    ) -> None:
        super().__init__(detail)
        self.kind = kind
        self.detail = detail
        self.errores = errores
        self.headers = headers
        self.extra = extra or {}

    def body(self, request_id: str, prefix: str = "") -> bytes:
        """The document; `prefix` is what a proxy puts before every path, like /api."""
        content: dict[str, object] = {
            "type": f"{prefix}/problemas#{self.kind.codigo}",
            "title": self.kind.title,
            "status": self.kind.status,
            "detail": self.detail,
            "codigo": self.kind.codigo,
            "request_id": request_id,
        }
        if self.errores is not None:
            content["errores"] = self.errores
        return msgspec.json.encode(content | self.extra)
