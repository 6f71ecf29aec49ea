"""The schema refuses what the API refuses: plain SQL makes no row that the API could not."""

import types
import typing
from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from msgspec import Meta
from psycopg.errors import CheckViolation, NotNullViolation

from core.caller import Rol
from core.problems import Problem
from handlers.fields import (
    Correo,
    Direccion,
    Nombre,
    Telefono,
    Username,
    kept_correo,
    kept_username,
    normal,
    plain_telephone,
)
from sql.usuarios import Perfil
from sql.ventas import Id, Importe, Productos, Venta

pytestmark = pytest.mark.each_postgresql

Rows = Callable[..., list[tuple]]

HASH = "$2b$12$" + "a" * 53
USER = {
    "username": "ana",
    "password": HASH,
    "nombre": "Ana",
    "apellido": "Paz",
    "telefono": "2604538424",
    "correo": "ana@example.com",
}
OWNER = 10**6
SALE = {"usuario_id": OWNER, "venta": 0, "ventas_productos": 1}
# Every space and control character, what a mail address may not have, and some that look like either.
ODD = [*range(0x01, 0x2F), *range(0x3A, 0x41), 0x5B, 0x5C, 0x5D, *range(0x7E, 0xA2), 0x1680, 0x180E]
ODD += [*range(0x2000, 0x2010), 0x2028, 0x2029, 0x202F, 0x205F, 0x2060, 0x3000, 0xFEFF, 0xFFFF, 0x10FFFF]
SHAPES = ["{}", "x{}", "{}x", "x{}y", "x{}@example.com", "x@{}", "x@example.com{}", "2604{}53"]
ODD_TEXTS = {shape.format(chr(code)) for shape in SHAPES for code in ODD}
TEXTS = [
    *(
        "",
        "a",
        "Ana",
        "Ana María",
        "ana@",
        "@a",
        "a@a",
        "a@a@a",
        "añá",
        "an\u0303a\u0301",
        "\u212b",
        "\u037e@a",
        "a@\u037e",
    ),
    *(
        "123",
        "12",
        "+123",
        "++123",
        "(260) 453-8424",
        "260.453/84",
        "260 453 842x",
        "1" * 20,
        "1" * 21,
        " 123",
        "0",
        "+0",
        "\u202a+54 9 260 453‑8424\u202c",
        "123 ",
    ),
    *(
        letter * length
        for letter in ("x", "ñ", "\U0001f600")
        for length in (49, 50, 51, 99, 100, 101, 199, 200, 201)
    ),
    *("x" * length + "@example.com" for length in (63, 64, 65)),
    *("x@" + "y" * length for length in (251, 252, 253, 254)),
    *("1" + " " * length + "23" for length in (36, 37, 38)),
    *sorted(ODD_TEXTS),
]


def plain_but_for_a_leading_space(telefono: str) -> str:
    """As the API keeps it; a space before it, which the API cuts off, was good before and is still."""
    return telefono if plain_telephone(telefono) == telefono.lstrip(" ") else ""


def accepts(type_: Any, value: object, kept: Callable[[str], str] = str) -> bool:
    """Whether the API would store this very value."""
    try:
        msgspec.convert(value, type_)
        return kept is str or kept(str(value)) == value
    except (msgspec.ValidationError, Problem):
        return False


@pytest.mark.parametrize(
    ("column", "type_", "kept"),
    [
        ("nombre", Nombre, normal),
        ("apellido", Nombre, normal),
        ("direccion", Direccion, str),
        ("telefono", Telefono, plain_but_for_a_leading_space),
    ],
)
def test_a_user_holds_the_texts_that_the_api_takes(
    column: str, type_: Any, kept: Callable[[str], str], rows: Rows
) -> None:
    for text in TEXTS:
        assert stores(rows, "usuario", USER | {column: text}) == accepts(type_, text, kept), repr(text)


@pytest.mark.parametrize(
    ("column", "type_", "kept"), [("username", Username, kept_username), ("correo", Correo, kept_correo)]
)
def test_names_hold_what_the_api_takes_and_what_it_took_once(
    column: str, type_: Any, kept: Callable[[str], str], rows: Rows
) -> None:
    for text in TEXTS:
        if accepts(type_, text, kept):
            assert stores(rows, "usuario", USER | {column: text}), repr(text)


@pytest.mark.parametrize(
    ("table", "row", "column", "type_"),
    [
        ("venta", SALE, "venta", Importe),
        ("venta", SALE, "ventas_productos", Productos),
        ("venta", SALE, "id", Id),
        ("usuario", USER, "id", Id),
    ],
)
def test_a_number_has_the_limits_that_the_api_has(
    table: str, row: dict[str, object], column: str, type_: Any, rows: Rows
) -> None:
    limits = next(part for part in typing.get_args(type_) if isinstance(part, Meta))
    if table == "venta":
        stores(rows, "usuario", USER | {"id": OWNER}, keep=True)
    for number in (limits.ge - 1, limits.ge, limits.le, limits.le + 1):
        if number < 2**63:
            assert stores(rows, table, row | {column: number}) == accepts(type_, number), number


def test_a_rol_is_one_that_the_api_knows(rows: Rows) -> None:
    for rol in (*typing.get_args(Rol), "otro", ""):
        assert stores(rows, "usuario", USER | {"rol": rol}) == accepts(Rol, rol)


@pytest.mark.parametrize("password", ["una clave larga", "", HASH[:-1], HASH + "a", HASH.replace("2b", "1")])
def test_a_password_is_a_hash(password: str, rows: Rows) -> None:
    assert not stores(rows, "usuario", USER | {"password": password})


@pytest.mark.parametrize(
    ("table", "column"), [("usuario", "creacion"), ("usuario", "actualizacion"), ("venta", "creacion")]
)
def test_a_time_is_one_that_json_can_say(table: str, column: str, rows: Rows) -> None:
    row = SALE if table == "venta" else USER
    stores(rows, "usuario", USER | {"id": OWNER, "username": "otra", "correo": "otra@example.com"}, keep=True)
    for moment, said in {
        "0001-01-01 00:00:00+00": True,
        "9999-12-31 23:59:59.999999+00": True,
        "0001-01-01 00:00:00+00:01": False,
        "10000-01-01 00:00:00+00": False,
        "0044-03-15 12:00:00+00 BC": False,
        "infinity": False,
        "-infinity": False,
    }.items():
        assert stores(rows, table, row | {column: moment}) == said, moment


@pytest.mark.parametrize(("table", "struct"), [("usuario", Perfil), ("venta", Venta)])
def test_what_an_answer_always_has_is_never_null(table: str, struct: Any, rows: Rows) -> None:
    fields = typing.get_type_hints(struct)
    nullable = {name for name, type_ in fields.items() if types.NoneType in typing.get_args(type_)}
    columns = rows(
        "SELECT attname, attnotnull FROM pg_attribute WHERE attrelid = %s::regclass AND attnum > 0",
        table,
    )
    assert {name for name, required in columns if not required} & fields.keys() == nullable
    for name in {name for name, _ in columns} & fields.keys() - nullable:
        with pytest.raises(NotNullViolation):
            rows(f"INSERT INTO {table} ({name}) VALUES (NULL)")


def test_a_plain_insert_needs_no_more_than_what_a_person_knows(rows: Rows) -> None:
    [user] = rows(
        "INSERT INTO usuario (username, password, nombre, apellido, direccion, telefono, correo)"
        " VALUES ('ana', %s, 'Ana', 'Paz', 'San Martín 123', '2604538424', 'ana@example.com')"
        " RETURNING estado, rol, version, creacion = now(), actualizacion = now()",
        HASH,
    )
    assert user == (False, "usuario", 1, True, True)


def test_every_constraint_is_named_for_its_table_and_what_it_holds(rows: Rows) -> None:
    named = rows(
        """
        SELECT k.conname
          FROM pg_constraint AS k
          JOIN pg_class AS c ON c.oid = k.conrelid
         WHERE c.relnamespace = 'public'::regnamespace AND c.relname !~ '^_?yoyo_' AND NOT c.relispartition
           AND k.conname !~ ('^' || c.relname || '_([a-z0-9_]+_)?(pkey|key|fkey|check|not_null)$')
        """
    )
    assert named == []


def stores(rows: Rows, table: str, row: dict[str, object], *, keep: bool = False) -> bool:
    """Whether the table takes the row; it is gone again unless `keep`."""
    columns, marks = ", ".join(row), ", ".join(["%s"] * len(row))
    insert = f"INSERT INTO {table} ({columns}) VALUES ({marks}) RETURNING id"
    try:
        [(id_,)] = rows(insert, *row.values())
    except CheckViolation:
        return False
    if not keep:
        rows(f"DELETE FROM {table} WHERE id = %s", id_)
    return True
