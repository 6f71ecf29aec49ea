"""The Procfile's own lines, in an environment with nothing but requirements.txt, as a dyno runs them."""

import os
import re
import secrets
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
from conftest import NO_TLS, PASSWORD, problem
from fleets import until
from processes import CHECKOUT

pytestmark = pytest.mark.slow

HTTPS = {"X-Forwarded-Proto": "https"}


@pytest.fixture
def config(slug: Path, empty_database: str) -> dict[str, str]:
    """What a dyno finds in its environment."""
    separator = "&" if "?" in empty_database else "?"
    return {
        "PATH": f"{slug}/bin:{os.defpath}",
        "DYNO": "web.1",
        "DATABASE_URL": empty_database.replace("postgresql:", "postgres:") + f"{separator}sslmode=disable",
        "JWT_SECRET": secrets.token_hex(32),
        "WEB_CONCURRENCY": "2",
        "PYTHONUNBUFFERED": "1",
    }


def honcho(process: str, config: dict[str, str], port: int = 5000) -> subprocess.Popen[str]:
    """The Procfile's `process`, in a shell of its own, without the `.env` of local work."""
    options = ["--env", os.devnull, "--port", str(port), "--no-colour", process]
    command = [sys.executable, "-m", "honcho", "start", *options]
    return subprocess.Popen(command, cwd=CHECKOUT, env=config, stdout=subprocess.PIPE, text=True)


def output(process: subprocess.Popen[str]) -> str:
    """All that it printed, once it ended."""
    text, _ = process.communicate(timeout=60)
    return text


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
        return port


@contextmanager
def dyno(config: dict[str, str]) -> Iterator[tuple[httpx.Client, Callable[[], str]]]:
    """The web process: a client of it, and a function that ends it as Heroku does and returns its output."""
    port = free_port()
    process = honcho("web", config, port)

    def end() -> str:
        process.send_signal(signal.SIGTERM)
        return output(process)

    try:
        url = f"http://127.0.0.1:{port}"
        with httpx.Client(base_url=url, headers=HTTPS, verify=NO_TLS, timeout=30) as client:
            yield client, end
    finally:
        if process.returncode is None:
            end()


def answers(client: httpx.Client) -> bool:
    try:
        return client.get("/healthz").status_code == 200
    except httpx.TransportError:
        return False


def test_it_migrates_serves_and_stops(config: dict[str, str], slug: Path) -> None:
    assert re.search(r"release.1 stopped \(rc=0\)", output(honcho("release", config)))
    admin = ["--correo=ana@example.com", "--nombre=Ana", "--apellido=Paz", "--telefono=2604538424"]
    command = [slug / "bin/python", "app.py", "create-admin", "ana", *admin]
    subprocess.run(command, cwd=CHECKOUT, env=config, input=PASSWORD, text=True, check=True)
    with dyno(config) as (client, end):
        until(lambda: answers(client))
        assert client.get("/readyz").json() == {"estado": "listo"}
        form = {"username": "ana", "password": PASSWORD}
        token = client.post("/login/", data=form, headers={"X-Forwarded-For": "203.0.113.7"}).json()[
            "access_token"
        ]
        client.headers["Authorization"] = f"Bearer {token}"
        assert [user["username"] for user in client.get("/user/").json()] == ["ana"]
        assert [session["direccion"] for session in client.get("/login/sesiones").json()] == ["203.0.113.7"]
        assert client.get("/docs", headers={"X-Forwarded-Proto": "http"}).status_code == 308
        problem(client.get("/metrics"), 404, "ruta_desconocida")
        text = end()
    assert re.search(r"web.1 +\| time=.* level=info logger=ventas msg=\"SIGTERM: no longer ready", text)
    assert re.search(r"web.1 +\| Listening on http://127.0.0.1:[0-9]+$", text, re.MULTILINE)
    assert re.search(r"web.1 stopped \(rc=0\)", text)
    assert "Traceback" not in text


@pytest.mark.parametrize("processes", ["1", "2"])
def test_an_unmigrated_database_is_not_served(config: dict[str, str], processes: str) -> None:
    text = output(honcho("web", config | {"WEB_CONCURRENCY": processes}))
    assert "pending migrations: 0001_create_usuario" in text
    assert "Listening" not in text
    assert re.search(r"web.1 stopped \(rc=[1-9]", text)


@pytest.mark.parametrize(
    ("missing", "line"),
    [
        ("JWT_SECRET", "JWT_SECRET: set it to 32 bytes or more"),
        ("DATABASE_URL", "DATABASE_URL: set it to postgresql://"),
    ],
)
def test_what_is_missing_is_said_in_one_line(missing: str, line: str, config: dict[str, str]) -> None:
    text = output(honcho("release", {name: value for name, value in config.items() if name != missing}))
    assert line in text
    assert "Traceback" not in text
    assert re.search(r"release.1 stopped \(rc=1\)", text)


def recipe(tmp_path: Path) -> list[str]:
    """The lines of deploy.md that run the Procfile as production, with the settings' file in a folder of the test's."""
    page = (CHECKOUT / "docs/deploy.md").read_text("utf-8")
    [block] = re.findall(r"```sh\n(PATH=.*?)```", page, re.DOTALL)
    return (
        block.replace("production.env", f"{tmp_path}/production.env")
        .replace("--env", "--no-colour --env")
        .splitlines()
    )


def test_the_procfile_runs_on_ones_own_machine_as_production(empty_database: str, tmp_path: Path) -> None:
    port = free_port()
    path, settings, release, web = recipe(tmp_path)
    environ = {"PATH": os.defpath, "DATABASE_URL": empty_database, "PYTHONUNBUFFERED": "1"}
    run = {"shell": True, "cwd": CHECKOUT, "env": environ, "text": True}
    subprocess.run(f"{path}\n{settings}", check=True, **run)  # type: ignore[call-overload]
    done = subprocess.run(f"{path}\n{release}", capture_output=True, **run)  # type: ignore[call-overload]
    assert "release.1 stopped (rc=0)" in done.stdout
    served = subprocess.Popen(
        f"{path}\nexec {web.replace('5000', str(port))}",
        stdout=subprocess.PIPE,
        **run,  # type: ignore[call-overload]
    )
    with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=30) as client:
        until(lambda: answers(client))
        problem(client.get("/metrics"), 404, "ruta_desconocida")  # as production has it
    served.send_signal(signal.SIGTERM)
    assert "Listening on" in output(served)


def test_with_dotenv_it_serves_as_scripts_serve_does(database: str, slug: Path, tmp_path: Path) -> None:
    (tmp_path / "more.env").write_text(f"DATABASE_URL={database}\nJWT_SECRET=\n")
    port = free_port()
    options = ["--env", f".env,{tmp_path}/more.env", "--port", str(port), "--no-colour", "web"]
    environ = {"PATH": f"{slug}/bin:{os.defpath}", "PYTHONUNBUFFERED": "1"}
    command = [sys.executable, "-m", "honcho", "start", *options]
    served = subprocess.Popen(command, cwd=CHECKOUT, env=environ, stdout=subprocess.PIPE, text=True)
    with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=30) as client:
        until(lambda: answers(client))
        body = {
            "username": "ana",
            "password": "123",
            "nombre": "A",
            "apellido": "P",
            "telefono": 0,
            "correo": "a@x.y",
        }
        assert client.post("/user/", json=body).status_code == 201  # .env's PASSWORD_MIN_LENGTH
    served.send_signal(signal.SIGTERM)
    assert re.search(r"web.1 +\| Panel +http://127.0.0.1:", output(served))
