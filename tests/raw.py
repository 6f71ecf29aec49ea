"""HTTP/1.1 as bytes: what a test sends, and the answers that came back."""

import json
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import conftest
import uvicorn

from core.http.connection import Connection

HEAD = b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n"
LAST = b"GET /healthz HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n"
FORM = b"POST /login/revocar HTTP/1.1\r\nhost: x\r\ncontent-type: application/x-www-form-urlencoded\r\n"
READ = 200  # the answer to a FORM whose body came: a token that is not good is no error

PROBLEMS = (
    "application/problem+json",
    "application/json",
)  # the second from the token endpoint (RFC 6749 section 5.2)


class Answer(NamedTuple):
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def problem(self) -> dict[str, Any]:
        assert self.headers["content-type"] in PROBLEMS
        problem: dict[str, Any] = json.loads(self.body)
        assert problem["status"] == self.status
        assert problem["request_id"] == self.headers["x-request-id"]
        return problem


class Impatient(Connection):
    """It looks often."""

    look_seconds = 0.1


@contextmanager
def serving(url: str, http: type[Connection] = Connection, **settings: str) -> Iterator[uvicorn.Server]:
    """The application on a database, on a free port of the loopback."""
    with conftest.serving({"DATABASE_URL": url} | settings, http, timeout_keep_alive=30) as server:
        yield server


def connect(where: uvicorn.Server | tuple[str, int]) -> socket.socket:
    """A connection to a server, or to an address."""
    address = where if isinstance(where, tuple) else where.servers[0].sockets[0].getsockname()
    client = socket.create_connection(address, timeout=30)
    client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return client


def exchange(where: uvicorn.Server | tuple[str, int], *packets: bytes) -> list[Answer]:
    """What is answered on one connection until it is closed; each packet is sent on its own."""
    with connect(where) as client:
        for packet in packets:
            client.sendall(packet)
        return answers(rest(client))


def rest(client: socket.socket) -> bytes:
    """Everything until the server hangs up; ConnectionResetError when it does so before all is read."""
    received = b""
    while piece := client.recv(1 << 16):
        received += piece
    return received


def one(client: socket.socket) -> Answer:
    """The next answer, of a connection that stays open; it has a Content-Length."""
    received = b""
    while b"\r\n\r\n" not in received:
        received += client.recv(1)
    answer = answers(received, heads=True)[0]
    while len(answer.body) < int(answer.headers.get("content-length", 0)):
        answer = answer._replace(body=answer.body + client.recv(1))
    return answer


def answers(received: bytes, *, heads: bool = False) -> list[Answer]:
    """The answers in these bytes; with `heads`, without their bodies."""
    found = []
    while received:
        head, end, received = received.partition(b"\r\n\r\n")
        assert end, head
        line, *fields = head.decode("latin-1").split("\r\n")
        assert line.startswith("HTTP/1."), line
        headers = {name.lower(): value for name, _, value in (field.partition(": ") for field in fields)}
        body = b""
        if heads:
            pass
        elif headers.get("transfer-encoding", "").lower() == "chunked":
            while size := int((line_ := received.partition(b"\r\n"))[0], 16):
                body += line_[2][:size]
                received = line_[2][size + 2 :]
            received = line_[2].removeprefix(b"\r\n")
        elif "content-length" in headers:
            size = int(headers["content-length"])
            body, received = received[:size], received[size:]
        elif int(line[9:12]) >= 200 and line[9:12] not in ("204", "304"):
            body, received = received, b""
        found.append(Answer(int(line[9:12]), headers, body))
    return found


def statuses(where: uvicorn.Server | tuple[str, int], *packets: bytes) -> list[int]:
    return [answer.status for answer in exchange(where, *packets)]
