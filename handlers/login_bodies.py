"""What the token endpoint takes and gives (RFC 6749)."""

from typing import Annotated, ClassVar

from msgspec import UNSET, Meta, Struct, UnsetType

from core.auth.refresh import RefreshToken
from core.caller import Rol
from core.problems import BAD_TOKEN_REQUEST, Problem, invalid_fields
from core.process.services import Services

NO_STORE = (b"cache-control", b"no-store")
OFFLINE = "offline_access"

Text = Annotated[
    str, Meta(max_length=1000, pattern=r"^[^\x00]*\Z", extra={"mensaje": "un texto de hasta 1000 caracteres"})
]


class TokenRequest(Struct, frozen=True):
    """RFC 6749 sections 4.3.2 and 6, as a form or as JSON; parameters it does not know are ignored (section 3.2)."""

    EXAMPLE: ClassVar = {"username": "eva", "password": "una frase larga"}

    username: Text = ""
    password: Text = ""
    grant_type: Text = ""
    scope: Text = ""
    refresh_token: Text = ""


class Token(Struct, frozen=True):
    """RFC 6749 section 5.1; the last three are there when the session can be renewed. `expires_in` is in seconds."""

    access_token: str
    token_type: str = "bearer"  # noqa: S105 - the kind of token, not a secret
    refresh_token: str | UnsetType = UNSET
    expires_in: int | UnsetType = UNSET
    scope: str | UnsetType = UNSET


def issue(services: Services, usuario_id: int, session: int, rol: Rol, current: RefreshToken | None) -> Token:
    """A new access token and, for a session that can be renewed, its `current` refresh token."""
    access = services.tokens.issue(usuario_id, session, rol)
    if current is None:
        return Token(access)
    return Token(
        access,
        refresh_token=current.encode(services.keys),
        expires_in=services.tokens.seconds,
        scope=OFFLINE,
    )


def require(asked: TokenRequest, *names: str) -> None:
    """Raises Problem 422 when a parameter that the grant needs is missing."""
    missing = [name for name in names if not getattr(asked, name)]
    if missing:
        problem = invalid_fields([{"campo": name, "mensaje": "es obligatorio"} for name in missing])
        problem.extra["error"] = "invalid_request"
        raise problem


def bad_request(detail: str, error: str) -> Problem:
    """400 with RFC 6749's word for it (section 5.2)."""
    return Problem(BAD_TOKEN_REQUEST, detail, headers=[NO_STORE], extra={"error": error})
