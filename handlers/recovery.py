"""Recovery: a person who cannot log in has a link mailed that sets a new password."""

import asyncio
from typing import ClassVar

from core.addresses import spellings
from core.caller import Caller
from core.http.answers import Answer, Answered
from core.http.endpoint import endpoint
from core.http.request import Request
from core.http.validation import Body
from core.problems import BAD_LINK, CROWDED, NO_MAIL, THROTTLED
from handlers import throttle
from handlers.fields import Password, TypedCorreo
from handlers.mailed_links import EXAMPLE_TOKEN, LinkToken, bad_link, need_mail, page, read_token
from handlers.password_rules import check_password
from sql import enlaces, llaves, usuarios, usuarios_change

ANSWER_SECONDS = 0.5
RECOVERING = Answered("Si hay una cuenta con ese correo, recibirá un enlace que vence en 1 hora")
RESET = Answered("Contraseña cambiada correctamente; inicie sesión con ella")
FIELD = """\
<div class="field"><label for="password">Contraseña nueva</label>
<input id="password" name="password" type="password" autocomplete="new-password" aria-describedby="rule" required>
<p class="rule" id="rule">Una frase larga es mejor que signos raros. Todas sus sesiones terminan.</p></div>"""
PAGE = page("Elegir otra contraseña", "Cambiar", FIELD)


class Recovery(Body, frozen=True):
    EXAMPLE: ClassVar = {"correo": "eva@example.com"}

    correo: TypedCorreo


class NewPassword(Body, frozen=True):
    EXAMPLE: ClassVar = {"token": EXAMPLE_TOKEN, "password": "otra frase larga"}

    token: LinkToken
    password: Password


@endpoint(status=202, public=True, problems=[NO_MAIL, THROTTLED], example=RECOVERING)
async def recover(request: Request, asked: Recovery) -> Answered:
    """Have a link mailed that sets a new password.

    Whether there is such an account, nobody learns here."""
    mail = need_mail(request.services)
    # A known correo costs the time of a written row: both are answered when either would be done.
    loop = asyncio.get_running_loop()
    answer_at = loop.time() + ANSWER_SECONDS
    if await _own(request, asked.correo):
        await throttle.own_recovery(request)
    else:
        await throttle.recovery(request, asked.correo)
    for spelling in spellings(asked.correo):
        if await enlaces.recover(request.db, spelling):
            mail.waiting.set()
            break
    await asyncio.sleep(answer_at - loop.time())
    return RECOVERING


@endpoint(public=True, problems=[BAD_LINK, CROWDED], example=RESET)
async def reset(request: Request, sent: NewPassword) -> Answered:
    """Set a new password with the token that was mailed.

    It ends every session, and verifies the correo. Where that was not verified, it ends the API keys too."""
    services = request.services
    link = read_token(services.keys, "recuperacion", sent.token)
    owner = await enlaces.owner(services.db, link.usuario_id, "recuperacion", link.id)
    if owner is None:
        raise bad_link()
    check_password(services.settings, sent.password, owner.username, owner.correo)
    hashed = await services.passwords.hash(sent.password, throttle.network(request))
    async with services.db.transaction() as tx:
        if not await enlaces.use(tx, link.usuario_id, "recuperacion", link.id):
            raise bad_link()
        changes = {"password": hashed, "estado": True}
        await usuarios_change.update(
            tx,
            link.usuario_id,
            changes,
            request.origin,
            notice=services.mail is not None,
            accion="password_restablecido",
        )
        if not owner.estado:  # nobody had shown yet whose the correo is: another may have made the keys
            await llaves.revoke(
                tx, link.usuario_id, request.origin, notice=services.mail is not None, reversible=True
            )
    services.known.forget(link.usuario_id)
    await throttle.learn(request, owner.username, owner.correo)
    return RESET


async def _own(request: Request, correo: str) -> bool:
    """Whether the request has a session's token of the account that has this correo."""
    caller = request.scope["caller"]
    if not isinstance(caller, Caller) or caller.llave:
        return False
    user = await usuarios.credentials_by_id(request.db, request.caller.id)
    return user is not None and user.correo.lower() in {spelling.lower() for spelling in spellings(correo)}


@endpoint(public=True, database=False, etag=True, any_query=True, produces=["text/html"])
async def show(request: Request) -> Answer:
    """Show the page that a recovery mail links to."""
    return await PAGE.answer(request)
