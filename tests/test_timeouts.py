"""The table of timeouts in docs/deploy.md is what each connection has."""

import re
from collections.abc import Callable

import psycopg
import pytest
from conftest import ROLES, url_as

from core.checkout import CHECKOUT
from core.database.database import KEPT_PLANS, Database
from core.migrating import runner
from sql import ventas_export, ventas_import

pytestmark = pytest.mark.each_postgresql

Open = Callable[..., object]

PAGE = (CHECKOUT / "docs" / "deploy.md").read_text("utf-8").split("### Timeouts")[1].split("\n### ")[0]
HEAD, _, *ROWS = [line for line in PAGE.splitlines() if line.startswith("|")]
NAMES = re.findall(r"`(\w+)`", HEAD)
TABLE = {
    cells[0].strip("` "): cells[1:]
    for row in ROWS
    for cells in [[c.strip() for c in row.strip("|").split("|")]]
}
SHOW = "SELECT " + ", ".join(f"current_setting('{name}')" for name in NAMES)


async def shown(connection: psycopg.AsyncConnection) -> list[str]:
    cursor = await connection.execute(SHOW)
    row = await cursor.fetchone()
    return list(row or ())


@pytest.mark.anyio
async def test_the_pool_has_what_the_table_says(db: Database) -> None:
    async with db.pool.connection() as connection:
        assert await shown(connection) == TABLE["the pool: most statements"]


@pytest.mark.anyio
@pytest.mark.parametrize("module", [ventas_import, ventas_export])
async def test_an_import_and_an_export_have_what_the_table_says(module: object, db: Database) -> None:
    async with db.transaction() as tx:
        await tx.run(module.SETTINGS)  # type: ignore[attr-defined]
        assert await shown(tx.connection) == TABLE["an import or export, in its transaction"]


@pytest.mark.anyio
async def test_the_lanes_have_what_the_table_says(db: Database) -> None:
    settings = [*NAMES, *KEPT_PLANS]
    columns = ", ".join(f"current_setting('{name}')" for name in settings)
    lane = await db.gather(
        lambda *row: row, f"SELECT asked.n, {columns} FROM unnest(%(n)s::int[]) AS asked (n)", n=1
    )
    assert lane is not None
    assert list(lane[: len(NAMES)]) == TABLE["the lanes, where requests share a round trip"]
    said = dict(re.findall(r"`(\w+) = (\w+)`", PAGE.replace("\n", " ")))
    assert said == dict(zip(KEPT_PLANS, lane[len(NAMES) :], strict=True)) == KEPT_PLANS


def test_migrate_has_what_the_table_says(database: str) -> None:
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute(runner.SETTINGS.format(lock_timeout="1s"))
        row = connection.execute(SHOW).fetchone()
    assert list(row or ()) == TABLE["migrate`, a file in a transaction that says nothing else"]


@pytest.mark.parametrize("name", ["ventas_app`, through a pooler", "ventas_lectura"])
def test_the_roles_have_what_the_table_says(name: str, database: str) -> None:
    with psycopg.connect(database, autocommit=True) as owner:
        owner.execute(ROLES.read_text("utf-8"))
    with psycopg.connect(url_as(name.partition("`")[0], database)) as connection:
        assert list(connection.execute(SHOW).fetchone() or ()) == TABLE[name]


def test_no_other_page_says_otherwise() -> None:
    bouncer = (CHECKOUT / "docs" / "pgbouncer.md").read_text("utf-8")
    said = [re.search(rf"SET {name} = '(\w+)'", bouncer)[1].replace("60s", "1min") for name in NAMES]  # type: ignore[index]
    assert said == TABLE["ventas_app`, through a pooler"]


def test_staging_beside_production_has_roles_of_its_own(database: str, postgres: str) -> None:
    text = re.sub(r"ventas_(app|lectura)", r"staging_\1", ROLES.read_text("utf-8"))
    with psycopg.connect(database, autocommit=True) as owner:
        owner.execute(text)
        granted = owner.execute(
            "SELECT DISTINCT grantee FROM information_schema.column_privileges WHERE grantee LIKE 'staging%'"
        ).fetchall()
        owner.execute("DROP OWNED BY staging_app, staging_lectura; DROP ROLE staging_app, staging_lectura")
    assert sorted(granted) == [("staging_app",), ("staging_lectura",)]
