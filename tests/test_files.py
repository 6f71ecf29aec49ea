"""Files of sales, line by line: what is read, what is refused, and at which line."""

import asyncio

import pytest

from core.files.dialect import Dialect
from core.files.lines import SLICE, LineTooLong, slices
from core.files.refusals import MAX_ERRORS
from sql.ventas_import import open_renglones

HEAD = "venta,ventas_productos\n"
SALE = '{"venta":1,"ventas_productos":1}\n'


def _read(text, formato="csv", step=SLICE, **dialect):
    """The rows and the errors as (line, field), of a file that arrives `step` bytes at a time."""
    rows, refusals = _refused(text, formato, step, **dialect)
    return rows, [(error.linea, error.campo) for error in refusals]


def _refused(text, formato="csv", step=SLICE, **dialect):
    data = text if isinstance(text, bytes) else text.encode()
    reader = open_renglones(formato, Dialect(**dialect))

    async def chunks():
        for start in range(0, len(data), step):
            yield data[start : start + step]

    async def rows():
        return [row async for rows in reader.rows(chunks()) for row in rows]

    found = [
        (line, row.usuario_id, row.venta, row.ventas_productos, row.creacion)
        for line, row in asyncio.run(rows())
    ]
    return found, reader.refusals.errores


def _wrong(text, formato="csv", **dialect):
    return _read(text, formato, **dialect)[1]


@pytest.mark.parametrize(
    "text",
    [
        "venta,ventas_productos,usuario_id\n7,3,3\n",
        "ventas_productos,usuario_id,venta\n3,3,7",
        "\ufeffventa,ventas_productos,usuario_id\r\n7,3,3\r\n",
        '"venta","ventas_productos","usuario_id"\n"7","3","3"\n',
        "venta;ventas_productos;usuario_id\n7;3;3\n",
        " venta , ventas_productos,usuario_id \n007,3,3\n",
    ],
)
def test_the_header_names_the_columns_in_any_order_and_dress(text):
    assert _read(text) == ([(2, 3, 7, 3, None)], [])


def test_an_empty_cell_is_a_default_and_an_id_is_ignored():
    text = "id,usuario_id,venta,ventas_productos,creacion\n=1+1,,7,3,\n"

    assert _read(text) == ([(2, None, 7, 3, None)], [])


def test_a_time_keeps_its_offset_and_without_one_has_none():
    rows, _ = _read(
        "venta,ventas_productos,creacion\n1,1,2026-01-02T03:04:05+05:30\n1,1,2026-01-02 03:04:05\n"
    )

    assert [row[4] for row in rows] == ["2026-01-02T03:04:05+05:30", "2026-01-02 03:04:05"]


def test_a_record_has_the_number_of_the_line_where_it_begins():
    text = 'id,venta,ventas_productos\n"a\n\n,b",1,1\n\n"c",x,1\n"d\n",1,1\n,1,0\n'

    rows, errors = _read(text, step=3)

    assert [row[0] for row in rows] == [2, 7]
    assert errors == [(6, "venta"), (9, "ventas_productos")]


@pytest.mark.parametrize("cell", ["1e3", "٣", "1" + "0" * 30, "-1", "+1", "1.0", "1_0", "0x1", "=1", "a"])
def test_a_number_is_ascii_digits(cell):
    assert _wrong(f"{HEAD}{cell},1\n1,{cell}\n") == [(2, "venta"), (3, "ventas_productos")]


def test_numbers_have_limits():
    good = f"{HEAD}0,1\n{10**15},{10**6}\n"
    bad = f"{HEAD}{10**15 + 1},1\n1,0\n1,{10**6 + 1}\n,1\n{'9' * 5000},1\n"

    assert _read(good)[1] == []
    fields = ["venta", "ventas_productos", "ventas_productos", "venta", "venta"]
    assert _wrong(bad) == list(enumerate(fields, 2))


@pytest.mark.parametrize("cell", ["2026-1-2", "now", "infinity", "1700000000"])
def test_a_time_is_rfc_3339(cell):
    assert _wrong(f"venta,ventas_productos,creacion\n1,1,{cell}\n") == [(2, "creacion")]


@pytest.mark.parametrize(
    ("text", "errors"),
    [
        ("", [(1, "cuerpo")]),
        ("\n\n", [(3, "cuerpo")]),
        ("venta\n1\n", [(1, "ventas_productos")]),
        ("venta,venta,ventas_productos\n1,1,1\n", [(1, "venta")]),
        ("venta,ventas_productos,precio\n1,1,1\n", [(1, "precio")]),
        ("1,2\n3,4\n", [(1, "1"), (1, "2"), (1, "venta"), (1, "ventas_productos")]),
        (HEAD.encode("utf-16-le"), [(1, "cuerpo")]),
        ("venta,ventas_productos,año\n".encode("latin-1"), [(1, "cuerpo")]),
    ],
)
def test_a_wrong_header_is_all_that_is_said(text, errors):
    assert _wrong(text) == errors


@pytest.mark.parametrize("line", ["1", "1,1,1", '"1"2,1', '"1,1', "1\0,1", "1,1\rx", b"1\xe1,1"])
def test_a_bad_line_spares_its_neighbours(line):
    text = HEAD.encode() + b"1,1\n" + (line if isinstance(line, bytes) else line.encode()) + b"\n1,1\n"

    rows, errors = _read(text)

    assert [row[0] for row in rows] == [2, 4]
    assert [line for line, _ in errors] == [3]


def test_ndjson_is_read_as_the_api_reads_json():
    text = f'\ufeff{SALE}\r\n{{"ventas_productos":3,"venta":7,"usuario_id":3,"id":{{"a":"\\""}},"creacion":null}}'

    assert _read(text, "ndjson") == ([(1, None, 1, 1, None), (3, 3, 7, 3, None)], [])


@pytest.mark.parametrize(
    ("line", "fields"),
    [
        ("{", ["cuerpo"]),
        ("[1]", ["cuerpo"]),
        ("null", ["cuerpo"]),
        (SALE.strip() * 2, ["cuerpo"]),
        ('{"venta":1}', ["ventas_productos"]),
        ('{"venta":1,"ventas_productos":1,"x":1}', ["x"]),
        ('{"venta":1,"venta":2,"ventas_productos":1}', ["venta"]),
        ('{"v\\u0065nta":1,"venta":2,"ventas_productos":1}', ["venta"]),
        ('{"venta":1e-3,"ventas_productos":"1"}', ["venta", "ventas_productos"]),
        (
            '{"venta":true,"ventas_productos":1,"usuario_id":0,"creacion":1}',
            ["venta", "usuario_id", "creacion"],
        ),
        (b'{"venta":1,"ventas_productos":1,"id":"\xe9"}', ["cuerpo"]),
    ],
)
def test_a_bad_object_is_refused_with_all_its_fields(line, fields):
    text = SALE.encode() + (line if isinstance(line, bytes) else line.encode()) + b"\n" + SALE.encode()

    rows, errors = _read(text, "ndjson")

    assert [row[0] for row in rows] == [1, 3]
    assert errors == [(2, field) for field in fields]


def test_a_deep_object_is_read_or_refused_as_deep_as_this_python_goes():
    deep = '{"venta":1,"ventas_productos":1,"id":' + "[" * 3000 + "]" * 3000 + "}\n"

    rows, errors = _read(SALE + deep + SALE, "ndjson")

    read = [row[0] for row in rows]
    assert (read, errors) in [([1, 2, 3], []), ([1, 3], [(2, "cuerpo")])]


@pytest.mark.parametrize(("formato", "head", "bad"), [("csv", HEAD, "x,1\n"), ("ndjson", "", "x\n")])
def test_reading_ends_once_there_are_errors_enough(formato, head, bad):
    assert len(_wrong(head + bad * 10_000, formato)) == MAX_ERRORS


def test_a_quote_that_nobody_closes_does_not_wait_for_the_end():
    text = f'{HEAD}1,1\n"1,1\n' + "1,1\n" * 10_000

    assert _wrong(text) == [(3, "cuerpo")]


def test_a_line_without_end_is_not_kept():
    taken = []

    async def endless():
        while True:
            taken.append(1)
            yield b"1" * 1024

    async def read():
        return [piece async for piece in slices(endless())]

    with pytest.raises(LineTooLong):
        asyncio.run(read())
    assert len(taken) == SLICE // 1024


@pytest.mark.parametrize("step", [1, 7, SLICE - 1, SLICE, 10**6])
def test_slices_are_whole_lines_however_the_bytes_arrive(step):
    data = b"".join(b"%d\n" % number for number in range(20_000)) + b"the end"

    async def chunks():
        for start in range(0, len(data), step):
            yield data[start : start + step]

    async def read():
        return [piece async for piece in slices(chunks())]

    pieces = asyncio.run(read())

    assert b"".join(pieces) == data
    assert all(piece.endswith(b"\n") for piece in pieces[:-1])
    assert max(map(len, pieces)) <= SLICE
