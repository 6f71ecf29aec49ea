"""What OAuth clients expect beside the token endpoint: revocation (RFC 7009) and metadata (RFC 8414)."""

from typing import ClassVar

from msgspec import Struct, structs

from core.auth import api_keys, refresh
from core.auth.api_keys import ApiKey
from core.caller import NOBODY
from core.http.answers import Answered
from core.http.endpoint import endpoint
from core.http.forms import FORM
from core.http.request import Request
from core.problems import BAD_TOKEN_REQUEST, NO_ROUTE, Problem
from handlers.login_bodies import MFA_OTP, OFFLINE
from sql import llaves, sesiones

REVOKED = Answered("El token ya no sirve")


class RevocationRequest(Struct, frozen=True):
    """RFC 7009 section 2.1, as a form or as JSON; the hint is not needed, others are ignored."""

    EXAMPLE: ClassVar = {"token": "eyJhbGciOi…"}

    token: str
    token_type_hint: str = ""


class Metadata(Struct, frozen=True):
    """RFC 8414 section 2."""

    issuer: str
    token_endpoint: str
    revocation_endpoint: str
    service_documentation: str
    response_types_supported: tuple[str, ...] = ()
    grant_types_supported: tuple[str, ...] = ("password", "refresh_token", MFA_OTP)
    scopes_supported: tuple[str, ...] = (OFFLINE,)
    token_endpoint_auth_methods_supported: tuple[str, ...] = ("none",)
    revocation_endpoint_auth_methods_supported: tuple[str, ...] = ("none",)
    ui_locales_supported: tuple[str, ...] = ("es",)


@endpoint(
    public=True,
    oauth=True,
    any_query=True,
    media=["application/json", FORM],
    problems=[BAD_TOKEN_REQUEST],
    example=REVOKED,
)
async def revoke(request: Request, asked: RevocationRequest) -> Answered:
    """End the session of an access or refresh token, or an API key.

    Whoever finds a key may end it so. A token that is not good is no error (RFC 7009 section 2.2)."""
    services = request.services
    if key := api_keys.read(asked.token):
        await _revoke_key(request, key)
        return REVOKED
    found = services.tokens.read(asked.token)
    owner, session = (found.id, found.session) if found else (0, 0)
    if used := refresh.read(services.keys, asked.token):
        owner, session = used.usuario_id, used.session
    if session:
        origin = structs.replace(request.origin, actor=owner)
        await sesiones.end(services.db, owner, origin, id=session)
        services.known.forget(owner)
    return REVOKED


async def _revoke_key(request: Request, key: ApiKey) -> None:
    services = request.services
    notice = services.mail is not None
    origin = structs.replace(request.origin, actor=NOBODY)
    revoked = await llaves.revoke(
        services.db, key.usuario_id, origin, id=key.id, huella=key.huella, notice=notice, reversible=True
    )
    if revoked:  # else a stranger, who names whom they like, would make this process forget them
        services.known.forget(key.usuario_id)


@endpoint(public=True, database=False, problems=[NO_ROUTE])
async def metadata(request: Request) -> Metadata:
    """Tell OAuth clients where the endpoints are and what they take.

    In production only where PUBLIC_URL says what the issuer is."""
    settings = request.services.settings
    if settings.production and not settings.public_url:  # else the sender of a Host would choose the issuer
        raise Problem(NO_ROUTE, "Este servicio no publica sus metadatos de OAuth: le falta PUBLIC_URL")
    base = _base(request)
    return Metadata(base, f"{base}/login/", f"{base}/login/revocar", f"{base}/docs")


def _base(request: Request) -> str:
    """Where clients reach the API: PUBLIC_URL, or else what this request was sent to."""
    settings = request.services.settings
    if settings.public_url:
        return settings.public_url.rstrip("/")
    url = request.base_url
    if settings.trusted_proxies and request.headers.get("x-forwarded-proto") == "https":
        url = url.replace(scheme="https")
    return str(url).rstrip("/")
