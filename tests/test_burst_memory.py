"""What a burst took goes back to the system, as the process itself shows."""

import re
import socket
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest
from fleets import until
from processes import server_process

pytestmark = pytest.mark.slow

GET = b"GET /openapi.json HTTP/1.1\r\nhost: x\r\n\r\n" * 20  # more than the kernel takes for a client


def resident(pid: int) -> int:
    """MB of the process that are in memory."""
    [kilobytes] = re.findall(r"VmRSS:\s+(\d+)", Path(f"/proc/{pid}/status").read_text())
    return int(kilobytes) // 1024


def unread(url: str) -> socket.socket:
    """A client that asks and does not read."""
    client = socket.socket()
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    client.connect((urlsplit(url).hostname, urlsplit(url).port))
    client.sendall(GET)
    return client


def test_what_answers_that_nobody_read_took_goes_back(database):
    with server_process(DATABASE_URL=database) as server:
        httpx.get(f"{server.url}/openapi.json").raise_for_status()
        before = resident(server.pid)
        clients = [unread(server.url) for _ in range(150)]
        until(lambda: resident(server.pid) > before + 30)

        for client in clients:
            client.close()
        until(lambda: resident(server.pid) < before + 15)
