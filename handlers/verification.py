"""Verification: a mail proves that a user's correo is theirs, which turns `estado` true."""

from typing import ClassVar

from core.database.database import Runner
from core.http.answers import Answer, Answered, Reply
from core.http.endpoint import endpoint
from core.http.request import Request
from core.http.validation import Body
from core.problems import BAD_LINK, NO_MAIL, THROTTLED
from core.process.services import Services
from handlers import throttle
from handlers.idempotency import once
from handlers.mailed_links import EXAMPLE_TOKEN, LinkToken, bad_link, need_mail, page, read_token
from sql import enlaces, usuarios_change

SENT = Answered("Le enviamos un correo con un enlace que vence en 24 horas")
ALREADY = Answered("El correo ya está verificado")
PAGE = page("Verificar el correo", "Verificar")
VERIFIED = Answered("Correo verificado correctamente")


class Verification(Body, frozen=True):
    EXAMPLE: ClassVar = {"token": EXAMPLE_TOKEN}

    token: LinkToken


@endpoint(status=202, also=[200], problems=[NO_MAIL, THROTTLED], example=SENT)
@once
async def send(request: Request) -> Reply[Answered]:
    """Have the mail sent that verifies one's correo.

    Those sent before stop working."""
    outgoing = need_mail(request.services)
    await throttle.verification(request, request.caller.id)
    if not await enlaces.verify(request.db, request.caller.id, again=True):
        return Reply(ALREADY, status=200)
    outgoing.waiting.set()
    return Reply(SENT)


async def mail(services: Services, db: Runner, usuario_id: int) -> None:
    """Has the mail sent that verifies a new correo, where mail can be sent at all."""
    if services.mail and await enlaces.verify(db, usuario_id, again=False):
        services.mail.waiting.set()


@endpoint(public=True, problems=[BAD_LINK], example=VERIFIED)
async def verify(request: Request, sent: Verification) -> Answered:
    """Verify a correo with the token that was mailed to it."""
    link = read_token(request.services.keys, "verificacion", sent.token)
    async with request.services.db.transaction() as tx:
        if not await enlaces.use(tx, link.usuario_id, "verificacion", link.id):
            raise bad_link()
        changes = {"estado": True}
        await usuarios_change.update(tx, link.usuario_id, changes, request.origin, accion="correo_verificado")
    return VERIFIED


@endpoint(public=True, database=False, etag=True, any_query=True, produces=["text/html"])
async def show(request: Request) -> Answer:
    """Show the page that a verification mail links to."""
    return await PAGE.answer(request)
