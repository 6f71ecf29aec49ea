"""The token endpoint (OAuth 2.0, RFC 6749): a username and a password become an access token."""

from typing import Annotated

from msgspec import Meta, Struct

from core.endpoint import FORM, Reply, Request, endpoint
from core.problems import BAD_CREDENTIALS, BAD_TOKEN_REQUEST, Problem, invalid_fields
from core.wire import client_address, header
from handlers.fields import normal
from sql import sesiones, usuarios

NO_STORE = (b"cache-control", b"no-store")
AGENT_LENGTH = 200

Text = Annotated[
    str, Meta(max_length=1000, pattern=r"^[^\x00]*\Z", extra={"mensaje": "un texto de hasta 1000 caracteres"})
]


class TokenRequest(Struct, frozen=True):
    """RFC 6749 section 4.3.2, as a form or as JSON; parameters it does not know are ignored (section 3.2)."""

    username: Text = ""
    password: Text = ""
    grant_type: Text = "password"
    scope: Text = ""


class Token(Struct, frozen=True):
    access_token: str
    token_type: str = "bearer"  # noqa: S105 - the kind of token, not a secret


@endpoint(public=True, media=[FORM, "application/json"], problems=[BAD_CREDENTIALS, BAD_TOKEN_REQUEST])
async def token(request: Request, asked: TokenRequest) -> Reply[Token]:
    """Log in."""
    if asked.grant_type != "password":
        detail = "grant_type debe ser password"
        raise Problem(BAD_TOKEN_REQUEST, detail, extra={"error": "unsupported_grant_type"})
    missing = [name for name in ("username", "password") if not getattr(asked, name)]
    if missing:
        raise _invalid_request(missing)
    return Reply(await _log_in(request, asked), [NO_STORE])


async def _log_in(request: Request, asked: TokenRequest) -> Token:
    services = request.services
    user = await usuarios.credentials(services.db, normal(asked.username))
    matches = await services.passwords.verify(asked.password, user.password if user else None)
    if user is None or not matches:
        raise _bad_credentials()
    renewed = None
    if services.passwords.outdated(user.password):
        renewed = await services.passwords.hash(asked.password)
    session = await sesiones.insert(
        services.db,
        user.id,
        verified=user.password,
        renewed=renewed,
        seconds=services.tokens.seconds,
        renewable=False,
        address=client_address(request.scope, services.settings.trusted_proxies),
        agent=(header(request.scope, b"user-agent") or b"").decode("latin-1")[:AGENT_LENGTH],
    )
    if session is None:
        raise _bad_credentials()
    return Token(services.tokens.issue(user.id, session, user.rol))


def _invalid_request(missing: list[str]) -> Problem:
    problem = invalid_fields([{"campo": name, "mensaje": "es obligatorio"} for name in missing])
    problem.extra["error"] = "invalid_request"
    return problem


def _bad_credentials() -> Problem:
    challenge = (b"www-authenticate", b"Bearer")
    return Problem(
        BAD_CREDENTIALS,
        "Usuario o contraseña incorrectos",
        headers=[challenge, NO_STORE],
        extra={"error": "invalid_grant"},
    )
