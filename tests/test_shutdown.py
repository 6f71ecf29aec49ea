"""A process that is told to end says so, finishes what it has accepted, and exits with 0."""

import os
import re
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import psycopg
import pytest
from conftest import SETTINGS, client_of, member, problem, running
from fleets import until
from processes import CHECKOUT, ServerProcess, listening, server_process

from core.local.programs import temporary_folder
from core.process import own_machine

ENVIRON = {"PATH": os.defpath, "PORT": "0"} | SETTINGS


class Upload:
    """An import whose file is still on its way."""

    def __init__(self, client: httpx.Client) -> None:
        self._begun, self._whole = threading.Event(), threading.Event()
        self._outcome: httpx.Response | httpx.TransportError
        self._thread = threading.Thread(target=self._send, args=(client,))
        self._thread.start()
        assert self._begun.wait(30)

    def end(self) -> Any:
        """Sends the rest; the answer, or the error when there is none."""
        self._whole.set()
        self._thread.join()
        return self._outcome

    def _send(self, client: httpx.Client) -> None:
        def lines() -> Iterator[bytes]:
            yield b"venta,ventas_productos\n"
            yield b"100,1\n" * 300_000  # more than buffers hold: when it is gone, the server is reading
            self._begun.set()
            self._whole.wait(60)
            yield b"100,1\n"

        try:
            headers = {"Content-Type": "text/csv"}
            self._outcome = client.post("/venta/importar?simular=true", content=lines(), headers=headers)
        except httpx.TransportError as error:
            self._outcome = error


@pytest.fixture
def server(database: str) -> Iterator[ServerProcess]:
    with server_process(DATABASE_URL=database) as process:
        yield process


@pytest.fixture
def ana(server: ServerProcess) -> Iterator[httpx.Client]:
    with client_of(server.url) as api, member(api, "ana") as client:
        yield client


@contextmanager
def started(*arguments: str, **options: Any) -> Iterator[subprocess.Popen[str]]:
    with subprocess.Popen([sys.executable, *arguments], cwd=CHECKOUT, text=True, **options) as process:
        try:
            yield process
        finally:
            process.kill()


def unready(client: httpx.Client) -> bool:
    return client.get("/readyz").status_code == 503


def refuses(url: str) -> bool:
    """Whether nobody listens there any more."""
    parts = urlsplit(url)
    with socket.socket() as newcomer:
        return newcomer.connect_ex((parts.hostname, parts.port)) != 0


def workers(parent: int) -> list[str]:
    """The processes that it has started to serve."""
    children = Path(f"/proc/{parent}/task/{parent}/children").read_text().split()
    return [child for child in children if "spawn_main" in Path(f"/proc/{child}/cmdline").read_text()]


def catches_interrupts(pid: str) -> bool:
    """Whether it is so far that Python would raise KeyboardInterrupt."""
    caught = re.search(r"SigCgt:\t(\w+)", Path(f"/proc/{pid}/status").read_text())
    return bool(caught and int(caught[1], 16) >> signal.SIGINT - 1 & 1)


def ended(pid: str) -> bool:
    stat = Path(f"/proc/{pid}/stat")
    return not stat.exists() or stat.read_text().rpartition(") ")[2].startswith("Z")


def test_a_sigterm_shows_in_readyz_while_new_connections_are_still_welcome(
    server: ServerProcess, ana: httpx.Client
) -> None:
    assert ana.get("/readyz").json() == {"estado": "listo"}
    server.process.terminate()
    until(lambda: unready(ana))
    with client_of(server.url) as newcomer:
        answer = newcomer.get("/readyz")
        problem(answer, 503, "servidor_apagandose")
        assert answer.headers["connection"] == "close"
        assert int(answer.headers["retry-after"]) > 0
        assert newcomer.get("/healthz").status_code == 200
    assert server.wait() == 0


def test_what_was_accepted_is_finished(server: ServerProcess, ana: httpx.Client) -> None:
    upload = Upload(ana)
    server.process.terminate()
    until(lambda: refuses(server.url))
    answer = upload.end()
    assert (answer.status_code, answer.json()["filas"]) == (200, 300_001)
    assert answer.headers["connection"] == "close"
    assert server.wait() == 0


@pytest.mark.slow
def test_what_takes_too_long_is_told_so(database: str) -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        url, fd = f"http://127.0.0.1:{listener.getsockname()[1]}", listener.fileno()
        options = ["--fd", str(fd), "--timeout-graceful-shutdown", "1", "--log-level", "warning"]
        environ = ENVIRON | {"DATABASE_URL": database, "DRAIN_SECONDS": "0"}
        with (
            started("-m", "uvicorn", "app:app", *options, env=environ, pass_fds=[fd]) as server,
            client_of(url) as api,
            member(api, "ana") as ana,
        ):
            upload = Upload(ana)
            server.terminate()
            assert server.wait(20) == 0
            problem(upload.end(), 503, "servidor_apagandose")


def test_a_second_signal_ends_it_at_once(server: ServerProcess, ana: httpx.Client) -> None:
    upload = Upload(ana)

    def ends() -> bool:
        server.process.terminate()
        return server.process.poll() is not None

    until(ends)
    assert server.wait() == -signal.SIGTERM
    assert isinstance(upload.end(), httpx.TransportError)


@pytest.mark.slow
def test_a_platform_that_repeats_itself_is_heard_once(database: str) -> None:
    url = f"{database}{'&' if '?' in database else '?'}sslmode=disable"
    dyno = {"DYNO": "web.1", "BCRYPT_ROUNDS": "10", "TRUSTED_PROXIES": "0", "HOST": "127.0.0.1"}
    with server_process(DATABASE_URL=url, **dyno) as server:
        with client_of(server.url) as api, member(api, "ana") as ana:
            upload = Upload(ana)

            def closes() -> bool:
                server.process.terminate()
                return refuses(server.url)

            until(closes)
            assert upload.end().status_code == 200
        assert server.wait() == 0


def test_ctrl_c_ends_it_quietly(database: str) -> None:
    environ = ENVIRON | {"DATABASE_URL": database, "DRAIN_SECONDS": "60"}
    with started("app.py", env=environ, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as server:
        listening(server.stdout)
        for _ in range(2):  # as timeout(1) does: to the process, and to its group
            server.send_signal(signal.SIGINT)
        output, errors = server.communicate(timeout=20)
    assert (server.returncode, errors) == (0, "")
    assert 'msg="SIGINT: no longer ready, stopping in 0 seconds"\n' in output


@pytest.mark.skipif(sys.platform != "linux", reason="looks for the workers in /proc")
def test_ctrl_c_ends_several_processes_that_are_still_starting_quietly(database: str) -> None:
    environ = ENVIRON | {"DATABASE_URL": database, "WEB_CONCURRENCY": "2"}
    with started("app.py", env=environ, stderr=subprocess.PIPE, start_new_session=True) as parent:
        until(lambda: [catches_interrupts(worker) for worker in workers(parent.pid)] == [True, True])
        os.killpg(parent.pid, signal.SIGINT)
        _, errors = parent.communicate(timeout=20)
    assert (parent.returncode, errors) == (0, "")


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="looks for the workers in /proc")
def test_several_processes_take_the_signal_of_a_platform_and_of_their_parent_as_one(database: str) -> None:
    environ = ENVIRON | {"DATABASE_URL": database, "WEB_CONCURRENCY": "2"}
    with started("app.py", env=environ, stdout=subprocess.PIPE, start_new_session=True) as parent:
        url = listening(parent.stdout)
        with client_of(url) as api, member(api, "ana") as ana:
            upload = Upload(ana)
            children = workers(parent.pid)
            os.killpg(parent.pid, signal.SIGTERM)
            until(lambda: any(ended(child) for child in children))  # the one that had nothing to do
            assert upload.end().status_code == 200
        assert parent.wait(20) == 0


@pytest.mark.slow
def test_every_connection_is_closed_before_the_database_that_came_along(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with temporary_folder() as folder:
        monkeypatch.setattr(own_machine, "data_home", lambda checkout: folder)
        with (
            running(SETTINGS | {"DATABASE_URL": ""}) as url,
            client_of(url) as api,
            member(api, "ana") as ana,
        ):
            assert ana.get("/user/").status_code == 200
        log = (folder / "postgres/log").read_text()
    assert "database system is shut down" in log
    assert "terminating connection" not in log


def test_no_connection_is_left_behind(server: ServerProcess, ana: httpx.Client, database: str) -> None:
    assert ana.get("/user/").status_code == 200
    assert server.stop() == 0
    ours = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'ventas' AND datname = current_database()"
    with psycopg.connect(database, autocommit=True) as connection:
        until(lambda: connection.execute(ours).fetchone() == (0,))
