"""The caller of a request: who it is, and where the request comes from."""

from typing import Literal

from msgspec import Struct

NOBODY = 0

Rol = Literal["usuario", "admin"]


# What a caller is now: `sin_factor` is an admin who must set up a second factor before they may act as one.
Standing = Literal["usuario", "admin", "sin_factor"]


class KeyOfCaller(Struct, frozen=True):
    """The API key of a request: its id, what the database knows it by, and what it may do."""

    id: int
    huella: bytes
    ambitos: tuple[str, ...]


class Caller(Struct, frozen=True):
    """The owner of the request's token, or of its API key; then `session` is of no session."""

    id: int
    rol: Standing
    session: int
    expires: int  # seconds since 1970
    llave: KeyOfCaller | None = None

    @property
    def admin(self) -> bool:
        return self.rol == "admin"


class Origin(Struct, frozen=True):
    """The caller (`actor`, a user's id, or NOBODY) and where the request comes from, as the audit records them.

    The fields are the statements' parameters."""

    actor: int
    address: str
    agent: str
    request_id: str
