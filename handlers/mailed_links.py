"""Single-use links: the token that a mail carries, and the page that it leads to."""

from typing import Annotated, Literal

from msgspec import Meta

from core.auth import links
from core.auth.links import Link
from core.auth.sealing import Keys
from core.http.html_pages import Page
from core.problems import BAD_LINK, NO_MAIL, Problem
from core.process.mail import Mail
from core.process.services import Services
from sql.enlaces import Tipo

EXAMPLE_TOKEN = "AAAAAAAAAAcd0xfIhZRIyrT2bZl8kZf_Rj2KKq0c9s0vCq5i0Xh3PA"  # noqa: S105 - of no link

Purpose = Tipo | Literal["deshacer"]

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


def read_token(keys: Keys, purpose: Purpose, token: str) -> Link:
    """The link of a token; whether it still is good, only the database knows.

    Raises Problem 422 when the token is not ours, or of another `purpose`."""
    link = links.read(keys, purpose, token)
    if link is None:
        raise bad_link()
    return link


def bad_link() -> Problem:
    mensaje = "no es un código vigente"
    detail = "El código no es válido, ya se usó o venció; pida otro"
    return Problem(BAD_LINK, detail, errores=[{"campo": "token", "mensaje": mensaje}])


def need_mail(services: Services) -> Mail:
    """Raises Problem 503 in production without MAIL_URL."""
    if services.mail is None:
        raise Problem(NO_MAIL, "Este servicio no tiene configurado el envío de correo")
    return services.mail


def page(title: str, label: str, fields: str = "") -> Page:
    """A form that sends the token after the # of its own address, and `fields`, to that address.

    A browser tells nobody what follows the #; mail scanners open links, and press no buttons."""
    return Page("mailed_link.html", title=title, label=label, fields=fields)
