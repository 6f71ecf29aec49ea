"""The PostgreSQL that the project brings along: it survives what people and kernels do to processes."""

import importlib.metadata
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import psycopg
import pytest
from fleets import until

from core.checkout import CHECKOUT
from core.local import programs
from core.local.data_directory import LOG_BYTES, SOCKET, Cluster
from core.local.embedded import (
    EmbeddedPostgresError,
    binaries,
    data_home,
    embedded_postgres,
    temporary_postgres,
)
from core.local.locks import is_free, locked
from core.local.programs import account, as_account, temporary_folder

SITE = Path(psycopg.__file__).parents[1]
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")

USER = """
import sys
from pathlib import Path
from core.local.embedded import embedded_postgres
with embedded_postgres(Path(sys.argv[1])) as url:
    print(url, flush=True)
    sys.stdin.read()
"""


@pytest.fixture(scope="module")
def made() -> Iterator[Path]:
    with temporary_folder() as folder:
        with embedded_postgres(folder / "data") as url, psycopg.connect(url) as connection:
            connection.execute("CREATE TABLE venta (id int)")
        yield folder / "data"


@pytest.fixture
def folder() -> Iterator[Path]:
    with temporary_folder() as folder:
        yield folder


@pytest.fixture
def data_dir(made: Path, folder: Path) -> Path:
    subprocess.run(["cp", "-a", made, folder / "data"], check=True)
    return folder / "data"


@contextmanager
def another_process(data_dir: Path) -> Iterator[subprocess.Popen[str]]:
    """A process that uses the server until its stdin is closed; it has begun when this yields."""
    pipe = subprocess.PIPE
    with subprocess.Popen(
        [sys.executable, "-c", USER, data_dir],
        stdin=pipe,
        stdout=pipe,
        stderr=subprocess.DEVNULL,
        text=True,
        cwd=CHECKOUT,
        start_new_session=True,
    ) as process:
        assert process.stdout
        assert process.stdout.readline().startswith("postgresql://")
        yield process


@contextmanager
def acting_as(user: int) -> Iterator[None]:
    """Be an ordinary user for a while."""
    groups = os.getgroups()
    os.setgroups([])
    os.setresuid(user, user, 0)
    try:
        yield
    finally:
        os.setresuid(0, 0, 0)
        os.setgroups(groups)


def postmaster(data_dir: Path) -> int:
    return int((data_dir / "cluster/postmaster.pid").read_text().split()[0])


def sell(url: str) -> None:
    with psycopg.connect(url) as connection:
        connection.execute("INSERT INTO venta VALUES (1)")


def sales(url: str) -> int:
    with psycopg.connect(url) as connection:
        return len(connection.execute("SELECT id FROM venta").fetchall())


def is_stopped(data_dir: Path) -> bool:
    return is_free(data_dir / "server.lock") and not (data_dir / "cluster/postmaster.pid").exists()


def test_it_keeps_its_data_between_runs(data_dir: Path) -> None:
    with embedded_postgres(data_dir) as url:
        sell(url)
    assert is_stopped(data_dir)
    with embedded_postgres(data_dir) as url:
        assert sales(url) == 1


def test_it_is_durable_knows_unicode_and_opens_no_port(data_dir: Path) -> None:
    with embedded_postgres(data_dir) as url, psycopg.connect(url) as connection:
        for setting, value in [("fsync", "on"), ("listen_addresses", ""), ("server_encoding", "UTF8")]:
            assert connection.execute(f"SHOW {setting}").fetchone() == (value,)
        assert connection.execute("SELECT lower('AÑO ÉL')").fetchone() == ("año él",)


def test_processes_share_it_and_the_last_one_out_stops_it(data_dir: Path) -> None:
    with another_process(data_dir) as first:
        server = postmaster(data_dir)
        with embedded_postgres(data_dir) as url:
            first.communicate()
            assert first.returncode == 0
            assert postmaster(data_dir) == server
            assert sales(url) == 0
    assert is_stopped(data_dir)


def test_ctrl_c_ends_its_user_and_not_the_server(data_dir: Path) -> None:
    with another_process(data_dir) as first, embedded_postgres(data_dir) as url:
        os.killpg(first.pid, signal.SIGINT)
        first.wait(30)
        assert sales(url) == 0
    with another_process(data_dir) as last:
        os.killpg(last.pid, signal.SIGINT)
        last.wait(30)
    assert is_stopped(data_dir)


def test_it_is_found_again_when_its_user_was_killed(data_dir: Path) -> None:
    with another_process(data_dir) as killed:
        killed.kill()
    server = postmaster(data_dir)
    with embedded_postgres(data_dir) as url:
        assert postmaster(data_dir) == server
        assert sales(url) == 0
    assert is_stopped(data_dir)


def test_it_loses_nothing_when_the_server_is_killed(data_dir: Path) -> None:
    with embedded_postgres(data_dir) as url:
        sell(url)
        os.kill(postmaster(data_dir), signal.SIGKILL)
        with locked(data_dir / "server.lock"):
            pass  # all of it is gone
        with embedded_postgres(data_dir) as again:
            assert again == url
            assert sales(url) == 1
    assert is_stopped(data_dir)


def test_a_stale_process_id_that_another_process_has_now_is_no_obstacle(data_dir: Path) -> None:
    files = [data_dir / "cluster" / name for name in ("postmaster.pid", ".s.PGSQL.5432.lock")]
    with embedded_postgres(data_dir):
        left = [file.read_text() for file in files]
        server = str(postmaster(data_dir))
    with subprocess.Popen(["sleep", "60"], **as_account()) as other:
        for file, text in zip(files, left, strict=True):
            file.write_text(text.replace(server, str(other.pid)))
        with embedded_postgres(data_dir) as url:
            assert sales(url) == 0
        assert other.poll() is None
        other.kill()


def test_an_interrupted_first_start_is_begun_anew(folder: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", USER, folder / "data"], cwd=CHECKOUT) as killed:
        while not (folder / "data/cluster.new/PG_VERSION").exists():
            assert killed.poll() is None
        killed.kill()
    assert not (folder / "data/cluster").exists()
    with embedded_postgres(folder / "data") as url:
        psycopg.connect(url).close()


@pytest.mark.parametrize("name", ["a b", "año, 'é\"", "x" * 150])
def test_any_path_will_do(made: Path, folder: Path, name: str) -> None:
    subprocess.run(["cp", "-a", made, folder / name], check=True)
    with embedded_postgres(folder / name) as url:
        assert sales(url) == 0
    assert not (Cluster(folder / name, binaries(), {}).socket_dir / SOCKET).exists()


def test_a_folder_in_tmp_that_others_can_enter_is_refused(made: Path, folder: Path) -> None:
    subprocess.run(["cp", "-a", made, folder / "a,b"], check=True)
    trap = Cluster(folder / "a,b", binaries(), {}).socket_dir
    trap.mkdir(mode=0o755)
    with pytest.raises(EmbeddedPostgresError, match=f"{trap} is not PostgreSQL's alone: remove it"):
        embedded_postgres(folder / "a,b").__enter__()
    trap.rmdir()


@as_root
def test_other_users_cannot_get_in(data_dir: Path) -> None:
    with embedded_postgres(data_dir) as url:
        psql = [str(binaries() / "psql"), url, "-c", "SELECT 1"]
        refused = subprocess.run(psql, **as_account() | {"user": 12345}, capture_output=True, text=True)
        assert "Permission denied" in refused.stderr
        assert subprocess.run(psql, **as_account(), capture_output=True).returncode == 0


@as_root
def test_an_ordinary_user_keeps_its_data_in_the_checkout(folder: Path) -> None:
    programs = binaries()
    with acting_as(account().pw_uid):
        home = data_home(folder)
        assert home == folder / ".data"
        assert home.stat().st_mode & 0o777 == 0o700
        with embedded_postgres(home / "postgresql", bin_dir=programs) as url:
            psycopg.connect(url).close()
        assert is_stopped(home / "postgresql")


@as_root
def test_another_ones_data_and_a_user_without_a_name_are_refused(data_dir: Path, tmp_path: Path) -> None:
    programs = binaries()
    with (
        acting_as(account().pw_uid),
        pytest.raises(EmbeddedPostgresError, match=r"cannot open .*: Permission denied"),
    ):
        embedded_postgres(data_dir, bin_dir=programs).__enter__()
    with acting_as(54321), pytest.raises(EmbeddedPostgresError, match=r"needs a user with a name: .*54321"):
        account()


@as_root
def test_root_keeps_its_data_and_programs_where_the_server_can_reach_them(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    version = importlib.metadata.version(programs.PACKAGE)
    for part in (
        programs.PACKAGE,
        f"{programs.PACKAGE}.libs",
        f"{programs.PACKAGE}-{version}.dist-info",
    ):
        shutil.copytree(SITE / part, tmp_path / part)
    tmp_path.chmod(0o700)
    folder.chmod(0o755)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(programs, "ROOTS_HOME", folder / "home")
    home = data_home(tmp_path)
    assert home.parent == folder / "home"
    assert data_home(tmp_path / "..") != home
    with embedded_postgres(home / "postgresql") as url:
        psycopg.connect(url).close()
    assert binaries().is_relative_to(folder / "home" / f"{programs.PACKAGE}-{version}")


def test_its_log_does_not_grow_for_ever(data_dir: Path) -> None:
    (data_dir / "log").write_bytes(b"x" * (LOG_BYTES + 1))
    with embedded_postgres(data_dir):
        assert b"ready to accept connections" in (data_dir / "log").read_bytes()
        assert (data_dir / "log").stat().st_size < LOG_BYTES
        assert (data_dir / "log.1").stat().st_size == LOG_BYTES + 1


@pytest.mark.slow
def test_postgresql_15_serves_too() -> None:
    programs = Path("/usr/lib/postgresql/15/bin")
    if not programs.is_dir():
        pytest.skip("PostgreSQL 15 is not installed")
    with temporary_postgres(bin_dir=programs) as url, psycopg.connect(url) as connection:
        assert connection.info.server_version // 10000 == 15
        assert connection.execute("SELECT lower('AÑO ÉL'), current_setting('fsync')").fetchone() == (
            "año él",
            "off",
        )


def _command(process: int) -> bytes:
    """The command line of a process; empty for one that ended and whose parent has not looked yet."""
    try:
        return Path(f"/proc/{process}/cmdline").read_bytes()
    except FileNotFoundError:
        return b""


def test_a_temporary_one_is_gone_with_its_user_even_a_killed_one() -> None:
    script = (
        "from core.local.embedded import *\nwith temporary_postgres() as url: print(url, flush=True), input()"
    )
    pipe = subprocess.PIPE
    with subprocess.Popen(
        [sys.executable, "-c", script], cwd=CHECKOUT, stdin=pipe, stdout=pipe, text=True
    ) as killed:
        assert killed.stdout
        files = Path(parse_qs(urlsplit(killed.stdout.readline()).query)["host"][0])
        server = postmaster(files.parent)
        killed.kill()
        killed.stdout.read()  # ends when whoever else has it, too, is gone
    assert not files.parent.exists()
    until(lambda: b"postgres" not in _command(server))


@pytest.mark.parametrize(
    ("setting", "complaint"),
    [({"no_such": "1"}, 'does not start: .*"no_such"'), ({"port": "0"}, "does not start: .*0 is outside")],
)
def test_it_says_why_it_does_not_start(data_dir: Path, setting: dict[str, str], complaint: str) -> None:
    with pytest.raises(EmbeddedPostgresError, match=complaint):
        embedded_postgres(data_dir, settings=setting).__enter__()


def test_it_says_what_it_cannot_make(folder: Path) -> None:
    with pytest.raises(EmbeddedPostgresError, match=r"cannot make the folder .*: No such file or directory"):
        embedded_postgres(folder / "not there" / "data").__enter__()
    with pytest.raises(EmbeddedPostgresError, match=r"cannot run .*initdb: No such file or directory"):
        embedded_postgres(folder / "data", bin_dir=folder).__enter__()


def test_it_says_what_to_do_where_only_productions_packages_are(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(programs, "PACKAGE", "not_installed")
    with pytest.raises(
        EmbeddedPostgresError, match=r"set DATABASE_URL, or pip install -r requirements-dev\.txt"
    ):
        binaries()
