"""The pages about the API: what it is, its description, its errors."""

from functools import cache
from html import escape

import msgspec
from msgspec import Struct, structs

from core.describe import openapi
from core.http import negotiation
from core.http.answers import Answer
from core.http.endpoint import endpoint
from core.http.html_pages import Page
from core.http.request import Request
from core.http.stored import Stored
from core.problems import KINDS, Kind

TITLE = "Ventas"
VERSION = "1.0.0"
CONTACT = {"name": "The operator of this server"}
LICENSE = {"name": "All rights reserved", "identifier": "LicenseRef-All-Rights-Reserved"}
JSON = "application/json"
HTML = "text/html"
VARY = (b"vary", b"Accept")
INTRODUCTION = """\
Users (`usuario`) and their sales (`venta`), over PostgreSQL. Money is a whole number of cents, times are
RFC 3339 in UTC, errors are [problems](/problemas) with a stable `codigo`.

**Two minutes.**
1. *Register*: [`POST /user/`](/docs#/users/users_create) with a `username`, a `password` and who you are.
2. *Log in*: the **Authorize** button takes that `username` and `password`; then **Close**.
3. *Sell*: [`POST /venta/`](/docs#/ventas/ventas_create) with an amount in cents, or
   [`POST /venta/importar`](/docs#/bulk/bulk_load) with a whole CSV.
4. *Sum*: [`GET /venta/resumen`](/docs#/resumen/resumen_show), by day, week, month or user;
   [`GET /venta/`](/docs#/ventas/ventas_index) lists the sales.

Each call opens with a click; **Try it out**, then **Execute**, sends it. The examples work as they are.
"""


class About(Struct, frozen=True):
    """Where to go from here."""

    nombre: str
    version: str
    docs: str
    openapi: str
    problemas: str


@endpoint(public=True, database=False, etag=True, any_query=True, produces={JSON: About, HTML: str})
async def root(request: Request) -> Answer:
    """Say what this is: JSON, or a page for a browser."""
    base = request.prefix
    if negotiation.media(request.scope, [JSON, HTML]) == HTML:
        answer = await START.answer(request)
    else:
        about = About(TITLE, VERSION, f"{base}/docs", f"{base}/openapi.json", f"{base}/problemas")
        answer = await Stored(msgspec.json.encode(about), JSON).answer(request.scope)
    return structs.replace(answer, headers=(*answer.headers, VARY))


@endpoint(public=True, database=False, etag=True, any_query=True, produces=[HTML])
async def docs(request: Request) -> Answer:
    """Show the description, and try it."""
    return await DOCS.answer(request)


@endpoint(public=True, database=False, etag=True, produces={JSON: dict})
async def description(request: Request) -> Answer:
    """Give the OpenAPI 3.1 description."""
    base, least = request.prefix, request.services.settings.password_min_length
    if (base, least) not in _descriptions:
        _descriptions[base, least] = Stored(_describe(request, base, least), JSON)
    return await _descriptions[base, least].answer(request.scope)


@endpoint(public=True, database=False, etag=True, any_query=True, produces=[HTML])
async def problems(request: Request) -> Answer:
    """List every error: what it means, when it happens, what to do."""
    return await _problems_page().answer(request)


def _describe(request: Request, base: str, password_min_length: int) -> bytes:
    document = openapi.document(
        request.scope["router"].routes,
        info={
            "title": TITLE,
            "version": VERSION,
            "description": INTRODUCTION.replace("](/", f"]({base}/"),
            "contact": CONTACT,
            "license": LICENSE,
        },
        limits={"password": password_min_length},
        base=base,
    )
    return msgspec.json.encode(document)


@cache
def _problems_page() -> Page:
    """Made when it is first asked for: by then every handler has told its kinds."""
    kinds = sorted(KINDS.values(), key=lambda kind: (kind.status, kind.codigo))
    return Page("problems.html", index="\n".join(map(_index, kinds)), entries="\n".join(map(_entry, kinds)))


def _entry(kind: Kind) -> str:
    return f"""\
<section class="card problem" id="{kind.codigo}">
<h2><code>{kind.codigo}</code> <span class="status">{kind.status} · {escape(kind.title)}</span></h2>
<dl><dt>Cuándo</dt><dd>{_text(kind.cuando)}</dd><dt>Qué hacer</dt><dd>{_text(kind.solucion)}</dd></dl></section>"""


def _index(kind: Kind) -> str:
    return f'<li><a href="#{kind.codigo}">{kind.status} {kind.codigo}</a></li>'


def _text(marked: str) -> str:
    """Escaped text, in which `code` is marked as such."""
    parts = escape(marked).split("`")
    return "".join(f"<code>{part}</code>" if place % 2 else part for place, part in enumerate(parts))


START = Page("start.html")
DOCS = Page("docs.html")
_descriptions: dict[tuple[str, int], Stored] = {}  # by prefix and least length of a password
