"""The pages about the API: what it is, its description, its errors."""

import hashlib
from html import escape

import msgspec
from msgspec import Struct
from starlette.responses import HTMLResponse, Response
from starlette.routing import Router
from starlette.staticfiles import StaticFiles

from core.checkout import CHECKOUT
from core.describe import openapi
from core.http.conditional import matches
from core.http.endpoint import Request, endpoint
from core.problems import KINDS

TITLE = "Ventas"
VERSION = "1.0.0"
CONTACT = {"name": "The operator of this server"}
LICENSE = {"name": "All rights reserved", "identifier": "LicenseRef-All-Rights-Reserved"}
INTRODUCTION = """\
Users (`usuario`) and their sales (`venta`), over PostgreSQL. Money is a whole number of cents, times are
RFC 3339 in UTC, errors are [problems](/problemas) with a stable `codigo`.

**Two minutes.**
1. *Register*: [`POST /user`](/docs#/users/users_create) with a `username`, a `password` and who you are.
2. *Log in*: the **Authorize** button takes that `username` and `password`; then **Close**.
3. *Sell*: [`POST /venta`](/docs#/ventas/ventas_create) with an amount in cents, or
   [`POST /venta/importar`](/docs#/bulk/bulk_load) with a whole CSV.
4. *Sum*: [`GET /venta/resumen`](/docs#/resumen/resumen_show), by day, week, month or user;
   [`GET /venta`](/docs#/ventas/ventas_index) lists the sales.

Each call opens with a click; **Try it out**, then **Execute**, sends it. The examples work as they are.
"""
STRICT = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)

START = """\
<h1>Ventas</h1>
<p>Usuarios y sus ventas, sobre PostgreSQL.</p>
<dl>
<dt><a href="/docs">Documentación</a></dt><dd>Cada llamada, para leerla y probarla aquí mismo.</dd>
<dt><a href="/problemas">Problemas</a></dt><dd>Cada error: cuándo ocurre y qué hacer.</dd>
<dt><a href="/openapi.json">OpenAPI 3.1</a></dt><dd>La descripción para los programas.</dd>
</dl>"""

assets = StaticFiles(directory=CHECKOUT / "web")


class About(Struct, frozen=True):
    """Where to go from here."""

    nombre: str
    version: str
    docs: str
    openapi: str
    problemas: str


@endpoint(public=True, database=False, produces={"application/json": About, "text/html": str})
async def root(request: Request) -> Response:
    """Say what this is: JSON, or a page for a browser."""
    if "text/html" in request.headers.get("accept", ""):
        return _page("inicio", START)
    return _json(msgspec.json.encode(About(TITLE, VERSION, "/docs", "/openapi.json", "/problemas")))


@endpoint(public=True, database=False, produces=["text/html"])
async def docs(request: Request) -> Response:
    """Show the description, and try it."""
    return _html("""\
<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Ventas · docs</title>
<link rel="icon" href="data:,">
<link rel="stylesheet" href="/assets/swagger-ui/swagger-ui.css">
<link rel="stylesheet" href="/assets/docs.css">
</head>
<body>
<div id="swagger-ui"></div>
<script src="/assets/swagger-ui/swagger-ui-bundle.js"></script>
<script src="/assets/docs.js"></script>
</body>
</html>
""")


@endpoint(public=True, database=False, etag=True, produces={"application/json": dict})
async def description(request: Request) -> Response:
    """Give the OpenAPI 3.1 description."""
    least = request.services.settings.password_min_length
    if least not in _built:
        _built[least] = _build(request.scope["router"], least)
    body, tag = _built[least]
    headers = {"etag": tag, "cache-control": "public, no-cache"}
    if matches(request.scope, tag.encode()):
        return Response(status_code=304, headers=headers)
    return _json(body, headers)


@endpoint(public=True, database=False, produces=["text/html"])
async def problems(request: Request) -> Response:
    """List every error: what it means, when it happens, what to do."""
    entries = "".join(
        f"""
<h2 id="{kind.codigo}"><code>{kind.codigo}</code> <span class="status">{kind.status} · {escape(kind.title)}</span></h2>
<dl><dt>Cuándo</dt><dd>{_text(kind.cuando)}</dd><dt>Qué hacer</dt><dd>{_text(kind.solucion)}</dd></dl>"""
        for kind in sorted(KINDS.values(), key=lambda kind: (kind.status, kind.codigo))
    )
    introduction = (
        "<p>Todo error es <code>application/problem+json</code> (RFC 9457). Un programa mira <code>codigo</code>, "
        "que no cambia; una persona lee <code>detail</code>. Qué llamada da cuáles está en la "
        '<a href="/docs">documentación</a>.</p>'
    )
    return _page("problemas", f"<h1>Problemas</h1>{introduction}{entries}")


_built: dict[int, tuple[bytes, str]] = {}


def _build(router: Router, password_min_length: int) -> tuple[bytes, str]:
    """The description and its ETag."""
    document = openapi.document(
        router.routes,
        info={
            "title": TITLE,
            "version": VERSION,
            "description": INTRODUCTION,
            "contact": CONTACT,
            "license": LICENSE,
        },
        limits={"password": password_min_length},
    )
    body = msgspec.json.encode(document)
    return body, f'"{hashlib.sha256(body).hexdigest()[:32]}"'


def _json(body: bytes, headers: dict[str, str] | None = None) -> Response:
    return Response(body, media_type="application/json", headers=headers)


def _page(name: str, body: str) -> Response:
    return _html(f"""\
<!doctype html>
<html lang="es">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{TITLE} · {name}</title>
<link rel="icon" href="data:,">
<link rel="stylesheet" href="/assets/page.css">
</head>
<body>{body}
</body>
</html>
""")


def _html(text: str) -> Response:
    return HTMLResponse(
        text, headers={"content-security-policy": STRICT, "x-content-type-options": "nosniff"}
    )


def _text(marked: str) -> str:
    """Escaped text, in which `code` is marked as such."""
    parts = escape(marked).split("`")
    return "".join(f"<code>{part}</code>" if place % 2 else part for place, part in enumerate(parts))
