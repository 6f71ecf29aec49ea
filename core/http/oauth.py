"""What OAuth 2.0's endpoints take and how they refuse it (RFC 6749 sections 3.2 and 5.2, RFC 7009 section 2.2.1)."""

import json
import re
import unicodedata
from codecs import BOM_UTF8
from collections.abc import Sequence
from types import UnionType
from typing import Any, get_args, get_type_hints

from msgspec import Struct

from core.http.forms import FORM
from core.http.validation import form_pairs, struct_of
from core.problems import BAD_JSON, BAD_TOKEN_REQUEST, INVALID, Problem, invalid

NO_CACHE = (b"cache-control", b"no-store"), (b"pragma", b"no-cache")  # section 5.1
NO_DESCRIPTION = re.compile(r"[^ !#-\[\]-~]")  # section 5.2: what error_description cannot have
GRANT = "grant_type"
WORDS = {429: "temporarily_unavailable", 500: "server_error", 503: "temporarily_unavailable"}


def arms(body_type: Any) -> Sequence[Any]:
    """The types that a body may be: the members of a union, or the one; none without a body."""
    if isinstance(body_type, UnionType):
        return get_args(body_type)
    return () if body_type is None else (body_type,)


def decode_parameters(body: bytes, media: str | None, body_type: Any) -> Any:
    """The struct of a form or of a JSON object; of a union the one whose `grant_type` was sent, else the first.

    A parameter that it does not know is ignored, one without a value counts as left out (section 3.2). Raises
    Problem 400 for one that is missing, repeated or no text."""
    pairs: Sequence[tuple[str, Any]] = ()
    if body:
        pairs = form_pairs(body, whole="cuerpo") if media == FORM else _json(body)
    said = [(name, value) for name, value in pairs if value != ""]
    chosen = _chosen(said, arms(body_type))
    known = [(name, value) for name, value in said if name in chosen.__struct_fields__]
    return struct_of(known, chosen, whole="cuerpo", doubtful=b"\\" in body)


def refusal(problem: Problem) -> Problem:
    """The problem as these endpoints answer it: `error` and `error_description` beside a problem's members."""
    extra = {
        "error": WORDS.get(problem.kind.status, "invalid_request"),
        "error_description": NO_DESCRIPTION.sub("'", _ascii(problem.detail)),
    }
    kind = BAD_TOKEN_REQUEST if problem.kind is INVALID else problem.kind
    refused = Problem(
        kind,
        problem.detail,
        errores=problem.errores,
        headers=[*problem.headers, *NO_CACHE],
        extra=extra | problem.extra,
    )
    refused.__cause__ = problem.__cause__
    return refused


def _ascii(text: str) -> str:
    return unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode()


def _chosen(said: Sequence[tuple[str, object]], types: Sequence[type[Struct]]) -> type[Struct]:
    grants = [value for name, value in said if name == GRANT]
    if len(types) == 1 or not grants:
        return types[0]
    if len(grants) > 1:
        raise invalid(GRANT, "está repetido")
    by_grant = {get_args(get_type_hints(type_)[GRANT])[0]: type_ for type_ in types}
    if not isinstance(grants[0], str) or grants[0] not in by_grant:
        detail = f"{GRANT} debe ser {' o '.join(by_grant)}"
        raise Problem(BAD_TOKEN_REQUEST, detail, extra={"error": "unsupported_grant_type"})
    return by_grant[grants[0]]


class _Pairs(list[tuple[str, Any]]):
    """The members of a JSON object, in their order and however often they come."""


def _no_constant(name: str) -> None:
    raise ValueError(name)


PARSER = json.JSONDecoder(object_pairs_hook=_Pairs, parse_int=float, parse_constant=_no_constant)


def _json(body: bytes) -> list[tuple[str, Any]]:
    try:
        value = PARSER.decode(body.removeprefix(BOM_UTF8).decode())
    except RecursionError:
        raise invalid("cuerpo", "tiene demasiados niveles") from None
    except ValueError:
        raise Problem(BAD_JSON, "El cuerpo no es JSON válido en UTF-8") from None
    if not isinstance(value, _Pairs):
        raise invalid("cuerpo", "debe ser un objeto JSON")
    return value
