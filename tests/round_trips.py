"""A listener between the API and PostgreSQL: which statements share a round trip."""

import re
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from urllib.parse import urlencode

from psycopg.conninfo import conninfo_to_dict

PARSE, QUERY = b"P", b"Q"
SENDS_ALL = (b"S", QUERY)  # Sync, and a simple query: PostgreSQL answers what came before
STATEMENT = re.compile(rb"-- (\w+\.\w+):|^[^\0]*\0(BEGIN|COMMIT|ROLLBACK)\b|^(BEGIN|COMMIT|ROLLBACK)\b")


@contextmanager
def listening(database: str, folder: Path) -> Iterator[tuple[str, list[list[str]]]]:
    """The URL of a database through the listener, for a server with DB_PREPARE=off, and the round trips as they come:
    each the names of its statements, in order."""
    parts = conninfo_to_dict(database)
    upstream = f"{parts['host']}/.s.PGSQL.{parts.get('port') or 5432}"
    trips: list[list[str]] = []
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(folder / ".s.PGSQL.5432"))
        listener.listen()
        threading.Thread(target=_accept, args=(listener, upstream, trips), daemon=True).start()
        told = {name: value for name, value in parts.items() if name in ("user", "password")}
        yield f"postgresql:///{parts['dbname']}?{urlencode(told | {'host': str(folder)})}", trips
        listener.shutdown(socket.SHUT_RDWR)


def _accept(listener: socket.socket, upstream: str, trips: list[list[str]]) -> None:
    with suppress(OSError):
        while True:
            client, _ = listener.accept()
            server = socket.socket(socket.AF_UNIX)
            server.connect(upstream)
            threading.Thread(target=_ask, args=(client, server, trips), daemon=True).start()
            threading.Thread(target=_answer, args=(server, client), daemon=True).start()


def _ask(client: socket.socket, server: socket.socket, trips: list[list[str]]) -> None:
    """Hands on what the client sends (PostgreSQL's protocol, "Message Formats"), and notes its statements."""
    names: list[str] = []
    with client, server, suppress(OSError), client.makefile("rb") as sent:
        size = sent.read(4)  # the first message has no type
        server.sendall(size + sent.read(int.from_bytes(size) - 4))
        while kind := sent.read(1):
            size = sent.read(4)
            body = sent.read(int.from_bytes(size) - 4)
            if kind in (PARSE, QUERY) and (found := STATEMENT.search(body)):
                names.append(next(filter(None, found.groups())).decode())
            if kind in SENDS_ALL:
                trips.append(names)
                names = []
            server.sendall(kind + size + body)


def _answer(server: socket.socket, client: socket.socket) -> None:
    with suppress(OSError):
        while data := server.recv(65536):
            client.sendall(data)
