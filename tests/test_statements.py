"""Every statement is known: by its name, its purpose and cost, who runs it, and on one page; no other runs."""

import ast
import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import psycopg
import pytest
from conftest import PASSWORD, client_of, member, running
from second_factor import PASSWORD_ACTUAL, activate, code, delete, first_step, second_step

from commands.main import main
from core.checkout import CHECKOUT
from core.database.naming import named
from core.local.embedded import temporary_postgres
from core.migrating import guard
from sql.catalogue import COST, Statement, statements
from sql.plans import planning

STATEMENTS = statements()
BY_NAME = {statement.name: statement for statement in STATEMENTS}
KEYWORDS = re.compile(r"\s*(SELECT|INSERT|UPDATE|DELETE|WITH|COPY|CREATE|ALTER|DROP|SET) ")
WITHOUT_A_NAME = {
    "core/local/data_directory.py": {"CREATE DATABASE ventas\n"},
    "core/database/database.py": {"SELECT 1 AS n"},
    "core/database/pool.py": {"SET timezone = 'UTC'"},
    "sql/auditoria_months.py": {"SET LOCAL lock_timeout = '1s'", "SET statement_timeout = 0"},
    "sql/auditoria_retention.py": {"SET LOCAL lock_timeout = '100ms'"},
    "sql/plans.py": {"SET LOCAL ", "SET LOCAL plan_cache_mode = force_generic_plan"},
}
# What runs on the application's connections beside the catalogue, as pg_stat_statements has it.
UTILITIES = (
    r"BEGIN|COMMIT|ROLLBACK|SAVEPOINT .*|RELEASE .*|LISTEN .*|SELECT \$1 AS n|PREPARE .*|SELECT to_regclass.*"
)
PROGRAMS = sorted(Path("/usr/lib/postgresql").glob("*/lib/pg_stat_statements.so"))

each = pytest.mark.parametrize("statement", STATEMENTS, ids=lambda statement: statement.name)


@each
def test_it_says_its_name_its_purpose_and_its_cost(statement: Statement) -> None:
    module, constant = statement.place.rsplit(".", 1)
    assert statement.name.partition(".")[2] == constant.lower()
    if module.startswith("sql."):
        assert statement.name == f"{module[4:]}.{constant.lower()}"
    assert statement.purpose
    assert COST.fullmatch(f"; {statement.cost}"), "no `; uses …` at the end of its header"
    assert len(statement.text.splitlines()[1]) <= 120


@each
def test_it_is_written_as_the_house_writes(statement: Statement) -> None:
    assert not re.search(r"SELECT \*|\w\.\*|;\s*$", statement.body), "list the columns"
    assert not re.search(r"(?<!%)%s", statement.body), "name the parameters"
    assert not re.search(r"SELECT\s+FROM", statement.body), (
        "SELECT 1 FROM: shards refuse a row without columns"
    )
    assert not re.search(r"^ *(select|insert|update|delete|where|order by)\b", statement.body, re.MULTILINE)


def test_names_are_unique() -> None:
    assert len(BY_NAME) == len(STATEMENTS)


def test_no_function_holds_sql_of_its_own() -> None:
    found: dict[str, set[str]] = {}
    for file in (
        CHECKOUT / "app.py",
        *(
            f
            for room in ("background", "commands", "core", "handlers", "sql")
            for f in (CHECKOUT / room).rglob("*.py")
        ),
    ):
        if file.parent.name != "migrating":
            for function in ast.walk(ast.parse(file.read_text("utf-8"))):
                if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef):
                    for text in filter(KEYWORDS.match, _texts(function)):
                        found.setdefault(str(file.relative_to(CHECKOUT)), set()).add(text)
    assert found == WITHOUT_A_NAME


def _texts(function: ast.AST) -> Iterator[str]:
    for node in ast.walk(function):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the pages as they would be written now."""
    folder = tmp_path_factory.mktemp("docs")
    assert main(["queries", "--markdown", str(folder)]) == 0
    return folder


@pytest.mark.parametrize("name", ["statements.md", "schema.md"])
def test_the_page_is_current(name: str, pages: Path) -> None:
    assert (CHECKOUT / "docs" / name).read_text("utf-8") == (pages / name).read_text("utf-8"), (
        "run `scripts/ventas queries --markdown`"
    )


def test_somebody_runs_each(pages: Path) -> None:
    page = (pages / "statements.md").read_text("utf-8")
    assert re.findall(r"### (.*)\n(?:(?!###).*\n)*?- run by: \n", page) == []


def test_the_command_shows_what_was_asked_for(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["queries", "ventas.by_id"]) == 0
    assert capsys.readouterr().out == (
        "ventas.by_id: each asked sale, if its asker may see it\n"
        "    cost        uses venta_id_key\n"
        "    parameters  id, owner\n"
        "    run by      GET /venta/{id}, PATCH /venta/{id}, DELETE /venta/{id}\n"
    )
    assert main(["queries", "ventas.nada"]) == 1
    assert capsys.readouterr().err == "error: no statement is named ventas.nada\n"


@pytest.mark.each_postgresql
def test_the_command_asks_the_database_for_plans(
    database: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("DATABASE_URL", database)
    assert main(["queries", "ventas.by_id", "ventas_import", "--plan"]) == 0
    shown = capsys.readouterr().out
    assert "parameters  id bigint[], owner bigint[]" in shown
    assert "ventas_import.copy" in shown
    assert "on venta v" in shown


@pytest.mark.each_postgresql
def test_the_command_shows_indexes_that_nobody_reads_first(
    database: str,
    rows: Callable[..., list[tuple]],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    rows("CREATE INDEX venta_nadie_idx ON venta (version)")
    monkeypatch.setenv("DATABASE_URL", database)
    assert main(["queries", "--indexes"]) == 0
    *lines, unused = capsys.readouterr().out.splitlines()
    assert any(re.search(r" 0 reads  venta_nadie_idx on venta$", line) for line in lines)
    assert any("venta_id_key on venta (unique)" in line and "ventas.by_id" in line for line in lines), lines
    assert re.search(r"bytes of \d+ indexes that nobody has read and that enforce nothing", unused)


def test_a_reader_who_has_seen_enough_ends_the_command(monkeypatch: pytest.MonkeyPatch, capfd) -> None:
    reads, writes = os.pipe()
    os.close(reads)
    with os.fdopen(writes, "w") as closed:
        monkeypatch.setattr("sys.stdout", closed)
        assert main(["queries"]) == 1
    assert capfd.readouterr().err == "error: nobody reads the output any more\n"


def test_the_command_says_what_the_database_objects_to(
    database: str,
    rows: Callable[..., list[tuple]],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    rows("ALTER TABLE venta RENAME TO ventas")
    monkeypatch.setenv("DATABASE_URL", database)
    assert main(["queries", "ventas", "--plan"]) == 1
    assert capsys.readouterr().err == 'error: relation "venta" does not exist\n'


@pytest.mark.each_postgresql
def test_planning_leaves_nothing_behind(database: str, rows: Callable[..., list[tuple]]) -> None:
    with planning(database) as planner:
        for statement in STATEMENTS:
            planner.text(statement)
    assert rows("SELECT relname FROM pg_class WHERE relname = 'importacion'") == []
    assert rows("SELECT count(*) FROM venta") == [(0,)]


@pytest.mark.each_postgresql
def test_pg_stat_activity_shows_the_name(ana: httpx.Client, rows: Callable[..., list[tuple]]) -> None:
    ana.get("/user/me")
    ana.get("/user/")
    shown = rows("SELECT query FROM pg_stat_activity WHERE application_name = 'ventas' AND state = 'idle'")
    names = {name for (query,) in shown for name in re.findall(r"\A\n-- ([\w.]+): ", query)}
    assert {"usuarios.profile", "usuarios_list.page"} <= names


def test_the_part_that_pg_stat_statements_keeps_has_the_name(database: str) -> None:
    sent = named(BY_NAME["migrations.applied"].text)
    told: list[str] = []
    with psycopg.connect(database, autocommit=True) as connection:
        connection.add_notice_handler(lambda notice: told.append(notice.message_detail or ""))
        connection.execute("SET client_min_messages = log")
        connection.execute("SET debug_print_parse = on")
        connection.execute(sent)
    [(begin, length)] = re.findall(r":stmt_location (\d+) :stmt_len (\d+)", " ".join(told[-1].split()))
    assert length == "0"  # to the end
    assert sent[int(begin) :].endswith(" -- migrations.applied")


@pytest.mark.skipif(not PROGRAMS, reason="this machine has no pg_stat_statements")
def test_nothing_runs_that_is_not_in_the_catalogue() -> None:
    settings = {"shared_preload_libraries": "pg_stat_statements"}
    with temporary_postgres(bin_dir=PROGRAMS[-1].parents[1] / "bin", settings=settings) as url:
        guard.apply(url, say=lambda line: None)
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute("CREATE EXTENSION pg_stat_statements")
            with running({"DATABASE_URL": url}) as address, client_of(address) as api:
                connection.execute("SELECT pg_stat_statements_reset()")
                use_everything(api)
            ran = [query for (query,) in connection.execute("SELECT query FROM pg_stat_statements")]
    known = {re.search(r"(?: -- ([\w.]+))?\Z", query)[1] for query in ran}  # type: ignore[index]
    strangers = [query for query in ran if not re.search(r" -- [\w.]+\Z", query)]
    assert [
        query for query in strangers if not re.fullmatch(UTILITIES, query) and "pg_stat" not in query
    ] == []
    assert known - {None} <= BY_NAME.keys()
    assert len(known) > len(STATEMENTS) * 0.4  # some are of a cluster


def use_factor_and_keys(api: httpx.Client, beto: httpx.Client) -> None:
    body = PASSWORD_ACTUAL | {"nombre": "Caja", "ambitos": ["ventas:leer"]}
    made = beto.post("/user/me/llaves", json=body).json()
    assert api.get("/venta/", headers={"Authorization": f"Bearer {made['llave']}"}).status_code == 200
    assert beto.get("/user/me/llaves").status_code == 200
    assert delete(beto, f"/user/me/llaves/{made['id']}").status_code == 200
    secret, _ = activate(beto)
    assert second_step(api, first_step(api, "beto"), code(secret, seconds=30)).status_code == 200
    assert beto.get("/user/me/factor").status_code == 200
    assert delete(beto, "/user/me/factor").status_code == 200


def use_everything(api: httpx.Client) -> None:
    """A day in the life of the API: most of what it does, once."""
    with member(api, "ana") as ana, member(api, "beto") as beto:
        for path in ("/readyz", "/user/", "/user/?q=be&total=exacto", "/user/?rol=admin&total=estimado"):
            assert ana.get(path).status_code == 200, path
        assert beto.patch("/user/me", json={"direccion": "San Martín 123"}).status_code == 200
        assert beto.get("/user/me").status_code == 200
        sale = beto.post(
            "/venta/", json={"venta": 1, "ventas_productos": 1}, headers={"Idempotency-Key": "una"}
        )
        assert beto.patch(sale.headers["location"], json={"venta": 2}).status_code == 200
        assert beto.get(sale.headers["location"]).status_code == 200
        assert beto.post("/venta/lote", json=[{"venta": 1, "ventas_productos": 1}]).status_code == 201
        file = {"content": "venta,ventas_productos\n1,1\n", "headers": {"Content-Type": "text/csv"}}
        assert beto.post("/venta/importar", **file).status_code == 201  # type: ignore[arg-type]
        for query in (
            "",
            "?total=exacto",
            "?total=estimado",
            "exportar",
            "exportar?formato=ndjson",
            "resumen",
        ):
            assert ana.get(f"/venta/{query}").status_code == 200, query
            assert beto.get(f"/venta/{query}").status_code == 200, query
        assert ana.get("/venta/resumen?por=usuario").status_code == 200
        use_factor_and_keys(api, beto)
        assert beto.delete(sale.headers["location"]).status_code == 200
        for query in ("", "?accion=login", f"?usuario_id={ana.id}", f"?afectado_id={ana.id}&total=exacto"):  # type: ignore[attr-defined]
            assert ana.get(f"/auditoria{query}").status_code == 200, query
        assert beto.get("/login/sesiones").status_code == 200
        form = {"username": "beto", "password": PASSWORD, "scope": "offline_access"}
        token = api.post("/login/", data=form).json()["refresh_token"]
        renewed = api.post("/login/", data={"grant_type": "refresh_token", "refresh_token": token})
        assert renewed.status_code == 200, renewed.text
        assert beto.delete("/login/sesiones").status_code == 200
        assert ana.delete(f"/user/{beto.id}").status_code == 200  # type: ignore[attr-defined]
