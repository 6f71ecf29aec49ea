"""One PostgreSQL data directory and the server on it.

Locks tell which processes are there. Process ids prove nothing: they are used again, and postmaster.pid outlives a
crash.

- turn.lock is held by the process that starts or stops the server.
- users.lock is shared by all processes that use the server; the last of them can have it alone.
- server.lock is inherited by each process of the server: it is free when the last of these is gone.
"""

import hashlib
import os
import re
import shutil
import socket
import stat
import subprocess
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from urllib.parse import quote

from core.local.locks import is_free, locked, open_private
from core.local.programs import (
    EmbeddedPostgresError,
    account,
    as_account,
    binaries,
    hand_over,
    last_line,
    run,
)

PATIENCE = 60  # seconds; recovery after a crash may take a while
LOG_BYTES = 1_000_000
SOCKET = ".s.PGSQL.5432"
SETTINGS = {
    "listen_addresses": "",
    "unix_socket_permissions": "0700",
    "shared_buffers": "64MB",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_min_messages": "log",  # what happens to the server; a statement's error is its client's to report
    "log_checkpoints": "off",
}


class Cluster:
    """A server's files, below `data_dir`, and its life; the caller of `start` or `stop` holds turn.lock."""

    def __init__(self, data_dir: Path, bin_dir: Path | None, settings: Mapping[str, str] | None) -> None:
        self.files = data_dir / "cluster"
        self.log = data_dir / "log"
        self.server_lock = data_dir / "server.lock"
        self.socket_dir = _socket_dir(self.files)
        self.bin_dir = bin_dir or binaries()
        self.settings = SETTINGS | {"unix_socket_directories": str(self.socket_dir)} | dict(settings or {})
        self.url = f"postgresql://postgres@/ventas?host={quote(str(self.socket_dir), safe='')}&port=5432"

    def start(self) -> None:
        """Return once the server accepts connections: started now, or found running."""
        self._settle()
        if self._is_ready():
            return
        with locked(self.server_lock) as lock:
            if not self.files.is_dir():
                self._initialise(lock.fileno())
            log_start = self._launch(lock.fileno())
        self._settle()
        if not self._is_ready():
            raise EmbeddedPostgresError(f"PostgreSQL does not start: {self._complaint(log_start)}")

    def stop(self) -> None:
        """Return once every process of the server is gone."""
        if self._is_ready():
            run(self.bin_dir / "pg_ctl", "stop", "-D", self.files, "--mode=fast", "--no-wait")
        self._wait_until(lambda: is_free(self.server_lock))
        if self.socket_dir != self.files and self.socket_dir.exists():
            shutil.rmtree(self.socket_dir)

    def delete(self) -> None:
        """Delete the files of a stopped server; the locks stay, since others may wait for them."""
        new = self.files.with_name(
            "cluster.new"
        )  # which `_initialise` throws away, should this be interrupted
        if new.exists():
            shutil.rmtree(new)
        if self.files.exists():
            self.files.rename(new)
            shutil.rmtree(new)
        for log in (self.log, self.log.with_name("log.1")):
            log.unlink(missing_ok=True)

    def _settle(self) -> None:
        """Wait while the server is starting, stopping or dying."""
        self._wait_until(lambda: self._is_ready() or is_free(self.server_lock))

    def _is_ready(self) -> bool:
        try:
            status = (self.files / "postmaster.pid").read_text(errors="replace").splitlines()[7:]
        except FileNotFoundError:
            return False
        ready = "".join(status).strip() == "ready"
        return ready and not is_free(self.server_lock) and _accepts(self.socket_dir / SOCKET)

    def _wait_until(self, condition: Callable[[], bool]) -> None:
        deadline = time.monotonic() + PATIENCE
        while not condition():
            if time.monotonic() > deadline:
                raise EmbeddedPostgresError(f"PostgreSQL neither starts nor stops; see {self.log}")
            time.sleep(0.01)

    def _initialise(self, lock: int) -> None:
        """Make a whole cluster or none: what an interrupted attempt has left is thrown away."""
        new = self.files.with_name("cluster.new")
        if new.exists():
            shutil.rmtree(new)
        new.mkdir(mode=0o700)
        hand_over(new)
        initdb, postgres = self.bin_dir / "initdb", self.bin_dir / "postgres"
        major = int(re.findall(r"\d+", run(initdb, "--version"))[0])
        builtin = ["--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8"]
        locale = builtin if major >= 17 else ["--locale=C.UTF-8"]
        # "trust" every process that reaches the socket: PostgreSQL insists that its folder is closed to other users.
        access = ["--username=postgres", "--auth-local=trust", "--auth-host=reject"]
        run(initdb, "-D", new, "--encoding=UTF8", *locale, *access, "--no-instructions", pass_fds=(lock,))
        single_user = (postgres, "--single", "-D", new, "--exit_on_error=on", "template1")
        run(*single_user, stdin="CREATE DATABASE ventas\n", pass_fds=(lock,))
        new.rename(self.files)

    def _launch(self, lock: int) -> int:
        """Start the server as nobody's child; return where in the log its lines begin."""
        if self.socket_dir != self.files:
            _claim(self.socket_dir)
        # server.lock is ours, so these are left from a crash; their process ids may be others' by now.
        (self.files / "postmaster.pid").unlink(missing_ok=True)
        (self.socket_dir / f"{SOCKET}.lock").unlink(missing_ok=True)
        if self.log.exists() and self.log.stat().st_size > LOG_BYTES:
            self.log.rename(self.log.with_name("log.1"))
        options = [f"--{name}={value}" for name, value in self.settings.items()]
        server = [str(self.bin_dir / "postgres"), "-D", str(self.files), *options]
        with open_private(self.log) as log:
            start = log.seek(0, os.SEEK_END)
            subprocess.run(  # noqa: S603
                ["/bin/sh", "-c", '"$@" &', "sh", *server],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                pass_fds=(lock,),
                check=True,
                **as_account(),
            )
        return start

    def _complaint(self, log_start: int) -> str:
        with self.log.open("rb") as log:
            log.seek(log_start)
            return last_line(log.read().decode(errors="replace"))


def _socket_dir(files: Path) -> Path:
    """The data directory, or a folder in /tmp where that is too long or too strange for a socket's path."""
    if re.fullmatch(r"[\w./ -]{1,85}", str(files), re.ASCII):
        return files
    key = hashlib.sha256(os.fsencode(files)).hexdigest()[:16]
    return Path("/tmp") / f"ventas-{key}"  # noqa: S108


def _claim(folder: Path) -> None:
    """Make a folder in /tmp for the server alone, or make sure that it already is one."""
    try:
        folder.mkdir(mode=0o700)
        hand_over(folder)
    except FileExistsError:
        found = folder.lstat()
        if (found.st_mode, found.st_uid) != (stat.S_IFDIR | 0o700, account().pw_uid):
            raise EmbeddedPostgresError(f"{folder} is not PostgreSQL's alone: remove it") from None


def _accepts(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX) as client:
        try:
            client.connect(str(path))
        except (FileNotFoundError, ConnectionRefusedError):
            return False
    return True
