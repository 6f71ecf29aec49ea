"""Real proxies, under load, while the processes behind them are replaced: no request fails."""

import csv
import getpass
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import httpx
import pytest
from conftest import NO_TLS, SETTINGS, client_of, log_in, new_user
from fleets import until
from processes import CHECKOUT, ServerProcess, server_process

pytestmark = pytest.mark.slow  # test_shutdown.py has what each process owes when it is replaced

CLIENTS = 4
SALE = {"venta": 100, "ventas_productos": 1}

# Around the `backend` of docs/deploy.md.
HAPROXY = """
defaults
    mode http
    timeout connect 2s
    timeout client 30s
    timeout server 30s
frontend door
    bind 127.0.0.1:{door}
    default_backend ventas
frontend stats
    bind 127.0.0.1:{stats}
    stats enable
    stats uri /
{backend}
"""

# Around the `server` of docs/deploy.md.
NGINX = """
daemon off;
user {user};
pid {folder}/nginx.pid;
error_log {folder}/error.log;
events {{}}
http {{
    access_log off;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    {server}
}}
"""


# As systemd passes a socket on: sd_listen_fds(3).
PASSED_ON = """
import os, sys
os.dup2(int(sys.argv[1]), 3)
os.environ |= {"LISTEN_FDS": "1", "LISTEN_PID": str(os.getpid())}
os.execv(sys.executable, [sys.executable, *sys.argv[2:]])
"""


def told(language: str, containing: str, replacements: dict[str, str]) -> str:
    """A block of docs/deploy.md, with this machine's addresses in place of the page's."""
    page = (CHECKOUT / "docs/deploy.md").read_text()
    [block] = [
        block for block in re.findall(rf"```{language}\n(.*?)```", page, re.DOTALL) if containing in block
    ]
    for old, new in replacements.items():
        assert old in block
        block = block.replace(old, new)
    return block


def program(name: str) -> str:
    """The path of a Debian package's program; skips the test where it is missing."""
    path = shutil.which(name, path="/usr/sbin:/usr/bin:/usr/local/sbin:/usr/local/bin")
    if path is None:
        pytest.skip(f"{name} is missing: apt install {name}")
    return path


def free_ports(count: int) -> list[int]:
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]


def listens(port: int) -> bool:
    with socket.socket() as newcomer:
        return newcomer.connect_ex(("127.0.0.1", port)) == 0


@contextmanager
def running(*command: object) -> Iterator[None]:
    process = subprocess.Popen([str(part) for part in command])
    try:
        yield
    finally:
        process.terminate()
        process.wait()


class Load:
    """Clients that read and sell through a proxy for the length of the block, and note what they are told."""

    def __init__(self, url: str, token: str) -> None:
        self._told: list[tuple[str, object]] = []
        self._headers = {"Authorization": f"Bearer {token}"}
        self._url = url
        self._over = threading.Event()
        self._threads = [threading.Thread(target=self._ask) for _ in range(CLIENTS)]

    def __enter__(self) -> "Load":
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join()

    @property
    def told(self) -> Counter[tuple[str, object]]:
        return Counter(self._told)

    def more(self) -> None:
        """Returns when a hundred more requests have been answered."""
        before = len(self._told)
        until(lambda: len(self._told) >= before + 100)

    def _ask(self) -> None:
        with httpx.Client(base_url=self._url, headers=self._headers, verify=NO_TLS, timeout=30) as client:
            while not self._over.is_set():
                self._note(client.build_request("GET", "/user/me"), client)
                self._note(client.build_request("POST", "/venta/", json=SALE), client)

    def _note(self, request: httpx.Request, client: httpx.Client) -> None:
        try:
            self._told.append((request.method, client.send(request).status_code))
        except httpx.TransportError as error:
            self._told.append((request.method, repr(error)))


def token_of(url: str) -> str:
    with client_of(url) as api:
        assert api.post("/user/", json=new_user("ana")).status_code == 201
        return log_in(api, "ana")


def check(load: Load, rows: Callable[..., list[tuple]]) -> None:
    """All was well, and nothing was done twice."""
    assert set(load.told) == {("GET", 200), ("POST", 201)}, load.told
    assert rows("SELECT count(*) FROM venta") == [(load.told["POST", 201],)]


def test_two_processes_behind_haproxy(
    database: str, tmp_path: Path, rows: Callable[..., list[tuple]]
) -> None:
    haproxy = program("haproxy")
    door, stats, *ports = free_ports(4)

    def start(port: int) -> ServerProcess:
        settings = {"DATABASE_URL": database, "PORT": str(port), "DRAIN_SECONDS": "2"}
        return stack.enter_context(server_process(**settings))

    def both_are_up() -> bool:
        table = csv.DictReader(httpx.get(f"http://127.0.0.1:{stats}/;csv", verify=NO_TLS).text.splitlines())
        return [row["status"] for row in table if row["svname"] in ("one", "two")] == ["UP", "UP"]

    config = tmp_path / "haproxy.cfg"
    addresses = {f"10.0.0.{n}:8000": f"127.0.0.1:{port}" for n, port in enumerate(ports, 1)}
    config.write_text(
        HAPROXY.format(door=door, stats=stats, backend=told("haproxy", "backend ventas", addresses))
    )
    with ExitStack() as stack:
        servers = [start(port) for port in ports]
        stack.enter_context(running(haproxy, "-f", config))
        until(lambda: listens(stats))
        with Load(f"http://127.0.0.1:{door}", token_of(servers[0].url)) as load:
            for number, port in enumerate(ports):
                until(both_are_up)
                load.more()
                assert servers[number].stop() == 0
                servers[number] = start(port)
            until(both_are_up)
            load.more()
    check(load, rows)


def test_one_process_behind_nginx_whose_socket_is_kept(
    database: str, tmp_path: Path, rows: Callable[..., list[tuple]]
) -> None:
    nginx = program("nginx")
    [door] = free_ports(1)
    address = f"/tmp/ventas-{os.getpid()}.sock"
    user = getpass.getuser()
    config = tmp_path / "nginx.conf"
    places = {"listen 80": f"listen 127.0.0.1:{door}", "/run/ventas.sock": address}
    config.write_text(NGINX.format(folder=tmp_path, user=user, server=told("nginx", "server_name", places)))

    with socket.socket(socket.AF_UNIX) as listener, ExitStack() as stack:
        listener.bind(address)
        stack.callback(os.unlink, address)
        listener.listen(100)

        @contextmanager
        def serving() -> Iterator[None]:
            [line] = re.findall(
                r"^ExecStart=\S+/python (.*)", told("ini", "TimeoutStopSec", {}), re.MULTILINE
            )
            command = [sys.executable, "-c", PASSED_ON, str(listener.fileno()), *line.split()]
            environ = {"PATH": os.defpath, "DATABASE_URL": database, "TRUSTED_PROXIES": "1"} | SETTINGS
            server = subprocess.Popen(command, cwd=CHECKOUT, env=environ, pass_fds=[listener.fileno()])
            try:
                yield
            finally:
                server.terminate()
                assert server.wait(30) == 0

        stack.enter_context(running(nginx, "-e", tmp_path / "error.log", "-c", config))
        until(lambda: listens(door))
        url = f"http://127.0.0.1:{door}"
        with serving():
            token = token_of(url)
        with Load(url, token) as load:
            for _ in range(3):
                with serving():
                    load.more()
            with serving():
                load.stop()
    check(load, rows)


@pytest.mark.skipif(sys.platform != "linux", reason="looks for the workers in /proc")
def test_several_processes_replaced_by_their_parent(database: str, rows: Callable[..., list[tuple]]) -> None:
    with server_process(DATABASE_URL=database, WEB_CONCURRENCY="2") as server:
        children = Path(f"/proc/{server.pid}/task/{server.pid}/children")
        with Load(server.url, token_of(server.url)) as load:
            load.more()
            helper, *before = children.read_text().split()  # the first is multiprocessing's own
            server.process.send_signal(signal.SIGHUP)
            until(lambda: not set(before).intersection(children.read_text().split()))
            load.more()
        assert helper in children.read_text().split()
        assert server.stop() == 0
    check(load, rows)
