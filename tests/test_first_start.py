"""The first minutes on one's own machine: where the data are, beginning anew, and a start that cannot be."""

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from conftest import SETTINGS
from processes import listening
from test_create_admin import Terminal

from core.checkout import CHECKOUT
from core.local.embedded import EmbeddedPostgresError, data_home, embedded_postgres, forget
from core.local.programs import temporary_folder


@pytest.fixture
def taken() -> Iterator[int]:
    """A port on which another program listens."""
    with socket.create_server(("127.0.0.1", 0)) as other:
        yield other.getsockname()[1]


def serve(*arguments: str, **settings: str) -> subprocess.CompletedProcess[str]:
    environ = {"PATH": os.defpath, "HOME": "/"} | SETTINGS | settings
    return subprocess.run(
        [sys.executable, "app.py", *arguments], cwd=CHECKOUT, env=environ, capture_output=True, text=True
    )


@pytest.mark.parametrize("processes", ["1", "2"])
def test_a_port_in_use_is_one_line_that_names_port(taken: int, processes: str) -> None:
    done = serve(PORT=str(taken), WEB_CONCURRENCY=processes, DATABASE_URL="postgresql://h/db")
    line = f"error: PORT: {taken} is in use by another program; stop that one, or choose another: PORT={taken + 1}\n"
    assert (done.returncode, done.stdout, done.stderr) == (3, "", line)


def test_a_host_that_is_not_here_is_one_line_that_names_host() -> None:
    done = serve(HOST="203.0.113.1", PORT="0", DATABASE_URL="postgresql://h/db")
    assert done.returncode == 3
    assert done.stderr.startswith("error: HOST: 203.0.113.1 is no address of this machine; ")
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize("processes", ["1", "2"])
def test_a_start_that_fails_says_nothing_of_listening_and_ends_with_3(
    empty_database: str, processes: str
) -> None:
    done = serve(
        APP_ENV="production",
        JWT_SECRET=os.urandom(32).hex(),
        BCRYPT_ROUNDS="10",
        DATABASE_URL=empty_database,
        PORT="0",
        WEB_CONCURRENCY=processes,
    )
    assert (done.returncode, done.stderr) == (3, "")
    [line] = done.stdout.splitlines()
    assert "pending migrations: 0001_create_usuario" in line


@pytest.mark.parametrize("processes", ["1", "2"])
def test_a_database_that_is_away_is_one_line_that_names_database_url(processes: str) -> None:
    done = serve(DATABASE_URL="postgresql://u:secreto@127.0.0.1:1/db", PORT="0", WEB_CONCURRENCY=processes)
    assert (done.returncode, done.stderr) == (3, "")
    [line] = done.stdout.splitlines()
    assert "DATABASE_URL: start the database that it names, or empty it" in line
    assert "secreto" not in line


INTERRUPTED_IMPORT = """
import builtins, os, runpy, signal
ours = builtins.__import__
def interrupted(name, *rest):
    if name.startswith("starlette"):
        os.kill(os.getpid(), signal.SIGINT)
    return ours(name, *rest)
builtins.__import__ = interrupted
runpy.run_path("app.py", run_name="__main__")
"""


def test_ctrl_c_while_it_imports_ends_it_without_a_word() -> None:
    environ = {"PATH": os.defpath, "HOME": "/"} | SETTINGS
    done = subprocess.run(
        [sys.executable, "-c", INTERRUPTED_IMPORT], cwd=CHECKOUT, env=environ, capture_output=True, text=True
    )
    assert (done.returncode, done.stdout, done.stderr) == (-signal.SIGINT, "", "")


@pytest.mark.parametrize("argument", ["--port", "--port=9", "-p"])
def test_an_unknown_option_is_named(argument: str) -> None:
    done = serve(argument, "9")
    assert done.returncode == 2
    assert f"there is no option {argument}; settings are in the environment or in .env" in done.stderr


@pytest.fixture
def data_dir() -> Iterator[Path]:
    with temporary_folder() as folder:
        yield folder / "data"


def test_data_in_use_are_not_deleted(data_dir: Path) -> None:
    forget(data_dir)
    with (
        embedded_postgres(data_dir),
        pytest.raises(
            EmbeddedPostgresError, match=f"the data in {data_dir} are in use: stop the server first"
        ),
    ):
        forget(data_dir)
    assert (data_dir / "cluster").is_dir()
    forget(data_dir)
    assert not [path for path in data_dir.iterdir() if path.suffix != ".lock"]


def test_fresh_asks_and_no_is_no() -> None:
    environ = {"PATH": os.defpath, "HOME": "/"} | SETTINGS
    terminal = Terminal(environ, "--fresh")
    terminal.answer("? [y/N] ", "n")
    code, shown = terminal.end()
    assert code == 2
    assert shown.endswith("nothing was deleted\r\n")


def test_fresh_wants_a_terminal_or_yes_and_never_touches_another_database() -> None:
    done = serve("--fresh")
    assert (done.returncode, done.stderr) == (
        2,
        "error: --fresh asks first: run it at a terminal, or add --yes\n",
    )
    done = serve("--fresh", "--yes", DATABASE_URL="postgresql://h/db")
    assert done.returncode == 2
    assert "DATABASE_URL names another" in done.stderr


def test_a_command_runs_from_anywhere_on_files_that_are_there(tmp_path: Path, database: str) -> None:
    environ = os.environ | {"DATABASE_URL": database}
    (tmp_path / "ventas.csv").write_text("venta,ventas_productos\n150000,x\n")
    command = [CHECKOUT / "scripts/ventas", "import", "ventas.csv"]
    done = subprocess.run(command, cwd=tmp_path, env=environ, capture_output=True, text=True)
    assert done.returncode == 1
    assert done.stderr.startswith("ventas.csv:2: ventas_productos: ")
    listed = subprocess.run([CHECKOUT / "scripts/ventas"], cwd="/", capture_output=True, text=True).stdout
    assert re.search(r"^ +create-admin ", listed, re.MULTILINE)


def test_in_production_a_command_installs_nothing(tmp_path: Path) -> None:
    (tmp_path / "python").write_text('#!/bin/sh\necho "$@"\n')
    (tmp_path / "python").chmod(0o755)
    for production in ({"APP_ENV": "production"}, {"DYNO": "run.1"}):
        done = subprocess.run(
            [CHECKOUT / "scripts/ventas", "migrate", "--status"],
            env={"PATH": f"{tmp_path}:{os.defpath}"} | production,
            capture_output=True,
            text=True,
        )
        assert done.stdout == f"{CHECKOUT}/app.py migrate --status\n"


def test_the_hosts_line_runs_a_command_with_the_applications_settings(tmp_path: Path) -> None:
    page = (CHECKOUT / "docs/deploy.md").read_text()
    [line] = re.findall(r"^\(set -a; .*\)$", page, re.MULTILINE)
    [settings] = re.findall(r"`/etc/ventas/app.env`:\n\n```ini\n(.*?)```", page, re.DOTALL)
    (tmp_path / "app.env").write_text(settings)
    (tmp_path / "python").write_text('#!/bin/sh\necho "$@"; env\n')
    (tmp_path / "python").chmod(0o755)
    for place, here in {
        "/etc/ventas/": f"{tmp_path}/",
        "/srv/ventas/venv/bin": str(tmp_path),
        "/srv/ventas/app": str(CHECKOUT),
    }.items():
        line = line.replace(place, here)
    done = subprocess.run(["sh", "-c", line], env={"PATH": os.defpath}, capture_output=True, text=True)
    assert done.stdout.startswith(f"{CHECKOUT}/app.py check\n"), done.stderr
    assert set(settings.split()) <= set(done.stdout.split())


@pytest.mark.slow
def test_the_readmes_two_commands_work_in_a_fresh_clone(tmp_path: Path) -> None:
    clone = tmp_path / "ventas"
    if subprocess.run(["git", "clone", "--quiet", CHECKOUT, clone]).returncode:
        pytest.skip("this checkout cannot be cloned")
    environ = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "PORT": "0", "PYTHON": sys.executable}
    environ |= {name: value for name, value in os.environ.items() if name.startswith("PIP_")}
    with subprocess.Popen(
        [clone / "scripts/serve"], env=environ, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as server:
        url = listening(server.stdout)  # type: ignore[arg-type]
        assert httpx.get(f"{url}/readyz").json() == {"estado": "listo"}
        server.terminate()
        _, errors = server.communicate()
    assert "installing" in errors
    seeded = subprocess.run(
        [clone / "scripts/ventas", "seed", "--sales", "10"], env=environ, capture_output=True
    )
    assert seeded.stdout.startswith(b"10 sales of 8 users added")
    tests = [clone / "scripts/test", "-q", "-p", "no:cacheprovider", "tests/test_names.py"]
    assert subprocess.run(tests, env=environ, stdout=subprocess.DEVNULL).returncode == 0
    fresh = subprocess.Popen(
        [clone / "scripts/serve", "--fresh", "--yes"], env=environ, stdout=subprocess.PIPE, text=True
    )
    listening(fresh.stdout)  # type: ignore[arg-type]
    fresh.terminate()
    fresh.communicate()
    shutil.rmtree(data_home(clone))
