"""Single-use links: the token that a mail carries, and the page that it leads to."""

import base64
import binascii
from typing import Annotated
from uuid import UUID

from msgspec import Meta, Struct
from starlette.responses import HTMLResponse, Response

from core.auth.sealing import Keys
from core.problems import BAD_LINK, NO_MAIL, Problem
from core.process.mail import Mail
from core.process.services import Services
from handlers.docs import STRICT
from sql import enlaces
from sql.enlaces import Tipo

ID_BYTES = 8
UUID_BYTES = 16
EXAMPLE_TOKEN = "AAAAAAAAAAcd0xfIhZRIyrT2bZl8kZf_Rj2KKq0c9s0vCq5i0Xh3PA"  # noqa: S105 - of no link

LinkToken = Annotated[
    str,
    Meta(
        min_length=1,
        max_length=100,
        pattern=r"^[A-Za-z0-9_-]+\Z",
        extra={"mensaje": "el código que llegó por correo"},
        examples=[EXAMPLE_TOKEN],
    ),
]


class Link(Struct, frozen=True):
    """Which link a token is: whose, and its id."""

    usuario_id: int
    id: UUID


def make_token(keys: Keys, tipo: Tipo, link: Link) -> str:
    """The token of a link: 54 characters that are made anew from its row, and by nobody without the key."""
    data = link.usuario_id.to_bytes(ID_BYTES) + link.id.bytes
    return base64.urlsafe_b64encode(data + keys.sign(tipo, data)).rstrip(b"=").decode()


def read_token(keys: Keys, tipo: Tipo, token: str) -> Link:
    """The link of a token; whether it still is good, only the database knows.

    Raises Problem 422 when the token is not ours, or of another `tipo`."""
    try:
        signed = base64.urlsafe_b64decode(token + "=" * (-len(token) % 4))
    except binascii.Error:
        raise bad_link() from None
    data, signature = signed[: ID_BYTES + UUID_BYTES], signed[ID_BYTES + UUID_BYTES :]
    if not keys.verify(tipo, data, signature):
        raise bad_link()
    return Link(int.from_bytes(data[:ID_BYTES]), UUID(bytes=data[ID_BYTES:]))


def bad_link() -> Problem:
    mensaje = "no es un código vigente"
    detail = "El código no es válido, ya se usó o venció; pida otro"
    return Problem(BAD_LINK, detail, errores=[{"campo": "token", "mensaje": mensaje}])


def need_mail(services: Services) -> Mail:
    """Raises Problem 503 in production without MAIL_URL."""
    if services.mail is None:
        raise Problem(NO_MAIL, "Este servicio no tiene configurado el envío de correo")
    return services.mail


async def sweep(services: Services) -> None:
    """Forgets links that ended long ago."""
    while await enlaces.sweep(services.db):
        pass


def page(title: str, label: str, fields: str = "") -> Response:
    """A form that sends the token after the # of its own address, and `fields`, to that address.

    A browser tells nobody what follows the #; mail scanners open links, and press no buttons."""
    return HTMLResponse(
        f"""\
<!doctype html>
<html lang="es">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<link rel="icon" href="data:,">
<link rel="stylesheet" href="/assets/page.css">
<script src="/assets/link.js" defer></script>
</head>
<body>
<h1>{title}</h1>
<form>{fields}<button>{label}</button></form>
<p role="status"></p>
<noscript>Esta página necesita JavaScript.</noscript>
</body>
</html>
""",
        headers={
            "content-security-policy": STRICT,
            "referrer-policy": "no-referrer",
            "x-content-type-options": "nosniff",
        },
    )
