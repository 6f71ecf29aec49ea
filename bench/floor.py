"""The least a Python server can do: uvicorn answers every request with the same user."""

from collections.abc import Awaitable, Callable
from typing import Any

BODY = (
    b'{"id":5000,"username":"u005000","nombre":"Nombre 5000","apellido":"Apellido 5000",'
    b'"correo":"u005000@example.com"}'
)
START = {
    "type": "http.response.start",
    "status": 200,
    "headers": [(b"content-type", b"application/json"), (b"content-length", str(len(BODY)).encode())],
}


async def app(
    scope: dict[str, Any],
    receive: Callable[[], Awaitable[Any]],
    send: Callable[[dict[str, Any]], Awaitable[None]],
) -> None:
    if scope["type"] == "http":
        await send(START)
        await send({"type": "http.response.body", "body": BODY})
