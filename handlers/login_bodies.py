"""What the token endpoint takes and gives (RFC 6749)."""

from typing import Annotated, ClassVar, Literal

from msgspec import UNSET, Meta, Struct, UnsetType

from core.auth.refresh import RefreshToken
from core.caller import Rol
from core.problems import BAD_TOKEN_REQUEST, Kind, Problem
from core.process.services import Services

OFFLINE = "offline_access"
MFA_OTP = "urn:ventas:params:oauth:grant-type:mfa-otp"

Text = Annotated[
    str, Meta(max_length=1000, pattern=r"^[^\x00]*\Z", extra={"mensaje": "un texto de hasta 1000 caracteres"})
]
Scope = Annotated[Text, Meta(description="`offline_access`: give a refresh token too")]


class PasswordGrant(Struct, frozen=True, kw_only=True):
    """A login (RFC 6749 section 4.3.2). `username` may be the correo."""

    EXAMPLE: ClassVar = {"username": "eva", "password": "una frase larga"}

    grant_type: Literal["password"] = "password"
    username: Text
    password: Text
    scope: Scope = ""


class RefreshGrant(Struct, frozen=True):
    """A renewal of a session (RFC 6749 section 6)."""

    EXAMPLE: ClassVar = {"grant_type": "refresh_token", "refresh_token": "AAAB…"}

    grant_type: Literal["refresh_token"]
    refresh_token: Text
    scope: Scope = ""


class CodeGrant(Struct, frozen=True):
    """The second step of a login; `otp` is a code of the app, or a recovery code."""

    EXAMPLE: ClassVar = {"grant_type": MFA_OTP, "mfa_token": "AAAB…", "otp": "123456"}

    grant_type: Literal["urn:ventas:params:oauth:grant-type:mfa-otp"]
    mfa_token: Text
    otp: Text
    scope: Scope = ""


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


def check_scope(scope: str) -> None:
    """Raises Problem 400 for a scope that there is not."""
    if unknown := set(scope.split()) - {OFFLINE}:
        detail = f"scope desconocido: {', '.join(sorted(unknown))[:100]}"
        raise Problem(BAD_TOKEN_REQUEST, detail, extra={"error": "invalid_scope"})


def bad_grant(kind: Kind, detail: str) -> Problem:
    """What is wrong with a password or refresh token, or with whose it is: `invalid_grant` (RFC 6749 section 5.2)."""
    return Problem(kind, detail, extra={"error": "invalid_grant"})
