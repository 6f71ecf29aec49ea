"""A setting that cannot work stops the start with one line that names it; a start that fails serves nothing."""

import os
import re
import secrets
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import SETTINGS
from psycopg.conninfo import conninfo_to_dict

from core.checkout import CHECKOUT
from core.process.application import Api
from core.process.dotenv_file import DotenvError
from core.process.environment import load, read
from core.process.settings import SettingsError

HEROKU = {"DYNO": "web.1", "DATABASE_URL": "postgres://u:p@h/db", "JWT_SECRET": secrets.token_hex(32)}


def uvicorn(target: str, **settings: str) -> subprocess.CompletedProcess[str]:
    """What the Procfile's server does with an application that does not start."""
    command = [sys.executable, "-m", "uvicorn", target, "--port", "0", "--log-level", "warning"]
    environ = {"PATH": os.defpath, "HOME": "/", "PYTHONPATH": "tests"} | SETTINGS | settings
    return subprocess.run(command, cwd=CHECKOUT, env=environ, capture_output=True, text=True, timeout=30)


def broken() -> None:
    raise ZeroDivisionError


defective = Api(broken)  # type: ignore[arg-type,return-value,func-returns-value]


def test_a_defect_at_the_start_ends_the_process():
    done = uvicorn("test_settings:defective")
    assert done.returncode == 3
    assert "ZeroDivisionError" in done.stderr


@pytest.mark.parametrize("name", ["DATABASE_URL", "READ_DATABASE_URL", "DATABASE_DIRECT_URL"])
@pytest.mark.parametrize(
    "url",
    [
        "mysql://u:s3cr3t@h/db",
        "postgresql://u:s3cr3t@h:port/db",
        "postgresql://u:s3cr3t@[::1/db",
        "postgresql://u:s3cr3t%zz@h/db",
        "postgresql://u:s3cr3t@h/db?nope=1",
    ],
)
def test_a_url_that_is_none_of_a_database_is_named_and_not_quoted(name, url):
    done = uvicorn("app:app", **{name: url})

    assert done.returncode == 3
    assert f"{name}: set it to postgresql://user:password@host:5432/database" in done.stderr
    assert "s3cr3t" not in done.stderr + done.stdout


@pytest.mark.parametrize(
    "url",
    [
        "postgres://u:p@h/db",
        "postgresql://u:p@one:5432,two:5433/db?target_session_attrs=read-write",
        "postgresql:///db?host=/run/postgresql",
        "postgresql://[::1]:5432/db",
    ],
)
def test_a_url_of_a_database_stands(url):
    assert load({"DATABASE_URL": url}).database_url == url.replace("postgres://", "postgresql://")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("CORS_ORIGINS", "app.example.com"),
        ("CORS_ORIGINS", "https://app.example.com/"),
        ("CORS_ORIGINS", "https://App.example.com"),
        ("CORS_ORIGINS", "https://a.example.com,,https://b.example.com"),
        ("PUBLIC_URL", "https://["),
        ("PUBLIC_URL", "https://"),
        ("PUBLIC_URL", "https://h:puerto"),
        ("APP_ENV", "prod"),
    ],
)
def test_a_setting_that_cannot_work_is_named(name, value):
    with pytest.raises(SettingsError, match=f"^{name}: .*(such as https|development or production)"):
        load({name: value})


@pytest.mark.parametrize(
    "origins", ["*", "https://a.example.com, http://localhost:3000", "http://[::1]:3000"]
)
def test_origins_stand(origins):
    assert load({"CORS_ORIGINS": origins}).cors_origins == origins


@pytest.mark.parametrize("server", ["db.example.com", "::1", "/run/postgresql"])
def test_the_parts_make_a_url(server):
    parts = {"POSTGRES_USER": "u", "POSTGRES_PASSWORD": "p@:/ñ", "POSTGRES_DB": "db", "POSTGRES_PORT": "5433"}

    url = load({"POSTGRES_SERVER": server} | parts).database_url

    assert conninfo_to_dict(url) == {
        "host": server,
        "port": "5433",
        "user": "u",
        "password": "p@:/ñ",
        "dbname": "db",
    }


def test_a_port_that_is_no_number_is_named():
    with pytest.raises(SettingsError, match=r'^POSTGRES_PORT: "abc" cannot be used; set it to a number'):
        load({"POSTGRES_SERVER": "h", "POSTGRES_PORT": "abc"})


@pytest.mark.parametrize("app_env", ["", " "])
def test_an_empty_setting_is_unset(app_env):
    assert load(HEROKU | {"APP_ENV": app_env}).production


@pytest.mark.parametrize(
    "secret",
    [
        "0" * 64,
        "secreto" * 10,
        "secreto " * 10,
        "0123456789abcdef" * 4,
        "abcdefghijklmnopqrstuvwxyz0123456789",
        "your-secret-key-at-least-32-bytes-long",
        "ñ" * 40,
    ],
)
@pytest.mark.parametrize("name", ["JWT_SECRET", "JWT_SECRET_PREVIOUS"])
def test_production_refuses_a_secret_that_can_be_guessed(name, secret):
    line = rf"^{name}: it can be guessed: set it to what `openssl rand -hex 32` prints$"
    with pytest.raises(SettingsError, match=line):
        load(HEROKU | {name: secret})


@pytest.mark.parametrize("make", [secrets.token_hex, secrets.token_urlsafe])
def test_production_takes_a_secret_that_a_machine_made(make):
    secret = make(48)
    assert load(HEROKU | {"JWT_SECRET": secret}).jwt_secret == secret


def test_no_document_shows_a_secret_that_would_work():
    pages = [
        CHECKOUT / "README.md",
        CHECKOUT / ".env",
        CHECKOUT / "app.json",
        *(CHECKOUT / "docs").glob("*.*"),
    ]
    shown = [
        value
        for page in pages
        for value in re.findall(r"SECRET\w*[=:]\s*\"?([^\s\"]{32,})", page.read_text("utf-8"))
    ]

    assert "WHAT_OPENSSL_RAND_-HEX_32_PRINTED" in shown
    for value in shown:
        with pytest.raises(SettingsError, match=r"^JWT_SECRET: "):
            load(HEROKU | {"JWT_SECRET": value})


@pytest.mark.parametrize(
    ("name", "value", "line"),
    [
        (
            "PORT",
            "abc",
            'PORT: "abc" cannot be used; port to listen on; a whole number from 0 to 65535, such as 8000',
        ),
        ("LOG_LEVEL", "loud", 'LOG_LEVEL: "loud" cannot be used; debug, info, warning or error'),
        (
            "DRAIN_SECONDS",
            "ninety",
            'DRAIN_SECONDS: "ninety" cannot be used; how long /readyz says 503 before a stop; '
            "a number from 0 to 60, such as 1",
        ),
        ("DB_POOL_MIN", "20", 'DB_POOL_MIN: "20" cannot be used; set it no higher than DB_POOL_MAX, 10'),
        (
            "PUBLIC_URL",
            "https://" + "x" * 99 + "?",
            f'PUBLIC_URL: "https://{"x" * 52}…" cannot be used; '
            "set it to an address such as https://api.example.com",
        ),
    ],
)
def test_a_value_that_cannot_be_used_is_shown_beside_one_that_can(name, value, line):
    with pytest.raises(SettingsError) as refused:
        load({name: value})
    assert str(refused.value) == line


@pytest.mark.parametrize("name", ["JWT_SECRET", "JWT_SECRET_PREVIOUS", "MAIL_URL", "READ_DATABASE_URL"])
def test_a_secret_is_not_shown(name):
    with pytest.raises(SettingsError, match=f"^{name}: (?!.*s3cr3t)"):
        load({name: "s3cr3t"})


@pytest.mark.parametrize("part", ["POSTGRES_USER", "POSTGRES_PASSWORD", "POSTGRES_DB", "POSTGRES_PORT"])
def test_a_part_without_the_server_is_named(part):
    with pytest.raises(SettingsError, match=f"^{part}: it says nothing without POSTGRES_SERVER") as refused:
        load({part: "5433"})
    assert "5433" not in str(refused.value)


@pytest.mark.parametrize(
    ("text", "line"),
    [
        (b"\n# one\nDATABSE_URL=x\n", ".env, line 3: there is no setting DATABSE_URL; DATABASE_URL is one"),
        (b"PORT=8001\nHOST='127.0.0.1\n", ".env, line 2: the quote is not closed"),
        (b'HOST="a\nLOG_LEVEL="info"\n', ".env, line 1: the quote is not closed"),
        (
            b"# a\xc3\xb1o\nMAIL_FROM=Jos\xe9 <j@example.com>\n",
            ".env, line 2: a character is not UTF-8; save the file as UTF-8",
        ),
        (b"PORT\n", ".env, line 1: PORT has no value; write PORT=value"),
        (b"PORT: 8001\n", ".env, line 1: this is not NAME=value; begin a comment with #"),
        (b"PORT=1\nHOST=::\n\nPORT=2\n", ".env, line 4: PORT stands on line 1 already; set it there"),
        (
            b"HOST=::\nPORT=x\n",
            '.env, line 2: PORT: "x" cannot be used; port to listen on; a whole number from 0 to '
            "65535, such as 8000",
        ),
        (
            b"POSTGRES_USER=ana\n",
            ".env, line 1: POSTGRES_USER: it says nothing without POSTGRES_SERVER: set that to "
            "the "
            "server's name, such as 127.0.0.1, or leave every POSTGRES_… empty",
        ),
    ],
)
def test_a_mistake_in_dotenv_is_one_line_with_its_number(tmp_path: Path, text, line):
    (tmp_path / ".env").write_bytes(text)
    with pytest.raises(DotenvError) as refused:
        read({}, tmp_path / ".env")
    assert str(refused.value) == line


def test_the_real_environment_wins_and_its_mistake_is_not_the_files(tmp_path: Path):
    (tmp_path / ".env").write_text("PORT=8001\nHOST=\nLOG_LEVEL=debug\n")
    settings = read({"PORT": "8002"}, tmp_path / ".env")
    assert (settings.port, settings.host, settings.log_level) == (8002, "127.0.0.1", "debug")
    with pytest.raises(SettingsError, match=r"^PORT: "):
        read({"PORT": "x"}, tmp_path / ".env")
    (tmp_path / ".env").write_text("NO_SUCH=1\n")
    assert read(HEROKU, tmp_path / ".env").production
