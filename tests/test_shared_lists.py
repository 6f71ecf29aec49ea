"""Lists of sales that are asked for at the same time share a round trip, and each asker gets the page of before."""

import asyncio
import re
from datetime import UTC, datetime, timedelta

import pytest
from databases import Rows
from test_batching import batches

from core.checkout import CHECKOUT
from core.database.database import Database
from sql import ventas_list
from sql.ventas_list import MOST_SHARED, SaleFilters, SalePlace

DAY = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.fixture
def sales(rows: Rows, users: list[int]) -> list[int]:
    """The ids of 5 users with 40 sales each, one an hour, two at each moment."""
    rows(
        "INSERT INTO venta (usuario_id, venta, ventas_productos, creacion)"
        " SELECT u, n, 1, %s + (n / 2) * interval '1 hour' FROM unnest(%s::bigint[]) AS u, generate_series(1, 40) AS n",
        DAY,
        users[:5],
    )
    return users[:5]


@pytest.mark.anyio
async def test_pages_of_many_share_a_round_trip(db: Database, sales: list[int]) -> None:
    await ventas_list.page(db, SaleFilters(usuario_id=sales[0]), after=None, limit=1)
    before = batches(db, "pages")

    pages = await asyncio.gather(
        *(ventas_list.page(db, SaleFilters(usuario_id=user), after=None, limit=20) for user in sales)
    )

    assert batches(db, "pages") == before + 1
    assert [{sale.usuario_id for sale in page} for page in pages] == [{user} for user in sales]
    assert [len(page) for page in pages] == [20] * 5


@pytest.mark.anyio
@pytest.mark.parametrize("desde", [None, DAY + timedelta(hours=3)])
@pytest.mark.parametrize("hasta", [None, DAY + timedelta(hours=15)])
async def test_they_hold_what_a_page_of_its_own_holds(
    db: Database, sales: list[int], desde: datetime | None, hasta: datetime | None
) -> None:
    after: SalePlace | None = None
    shared = SaleFilters(usuario_id=sales[0], desde=desde, hasta=hasta)
    alone = SaleFilters(usuario_id=sales[0], desde=desde, hasta=hasta, minimo=0)
    for _ in range(5):
        pages = [await ventas_list.page(db, which, after=after, limit=7) for which in (shared, alone)]
        assert pages[0] == pages[1]
        if pages[0]:
            last = pages[0][-1]
            after = SalePlace(datetime.fromisoformat(str(last.creacion)), last.id)


@pytest.mark.anyio
async def test_a_long_page_holds_nobody_up(db: Database, sales: list[int]) -> None:
    before = batches(db, "pages")

    page = await ventas_list.page(db, SaleFilters(usuario_id=sales[0]), after=None, limit=MOST_SHARED + 1)

    assert len(page) == 41
    assert batches(db, "pages") == before


def test_the_columns_of_a_sale_stand_once() -> None:
    spelled = [
        file.name
        for file in (CHECKOUT / "sql").glob("*.py")
        for text in re.findall(r'"""(.*?)"""', file.read_text("utf-8"), re.DOTALL)
        if re.search(r"venta, (\w\.)?ventas_productos\b", text)
    ]
    assert spelled == []
