"""Mail: where it leaves from, and how one message goes there (SMTP, RFC 5321; STARTTLS, RFC 3207)."""

import asyncio
import logging
from contextlib import suppress
from email.message import EmailMessage
from email.utils import parseaddr
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from msgspec import Struct

if TYPE_CHECKING:
    import smtplib

TIMEOUT_SECONDS = 10
PORTS = {"smtp": 587, "smtps": 465}

log = logging.getLogger("ventas.mail")


class MailError(Exception):
    """This mail did not leave; another try may help."""


class Undeliverable(MailError):
    """This mail cannot be written, or the mail server will never take it."""


class ServerAway(MailError):
    """The mail server is away: no mail can leave now."""


class Server(Struct, frozen=True):
    """Where mail leaves from; with `tls` the connection is encrypted from its first byte."""

    host: str
    port: int
    user: str
    password: str
    tls: bool

    @staticmethod
    def of(url: str) -> "Server":
        """The server of smtp://user:password@host:587 or smtps://…:465. Raises ValueError for any other text."""
        parts = urlsplit(url)
        if parts.scheme not in PORTS or not parts.hostname or parts.path.strip("/") or parts.query:
            raise ValueError(url)
        return Server(
            host=parts.hostname,
            port=parts.port or PORTS[parts.scheme],
            user=unquote(parts.username or ""),
            password=unquote(parts.password or ""),
            tls=parts.scheme == "smtps",
        )


class Mail:
    """Sends through the server of `url`; without one, to the log.

    `waiting` is set when the outbox got a mail, so that this process need not wait to look there."""

    def __init__(self, url: str, sender: str) -> None:
        self.sender = sender
        self.waiting = asyncio.Event()
        self._server = Server.of(url) if url else None

    async def send(self, message: EmailMessage, recipient: str) -> None:
        """Returns once the server has taken the message. Raises MailError."""
        if self._server is None:
            text = message.get_body(("plain",))
            content = text.get_content() if text else ""
            log.info("mail (MAIL_URL is unset) to %s: %s\n%s", recipient, message["Subject"], content)
        else:
            await asyncio.to_thread(_deliver, self._server, message, parseaddr(self.sender)[1], recipient)


def _deliver(server: Server, message: EmailMessage, sender: str, recipient: str) -> None:
    """What goes wrong before the mail's own recipient is named would go wrong with every other mail too."""
    import smtplib  # with the first mail: processes start sooner and smaller without it

    try:
        smtp = _connect(server)
    except (smtplib.SMTPException, OSError) as error:
        raise ServerAway(f"{type(error).__name__}: {error}") from error
    try:
        if not recipient.isascii() and not smtp.has_extn("smtputf8"):
            raise Undeliverable("the server takes only ASCII addresses")
        smtp.send_message(message, sender, [recipient])
    except smtplib.SMTPRecipientsRefused as error:
        [(code, reply)] = error.recipients.values()
        raise _refusal(code, reply) from error
    except smtplib.SMTPSenderRefused as error:
        if recipient.isascii():
            raise ServerAway(f"{type(error).__name__}: {error}") from error
        raise _refusal(error.smtp_code, error.smtp_error) from error
    except smtplib.SMTPDataError as error:
        raise _refusal(error.smtp_code, error.smtp_error) from error
    except (smtplib.SMTPException, OSError) as error:
        raise MailError(f"{type(error).__name__}: {error}") from error
    finally:
        with suppress(smtplib.SMTPException, OSError):
            smtp.quit()


def _connect(server: Server) -> "smtplib.SMTP":
    """A password goes only over TLS, and whatever else does when the server offers it."""
    import smtplib
    from ssl import create_default_context  # reads all the authorities: only where they are needed

    smtp = (
        smtplib.SMTP_SSL(server.host, server.port, timeout=TIMEOUT_SECONDS, context=create_default_context())
        if server.tls
        else smtplib.SMTP(server.host, server.port, timeout=TIMEOUT_SECONDS)
    )
    try:
        smtp.ehlo_or_helo_if_needed()
        if not server.tls and smtp.has_extn("starttls"):
            smtp.starttls(context=create_default_context())
            smtp.ehlo()
        elif not server.tls and server.user:
            raise ServerAway("the server offers no STARTTLS, so the password was not sent")
        if server.user:
            smtp.login(server.user, server.password)
    except BaseException:
        smtp.close()
        raise
    return smtp


def _refusal(code: int, reply: bytes | str) -> MailError:
    """A 5xx is for ever (RFC 5321 section 4.2.1)."""
    text = reply.decode("utf-8", "replace") if isinstance(reply, bytes) else reply
    return (Undeliverable if code >= 500 else MailError)(f"{code} {text}")
