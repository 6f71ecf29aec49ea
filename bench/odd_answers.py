"""What the API answers to odd requests, each on a connection of its own, and what of that no promise covers."""

import itertools
import random
import re
import socket
from collections import Counter
from contextlib import suppress
from urllib.parse import urlsplit

import httpx

from bench.members import Member
from bench.odd_requests import OddRequest, odd, places

OAUTH = ("/login/", "/login/revocar")
PATIENCE, SHORT_PATIENCE = 10, 0.2  # seconds of silence; short where the server may be waiting for more


def wrong_answers(url: str, count: int) -> Counter[str]:
    """Sends so many, to one place of the description after the other; how often what was answered that should not be.

    The token is looked at with each operation, for some end the session."""
    where = urlsplit(url)
    everywhere = places(httpx.get(f"{url}/openapi.json").json())
    first = random.randrange(len(everywhere))
    turns = itertools.islice(itertools.cycle(everywhere), first, first + count)
    wrong: Counter[str] = Counter()
    with Member(url) as member:
        for _, some in itertools.groupby(turns, key=lambda place: (place.method, place.path)):
            token = member.token()
            for place in some:
                request = odd(place, token)
                answer = _ask(str(where.hostname), where.port or 80, request)
                if found := fault(request, answer):
                    wrong[f"{request}: {found}"] += 1
    return wrong


NOT_SPOKEN = (
    501,
    505,
)  # a method, transfer coding or version that the server does not know (RFC 9110 section 15.6)


def fault(request: OddRequest, answer: bytes) -> str:
    """What is wrong with an answer."""
    answer = answer.removeprefix(b"HTTP/1.1 100 Continue\r\n\r\n")
    head, ended, body = answer.partition(b"\r\n\r\n")
    if not answer and request.unending:
        return ""
    found = re.match(rb"HTTP/1\.1 (\d{3}) ", head)
    if not found or not ended:
        return f"{head[:40]!r}"
    status = int(found[1])
    if status >= 500 and status not in NOT_SPOKEN:
        return str(status)
    if status >= 400 and not _tells_why(request, head.lower(), body):
        return str(status)
    return ""


def _tells_why(request: OddRequest, head: bytes, body: bytes) -> bool:
    """Whether a refusal is a problem (RFC 9457) or, where OAuth's clients ask, one of theirs (RFC 6749 section 5.2)."""
    if b"\r\ncontent-type: application/problem+json" in head:
        return True
    told = b"\r\ncontent-type: application/json" in head and b'"error":"' in body
    return told and request.place.path in OAUTH


def _ask(host: str, port: int, request: OddRequest) -> bytes:
    """What comes until the server hangs up, or nothing more comes in time."""
    answer = b""
    patience = SHORT_PATIENCE if request.unending else PATIENCE
    with socket.create_connection((host, port), timeout=patience) as client, suppress(TimeoutError):
        client.sendall(request.sent)
        while more := client.recv(65536):
            answer += more
    return answer
