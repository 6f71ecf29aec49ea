"""The mails themselves: what each says, in Spanish, as plain text and as HTML."""

from email.message import EmailMessage
from email.policy import SMTP
from email.utils import formatdate, parseaddr
from html import escape

from msgspec import Struct

from sql.enlaces import Mailing, Tipo


class Letter(Struct, frozen=True):
    """What a mail says. Nothing in it was chosen by a user: anybody can register with another's correo."""

    subject: str
    asks: str
    path: str
    fields: str
    lasts: str
    otherwise: str


LETTERS: dict[Tipo, Letter] = {
    "verificacion": Letter(
        subject="Verifique su correo",
        asks="Alguien, probablemente usted, registró una cuenta con este correo. Para verificarlo",
        path="/user/verificar",
        fields='{"token"}',
        lasts="24 horas",
        otherwise="Si no fue usted, ignore este mensaje.",
    ),
    "recuperacion": Letter(
        subject="Elija una contraseña nueva",
        asks="Alguien, probablemente usted, pidió recuperar la cuenta de este correo. Para elegir otra contraseña",
        path="/login/restablecer",
        fields='{"token", "password"}',
        lasts="1 hora",
        otherwise="Si no fue usted, ignore este mensaje: su contraseña sigue siendo la misma.",
    ),
}


def compose(mail: Mailing, token: str, *, sender: str, public_url: str) -> EmailMessage:
    """A mail with the link or, without `public_url`, with the token alone (RFC 5322, RFC 3834)."""
    letter = LETTERS[mail.tipo]
    if public_url:
        link = f"{public_url.rstrip('/')}{letter.path}#{token}"
        how, html = f"abra este enlace:\n\n{link}", f'<a href="{escape(link)}">abra este enlace</a>'
    else:
        use = f"envíe este código a POST {letter.path} {letter.fields}:"
        how, html = f"{use}\n\n{token}", f"{escape(use)}</p><p><code>{token}</code>"
    validity = f"Sirve una sola vez y durante {letter.lasts}."
    message = EmailMessage(policy=SMTP)
    message["From"] = sender
    message["To"] = mail.correo
    message["Subject"] = letter.subject
    message["Date"] = formatdate()
    message["Message-ID"] = f"<{mail.id}@{parseaddr(sender)[1].rpartition('@')[2]}>"
    message["Auto-Submitted"] = "auto-generated"
    message["Content-Language"] = "es"
    message.set_content(f"{letter.asks}, {how}\n\n{validity}\n{letter.otherwise}\n")
    message.add_alternative(
        f'<!doctype html><html lang="es"><body><p>{letter.asks}, {html}</p>'
        f"<p>{validity}<br>{letter.otherwise}</p></body></html>\n",
        subtype="html",
    )
    return message
