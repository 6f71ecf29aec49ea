"""Bytes and query strings into structs, and the Spanish sentences for what does not fit."""

import json
from codecs import BOM_UTF8
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from decimal import Decimal
from functools import cache, lru_cache
from typing import Annotated, Any, ClassVar, NoReturn, get_args, get_origin, get_type_hints
from urllib.parse import parse_qsl

import msgspec
from msgspec import Struct, inspect

from core.problems import BAD_JSON, Problem, invalid, invalid_fields

MAX_ERRORS = 100
MANY_VALUES = 10_000
SHORT_QUERY = 200  # bytes
MOST_DIGITS = 100

MISFIT = "no tiene la forma que esta ruta pide"  # where no single field is at fault

Error = dict[str, object]


class Body(Struct, forbid_unknown_fields=True, frozen=True):
    """Base of every request body: a field that is not declared is an error. EXAMPLE is a body that works."""

    EXAMPLE: ClassVar[dict[str, object]] = {}


class Query(Struct, forbid_unknown_fields=True, frozen=True):
    """Base of every query string: a parameter that is not declared, or comes twice, is an error."""


def body_decoder(type_: Any) -> Callable[[bytes], Any]:
    """A function from JSON bytes to `type_`, a Body; rows_decoder reads lists of them.

    Raises Problem: 400 when it is not JSON, 422 with every field at fault when it does not fit."""
    decode = msgspec.json.Decoder(type_).decode
    required = sum(field.required for field in msgspec.structs.fields(type_)) if type_ is not None else 0

    def decoder(body: bytes) -> Any:
        body = body.removeprefix(BOM_UTF8)  # RFC 8259 section 8.1
        try:
            value = decode(body)
        except (ValueError, RecursionError):
            _bound(body)
            return _look_again(body, type_)
        # Every required key needs a colon of its own: with no colon to spare, no key came twice.
        if body.count(b":") > required:
            _bound(body)
            _parse(body)
        return value

    return decoder


def _bound(body: bytes) -> None:
    """What would take long to explain is refused as a whole. Raises Problem 422."""
    if body.count(b",") > MANY_VALUES:
        raise invalid("cuerpo", "tiene demasiados valores")


def decode_query(query: bytes, type_: type[Query]) -> Any:
    """The struct of a query string; short ones are remembered. Raises Problem 422 with every parameter at fault."""
    return _remembered_query(query, type_) if len(query) <= SHORT_QUERY else _decoded_query(query, type_)


def _decoded_query(query: bytes, type_: type[Query]) -> Any:
    pairs = form_pairs(query, whole="consulta")
    struct = struct_of(pairs, type_, whole="consulta")
    # The text "null" is no value: what was sent must not count as not sent.
    if nulls := [name for name, _ in pairs if getattr(struct, name, "") is None]:
        raise invalid_fields([_error(name, _fields(type_)[name][2]) for name in nulls])
    return struct


_remembered_query = lru_cache(1024)(_decoded_query)


def form_pairs(encoded: bytes, *, whole: str) -> list[tuple[str, str]]:
    """The names and values of a query string or of an application/x-www-form-urlencoded body.

    Raises Problem 422, which names the `whole`."""
    try:
        return parse_qsl(encoded.decode("ascii"), keep_blank_values=True, errors="strict", max_num_fields=100)
    except ValueError:
        raise invalid(whole, "debe ser texto UTF-8 codificado con %XX, de hasta 100 valores") from None


def struct_of(
    pairs: Sequence[tuple[str, object]], type_: type[Struct], *, whole: str, doubtful: bool = False
) -> Any:
    """The struct of names and values, each once; `doubtful` values may hold lone surrogates.

    Raises Problem 422 with every one at fault, and names the `whole` where none is."""
    values = _unique(pairs)
    errores = _struct_errors(values, type_, strict=False) if doubtful else []
    if not errores:
        try:
            return msgspec.convert(values, type_, strict=False)
        except msgspec.ValidationError:
            errores = _struct_errors(values, type_, strict=False)
    raise invalid_fields(errores or [_error(whole, MISFIT)]) from None


def row_type(type_: Any) -> Any:
    """What a list type is a list of; None for a type that is no list."""
    bare = get_args(type_)[0] if get_origin(type_) is Annotated else type_
    return get_args(bare)[0] if get_origin(bare) is list else None


def _look_again(body: bytes, type_: Any) -> Any:
    """The value of a body whose integers are written 150000.0 or 1.5e5. Raises Problem for any other misfit."""
    value = _parse(body)
    errores = _struct_errors(value, type_) if b"\\" in body else []  # only an escape makes a lone surrogate
    if not errores:
        try:
            return msgspec.convert(value, type_)
        except msgspec.ValidationError:
            errores = _struct_errors(value, type_)
    raise invalid_fields(errores or [_error("cuerpo", MISFIT)]) from None


def _parse(body: bytes) -> object:
    """The JSON as plain objects. Raises Problem: 400, or 422 for a repeated key."""
    try:
        return PARSER.decode(body.decode())
    except RecursionError:
        raise invalid("cuerpo", "tiene demasiados niveles") from None
    except ValueError:
        raise Problem(BAD_JSON, "El cuerpo no es JSON válido en UTF-8") from None


def _unique(pairs: Sequence[tuple[str, object]]) -> dict[str, object]:
    values = dict(pairs)
    if len(values) != len(pairs):
        counts = Counter(name for name, _ in pairs)
        repeated = [name for name, count in counts.items() if count > 1]
        raise invalid_fields([_error(_printable(name), "está repetido") for name in repeated[:MAX_ERRORS]])
    return values


def _number(text: str) -> int | float:
    """A number of JSON; as an int where it is whole, as JSON Schema's `integer` allows: 150000.0 or 1.5e5.

    Reading very many digits takes long, and no field has so many."""
    if len(text) >= MOST_DIGITS:
        return float(text)
    exact = Decimal(text)
    whole = exact.adjusted() < MOST_DIGITS and exact == exact.to_integral_value()
    return int(exact) if whole else float(exact)


def _no_constant(name: str) -> NoReturn:
    raise ValueError(name)


# By the standard library, which tells what msgspec does not: repeated keys, and integers written 150000.0.
PARSER = json.JSONDecoder(
    object_pairs_hook=_unique, parse_constant=_no_constant, parse_int=_number, parse_float=_number
)


def _struct_errors(value: object, type_: type[Struct], *, strict: bool = True) -> list[Error]:
    if not isinstance(value, dict):
        return [_error("cuerpo", "debe ser un objeto JSON")]
    errors = []
    fields = _fields(type_)
    for name, (required, hint, text) in fields.items():
        if name not in value:
            if required:
                errors.append(_error(name, "es obligatorio"))
        elif not _fits(value[name], hint, strict):
            errors.append(_error(name, text))
    unknown = [name for name in value if name not in fields]
    return errors + [_error(_printable(name), "no es un campo conocido") for name in unknown[:MAX_ERRORS]]


@cache
def _fields(type_: type[Struct]) -> dict[str, tuple[bool, Any, str]]:
    hints = get_type_hints(type_, include_extras=True)
    return {
        field.encode_name: (field.required, hints[field.name], _described(hints[field.name], type_))
        for field in msgspec.structs.fields(type_)
    }


def _described(hint: Any, type_: type[Struct]) -> str:
    """What a field must be; a query string has no null."""
    text = describe(inspect.type_info(hint))
    return text.removesuffix(" o null") if issubclass(type_, Query) else text


def _fits(value: object, hint: Any, strict: bool) -> bool:
    if isinstance(value, str) and not value.isprintable() and _printable(value) != value:
        return False
    return _converts(value, hint, strict)


def _converts(value: object, type_: Any, strict: bool = True) -> bool:
    try:
        msgspec.convert(value, type_, strict=strict)
    except msgspec.ValidationError:
        return False
    return True


def _printable(text: str) -> str:
    """The text without lone surrogates, which no UTF-8 answer can carry."""
    return text.encode("utf-8", "replace").decode()[:100]


def _error(campo: str, mensaje: str) -> Error:
    return {"campo": campo, "mensaje": mensaje}


def describe(info: inspect.Type) -> str:
    """What a value of this type must be, in Spanish; `Meta(extra={"mensaje": …})` says it better."""
    return "debe ser " + " o ".join(dict.fromkeys(_alternatives(info)))


def _alternatives(info: inspect.Type) -> Iterator[str]:
    match info:
        case inspect.Metadata(extra={"mensaje": mensaje}):
            yield mensaje
        case inspect.Metadata(type=inner):
            yield from _alternatives(inner)
        case inspect.UnionType(types=types):
            for inner in types:
                yield from _alternatives(inner)
        case inspect.NoneType():
            yield "null"
        case inspect.BoolType():
            yield "true o false"
        case inspect.IntType(ge=None, le=None):
            yield "un número entero"
        case inspect.IntType(ge=low, le=high):
            yield f"un número entero de {low} a {high}"
        case inspect.StrType(min_length=low, max_length=int(high)):
            yield f"un texto de {low or 0} a {high} caracteres"
        case inspect.StrType():
            yield "un texto"
        case inspect.DateTimeType():
            yield "una fecha y hora RFC 3339, como 2026-01-31T10:00:00Z"
        case inspect.LiteralType(values=values):
            yield "uno de: " + ", ".join(map(str, values))
        case inspect.ListType(max_length=None):
            yield "una lista JSON"
        case inspect.ListType(max_length=high):
            yield f"una lista JSON de hasta {high} elementos"
        case _:
            yield "un valor de otro tipo"
