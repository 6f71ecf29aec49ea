"""The API as a process of its own, in production's settings, which may be killed."""

import os
import secrets
import signal
import socket
import subprocess
import sys
import time
from contextlib import suppress

import httpx

from core.checkout import CHECKOUT

PASSWORD = "una clave larga"
LONGEST_START, LONGEST_STOP = 30, 25  # seconds


class ApiProcess:
    """`python app.py` on a port of its own."""

    def __init__(self, database_url: str, **settings: str) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self._environ = {
            "PATH": os.defpath,
            "APP_ENV": "production",
            "BCRYPT_ROUNDS": "10",
            "DATABASE_URL": database_url,
            "FIRST_ADMIN": "register",
            "JWT_SECRET": secrets.token_hex(32),
            "LOG_LEVEL": "error",
            "PORT": str(self.port),
        } | settings

    @property
    def pid(self) -> int:
        return self._process.pid

    def start(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "app.py"], cwd=CHECKOUT, env=self._environ, stdout=subprocess.DEVNULL
        )
        deadline = time.monotonic() + LONGEST_START
        while time.monotonic() < deadline:
            with suppress(httpx.TransportError):
                httpx.get(f"{self.url}/healthz")
                return
            time.sleep(0.02)
        raise TimeoutError("the API did not start")

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()

    def terminate(self) -> None:
        """SIGTERM. Raises when it does not end well and in time."""
        self._process.send_signal(signal.SIGTERM)
        if code := self._process.wait(LONGEST_STOP):
            raise RuntimeError(f"the API ended with {code}")

    def token(self) -> str:
        """An access token of ana, the admin, who registers if she has not."""
        httpx.post(f"{self.url}/user/", json=person("ana"))
        form = {"username": "ana", "password": PASSWORD}
        return str(httpx.post(f"{self.url}/login/", data=form).raise_for_status().json()["access_token"])


def person(username: str) -> dict[str, object]:
    """The body of a registration."""
    return {
        "username": username,
        "password": PASSWORD,
        "nombre": username.capitalize(),
        "apellido": "Paz",
        "telefono": 2604538424,
        "correo": f"{username}@example.com",
    }
