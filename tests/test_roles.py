"""The roles of docs/roles.sql: each statement may run, nothing else may, and who reads reports sees no secret."""

import re
from collections.abc import Iterator
from typing import Any

import httpx
import psycopg
import pytest
from conftest import NO_TLS, ROLES, database_url, new_database, running, url_as
from databases import Rows
from psycopg.errors import InsufficientPrivilege

from commands.main import main
from core.migrating import guard
from core.migrating.migrations import pending
from sql import auditoria_months
from sql.catalogue import Statement, statements
from sql.plans import Planner, planning, query_of

pytestmark = pytest.mark.each_postgresql

# What `migrate` and `retention` run, the owner runs.
OWNERS = re.compile(r"auditoria_months\.|auditoria_retention\.(?!rule)")
STATEMENTS = [s for s in statements() if query_of(s) and not OWNERS.match(s.name)]
COLUMNS = """
SELECT table_name, privilege_type, array_agg(column_name::text)
  FROM information_schema.column_privileges
 WHERE grantee = 'ventas_app' AND table_schema = 'public'
 GROUP BY 1, 2
"""
TABLES = """
SELECT table_name, privilege_type
  FROM information_schema.table_privileges
 WHERE grantee = 'ventas_app' AND table_schema = 'public' AND privilege_type NOT IN ('SELECT', 'INSERT', 'UPDATE')
"""
FORBIDDEN = [
    "UPDATE auditoria SET accion = 'nada'",
    "DELETE FROM auditoria",
    "TRUNCATE auditoria",
    "DROP TABLE auditoria_resto",
    "INSERT INTO auditoria (usuario_id, accion, creacion) VALUES (1, 'login', '2020-01-01')",
    "SELECT FROM auditoria_resto",
    "UPDATE usuario SET id = 2",
    "UPDATE usuario SET creacion = now()",
    "UPDATE venta SET usuario_id = 2",
    "TRUNCATE venta",
    "SELECT error FROM enlace",
    "SELECT texto FROM migracion_texto",
    "UPDATE retencion SET meses = 1",
    "DELETE FROM _yoyo_migration",
    "SELECT FROM _yoyo_log",
    "SELECT nextval('usuario_id_seq')",
    "CREATE TABLE nota ()",
    "CREATE INDEX ON venta (version)",
    "ALTER TABLE venta ADD nota text",
    "CREATE SCHEMA otro",
    "CREATE ROLE otro",
    "CREATE DATABASE otra",
    "SET ROLE pg_read_all_data",
    "ALTER SYSTEM SET fsync = off",
    "COPY venta TO PROGRAM 'cat'",
]


@pytest.fixture(scope="module")
def closed(postgres: str, template: str) -> Iterator[str]:
    """The URL of a database with all that roles.sql says, of the database itself too, which a clone lacks."""
    with new_database(postgres, "closed", template=template) as name:
        url = database_url(postgres, name)
        with psycopg.connect(url, autocommit=True) as owner:
            owner.execute(ROLES.read_text("utf-8"))
        yield url


@pytest.fixture(scope="module")
def app(closed: str) -> Iterator[psycopg.Connection[Any]]:
    """A connection of the application's role."""
    with psycopg.connect(url_as("ventas_app", closed), autocommit=True) as connection:
        yield connection


@pytest.fixture(scope="module")
def reader(closed: str) -> Iterator[psycopg.Connection[Any]]:
    """A connection of the role for reports."""
    with psycopg.connect(url_as("ventas_lectura", closed), autocommit=True) as connection:
        yield connection


def test_the_application_may_run_each_of_its_statements(closed: str) -> None:
    with planning(url_as("ventas_app", closed)) as planner:
        for statement in STATEMENTS:
            planner.text(statement)
    assert pending(url_as("ventas_app", closed)) == []


def test_it_has_no_privilege_that_no_statement_needs(closed: str) -> None:
    """Each privilege in turn is taken away: then some statement may not run any more."""
    with psycopg.connect(closed, prepare_threshold=None) as owner:
        owner.execute("SET LOCAL plan_cache_mode = force_generic_plan")
        grants = [(table, verb) for table, verb in owner.execute(TABLES)]
        for table, verb, columns in owner.execute(COLUMNS).fetchall():
            owner.execute(f"REVOKE {verb} ON {table} FROM ventas_app")
            owner.execute(f"GRANT {verb} ({', '.join(columns)}) ON {table} TO ventas_app")
            grants += [(table, f"{verb} ({column})") for column in columns]
        planner = Planner(owner)
        unneeded = [grant for grant in grants if all_run_without(grant, planner)]
        owner.rollback()
    assert unneeded == [
        ("_yoyo_migration", "SELECT (applied_at_utc)")
    ]  # which core/migrating/migrations.py reads at a start


def all_run_without(grant: tuple[str, str], planner: Planner) -> bool:
    table, verb = grant
    concerned = [statement for statement in STATEMENTS if re.search(rf"\b{table}\b", statement.text)]
    with planner.connection.transaction(force_rollback=True):
        planner.connection.execute(f"REVOKE {verb} ON {table} FROM ventas_app")
        planner.connection.execute("SET LOCAL ROLE ventas_app")
        return all(may_run(statement, planner) for statement in concerned)


def may_run(statement: Statement, planner: Planner) -> bool:
    try:
        with planner.connection.transaction():
            planner.text(statement)
    except InsufficientPrivilege:
        return False
    return True


def test_it_may_use_no_sequence_but_the_one_of_its_batches(app: psycopg.Connection[Any]) -> None:
    sequences = app.execute(
        """
        SELECT sequencename::text
          FROM pg_sequences
         WHERE schemaname = 'public' AND has_sequence_privilege(sequencename::text, 'USAGE, SELECT, UPDATE')
        """
    )
    assert sequences.fetchall() == [("venta_id_seq",)]


@pytest.mark.parametrize("attempt", FORBIDDEN)
def test_it_may_do_nothing_else(attempt: str, app: psycopg.Connection[Any]) -> None:
    with pytest.raises(InsufficientPrivilege):
        app.execute(attempt)


def test_nobody_else_may_do_anything(app: psycopg.Connection[Any]) -> None:
    open_to_all = app.execute(
        """
        SELECT c.relname::text FROM pg_class AS c, aclexplode(c.relacl) AS a
         WHERE c.relnamespace = 'public'::regnamespace AND a.grantee = 0
         UNION ALL
        SELECT n.nspname FROM pg_namespace AS n, aclexplode(n.nspacl) AS a
         WHERE n.nspname = 'public' AND a.grantee = 0
         UNION ALL
        SELECT d.datname FROM pg_database AS d, aclexplode(coalesce(d.datacl, acldefault('d', d.datdba))) AS a
         WHERE d.datname = current_database() AND a.grantee = 0
        """
    )
    assert open_to_all.fetchall() == []


def test_reports_read_users_sales_and_the_audit(reader: psycopg.Connection[Any]) -> None:
    reader.execute("SELECT username, correo, rol FROM usuario")
    reader.execute("SELECT usuario_id, sum(venta) FROM venta GROUP BY usuario_id")
    reader.execute("SELECT accion, despues FROM auditoria")


@pytest.mark.parametrize(
    "attempt",
    [
        "SELECT password FROM usuario",
        "SELECT FROM sesion",
        "SELECT FROM enlace",
        "SELECT FROM idempotencia",
        "SELECT FROM intento",
        "SELECT FROM migracion_texto",
        "SELECT FROM retencion",
        "INSERT INTO venta (usuario_id, venta, ventas_productos) VALUES (1, 1, 1)",
        "UPDATE usuario SET rol = 'admin'",
        "DELETE FROM venta",
        "CREATE TEMPORARY TABLE nota ()",
    ],
)
def test_reports_read_no_secret_and_write_nothing(attempt: str, reader: psycopg.Connection[Any]) -> None:
    with pytest.raises(InsufficientPrivilege):
        reader.execute(attempt)


def test_an_owner_who_is_no_superuser_migrates_and_grants_as_often_as_they_like(postgres: str) -> None:
    with new_database(postgres, "owned") as name, psycopg.connect(postgres, autocommit=True) as admin:
        admin.execute("CREATE ROLE ventas_owner LOGIN PASSWORD 'ventas_owner' CREATEROLE")
        try:
            admin.execute(f"ALTER DATABASE {name} OWNER TO ventas_owner")
            url = url_as("ventas_owner", database_url(postgres, name))
            guard.apply(url, say=lambda line: None)
            with psycopg.connect(url, autocommit=True) as owner:
                owner.execute(ROLES.read_text("utf-8"))
            with psycopg.connect(database_url(postgres, name), autocommit=True) as another:
                another.execute("CREATE VIEW citus_tables AS SELECT 1")
                another.execute("ALTER EXTENSION plpgsql ADD VIEW citus_tables")
            with psycopg.connect(url, autocommit=True) as owner:
                owner.execute(ROLES.read_text("utf-8"))
            auditoria_months.make_months(url, say=lambda line: None)
            with running({"DATABASE_URL": url_as("ventas_app", url)}) as address:
                assert httpx.get(f"{address}/readyz", verify=NO_TLS).status_code == 200
        finally:
            admin.execute(f"ALTER DATABASE {name} OWNER TO CURRENT_USER")
            with psycopg.connect(database_url(postgres, name), autocommit=True) as connection:
                connection.execute("DROP OWNED BY ventas_owner CASCADE")
            admin.execute("DROP ROLE ventas_owner")


def test_it_says_that_it_may_not_migrate(
    empty_database: str, template: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("DATABASE_URL", url_as("ventas_app", empty_database))
    complaint = (
        "permission denied for schema public: migrate as the owner of the tables, then run docs/roles.sql"
    )
    assert main(["migrate"]) == 1
    assert capsys.readouterr().err == f"error: {complaint}\n"
    assert main(["queries", "--plan"]) == 1
    assert capsys.readouterr().err == f"error: {complaint}\n"


def test_it_sees_the_plans_of_all_but_the_owners_statements(
    closed: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("DATABASE_URL", url_as("ventas_app", closed))
    assert main(["queries", "--plan"]) == 0
    shown = {each.partition(":")[0]: each for each in capsys.readouterr().out.split("\n\n")}
    assert "permission denied for table auditoria_resto: ask as the owner" in shown["auditoria_months.left"]
    assert [
        name for name, each in shown.items() if "ask as the owner" in each and not OWNERS.match(name)
    ] == []


def test_on_a_cluster_whole_rows_and_their_numbers_may_be_inserted(database: str, rows: Rows) -> None:
    granted = """SELECT has_table_privilege('ventas_app', 'venta', 'INSERT'),
                        has_sequence_privilege('ventas_app', 'sesion_id_seq', 'USAGE')"""
    assert rows(granted) == [(False, False)]
    rows("UPDATE pg_extension SET extname = 'citus'")  # as a coordinator has it

    with psycopg.connect(database, autocommit=True) as owner:
        owner.execute(ROLES.read_text("utf-8"))

    assert rows(granted) == [(True, True)]
