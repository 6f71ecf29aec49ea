"""What the operations of the description share: headers, parameters, ways to authenticate."""

from core.describe.schemas import Schema


def _always(description: str) -> Schema:
    return {"description": description, "required": True, "schema": {"type": "string"}}


HEADERS: dict[str, Schema] = {
    "X-Request-ID": _always(
        "Names the request in errors and logs; the client's own when it sends a sane one."
    ),
    "ETag": _always("The version of the resource, for If-Match and If-None-Match."),
    "Location": _always("Where the new resource is."),
    "Content-Disposition": _always("The name of the file."),
    "WWW-Authenticate": _always("How to authenticate (RFC 6750)."),
    "X-Next-Cursor": {
        "description": "`despues` of the next page, while there is one.",
        "schema": {"type": "string"},
    },
    "Link": {
        "description": "The next page, with rel=next, while there is one.",
        "schema": {"type": "string"},
    },
    "X-Total-Count": {"description": "How many there are, when `total` asks.", "schema": {"type": "integer"}},
    "Idempotent-Replayed": {
        "description": "`true`: this answer was given before.",
        "schema": {"type": "string"},
    },
    "RateLimit-Policy": {
        "description": "Limits on such attempts (draft-ietf-httpapi-ratelimit-headers): `q` in `w` seconds.",
        "schema": {"type": "string"},
    },
    "RateLimit": {
        "description": "The limit that leaves the fewest attempts: `r` of them, and all again in `t` seconds.",
        "schema": {"type": "string"},
    },
    "Retry-After": {"description": "Seconds to wait before trying again.", "schema": {"type": "integer"}},
}


def security(base: str) -> Schema:
    """The ways to authenticate; `base` is what stands before every path."""
    return {
        "oauth2": {
            "type": "oauth2",
            "description": "Log in as a registered user. `invalid_grant`: no such username and password.",
            "flows": {
                "password": {
                    "tokenUrl": f"{base}/login/",
                    "refreshUrl": f"{base}/login/",
                    "scopes": {"offline_access": "give a refresh token too"},
                }
            },
        },
        "bearer": {
            "type": "http",
            "scheme": "bearer",
            "bearerFormat": "JWT",
            "description": "In place of the above: an access token that `POST /login/` gave.",
        },
        "llave": {
            "type": "http",
            "scheme": "bearer",
            "bearerFormat": "ven_…",
            "description": "For a till or a script: an API key that `POST /user/me/llaves` made.",
        },
    }


def _request_header(name: str, description: str, **limits: object) -> Schema:
    # Without `example`: /docs would send it with each request.
    return {"name": name, "in": "header", "description": description, "schema": {"type": "string"} | limits}


IF_MATCH = _request_header("If-Match", 'Only this version: an ETag of the resource, like `"7-3"`; else 412.')
IF_NONE_MATCH = _request_header(
    "If-None-Match", "Not this version: a read of it is answered 304, a change of it 412."
)
IDEMPOTENCY_KEY = _request_header(
    "Idempotency-Key",
    'Names the request, like `"venta-2026-0001"` or without the quotes: repeated, it has one effect.',
    pattern="^[!-~]{1,255}$",
)
REQUEST_ID = {"$ref": "#/components/parameters/X-Request-ID"}
PARAMETERS: dict[str, Schema] = {
    "X-Request-ID": _request_header(
        "X-Request-ID", "Names the request in errors and logs, in up to 128 letters, digits and `._-`."
    ),
}
