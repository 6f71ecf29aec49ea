"""The commands that a newcomer, the CI and Heroku begin with."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from commands.serve import OPTIONS
from core.checkout import CHECKOUT
from core.local.locks import locked

SCRIPTS = ["programs", "serve", "setup", "test"]


def run(script: Path, *arguments: str, **environ: str) -> subprocess.CompletedProcess[str]:
    """Run a script with nothing else in its environment."""
    environ = {"PATH": os.defpath, "PYTHON": sys.executable} | environ
    return subprocess.run([script, *arguments], env=environ, cwd="/", capture_output=True, text=True)


@pytest.mark.parametrize("name", SCRIPTS)
def test_a_script_explains_itself(name: str) -> None:
    assert run(CHECKOUT / "scripts" / name, "--help").stdout.startswith(f"Usage: scripts/{name}")
    assert f"| `{name}` |" in (CHECKOUT / "scripts/README.md").read_text()


@pytest.mark.parametrize("script", [*(f"scripts/{name}" for name in SCRIPTS), "scripts/ventas", ".ci/run"])
def test_a_script_is_for_any_shell(script: str) -> None:
    assert os.access(CHECKOUT / script, os.X_OK)
    assert subprocess.run(["sh", "-n", script], cwd=CHECKOUT).returncode == 0


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkout that needs no package, with its environment made; its path has a space."""
    checkout = tmp_path_factory.mktemp("a b")
    (checkout / "scripts").mkdir()
    shutil.copy(CHECKOUT / "scripts/setup", checkout / "scripts")
    for name in ("requirements.txt", "requirements-dev.txt"):
        (checkout / name).write_text("# none\n")
    assert "making .venv" in run(checkout / "scripts/setup").stderr
    return checkout


@pytest.fixture
def checkout(made: Path) -> Path:
    """The same checkout, its environment complete and marked."""
    run(made / "scripts/setup")
    (made / ".venv/marker").touch()
    return made


@pytest.mark.slow
def test_setup_does_nothing_when_nothing_changed(checkout: Path) -> None:
    again = run(checkout / "scripts/setup")
    assert (again.returncode, again.stdout, again.stderr) == (0, "", "")


@pytest.mark.slow
def test_setup_installs_changed_requirements_where_it_is(checkout: Path) -> None:
    with (checkout / "requirements.txt").open("a") as requirements:
        requirements.write("# one more\n")
    changed = run(checkout / "scripts/setup")
    assert "installing" in changed.stderr
    assert "making" not in changed.stderr
    assert (checkout / ".venv/marker").exists()


@pytest.mark.slow
def test_setup_begins_anew_after_a_failed_one_and_one_at_a_time(checkout: Path) -> None:
    right = (checkout / "requirements-dev.txt").read_text()
    (checkout / "requirements-dev.txt").write_text("-r nowhere.txt\n")
    failed = run(checkout / "scripts/setup")
    assert failed.returncode == 1
    assert failed.stderr.endswith("once that is mended, run this again\n")
    (checkout / "requirements-dev.txt").write_text(right)
    environ = {"PATH": os.defpath, "PYTHON": sys.executable}
    with locked(checkout / ".venv.lock") as lock:
        waiting = subprocess.Popen(
            [checkout / "scripts/setup"], env=environ, stderr=subprocess.PIPE, text=True
        )
        assert waiting.stderr
        assert waiting.stderr.readline() == "scripts/setup: waiting for another one at work here\n"
        assert (checkout / ".venv/marker").exists()
        lock.close()
        assert waiting.communicate()[1].startswith("scripts/setup: making .venv with Python 3.")
    assert not (checkout / ".venv/marker").exists()
    assert (checkout / ".venv/ready").exists()


def fake_python(folder: Path, body: str) -> str:
    """A PATH with what the script needs and, when `body` says what it does, a python3."""
    for program in ("cat", "dirname", "sh"):
        (folder / program).symlink_to(shutil.which(program) or "")
    if body:
        (folder / "python3").write_text(f"#!/bin/sh\n{body}\n")
        (folder / "python3").chmod(0o755)
    return str(folder)


@pytest.mark.parametrize(
    ("python3", "advice"),
    [
        ("", "no Python 3.11 or newer: apt install python3 python3-venv (Debian, Ubuntu)"),
        ("echo 3.10; exit 1", "no Python 3.11 or newer: apt install python3 python3-venv (Debian, Ubuntu)"),
        (
            'case "$2" in *ensurepip*) exit 1 ;; esac; echo 3.12',
            "lacks its venv module: apt install python3.12-venv",
        ),
    ],
)
def test_setup_says_in_one_line_what_to_install(tmp_path: Path, python3: str, advice: str) -> None:
    (tmp_path / "scripts").mkdir()
    (tmp_path / "bin").mkdir()
    shutil.copy(CHECKOUT / "scripts/setup", tmp_path / "scripts")
    refused = run(tmp_path / "scripts/setup", PATH=fake_python(tmp_path / "bin", python3), PYTHON="")
    assert refused.returncode == 1
    assert refused.stderr.count("\n") == 1
    assert advice in refused.stderr


def stand_in(program: Path, body: str) -> None:
    program.write_text(f"#!/bin/sh\n{body}\n")
    program.chmod(0o755)


class Debian:
    """A checkout that needs no set-up, on a machine that lacks pgbouncer and notes what apt-get is asked for."""

    def __init__(self, folder: Path) -> None:
        self.programs = folder / "bin"
        self._asked = folder / "asked"
        self._checkout = folder / "checkout"
        for made in (self.programs, self._checkout / "scripts", self._checkout / ".venv/bin"):
            made.mkdir(parents=True)
        for name in ("programs", "test"):
            shutil.copy(CHECKOUT / "scripts" / name, self._checkout / "scripts")
        stand_in(self._checkout / "scripts/setup", "exit 0")
        stand_in(self._checkout / ".venv/bin/python", "echo the tests run")
        stand_in(self.programs / "id", "echo 0")
        stand_in(self.programs / "dpkg-query", 'case "$*" in *pgbouncer) exit 1 ;; *) echo installed ;; esac')
        self.apt_get("exit 0")

    def apt_get(self, body: str) -> None:
        stand_in(self.programs / "apt-get", f'echo "$*" >>"{self._asked}"\n{body}')

    def asked(self) -> list[str]:
        return self._asked.read_text().splitlines() if self._asked.exists() else []

    def test(self, **environ: str) -> subprocess.CompletedProcess[str]:
        """`scripts/test -x`, which must end with the tests whatever else happens."""
        path = f"{self.programs}:{os.defpath}"
        done = run(self._checkout / "scripts/test", "-x", PATH=path, **environ)
        assert (done.returncode, done.stdout) == (0, "the tests run\n")
        return done


@pytest.fixture
def debian(tmp_path: Path) -> Debian:
    return Debian(tmp_path)


def test_ci_installs_the_programs_that_are_missing(debian: Debian) -> None:
    assert debian.test(CI="true").stderr == "scripts/programs: installing pgbouncer\n"
    assert debian.asked() == ["update", "install --yes --no-install-recommends pgbouncer"]


def test_a_users_machine_gets_no_program_unasked(debian: Debian) -> None:
    assert debian.test().stderr == ""
    assert debian.asked() == []


def test_nothing_is_installed_where_all_is_there(debian: Debian) -> None:
    stand_in(debian.programs / "dpkg-query", "echo installed")
    assert debian.test(CI="true").stderr == ""
    assert debian.asked() == []


def test_without_a_registry_the_tests_go_on(debian: Debian) -> None:
    debian.apt_get("echo E: nobody answers >&2; exit 100")
    said = debian.test(CI="true").stderr
    assert "E: nobody answers" in said
    assert said.endswith("scripts/test: going on without them\n")
    assert debian.asked() == ["update"]


def test_only_root_installs(debian: Debian) -> None:
    stand_in(debian.programs / "id", "echo 1000")
    assert "only root, where there is apt-get, can install pgbouncer" in debian.test(CI="true").stderr
    assert debian.asked() == []


def test_heroku_serves_and_migrates_with_commands_that_exist() -> None:
    lines = (CHECKOUT / "Procfile").read_text().splitlines()
    processes = dict(line.split(": ", 1) for line in lines)
    assert processes == {"release": "python app.py migrate", "web": "exec python app.py"}
    assert OPTIONS["timeout_keep_alive"] > 90  # the router's own, after which it drops an idle connection
    assert OPTIONS["timeout_graceful_shutdown"] < 30  # seconds between Heroku's SIGTERM and its SIGKILL


def test_heroku_brings_a_database_and_a_secret() -> None:
    app = json.loads((CHECKOUT / "app.json").read_text())
    assert app["addons"] == ["heroku-postgresql:essential-0"]
    assert app["env"]["JWT_SECRET"]["generator"] == "secret"
    assert (CHECKOUT / ".python-version").read_text() == "3.13\n"
