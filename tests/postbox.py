"""A real SMTP server that keeps what it gets."""

import asyncio
import queue
import re
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from email.message import EmailMessage
from email.parser import BytesParser
from email.policy import default
from typing import Self

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session

TOKEN = re.compile(r"^(?:\S+#)?([A-Za-z0-9_-]{54})$", re.MULTILINE)
SECONDS = 20


class _Server(SMTP):
    """Tells its postbox which connections are open, so that none is when its loop stops."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.event_handler.connections.add(self)
        super().connection_made(transport)

    def connection_lost(self, error: Exception | None) -> None:
        super().connection_lost(error)
        self.event_handler.connections.discard(self)


class _Controller(Controller):
    def factory(self) -> SMTP:
        return _Server(self.handler, **self.SMTP_kwargs)


class Postbox:
    """Refuses who is in `refused`, with that reply, and whom `refuses` has one for; lets those wait for whom `slow` has
    an event; with `users`, takes mail only from who logs in. `asked` are the recipients, refused ones too."""

    def __init__(self, users: dict[str, str] | None = None, *, smtputf8: bool = True) -> None:
        self.smtputf8 = smtputf8
        self.refused: dict[str, str] = {}
        self.refuses: Callable[[str], str | None] = self.refused.get
        self.slow: Callable[[str], threading.Event | None] = lambda address: None
        self.asked: list[str] = []
        self.users = users or {}
        self.logins: list[tuple[str, bool]] = []
        self.recipients: list[str] = []
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port: int = free.getsockname()[1]
        self.connections: set[SMTP] = set()
        self._mails: queue.Queue[EmailMessage] = queue.Queue()

    @contextmanager
    def open(
        self, *, starttls: ssl.SSLContext | None = None, tls: ssl.SSLContext | None = None
    ) -> Iterator[Self]:
        options = {"tls_context": starttls, "require_starttls": starttls is not None}
        if self.users:
            options |= {"authenticator": self._log_in, "auth_required": True}
        controller = _Controller(
            self, "127.0.0.1", self.port, ssl_context=tls, enable_SMTPUTF8=self.smtputf8, **options
        )
        controller.start()
        try:
            yield self
        finally:
            asyncio.run_coroutine_threadsafe(self._end(controller.server), controller.loop).result()
            controller.stop()

    async def _end(self, server: asyncio.AbstractServer) -> None:
        """No connection is open any more, nor one that was accepted just now."""
        for listener in server.sockets:
            asyncio.get_running_loop().remove_reader(listener.fileno())
        for _ in range(10):  # turns of the loop, in which a connection that was just accepted comes to be
            await asyncio.sleep(0)
        server.close()  # not before: a connection that comes to be afterwards is left open, and nothing is told
        while self.connections:  # noqa: ASYNC110 - aiosmtpd has no event for it
            await asyncio.sleep(0.01)
        await server.wait_closed()  # also for what ended within its TLS handshake, of which SMTP never heard

    def mail(self) -> EmailMessage:
        """The next mail, once it is there."""
        return self._mails.get(timeout=SECONDS)

    def token(self) -> str:
        """The token that the next mail carries."""
        return token_of(self.mail())

    @property
    def url(self) -> str:
        return f"smtp://127.0.0.1:{self.port}"

    @property
    def waiting(self) -> int:
        return self._mails.qsize()

    def _log_in(
        self, server: SMTP, session: Session, envelope: Envelope, mechanism: str, given: object
    ) -> AuthResult:
        assert isinstance(given, LoginPassword)
        self.logins.append((given.login.decode(), session.ssl is not None))
        return AuthResult(success=self.users.get(given.login.decode()) == given.password.decode())

    async def handle_RCPT(
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        self.asked.append(address)
        if event := self.slow(address):
            await asyncio.to_thread(event.wait)
        if reply := self.refuses(address):
            return reply
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        self.recipients += envelope.rcpt_tos
        self._mails.put(
            BytesParser(policy=default).parsebytes(envelope.original_content.replace(b"\r\n", b"\n"))
        )
        return "250 OK"


def token_of(mail: EmailMessage) -> str:
    match = TOKEN.search(mail.get_body(("plain",)).get_content())
    assert match, mail
    return match[1]
