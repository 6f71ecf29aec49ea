"""Files of real programs (tests/files), read as what they are; without being told, refused with what to say."""

import asyncio
from datetime import UTC, datetime
from pathlib import Path

import pytest

from core.files.dialect import Dialect
from core.instants import Dates, moment
from core.zones import zone
from sql.ventas_import import open_renglones

FILES = Path(__file__).parent / "files"
SHOP = zone("America/Argentina/Buenos_Aires")
SALES = [
    (150000, 3, "2026-02-01T01:15:00+00:00"),
    (99950, 1, "2026-02-01T03:05:00+00:00"),
    (5, 2, "2026-02-01T13:00:00+00:00"),
]
ES, MX, US = ("coma", "dma"), ("punto", "dma"), ("punto", "mda")
DIALECTS = {
    "excel_1252.csv": (*ES, "windows-1252"),
    "excel_empty_rows.csv": ES,
    "excel_es.csv": ES,
    "excel_sep.csv": ES,
    "excel_unicode_text.txt": ES,
    "excel_utf8_bom.csv": ES,
    "libreoffice_es_AR.csv": ES,
    "libreoffice_es_AR_comma.csv": ES,
    "libreoffice_es_AR_utf16.csv": ES,
    "mac.csv": ES,
    "mexico.csv": MX,
    "spaces.csv": ES,
    "united_states.csv": US,
    "utf16_be.txt": ES,
    "duckdb.csv": (None, None),
    "polars.csv": (None, None),
    "python.csv": (None, None),
}
NEED = [name for name, (decimal, *_) in DIALECTS.items() if decimal]


def read(data, decimal=None, fecha=None, charset="utf-8", *, step=1 << 16):
    """The sales of a file, and the lines that are refused with their reasons."""
    reader = open_renglones("csv", Dialect(charset=charset, decimal=decimal, fecha=fecha, zone=SHOP))

    async def chunks():
        for start in range(0, len(data), step):
            yield data[start : start + step]

    async def rows():
        return [numbered async for rows in reader.rows(chunks()) for numbered in rows]

    sales = []
    for line, row in asyncio.run(rows()):
        try:
            creacion = row.creacion and moment(row.creacion, SHOP).isoformat()
        except ValueError as error:  # as the import refuses it
            reader.refusals.refuse(line, str(error), "creacion")
        else:
            sales.append((row.venta, row.ventas_productos, creacion))
    return sales, [(error.linea, error.campo, error.mensaje) for error in reader.refusals.errores]


def table(*lines, head="venta;ventas_productos;creacion"):
    return "\n".join([head, *lines, ""]).encode()


def test_every_file_is_tried():
    assert {file.name for file in FILES.iterdir()} == DIALECTS.keys()


@pytest.mark.parametrize("step", [1, 7, 1 << 16])
@pytest.mark.parametrize("name", DIALECTS)
def test_it_is_read_as_what_it_is(name, step):
    assert read((FILES / name).read_bytes(), *DIALECTS[name], step=step) == (SALES, [])


@pytest.mark.parametrize("name", NEED)
def test_nothing_is_guessed_and_the_refusal_names_what_would_read_it(name):
    decimal, fecha, *charset = DIALECTS[name]
    sales, errors = read((FILES / name).read_bytes(), None, None, *charset)

    text = " ".join(mensaje for _, _, mensaje in errors)
    assert len(sales) < len(SALES)
    assert f"decimal={decimal}" in text
    assert f"fecha={fecha}" in text


@pytest.mark.parametrize(
    ("cell", "decimal", "cents"),
    [
        ("1500", "coma", 150000),
        ("1500,5", "coma", 150050),
        ("150.000", "coma", 15000000),
        ("$ 1.234.567,89", "coma", 123456789),
        ("1 500,00 €", "coma", 150000),
        ("1\u202f500,00", "coma", 150000),
        ("1,500.25", "punto", 150025),
        ("150000.00", "punto", 15000000),
        ("10000000000000,00", "coma", 10**15),
        ("S/ 1,500.00", "punto", 150000),
        ("S/. 1,500.00", "punto", 150000),
        ("Bs. 1.500,00", "coma", 150000),
        ("1.500,00 Bs", "coma", 150000),
        ("Gs. 1.500", "coma", 150000),
        ("Q1,500.00", "punto", 150000),
        ("L. 1,500.00", "punto", 150000),
        ("C$ 1,500.00", "punto", 150000),
        ("B/. 1,500.00", "punto", 150000),
        ("RD$1,500.00", "punto", 150000),
        ("$U 1.500,00", "coma", 150000),
        ("1\u2009500,00", "coma", 150000),
    ],
)
def test_an_amount_in_units_is_exact(cell, decimal, cents):
    sales, errors = read(table(f'"{cell}",1', head="venta,ventas_productos"), decimal)
    assert (sales, errors) == ([(cents, 1, None)], [])


@pytest.mark.parametrize(
    ("cell", "decimal"),
    [
        ("1500.00", "coma"),
        ("1.50", "coma"),
        ("1.5000", "coma"),
        ("1500,005", "coma"),
        ("1,500", "coma"),
        ("1.500", "punto"),
        ("-5,00", "coma"),
        ("1.500.00", "punto"),
        ("1.500,00", None),
        ("150.000", None),
        ("150000.0", None),
        ("$ 5", None),
        ("10000000000000,01", "coma"),
        ("1,5E+03", "coma"),
        ("٣", "coma"),
        ("1.234 567,00", "coma"),
        ("US$ 1.500,00", "coma"),
        ("LL 1.500,00", "coma"),
        ("0.500", "coma"),
        ("0,250", "punto"),
        ("00.500,00", "coma"),
    ],
)
def test_an_amount_that_could_be_another_is_refused(cell, decimal):
    sales, errors = read(table(f"{cell};1", head="venta;ventas_productos"), decimal)
    assert (sales, [(line, campo) for line, campo, _ in errors]) == ([], [(2, "venta")])


@pytest.mark.parametrize("cell", ["$ 3", "3 €", "S/ 3"])
def test_a_number_of_products_is_no_money(cell):
    _, errors = read(table(f"1;{cell}", head="venta;ventas_productos"), "coma")
    assert errors == [(2, "ventas_productos", "debe ser un número entero de 1 a 1000000")]


@pytest.mark.parametrize("decimal", [None, "coma"])
def test_an_empty_cell_that_must_be_filled_is_said_to_be_missing(decimal):
    _, errors = read(table(" ;1", head="venta;ventas_productos"), decimal)
    assert errors == [(2, "venta", "es obligatorio")]


@pytest.mark.parametrize("row", ["   ", " ; ", "\u00a0;", ";;;"])
def test_a_row_of_spaces_is_empty(row):
    assert read(table("1;1", row, head="venta;ventas_productos")) == ([(1, 1, None)], [])


@pytest.mark.parametrize("name", ["Creación", "CREACIÓN", "Creacio\u0301n", " creación "])
def test_a_header_is_read_with_its_accents(name):
    sales, errors = read(table("1;1;2026-01-31", head=f"venta;ventas_productos;{name}"))
    assert (sales, errors) == ([(1, 1, "2026-01-31T03:00:00+00:00")], [])


def test_a_column_without_a_name_is_told_by_its_number():
    _, [(line, campo, _)] = read(table("1;;1", head="venta;;ventas_productos"))
    assert (line, campo) == (1, "columna 2")


@pytest.mark.parametrize("campo", ["usuario_id", "creacion"])
def test_what_a_cell_must_be_is_said_in_the_words_of_a_table(campo):
    _, [(_, _, mensaje)] = read(table("1;1;x", head=f"venta;ventas_productos;{campo}"))
    assert mensaje.endswith(" o una celda vacía")


@pytest.mark.parametrize(("decimal", "example"), [("coma", "1.500,50"), ("punto", "1,500.50")])
def test_what_is_no_amount_is_told_how_the_file_writes_one(decimal, example):
    _, errors = read(table("mucho;1", head="venta;ventas_productos"), decimal)
    assert errors == [(2, "venta", f"debe ser un importe como {example}")]


@pytest.mark.parametrize(
    ("cell", "fecha", "iso"),
    [
        ("31/01/2026", "dma", "2026-01-31T03:00:00+00:00"),
        ("1/2/26 9:05", "dma", "2026-02-01T12:05:00+00:00"),
        ("31-01-2026 22:15:07,5", "dma", "2026-02-01T01:15:07.500000+00:00"),
        ("31.01.2026 22:15 -0200", "dma", "2026-02-01T00:15:00+00:00"),
        ("31/1/2026, 22:15:00", "dma", "2026-02-01T01:15:00+00:00"),
        ("01/31/2026 12:00 AM", "mda", "2026-01-31T03:00:00+00:00"),
        ("2026-01-31", "dma", "2026-01-31T03:00:00+00:00"),
        ("2026-01-31 22:15", None, "2026-02-01T01:15:00+00:00"),
        ("2026-01-31T22:15:00+23:59", None, "2026-01-30T22:16:00+00:00"),
        ("2026-01-31T22:15:00-16:00", None, "2026-02-01T14:15:00+00:00"),
    ],
)
def test_a_date_is_read_in_the_order_that_was_said(cell, fecha, iso):
    assert read(table(f"1;1;{cell}"), None, fecha) == ([(1, 1, iso)], [])


@pytest.mark.parametrize(
    ("cell", "fecha", "says"),
    [
        ("01/02/2026", None, "fecha=dma o fecha=mda"),
        ("31/01/2026", None, "fecha=dma"),
        ("01/31/2026", "dma", "fecha=mda"),
        ("31/02/2026", "dma", "debe ser una fecha como 31/01/2026 22:15, con hora o sin ella"),
        ("31/01-2026", "dma", "debe ser una fecha"),
        ("13:00 31/01/2026", "dma", "debe ser una fecha"),
        ("31/01/2026 13:00 PM", "dma", "debe ser una fecha"),
        ("46053,92", "dma", "debe ser una fecha"),
    ],
)
def test_a_date_that_fits_no_order_or_both_is_refused(cell, fecha, says):
    sales, [(line, campo, mensaje)] = read(table(f"1;1;{cell}"), None, fecha)
    assert (sales, line, campo) == ([], 2, "creacion")
    assert says in mensaje


AMBIGUOUS = {
    "a comma file with decimal commas": (b"venta,ventas_productos\n1500,00,3\n", 2, "2 columnas"),
    "two separators": (table("1;1;", "1,1,"), 3, "3 columnas"),
    "two line ends": (b"venta,ventas_productos\r1,1\r1,1\n2,2\r", 3, "CSV"),
    "a BOM in the middle": (
        table("1;1;;", "1;1;;\ufeff", head="venta;ventas_productos;creacion;id"),
        3,
        "BOM",
    ),
    "a BOM before a number": (table("1;1;", "\ufeff1;1;"), 3, "BOM"),
    "a second BOM": ("\ufeff\ufeffventa;ventas_productos\n1;1\n".encode(), 1, "BOM"),
    "a NUL in a number": (table("1\0;1;"), 2, "NUL"),
    "NULs at the end": (table("1;1;") + b"\0" * 512, 3, "NUL"),
    "UTF-16 without its mark": ("venta\tventas_productos\n1\t1\n".encode("utf-16-le"), 1, "charset=utf-16"),
    "half a character in a cell that nobody reads": (
        b"venta;ventas_productos;id\n1;1;\xed\xa0\x80\n",
        2,
        "no está en UTF-8",
    ),
    "a NUL": (table("1;1;;\0", head="venta;ventas_productos;creacion;id"), 2, "NUL"),
    "half a unit at the end": (
        "\ufeffventa\tventas_productos\n1\t1\n".encode("utf-16-le") + b"1",
        3,
        "UTF-16",
    ),
    "another charset": (b"venta,ventas_productos\n1,1\n\x801,1\n", 3, "windows-1252"),
    "a line without end": (b"venta,ventas_productos\n" + b"1" * (10 << 20), 2, "8192 bytes"),
    "a workbook": (b"PK\x03\x04" + b"\0" * (1 << 20), 1, "guárdelo como CSV"),
    "an old workbook": (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b"\0" * 512, 1, "guárdelo como CSV"),
    "a separator that is none": (b"sep=x\nventaxventas_productos\n", 1, "no es una columna"),
}


@pytest.mark.parametrize("what", AMBIGUOUS)
def test_an_ambiguous_file_is_refused_by_line(what):
    data, line, says = AMBIGUOUS[what]
    _, errors = read(data, "coma", "dma")
    assert errors[0][0] == line
    assert says in errors[0][2]


@pytest.mark.parametrize(
    ("name", "first"),
    [("UTC", "2000-01-01"), ("America/Argentina/Buenos_Aires", "2000-01-01"), ("Asia/Kolkata", "2000-01-02")],
)
def test_the_first_day_that_is_told_is_one_that_is_taken(name, first):
    dates = Dates.up_to_now(datetime(2000, 1, 1, tzinfo=UTC), zone(name))
    assert dates.read(first)
    with pytest.raises(ValueError, match=f"desde el {first} hasta"):
        dates.read("1999-12-31")


def test_the_zone_of_a_file_is_where_its_times_are():
    assert moment("2026-01-31T22:15", UTC).isoformat() == "2026-01-31T22:15:00+00:00"
    assert moment("2026-04-04T23:30", zone("America/Santiago")).isoformat() == "2026-04-05T02:30:00+00:00"
