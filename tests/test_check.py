"""`check`: what a start would refuse and a review would ask, each with what to do, and its exit code."""

import secrets
from collections.abc import Callable

import pytest
from conftest import url_as
from processes import run_command

PRODUCTION = {
    "APP_ENV": "production",
    "JWT_SECRET": secrets.token_hex(32),
    "PUBLIC_URL": "https://api.example.com",
    "MAIL_URL": "smtp://mail.example.com",
    "MAIL_FROM": "ventas@example.com",
    "METRICS_TOKEN": "x",
    "TRUSTED_PROXIES": "1",
}
Rows = Callable[..., list[tuple]]


def check(database: str, **settings: str) -> tuple[int, list[str], str]:
    """The exit code, the lines of the findings, and standard error."""
    done = run_command({"DATABASE_URL": database} | settings, "check")
    return done.returncode, done.stdout.splitlines(), done.stderr


def test_a_deployment_as_the_pages_say_has_little_to_hear(database: str, rows: Rows) -> None:
    code, lines, _ = check(url_as("ventas_app", database), **PRODUCTION)
    advice = sorted(line.removeprefix("advice   ") for line in lines if not line.startswith("ok"))
    assert code == 3
    assert advice[0].startswith("partitions: auditoria has 0 months ahead: run `scripts/ventas migrate`")
    assert advice[1].startswith("server: archive_mode is off")
    assert advice[2].startswith("server: fsync, full_page_writes, synchronous_commit off")
    assert len(advice) == 3


def test_what_the_start_would_refuse_ends_with_1(empty_database: str) -> None:
    code, lines, _ = check(empty_database, **PRODUCTION)
    [refused] = [line for line in lines if line.startswith("refused")]
    assert code == 1
    assert refused.startswith("refused  migrations pending: 0001_create_usuario, ")
    assert refused.endswith("; run `scripts/ventas migrate`, as the owner of the tables")


def test_a_setting_that_cannot_be_is_the_starts_own_line(database: str) -> None:
    code, lines, errors = check(database, PORT="x")
    assert (code, lines) == (1, [])
    assert errors.startswith('error: PORT: "x" cannot be used; ')


def test_a_database_that_is_away_is_refused() -> None:
    code, lines, _ = check("postgresql://nadie@127.0.0.1:9/nada")
    assert code == 1
    assert lines[-1].startswith("refused  database: ")


@pytest.mark.parametrize(
    ("settings", "advice"),
    [
        ({"MAIL_URL": ""}, "MAIL_URL: without it nobody can recover an account"),
        ({"TRUSTED_PROXIES": "0"}, "TRUSTED_PROXIES is 0: behind a proxy all clients would be one address"),
        ({"INSTANCES": "100"}, "connections: 1100 connections may be needed (100 processes with"),
        ({"READ_DATABASE_URL": "postgresql://nadie@127.0.0.1:9/nada"}, "READ_DATABASE_URL: "),
        ({"CORS_ORIGINS": "*"}, "CORS_ORIGINS is *: name the origins of your applications"),
    ],
)
def test_a_review_would_ask(database: str, settings: dict[str, str], advice: str) -> None:
    _, lines, _ = check(database, **PRODUCTION | settings)
    assert [line for line in lines if line.startswith(f"advice   {advice}")]
    assert [line for line in lines if line.startswith("advice   role: postgres is a superuser: run")]


def test_the_nodes_of_a_cluster_count(database: str, rows: Rows) -> None:
    if rows("SELECT to_regclass('pg_dist_node')") != [(None,)]:
        pytest.skip("it is a cluster, of one node")
    rows("SET allow_system_table_mods = on")
    rows(
        "CREATE TABLE pg_catalog.pg_dist_node (groupid, shouldhaveshards) AS VALUES (0, false), (1, true), (2, true)"
    )
    rows("GRANT SELECT ON pg_dist_node TO PUBLIC")
    _, lines, _ = check(url_as("ventas_app", database), INSTANCES="10", DB_POOL_MAX="10")
    [found] = [line for line in lines if "connections: " in line]
    assert found.startswith("advice   connections: 150 connections may be needed (10 processes with")


def test_a_role_that_may_not_read_a_table_is_told_which(database: str, rows: Rows) -> None:
    rows("REVOKE ALL ON aviso, enlace FROM ventas_app")
    _, lines, _ = check(url_as("ventas_app", database))
    assert (
        "advice   role: ventas_app may read nothing of aviso, enlace: run docs/roles.sql, as the owner"
        in lines
    )
