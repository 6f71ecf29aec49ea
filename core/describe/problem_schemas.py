"""The schema of each sort of error: what it is by `codigo`, so that a client's types tell them apart."""

from collections.abc import Iterable, Sequence
from http import HTTPStatus

from core.describe.schemas import Schema, reference
from core.http.oauth import WORDS
from core.problems import BAD_TOKEN_REQUEST, INVALID, KEY_IN_USE, MFA_REQUIRED, Kind

PROBLEM = "application/problem+json"
JSON = "application/json"
RATE_LIMIT = ["RateLimit", "RateLimit-Policy"]
SECTION_5_2 = ["invalid_request", "invalid_grant", "invalid_scope", "unsupported_grant_type"]
MFA = "mfa_required"  # as Auth0 has it; RFC 6749 knows no second step

TEXT: Schema = {"type": "string"}
FIELDS = {
    "type": "array",
    "description": "What is wrong, field by field.",
    "items": reference("FieldError"),
}
FIELD_ERROR: Schema = {
    "type": "object",
    "description": "What is wrong with a field.",
    "required": ["campo", "mensaje"],
    "properties": {
        "campo": TEXT,
        "mensaje": TEXT,
        "indice": {"type": "integer", "description": "The row's place in a JSON list, from 0."},
        "linea": {"type": "integer", "description": "The line of a file, from 1."},
    },
}
MEMBERS: dict[str, Schema] = {
    "type": {"type": "string", "format": "uri-reference", "description": "The error's entry in /problemas."},
    "title": TEXT,
    "status": {"type": "integer"},
    "detail": TEXT | {"description": "What happened, in Spanish, for a person."},
    "codigo": TEXT | {"description": "What happened, for a program; it never changes."},
    "request_id": TEXT,
}
OAUTH_MEMBERS: dict[str, Schema] = {
    "error": TEXT | {"enum": [*SECTION_5_2, MFA, *dict.fromkeys(WORDS.values())]},
    "error_description": TEXT | {"description": "`detail` in ASCII."},
}


def components(kinds: Iterable[tuple[Kind, bool]]) -> dict[str, Schema]:
    """The schemas of these kinds, some as OAuth's endpoints have them, and of what they share."""
    return {"FieldError": FIELD_ERROR} | {_name(*each): _schema(*each) for each in kinds}


def response(kinds: Sequence[Kind], *, oauth: bool) -> Schema:
    """The answer of a status, which is one of these kinds."""
    status = kinds[0].status
    headers = ["X-Request-ID"]
    if status == HTTPStatus.UNAUTHORIZED:
        headers.append("WWW-Authenticate")
    if status in (HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE) or KEY_IN_USE in kinds:
        headers.append("Retry-After")
    if status == HTTPStatus.TOO_MANY_REQUESTS:
        headers += RATE_LIMIT
    names = {kind.codigo: reference(_name(kind, oauth)) for kind in kinds}
    mapping = {codigo: ref["$ref"] for codigo, ref in names.items()}
    several = {
        "oneOf": [*names.values()],
        "discriminator": {"propertyName": "codigo", "mapping": mapping},
    }
    return {
        "description": " · ".join(f"`{kind.codigo}`: {kind.title}" for kind in kinds),
        "headers": named(headers),
        "content": {
            JSON if oauth else PROBLEM: {"schema": several if len(names) > 1 else names[kinds[0].codigo]}
        },
    }


def named(headers: Iterable[str]) -> Schema:
    return {name: {"$ref": f"#/components/headers/{name}"} for name in headers}


def _name(kind: Kind, oauth: bool) -> str:
    words = "".join(word.capitalize() for word in kind.codigo.split("_"))
    return f"{'OAuthProblem' if oauth else 'Problem'}{words}"


def _schema(kind: Kind, oauth: bool) -> Schema:
    said: dict[str, Schema] = {
        "status": {"type": "integer", "const": kind.status},
        "codigo": TEXT | {"const": kind.codigo},
    }
    members = MEMBERS | said
    if oauth:
        members |= OAUTH_MEMBERS
    if kind is MFA_REQUIRED:
        members["mfa_token"] = TEXT | {"description": "What the second step of the login sends back."}
    required = list(members)
    if kind in (INVALID, BAD_TOKEN_REQUEST):
        members["errores"] = FIELDS
    if kind is INVALID:
        required.append("errores")
    return _object(kind.cuando, members, required)


def _object(description: str, members: dict[str, Schema], required: list[str]) -> Schema:
    return {"type": "object", "description": description, "required": required, "properties": members}
