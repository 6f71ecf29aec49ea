"""The caller of a request: who it is, and where the request comes from."""

from typing import Literal

from msgspec import Struct

NOBODY = 0

Rol = Literal["usuario", "admin"]


class Caller(Struct, frozen=True):
    """The owner of the request's token."""

    id: int
    rol: Rol
    session: int
    expires: int  # seconds since 1970

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
