"""Any table in any dialect is read back as what was written, or refused by line; no bytes make the reader fail."""

import csv
from datetime import UTC, datetime, timedelta
from io import StringIO

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from test_dialects import SHOP, read

from core.files import cells
from core.files.cells import writer
from core.files.dialect import DECIMALS, SEPARATORS, Dialect
from core.instants import moment, rfc3339
from core.zones import zone

pytestmark = pytest.mark.slow

LINE_ENDS = ["\n", "\r\n", "\r"]
CHARSETS = {"utf-8": "utf-8", "utf-8-sig": "utf-8", "utf-16": "utf-8", "cp1252": "windows-1252"}
MOMENTS = st.datetimes(datetime(2000, 1, 2), datetime(2026, 1, 1), timezones=st.just(UTC)).map(
    lambda when: when.replace(microsecond=0)
)
SALES = st.lists(st.tuples(st.integers(0, 10**15), st.integers(1, 10**6), MOMENTS), max_size=20)
DIALECTS = st.builds(
    Dialect,
    separador=st.sampled_from([*SEPARATORS]),
    decimal=st.sampled_from([None, *DECIMALS]),
    fecha=st.sampled_from([None, "dma", "mda"]),
    zone=st.just(SHOP),
)


def written(sales, dialect, end, encoding, padding, empty):
    """The bytes of a table, with spaces around its cells, and empty columns and rows at its end."""
    amount = writer("amount", dialect) or str
    dated = writer("moment", dialect) or str
    text = StringIO()
    rows = csv.writer(text, delimiter=SEPARATORS[dialect.separador], lineterminator=end)
    rows.writerow(["Venta", "VENTAS_PRODUCTOS", "creacion", *[""] * empty])
    for venta, productos, creacion in sales:
        cells = [amount(str(venta)), str(productos), dated(rfc3339(creacion))]
        rows.writerow([padding + cell + padding for cell in cells] + [""] * empty)
    rows.writerows([[""] * (3 + empty)] * empty)
    return text.getvalue().encode(encoding)


@settings(max_examples=300, deadline=None)
@given(
    SALES,
    DIALECTS,
    st.sampled_from(LINE_ENDS),
    st.sampled_from([*CHARSETS]),
    st.sampled_from(["", " ", "\u00a0"]),
    st.integers(0, 2),
    st.sampled_from([1, 13, 1 << 16]),
)
def test_what_is_written_is_read_back(sales, dialect, end, encoding, padding, empty, step):
    data = written(sales, dialect, end, encoding, padding, empty)

    found, errors = read(data, dialect.decimal, dialect.fecha, CHARSETS[encoding], step=step)

    assert errors == []
    assert found == [(venta, productos, creacion.isoformat()) for venta, productos, creacion in sales]


@settings(max_examples=300, deadline=None)
@given(SALES.filter(bool), DIALECTS, st.data())
def test_a_byte_that_changed_is_read_or_refused_by_line(sales, dialect, data):
    table = bytearray(written(sales, dialect, "\n", "utf-8", "", 0))
    for _ in range(3):
        table[data.draw(st.integers(0, len(table) - 1))] = data.draw(st.integers(0, 255))

    _, errors = read(bytes(table), dialect.decimal, dialect.fecha)

    assert all(1 <= line <= len(sales) + 5 and mensaje for line, _, mensaje in errors)


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=400), DIALECTS, st.sampled_from(["utf-8", "windows-1252", "utf-16", "utf-16le"]))
def test_no_bytes_make_it_fail(data, dialect, charset):
    read(data, dialect.decimal, dialect.fecha, charset, step=7)
    read(b"venta;ventas_productos;creacion\n" + data, dialect.decimal, dialect.fecha, charset)


@settings(max_examples=200, deadline=None)
@given(st.integers(0, 4 * 3600))
def test_the_hour_that_a_clock_shows_twice_comes_back(seconds):
    madrid = zone("Europe/Madrid")
    when = datetime(2025, 10, 25, 23, tzinfo=UTC) + timedelta(seconds=seconds)

    cell = writer("moment", Dialect(fecha="dma", zone=madrid))(rfc3339(when))

    assert moment(cells.moment(cell, "dma"), madrid) == when
