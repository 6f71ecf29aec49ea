"""What distributes the database decides on every table, keeps the rules of a sharded cluster, and has a way back.

Citus itself is not needed: its functions are stood in for by ones that check and write down what they are asked."""

import re
from collections import Counter
from collections.abc import Callable, Iterator

import psycopg
import pytest

from core.local.programs import binaries, run
from core.migrating.migrations import FOLDER
from sql.catalogue import Statement, statements

FORWARD = (FOLDER / "scale-out" / "distribute.sql").read_text("utf-8")
BACK = (FOLDER / "scale-out" / "undistribute.sql").read_text("utf-8")
ROLES = (FOLDER.parent / "docs" / "roles.sql").read_text("utf-8")
LOCAL = re.findall(r"^-- (\w+): local", FORWARD, re.MULTILINE)
BOOKKEEPING = ["migracion_texto", "_yoyo_log", "_yoyo_migration", "_yoyo_version", "yoyo_lock"]

CITUS = """
CREATE SCHEMA citus;
CREATE TABLE citus.placed (name text PRIMARY KEY, col text);
CREATE FUNCTION citus.place(name regclass, col text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    IF EXISTS (SELECT FROM pg_constraint WHERE contype = 'f' AND name IN (conrelid, confrelid)) THEN
        RAISE 'a foreign key of % must be added after it is distributed', name;
    END IF;
    INSERT INTO citus.placed VALUES (name::text, col);
END $$;
CREATE FUNCTION citus.create_reference_table(regclass) RETURNS void LANGUAGE sql AS
    'SELECT citus.place($1, NULL)';
CREATE FUNCTION citus.create_distributed_table(regclass, text, colocate_with text) RETURNS void LANGUAGE sql AS
    'SELECT citus.place($1, $2)';
CREATE FUNCTION citus.truncate_local_data_after_distributing_table(regclass) RETURNS void LANGUAGE sql AS '';
"""
PEOPLE = """
INSERT INTO usuario (username, password, nombre, apellido, telefono, correo)
SELECT 'u' || n, '$2b$04$' || repeat('a', 53), 'Ana', 'Paz', '2604538424', 'u' || n || '@example.com'
  FROM generate_series(1, 5) AS n;
INSERT INTO venta (usuario_id, venta, ventas_productos)
SELECT 1 + n % 5, n, 1
  FROM generate_series(1, 50) AS n;
INSERT INTO sesion (usuario_id, expira) SELECT id, now() FROM usuario;
INSERT INTO idempotencia (usuario_id, clave) SELECT id, 'una' FROM usuario;
INSERT INTO enlace (usuario_id, tipo, correo, clave, expira)
SELECT id, 'verificacion', correo, sha256('una'), now() + interval '1 hour' FROM usuario;
INSERT INTO llave (usuario_id, nombre, ambitos, huella, expira)
SELECT id, 'caja', ARRAY['ventas:leer'], sha256('una'), now() + interval '1 hour' FROM usuario;
"""
TABLES = """
SELECT relname
  FROM pg_class
 WHERE relnamespace = 'public'::regnamespace
   AND relkind IN ('r', 'p')
   AND NOT relispartition
"""
UNIQUE_WITHOUT_COLUMN = """
SELECT indexrelid::regclass::text
  FROM pg_index
  JOIN citus.placed ON name = indrelid::regclass::text
  JOIN pg_attribute ON attrelid = indrelid AND attname = col
 WHERE indisunique
   AND NOT attnum = ANY (indkey)
"""
KEYS_TO_ELSEWHERE = """
SELECT conname
  FROM pg_constraint
  JOIN citus.placed AS here ON here.name = conrelid::regclass::text
  LEFT JOIN citus.placed AS there ON there.name = confrelid::regclass::text
 WHERE contype = 'f'
   AND (there.name IS NULL OR there.col IS NOT NULL)
"""
NUMBERED = """
SELECT attrelid::regclass
  FROM pg_attribute
  JOIN pg_constraint ON conrelid = attrelid
 WHERE attidentity <> ''
   AND confrelid = 'usuario'::regclass
"""


@pytest.fixture
def cluster(database: str) -> Iterator[Callable[[str], None]]:
    """A function that runs a file of SQL on the test's database, where Citus seems to be."""
    with psycopg.connect(database, autocommit=True, options="-c search_path=public,citus") as connection:
        connection.execute(CITUS)
        connection.execute(PEOPLE)
        yield connection.execute  # type: ignore[misc]


def dump(database: str) -> Counter[str]:
    """Everything in the database but the order of its lines."""
    text = run(binaries() / "pg_dump", "--schema=public", "--no-owner", "--inserts", database)
    return Counter(line for line in text.splitlines() if not line.startswith("\\"))


def test_every_table_is_decided(cluster, rows):
    cluster(FORWARD)

    decided = {*LOCAL, *BOOKKEEPING, *(name for (name,) in rows("SELECT name FROM citus.placed"))}
    assert {name for (name,) in rows(TABLES)} - decided == set()


def test_the_rules_of_shards_are_kept(cluster, rows):
    cluster(FORWARD)

    assert rows("SELECT count(DISTINCT col) FROM citus.placed") == [(1,)]
    assert rows(UNIQUE_WITHOUT_COLUMN) == []
    assert rows(KEYS_TO_ELSEWHERE) == []


def test_there_and_back_nothing_has_changed(cluster, rows, database):
    for column in ("telefono", "nombre", "apellido"):  # a table that comes back has been looked at
        rows(f"ALTER TABLE usuario VALIDATE CONSTRAINT usuario_{column}_check")
    before = dump(database)

    cluster(FORWARD)
    distributed = dump(database)
    assert [*(before - distributed)] == ["CREATE UNIQUE INDEX venta_id_key ON public.venta USING btree (id);"]
    assert [*(distributed - before)] == ["CREATE INDEX venta_id_key ON public.venta USING btree (id);"]
    cluster(BACK)
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute(ROLES)
    after = dump(database)
    assert (before - after, after - before) == (Counter(), Counter())

    assert rows("DELETE FROM usuario WHERE id = 1 RETURNING id") == [(1,)]
    assert rows("SELECT count(*) FROM venta") == [(40,)]
    assert rows("INSERT INTO venta (usuario_id, venta, ventas_productos) VALUES (2, 1, 1) RETURNING id") == [
        (51,)
    ]


def test_there_and_back_every_table_keeps_its_owner(cluster, rows):
    owners = "SELECT tablename, tableowner FROM pg_tables WHERE schemaname = 'public' ORDER BY tablename"
    for (name,) in rows(TABLES):
        rows(f"ALTER TABLE {name} OWNER TO ventas_lectura")
    before = rows(owners)

    cluster(FORWARD)
    cluster(BACK)

    assert rows(owners) == before


def test_a_table_with_an_identity_column_is_copied_on_the_way_back(cluster, rows):
    for (name,) in rows(NUMBERED):
        assert f"DROP TABLE {name};" in BACK, "Citus makes none plain that has one"


@pytest.mark.parametrize("file", [FORWARD, BACK], ids=["there", "back"])
def test_what_fails_has_done_nothing_and_runs_again(cluster, database, file):
    if file == BACK:
        cluster(FORWARD)
    before = dump(database)

    with pytest.raises(psycopg.errors.DivisionByZero):
        cluster(file.replace("COMMIT;", "SELECT 1 / 0;"))
    cluster("ROLLBACK")

    assert dump(database) == before
    cluster(file)


SHARDED = re.findall(r"create_distributed_table\('(\w+)'", FORWARD)
COPIED = re.findall(r"create_reference_table\('(\w+)'", FORWARD)
SPREAD = [*SHARDED, *COPIED, "enlace", "aviso", "factor", "llave"]  # the last four by their foreign keys
OURS = [statement for statement in statements() if statement.place.startswith("sql.")]


def parts(statement: Statement) -> list[str]:
    """The statement's CTEs, and what follows them."""
    return statement.body.split("\n)")


@pytest.mark.parametrize("statement", OURS, ids=lambda statement: statement.name)
def test_no_statement_does_what_shards_refuse(statement):
    for part in parts(statement):
        tables = set(re.findall(r"(?:FROM|JOIN|UPDATE|INTO) (\w+)", part))
        if re.search(r"FOR (NO KEY )?UPDATE(?!.* SKIP LOCKED)", part) and tables & {*SHARDED}:
            assert "usuario_id = %(usuario_id)s" in part, "rows are locked on one shard only"
        if tables & {*SPREAD} and (returning := part.partition("RETURNING")[2]):
            assert not re.search(r"\w\(", returning), "RETURNING calls no function that is not immutable"
        if re.match(r"\s*(UPDATE|DELETE)|.* AS (MATERIALIZED )?\(\s*(UPDATE|DELETE)", part, re.DOTALL):
            nested = r"\(SELECT (?:[^()]|\([^()]*\))*\)"
            changed = re.sub(rf"now\(\)( [-+] (%\(\w+\)s \* )?interval '[^']*')?|{nested}", "", part)
            assert not re.search(
                r"[-+] .*interval|random\(|clock_timestamp|gen_random_uuid|convert_to|jsonb_build", changed
            ), "a change calls no stable function of a column, nor a volatile one"
