"""Every statement, on a large database: it uses the indexes it names, and reads and sorts no more than it says."""

from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from typing import Any

import psycopg
import pytest
from clones import Clones

from sql import auditoria_months
from sql.catalogue import Statement, statements
from sql.plans import Planner, planning

pytestmark = pytest.mark.each_postgresql

STATEMENTS = [statement for statement in statements() if statement.cost != "reads no row"]
ASKED_MOST = [
    "usuarios.by_id",
    "usuarios_list.page",
    "ventas.by_id",
    "ventas.update",
    "ventas_list.page_of_user",
]
LARGE = 10_000  # rows of a table
MANY = 1_000  # rows to sort
SORTS = {"Sort", "Incremental Sort"}

# One user of 5,000 is an admin; a third of the sales are of one user in a hundred.
USERS = """
INSERT INTO usuario (username, password, nombre, apellido, telefono, correo, estado, rol, creacion)
SELECT 'u' || n, '$2b$12$' || repeat('a', 53), (ARRAY['Ana', 'Beto', 'Carla', 'Dora', 'Eva'])[1 + n % 5],
       'P' || md5(n::text), '2604538424', 'u' || n || '@example.com', n % 10 <> 0,
       CASE WHEN n % 5000 = 0 THEN 'admin' ELSE 'usuario' END, now() - n * interval '1 minute'
  FROM generate_series(1, {users}) AS n
"""
SALES = """
INSERT INTO venta (id, usuario_id, venta, ventas_productos, creacion)
SELECT n, 1 + floor({users} * power(random(), 3)), 1000 * exp(random() * 8), 1 + floor(10 * random() ^ 3),
       now() - ({sales} - n) * interval '15 seconds'
  FROM generate_series(1, {sales}) AS n
"""
OTHERS = [
    """
INSERT INTO sesion (usuario_id, creacion, expira)
SELECT 1 + n % 100000, now() + (n - 90000) * interval '1 minute', now() + (n - 50000) * interval '1 minute'
  FROM generate_series(1, 100000) AS n
""",
    """
INSERT INTO idempotencia (usuario_id, clave, creacion, expira, huella, estado, cuerpo)
SELECT 1 + n % 100000, 'k' || n, now() - n * interval '1 second', now() + interval '1 day' - n * interval '1 second',
       sha256('x'), 201, 'x'
  FROM generate_series(1, 100000) AS n
""",
    """
INSERT INTO enlace (usuario_id, tipo, correo, clave, creacion, expira, proximo)
SELECT n, 'verificacion', 'u' || n || '@example.com', sha256('x'), now() - n * interval '1 minute',
       now() + interval '1 day' - n * interval '1 minute', CASE WHEN n % 1000 = 0 THEN now() END
  FROM generate_series(1, 50000) AS n
""",
    """
INSERT INTO aviso (usuario_id, tipo, correo, reversible, creacion, expira, proximo)
SELECT n, 'correo', 'u' || n || '@example.com', true, now() - n * interval '1 minute',
       now() + interval '3 days' - n * interval '1 minute', CASE WHEN n % 1000 = 0 THEN now() END
  FROM generate_series(1, 50000) AS n
""",
    """
INSERT INTO factor (usuario_id, secreto, sello, creacion, confirmado)
SELECT 2 * n, sha256('x'), CASE WHEN n % 1000 = 0 THEN 7 ELSE 50000 END, now() - n * interval '1 minute', now()
  FROM generate_series(1, 50000) AS n
""",
    """
INSERT INTO llave (usuario_id, nombre, ambitos, huella, creacion, expira)
SELECT 1 + n % 20000, 'caja', '{ventas:crear}', sha256('x'), now() - interval '1 year',
       now() + (n - 1000) * interval '1 day' / 100
  FROM generate_series(1, 50000) AS n
""",
    """
INSERT INTO intento (clave, intentos, ultimo, espera)
SELECT substr(sha256(n::text::bytea), 1, 16), 1, now(), now()
  FROM generate_series(1, 50000) AS n
""",
    """
INSERT INTO auditoria (usuario_id, creacion, accion, afectado_id)
SELECT n % 40000, now() - n * interval '10 seconds',
       (ARRAY['login', 'login', 'login', 'login', 'login_fallido', 'login_fallido', 'sesion_terminada',
              'usuario_creado', 'usuario_actualizado', 'usuario_eliminado', 'correo_verificado', 'admin_nombrado',
              'password_restablecido', 'refresh_repetido', 'cambio_rechazado'])[1 + (random() * 14)::int],
       1 + n % 50000
  FROM generate_series(1, 200000) AS n
""",
]
INDEXES = """
SELECT i.relname, coalesce(p.relname, i.relname), x.indrelid::regclass::text,
       x.indisunique OR EXISTS (SELECT FROM pg_constraint AS k WHERE k.conindid = i.oid)
  FROM pg_index AS x
  JOIN pg_class AS i ON i.oid = x.indexrelid
  LEFT JOIN pg_inherits AS h ON h.inhrelid = i.oid
  LEFT JOIN pg_class AS p ON p.oid = h.inhparent
 WHERE i.relnamespace = 'public'::regnamespace
"""
REFERENCES = """
SELECT k.conrelid::regclass::text, k.conname, k.confrelid::regclass::text, k.confdeltype = 'c',
       (SELECT i.relname FROM pg_index AS x JOIN pg_class AS i ON i.oid = x.indexrelid
         WHERE x.indrelid = k.conrelid AND x.indpred IS NULL
           AND (x.indkey::smallint[])[0:cardinality(k.conkey) - 1] @> k.conkey
         ORDER BY NOT x.indisprimary, i.relname LIMIT 1)
  FROM pg_constraint AS k
 WHERE k.contype = 'f' AND k.connamespace = 'public'::regnamespace
"""


class Large:
    """The large database: its planner, its indexes, and which tables have many rows."""

    def __init__(self, connection: psycopg.Connection[Any], planner: Planner) -> None:
        self.planner = planner
        rows = connection.execute(INDEXES).fetchall()
        self.parent = {index: parent for index, parent, _, _ in rows}
        self.optional = {parent for _, parent, _, enforces in rows if not enforces}
        self.cascades: dict[str, set[str]] = {}
        for _, _, table, cascades, index in connection.execute(REFERENCES):
            if cascades:
                self.cascades.setdefault(table, set()).add(index)
        counted = connection.execute(
            "SELECT relname FROM pg_class WHERE relkind = 'r' AND reltuples > %s", [LARGE]
        )
        self.tables = {table for (table,) in counted}

    def nodes(self, statement: Statement) -> Iterator[dict[str, Any]]:
        """Every node of its plans, each with the large table that it is about, if any, as `table`."""
        for root in self.planner.trees(statement):
            yield from _nodes(root, None, self.tables)

    def used(self, statement: Statement) -> set[str]:
        """The indexes on large tables that it uses, those that its deletes cascade over among them."""
        found = set()
        for node in self.nodes(statement):
            if node["table"]:
                found |= {node.get("Index Name"), *node.get("Conflict Arbiter Indexes", ())} - {None}
            if node.get("Operation") == "Delete":
                found |= self.cascades.get(node["Relation Name"], set())
        return {self.parent[index] for index in found}


def _nodes(node: dict[str, Any], table: str | None, tables: set[str]) -> Iterator[dict[str, Any]]:
    relation = node.get("Relation Name", table if "Bitmap" in node["Node Type"] else None)
    yield node | {"table": relation if relation in tables else None}
    for child in node.get("Plans", ()):
        yield from _nodes(child, relation, tables)


@pytest.fixture(scope="module")
def large(clones: Clones) -> Iterator[Large]:
    with clones.url() as url, _filled(url, users=100_000, sales=2_000_000, others=OTHERS) as large:
        yield large


@pytest.fixture(scope="module")
def smaller(clones: Clones) -> Iterator[Large]:
    with clones.url() as url, _filled(url, users=20_000, sales=50_000) as large:
        yield large


@contextmanager
def _filled(url: str, *, users: int, sales: int, others: Sequence[str] = ()) -> Iterator[Large]:
    auditoria_months.make_months(url, say=lambda line: None)
    with closing(psycopg.connect(url, autocommit=True)) as connection:
        _fill(connection, users, sales, others)
        with planning(url) as planner:
            yield Large(connection, planner)


def _fill(connection: psycopg.Connection[Any], users: int, sales: int, others: Sequence[str]) -> None:
    """Inserts first, without triggers and most indexes, and indexes afterwards: a third of the time."""
    connection.execute("SELECT setseed(0.5)")
    connection.execute("SET session_replication_role = replica")
    connection.execute("SET maintenance_work_mem = '256MB'")
    connection.execute(USERS.format(users=users))
    indexes = connection.execute(
        "SELECT indexrelid::regclass::text, pg_get_indexdef(indexrelid) FROM pg_index"
        " WHERE indrelid = 'venta'::regclass AND NOT indisprimary"
    ).fetchall()
    for index, _ in indexes:
        connection.execute(f"DROP INDEX {index}")
    connection.execute("ALTER TABLE venta DROP CONSTRAINT venta_pkey")
    connection.execute(SALES.format(users=users, sales=sales))
    connection.execute("ALTER TABLE venta ADD CONSTRAINT venta_pkey PRIMARY KEY (usuario_id, id)")
    for _, definition in indexes:
        connection.execute(definition)
    for statement in others:
        connection.execute(statement)
    connection.execute("VACUUM (ANALYZE)")


@pytest.mark.parametrize("name", ASKED_MOST)
def test_what_is_asked_most_uses_them_among_fewer_rows_too(name: str, smaller: Large) -> None:
    [statement] = [statement for statement in STATEMENTS if statement.name == name]
    test_it_uses_the_indexes_that_it_names(statement, smaller)
    test_it_neither_reads_a_large_table_nor_sorts_a_large_set_unless_it_says_so(statement, smaller)


@pytest.mark.slow
@pytest.mark.parametrize("statement", STATEMENTS, ids=lambda statement: statement.name)
def test_it_uses_the_indexes_that_it_names(statement: Statement, large: Large) -> None:
    used, named = large.used(statement), set(statement.indexes)
    assert used <= named, large.planner.text(statement)
    assert used == named or statement.reads_all, large.planner.text(statement)


@pytest.mark.slow
@pytest.mark.parametrize("statement", STATEMENTS, ids=lambda statement: statement.name)
def test_it_neither_reads_a_large_table_nor_sorts_a_large_set_unless_it_says_so(
    statement: Statement, large: Large
) -> None:
    if statement.reads_all:
        return
    for node in large.nodes(statement):
        read = node["Node Type"] == "Seq Scan" and node["table"]
        sorted_ = node["Node Type"] in SORTS and max(child["Plan Rows"] for child in node["Plans"]) > MANY
        assert not read and not sorted_, large.planner.text(statement)


@pytest.mark.slow
def test_every_index_serves_a_statement_or_enforces_something(large: Large) -> None:
    used = set().union(*(large.used(statement) for statement in STATEMENTS))
    assert large.optional - used == set()


def test_every_foreign_key_has_an_index(rows) -> None:
    assert [key for table, key, _, _, index in rows(REFERENCES) if index is None] == []
