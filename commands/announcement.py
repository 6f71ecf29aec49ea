"""What a person reads while the server starts: where the data are, and where to look."""

import socket

from core.checkout import CHECKOUT
from core.local.embedded import data_home
from core.process.logs import announcement
from core.process.settings import Settings


def say_where_the_data_are(settings: Settings) -> None:
    """The folder of one's own PostgreSQL, before it starts; nothing where DATABASE_URL names another."""
    if not settings.database_url:
        home = data_home(CHECKOUT)
        new = "" if (home / "postgres" / "cluster").exists() else "; the first time this takes some seconds"
        _say(settings, f"Starting PostgreSQL, with its data in {home}{new}")


def announce(listener: socket.socket, settings: Settings) -> None:
    """Where it listens; on one's own machine, also what to open and to try."""
    if listener.family == socket.AF_UNIX:
        _say(settings, f"Listening on {listener.getsockname()}")
        return
    host, port = listener.getsockname()[:2]
    shown = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(host, f"[{host}]" if ":" in host else host)  # noqa: S104
    url = f"http://{shown}:{port}"
    _say(settings, f"Listening on {url}" + ("" if settings.production else "  (Ctrl-C stops it)"))
    if settings.production:
        return
    _say(
        settings,
        f"""\
Panel        {url}/panel
Docs         {url}/docs
Try          curl {url}/user/ -H 'Content-Type: application/json' -d '{{"username": "ana", "password": "123",
               "nombre": "Ana", "apellido": "Paz", "telefono": 2604538424, "correo": "ana@example.com"}}'""",
    )
    if not settings.database_url:
        _say(settings, "Start over   scripts/serve --fresh, which asks before it deletes the data")


def _say(settings: Settings, text: str) -> None:
    print(announcement(text, settings.log_format), flush=True)
