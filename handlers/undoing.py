"""Undoing: a link that was mailed when a correo or password was changed takes the account back."""

from typing import ClassVar

from core.http.answers import Answer, Answered
from core.http.endpoint import endpoint
from core.http.request import Request
from core.http.validation import Body
from core.problems import BAD_LINK, NO_MAIL, TAKEN
from handlers.mailed_links import EXAMPLE_TOKEN, LinkToken, bad_link, need_mail, page, read_token
from sql import avisos, enlaces, factores, llaves, usuarios_change

PAGE = page("Deshacer el cambio", "No fui yo: deshacer")
UNDONE = Answered("La cuenta vuelve a tener este correo; le enviamos un enlace para elegir otra contraseña")


class Undo(Body, frozen=True):
    EXAMPLE: ClassVar = {"token": EXAMPLE_TOKEN}

    token: LinkToken


@endpoint(public=True, problems=[BAD_LINK, TAKEN, NO_MAIL], example=UNDONE)
async def undo(request: Request, sent: Undo) -> Answered:
    """Take an account back with the token that was mailed when what opens it was changed.

    It puts back the correo that the token went to, ends every session, takes away the second factor and the API keys
    that were added since the change, voids the password and has a link mailed that sets a new one. Tokens mailed later
    stop working."""
    services = request.services
    mail = need_mail(services)
    link = read_token(services.keys, "deshacer", sent.token)
    async with services.db.transaction() as tx:
        await usuarios_change.lock(tx, link.usuario_id)
        undone = await avisos.use(tx, link.usuario_id, link.id)
        if undone is None:
            raise bad_link()
        changes = {"correo": undone.correo, "password": services.passwords.of_nobody(), "estado": True}
        await usuarios_change.update(tx, link.usuario_id, changes, request.origin, accion="cambio_deshecho")
        await factores.undo(tx, link.usuario_id, undone.creacion)
        await llaves.undo(tx, link.usuario_id, undone.creacion)
        await enlaces.recover(tx, undone.correo)
    services.known.forget(link.usuario_id)
    mail.waiting.set()
    return UNDONE


@endpoint(public=True, database=False, etag=True, any_query=True, produces=["text/html"])
async def show(request: Request) -> Answer:
    """Show the page that a mail about a change links to."""
    return await PAGE.answer(request)
