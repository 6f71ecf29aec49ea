"""Faults of clients: slow ones, endless ones, many at once, and those that send what no client should."""

import asyncio
import json
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import ExitStack, suppress

import httpx

from bench.api import PASSWORD
from bench.faults import Stage
from bench.odd_answers import wrong_answers
from core.checkout import CHECKOUT


async def slow_clients(stage: Stage) -> None:
    """Fifty clients send a header or a body byte by byte, and never end."""
    lines = (
        b"POST /login/ HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 9999\r\n\r\n{"
    )
    with ExitStack() as stack:
        for number in range(50):
            client = stack.enter_context(socket.create_connection(("127.0.0.1", stage.api.port)))
            client.sendall(lines[: len(lines) - number])
        await asyncio.sleep(stage.seconds)
    stage.heal()


async def endless_bodies(stage: Stage) -> None:
    """Four clients send a body without end."""

    async def chunks() -> AsyncIterator[bytes]:
        while True:
            yield b" " * 65536

    async def send() -> None:
        async with httpx.AsyncClient(timeout=stage.seconds) as client:
            with suppress(httpx.HTTPError):
                json = {"Content-Type": "application/json"}
                await client.post(f"{stage.api.url}/login/", content=chunks(), headers=json)

    await asyncio.gather(*(send() for _ in range(4)))
    stage.heal()


async def logins(stage: Stage) -> None:
    """Sixteen log in at once."""
    async with httpx.AsyncClient(base_url=stage.api.url, timeout=60) as client:
        form = {"username": "ana", "password": PASSWORD}
        answers = await asyncio.gather(*(client.post("/login/", data=form) for _ in range(16)))
    if any(answer.status_code != 200 for answer in answers):
        raise RuntimeError(f"logins: {[answer.status_code for answer in answers]}")
    stage.heal()


async def generated(stage: Stage) -> None:
    """Requests made from the description, good and bad, by an account that is not the crowd's."""
    command = [sys.executable, "-m", "bench.generated", stage.api.url, str(stage.requests)]
    process = await asyncio.create_subprocess_exec(*command, cwd=CHECKOUT, stdout=asyncio.subprocess.PIPE)
    found, _ = await process.communicate()
    if process.returncode:
        raise RuntimeError(f"bench.generated ended with {process.returncode}")
    stage.made, wrong = json.loads(found)
    stage.wrong.update(wrong)
    stage.heal()


async def odd_bytes(stage: Stage) -> None:
    """Every request line, path, query and header of the description, with what does not belong there."""
    stage.wrong = await asyncio.to_thread(wrong_answers, stage.api.url, stage.requests)
    stage.made = stage.requests
    stage.heal()
