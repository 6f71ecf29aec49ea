"""The figures of docs/security.md: what revocation costs and how soon it holds; how long a refused login takes."""

import os
import re
import secrets
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from statistics import median
from urllib.parse import parse_qs, urlsplit

import httpx

from core.checkout import CHECKOUT
from core.local.embedded import temporary_postgres

REQUESTS, ENDINGS, LOGINS = 1000, 100, 200
PASSWORD = "una clave larga"
NAMED = re.compile(r"(?:execute [^:]*|statement):\s+-- (\w+\.\w+)")
SETTINGS = {"JWT_SECRET": secrets.token_hex(32), "PORT": "0", "THROTTLE": "off", "LOG_LEVEL": "error"}
EVA = {
    "username": "eva",
    "password": PASSWORD,
    "nombre": "Eva",
    "apellido": "Paz",
    "telefono": "2604538424",
    "correo": "eva@example.com",
}


def main() -> None:
    with temporary_postgres(settings={"log_statement": "all"}) as url:
        log = Path(parse_qs(urlsplit(url).query)["host"][0]).with_name("log")
        with serving(url) as one, serving(url) as other:
            for username in ("ana", "eva"):
                register(one, username)
            show_statements(one, log, "")
            elsewhere = url.replace(
                "/ventas?", "/postgres?"
            )  # what is told in one database is not heard in another
            with serving(url, DATABASE_DIRECT_URL=elsewhere) as deaf:
                show_statements(deaf, log, ", while not listening")
            show_delays(one, other)
        with serving(url, BCRYPT_ROUNDS="12") as costly:
            register(costly, "beto")
            show_logins(costly)


@contextmanager
def serving(url: str, **settings: str) -> Iterator[httpx.Client]:
    """A client of `python app.py`, which ends with the block."""
    environ = os.environ | SETTINGS | {"DATABASE_URL": url, "BCRYPT_ROUNDS": "4"} | settings
    line = [sys.executable, "app.py"]
    with (
        subprocess.Popen(line, cwd=CHECKOUT, env=environ, stdout=subprocess.PIPE, text=True) as process,
        ExitStack() as stack,
    ):
        stack.callback(process.terminate)
        assert process.stdout
        words = process.stdout.readline().split()
        yield stack.enter_context(httpx.Client(base_url=words[2], timeout=60))


def show_statements(client: httpx.Client, log: Path, circumstances: str) -> None:
    """How often each statement ran while so many requests were answered."""
    time.sleep(2)  # until the process listens, and the mails of the registrations are out
    headers = bearer(client)
    for path in ("/user/1", "/user/me"):
        client.get(path, headers=headers)
        before = statements(log)
        for _ in range(REQUESTS):
            client.get(path, headers=headers)
        ran = statements(log) - before
        counts = ", ".join(f"{name} {count}" for name, count in sorted(ran.items()))
        print(f"{REQUESTS} x GET {path}{circumstances}: {counts or 'no statement'}", flush=True)


def statements(log: Path) -> Counter[str]:
    return Counter(NAMED.findall(log.read_text()))


def show_delays(one: httpx.Client, other: httpx.Client) -> None:
    """How long another process takes a token for good after a session was ended."""
    delays = []
    for _ in range(ENDINGS):
        headers = bearer(one)
        assert other.get("/user/me", headers=headers).status_code == 200
        assert one.delete("/login/sesiones?todas=true", headers=headers).status_code == 200
        delays.append(seconds(lambda headers=headers: _until_refused(other, headers)))
    print(f"ended in one process, refused in another after {_milliseconds(delays)}", flush=True)


def _until_refused(client: httpx.Client, headers: dict[str, str]) -> None:
    while client.get("/user/me", headers=headers).status_code == 200:
        pass


def show_logins(client: httpx.Client) -> None:
    """Refused logins, in turns: of somebody, of nobody, and of somebody whose hash is from cheaper times."""
    delays: dict[str, list[float]] = {"beto": [], "beto@example.com": [], "nadie": [], "eva": []}
    for _ in range(LOGINS):
        for name, taken in delays.items():
            taken.append(seconds(lambda name=name: refused(client, name)))
    for name, taken in delays.items():
        print(f"login refused, {name}: {_milliseconds(taken)}", flush=True)


def refused(client: httpx.Client, name: str) -> None:
    answer = client.post("/login/", data={"username": name, "password": "equivocada"})
    assert answer.status_code == 401


def register(client: httpx.Client, username: str) -> None:
    person = EVA | {"username": username, "correo": f"{username}@example.com"}
    assert client.post("/user/", json=person).status_code == 201


def bearer(client: httpx.Client) -> dict[str, str]:
    answer = client.post("/login/", data={"username": "eva", "password": PASSWORD})
    return {"Authorization": f"Bearer {answer.json()['access_token']}"}


def seconds(work: Callable[[], None]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def _milliseconds(delays: list[float]) -> str:
    return f"{median(delays) * 1000:.1f} ms (median of {len(delays)}), {max(delays) * 1000:.1f} ms at most"


if __name__ == "__main__":
    main()
