"""The mails themselves: what each says, in Spanish, as plain text and as HTML."""

from email.message import EmailMessage
from email.policy import SMTP
from email.utils import formatdate, parseaddr
from html import escape
from string import Template
from uuid import UUID

from msgspec import Struct

from core.addresses import ascii_form
from sql.enlaces import Mailing, Tipo

# As the pages look, in the colours of web/house.css; mail programs read only styles that stand in the elements.
HTML = Template("""\
<!doctype html>
<html lang="es">
<head><meta charset="utf-8"><meta name="color-scheme" content="light dark"><title>$subject</title></head>
<body style="margin: 0; padding: 24px 16px; font: 16px/1.5 system-ui, sans-serif">
<div style="max-width: 480px; margin: 0 auto; padding: 24px; border: 1px solid #7d8a85; border-radius: 8px">
<p style="margin: 0; color: #0b6e4f; font-size: 18px; font-weight: 700">Ventas</p>
<h1 style="margin: 16px 0 0; font-size: 24px; line-height: 1.2">$subject</h1>
$html
</div>
</body>
</html>
""")


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
    """A mail with the link or, without `public_url`, with the token alone."""
    letter = LETTERS[mail.tipo]
    how, html = use(letter.path, letter.fields, token, public_url)
    validity = f"Sirve una sola vez y durante {letter.lasts}."
    return message(
        mail.id,
        mail.correo,
        letter.subject,
        sender,
        plain=f"{letter.asks}, {how}\n\n{validity}\n{letter.otherwise}\n",
        html=f"<p>{letter.asks}, {html}</p><p>{validity}<br>{letter.otherwise}</p>",
    )


def use(path: str, fields: str, token: str, public_url: str) -> tuple[str, str]:
    """How to use a token, as plain text and as HTML."""
    if public_url:
        link = f"{public_url.rstrip('/')}{path}#{token}"
        return f"abra este enlace:\n\n{link}", f'<a href="{escape(link)}">abra este enlace</a>'
    how = f"envíe este código a POST {path} {fields}:"
    return f"{how}\n\n{token}", f"{escape(how)}</p><p><code>{token}</code>"


def message(id: UUID, correo: str, subject: str, sender: str, *, plain: str, html: str) -> EmailMessage:
    """A mail of the service to `correo` (RFC 5322), which no machine answers (RFC 3834)."""
    message = EmailMessage(policy=SMTP)
    message["From"] = sender
    message["To"] = ascii_form(correo)
    message["Subject"] = subject
    message["Date"] = formatdate()
    message["Message-ID"] = f"<{id}@{parseaddr(sender)[1].rpartition('@')[2]}>"
    message["Auto-Submitted"] = "auto-generated"
    message["Content-Language"] = "es"
    message.set_content(plain)
    message.add_alternative(HTML.substitute(subject=escape(subject), html=html), subtype="html")
    return message
