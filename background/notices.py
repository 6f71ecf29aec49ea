"""The mails that tell a user of a change of what opens their account, and let its owner take the account back."""

from email.message import EmailMessage

from background.letters import message, use
from sql.avisos import Notice, Tipo

SUBJECTS: dict[Tipo, str] = {
    "correo": "Cambió el correo de su cuenta",
    "password": "Cambió la contraseña de su cuenta",
    "factor_activado": "Se activó el segundo factor de su cuenta",
    "factor_quitado": "Se quitó el segundo factor de su cuenta",
    "codigo_usado": "Se inició sesión con un código de recuperación",
    "llave_creada": "Se creó una llave de API de su cuenta",
    "llave_revocada": "Se revocó una llave de API de su cuenta",
}
BY_ADMIN = "lo hizo un admin del servicio"
RETURNED = "la cuenta volvió al correo que tenía antes de este"
UNDO = (
    "Sirve una sola vez y durante 72 horas: vuelve a poner este correo en la cuenta, cierra todas sus "
    "sesiones, quita el segundo factor y las llaves de API que se agregaron desde el cambio, anula su contraseña y "
    "envía a este correo otro mensaje para elegir una nueva."
)


def compose(notice: Notice, token: str, *, sender: str, public_url: str) -> EmailMessage:
    """What was changed, when and from where, with the link that undoes it; or why there is none.

    Nothing in it was chosen by a user, nor does it tell where an admin was."""
    subject = SUBJECTS[notice.tipo]
    when = f"{notice.creacion:%Y-%m-%d %H:%M} UTC"
    if not notice.reversible:
        told = f"{subject} ({when}): {RETURNED if notice.direccion else BY_ADMIN}."
        otherwise = "Si no lo esperaba, hable con quien opera el servicio."
        plain, html = f"{told}\n\n{otherwise}\n", f"<p>{told}</p><p>{otherwise}</p>"
    else:
        told = f"{subject} ({when}, desde la dirección {notice.direccion or 'desconocida'})."
        how, link = use("/login/deshacer", '{"token"}', token, public_url)
        plain = f"{told}\n\nSi fue usted, no haga nada. Si no fue usted, {how}\n\n{UNDO}\n"
        html = f"<p>{told}</p><p>Si fue usted, no haga nada. Si no fue usted, {link}</p><p>{UNDO}</p>"
    return message(notice.id, notice.correo, subject, sender, plain=plain, html=html)
