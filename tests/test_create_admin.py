"""`create-admin` and `revoke` on the command line: what they ask, do and say, and their exit codes."""

import os
import pty
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import PASSWORD, SETTINGS, log_in, problem
from fleets import until
from processes import run_command

from core.checkout import CHECKOUT

APP = CHECKOUT / "app.py"
EVA = [
    "eva",
    "--correo",
    "eva@example.com",
    "--nombre",
    "Eva",
    "--apellido",
    "Paz",
    "--telefono",
    "2604538424",
]
READ_CALLS = ("0", "63")  # read(2) on x86-64 and on ARM
Command = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def environ(database) -> dict[str, str]:
    return {"PATH": os.environ["PATH"], "DATABASE_URL": database} | SETTINGS


@pytest.fixture
def program(environ) -> Command:
    """A function that runs `python app.py` with arguments, far from a terminal."""

    def run(*arguments: str, stdin: str = "", **more: str) -> subprocess.CompletedProcess[str]:
        line = [sys.executable, APP, *arguments]
        return subprocess.run(line, env=environ | more, input=stdin, capture_output=True, text=True)

    return run


@pytest.fixture
def command(environ) -> Command:
    """The same without a process of its own."""

    def run(*arguments: str, stdin: str = "", **more: str) -> subprocess.CompletedProcess[str]:
        return run_command(environ | more, *arguments, stdin=stdin)

    return run


class Terminal:
    """A command at a terminal, and a person before it."""

    def __init__(self, environ: dict[str, str], *arguments: str) -> None:
        self.screen, other = pty.openpty()
        line = [sys.executable, APP, *arguments]
        self.process = subprocess.Popen(
            line, env=environ, stdin=other, stdout=other, stderr=other, start_new_session=True
        )
        os.close(other)
        self.seen = ""

    def wait_for(self, text: str) -> None:
        while text not in self.seen:
            self.seen += os.read(self.screen, 1000).decode()
        self.seen = self.seen.partition(text)[2]

    def answer(self, question: str, line: str) -> None:
        self.wait_for(question)
        os.write(self.screen, line.encode() + b"\n")

    def interrupt(self) -> None:
        """Ctrl-C, once the command really reads: just before, Python would see it only after the next key."""
        call = Path(f"/proc/{self.process.pid}/syscall")
        until(lambda: call.read_text().split()[0] in READ_CALLS)
        self.process.send_signal(signal.SIGINT)

    def end(self) -> tuple[int, str]:
        """The exit code, and what else was shown."""
        try:
            while shown := os.read(self.screen, 1000):
                self.seen += shown.decode()
        except OSError:  # how Linux says that nobody has the other end any more
            pass
        os.close(self.screen)
        return self.process.wait(), self.seen


def test_it_makes_an_admin_who_may_log_in_at_once(program, connect):
    done = program("create-admin", *EVA, stdin=f"{PASSWORD}\n", APP_ENV="production", BCRYPT_ROUNDS="10")

    assert (done.returncode, done.stdout, done.stderr) == (0, "eva is an admin now\n", "")
    api = connect(REQUIRE_VERIFIED="true")
    profile = api.get("/user/me", headers={"Authorization": f"Bearer {log_in(api, 'eva')}"}).json()
    assert (profile["rol"], profile["estado"]) == ("admin", True)
    assert (profile["correo"], profile["telefono"]) == ("eva@example.com", "2604538424")


def test_at_a_terminal_it_asks_and_shows_no_password(environ, api):
    terminal = Terminal(environ, "create-admin", "eva", "--apellido", "Paz")
    terminal.answer("correo: ", "eva@example.com")
    terminal.answer("nombre: ", "Eva")
    terminal.answer("telefono: ", "2604538424")
    terminal.answer("password: ", PASSWORD)
    terminal.answer("once more: ", PASSWORD)

    code, shown = terminal.end()

    assert (code, shown.strip()) == (0, "eva is an admin now")
    log_in(api, "eva")


def test_each_answer_is_checked_when_it_is_given_and_asked_for_again(ana, environ, api):
    terminal = Terminal(environ, "create-admin", "eva", "--apellido", "Paz")
    terminal.answer("correo: ", "sin arroba")
    terminal.wait_for("correo: debe ser un correo")
    terminal.answer("correo: ", "ANA@example.com")
    terminal.wait_for("correo: ya está en uso")
    terminal.answer("correo: ", "eva@example.com")
    terminal.answer("nombre: ", "Eva")
    terminal.answer("telefono: ", "x")
    terminal.wait_for("telefono: debe ")
    terminal.answer("telefono: ", "2604538424")
    terminal.answer("password: ", "corta")
    terminal.wait_for("password: debe tener al menos 8 caracteres")
    terminal.answer("password: ", PASSWORD)
    terminal.answer("once more: ", "otra cosa")
    terminal.wait_for("the two passwords differ")
    terminal.answer("password: ", PASSWORD)
    terminal.answer("once more: ", PASSWORD)

    code, shown = terminal.end()

    assert (code, shown.strip()) == (0, "eva is an admin now")
    log_in(api, "eva")


def test_a_wrong_username_is_told_before_anything_is_asked(environ):
    terminal = Terminal(environ, "create-admin", "e v a")
    code, shown = terminal.end()
    assert code == 1
    assert shown.startswith("error: username: ")


@pytest.mark.skipif(sys.platform != "linux", reason="looks at the command through /proc")
@pytest.mark.parametrize("question", ["correo: ", "password: "])
def test_ctrl_c_ends_a_question_at_once(environ, question):
    fields = [] if question == "correo: " else EVA[1:]
    terminal = Terminal(environ, "create-admin", "eva", *fields)
    terminal.wait_for(question)

    terminal.interrupt()

    code, shown = terminal.end()
    assert (code, shown.strip()) == (130, "interrupted")


def test_who_is_there_already_is_made_admin_and_that_is_said(beto, api, command):
    done = command("create-admin", "BETO")

    assert done.returncode == 0
    assert done.stdout == "BETO was there already, and is an admin now; the password is the one they had\n"
    log_in(api, "beto")
    assert api.get("/user/1", headers=beto.headers).status_code == 200


def test_an_admin_stays_one(ana, command):
    done = command("create-admin", "ana")
    assert (done.returncode, done.stdout) == (0, "ana is an admin already: nothing was changed\n")


def test_without_a_terminal_it_asks_nobody(command):
    done = command("create-admin", "eva", "--correo", "eva@example.com", stdin=f"{PASSWORD}\n")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "error: there is no terminal to ask at: give --nombre\n"


@pytest.mark.parametrize(
    ("stdin", "fields", "campo"),
    [
        ("corta\n", {}, "password"),
        ("", {}, "password"),
        (PASSWORD, {"--correo": "sin arroba"}, "correo"),
        (PASSWORD, {"--telefono": "x"}, "telefono"),
    ],
)
def test_what_the_api_refuses_it_refuses(command, rows, stdin, fields, campo):
    arguments = list(EVA)
    for option, value in fields.items():
        arguments[arguments.index(option) + 1] = value

    done = command("create-admin", *arguments, stdin=stdin)

    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.removeprefix("error: ").startswith(f"{campo}: ")
    assert rows("SELECT count(*) FROM usuario") == [(0,)]


def test_a_taken_correo_is_refused(ana, command):
    arguments = [argument.replace("eva@", "ANA@") for argument in EVA]
    done = command("create-admin", *arguments, stdin=PASSWORD)
    assert (done.returncode, done.stderr) == (1, "error: correo: ya está en uso\n")


def test_it_is_recorded(ana, beto, command):
    command("create-admin", *EVA, stdin=PASSWORD)
    command("create-admin", "beto")

    [made] = ana.get("/auditoria", params={"accion": "admin_nombrado"}).json()
    [new, *_] = ana.get("/auditoria", params={"accion": "usuario_creado"}).json()
    assert (made["usuario_id"], made["afectado_id"]) == (None, beto.id)
    assert made["despues"] == {"rol": "admin"}
    assert new["despues"]["rol"] == "admin"
    assert new["agente"] == f"app.py create-admin, uid {os.getuid()}"


def test_revoke_ends_every_session_of_a_user(ana, beto, api, command):
    log_in(api, "beto")
    assert beto.get("/user/me").status_code == 200

    done = command("revoke", "beto")

    assert (done.returncode, done.stdout) == (0, "sessions of beto that were ended: 2; API keys: 0\n")
    until(lambda: beto.get("/user/me").status_code == 401)
    problem(beto.get("/user/me"), 401, "token_invalido")
    assert ana.get("/user/me").status_code == 200
    assert command("revoke", "beto").stdout == "sessions of beto that were ended: 0; API keys: 0\n"


def test_revoke_knows_who_is_there(program):
    done = program("revoke", "nadie")
    assert (done.returncode, done.stdout, done.stderr) == (1, "", "error: there is no user nadie\n")


@pytest.mark.parametrize("name", ["create-admin", "revoke"])
def test_each_explains_itself(command, name):
    done = command(name, "--help")
    assert done.returncode == 0
    assert "exit codes:" in done.stdout
    assert command(name).returncode == 2


def test_a_database_that_is_away_is_one_line(command):
    done = command(
        "revoke", "beto", DATABASE_URL="postgresql://nadie@127.0.0.1:9/nada", DB_TIMEOUT_SECONDS="1"
    )
    assert (done.returncode, done.stdout) == (1, "")
    assert len(done.stderr.splitlines()) == 1
