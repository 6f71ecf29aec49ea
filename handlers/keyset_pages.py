"""Keyset pages: their query, their opaque cursors, and the headers that lead on."""

from typing import Annotated, Literal, TypeVar
from urllib.parse import quote, unquote

import msgspec
from msgspec import Meta

from core.http.messages import Headers
from core.http.request import Request
from core.http.validation import Query
from core.problems import invalid

T = TypeVar("T")

PAGE = 100  # rows of a page that says no limit
Limit = Annotated[int, Meta(ge=1, le=1000)]
Cursor = Annotated[str, Meta(min_length=1, max_length=500)]
Despues = Annotated[Cursor | None, Meta(description="where to begin: the Link of a page has the next one's")]


class PageQuery(Query, frozen=True):
    """What every list takes: a page's size, and where it begins."""

    limit: Annotated[Limit, Meta(description="how many at most")] = PAGE
    despues: Despues = None


class ListQuery(PageQuery, frozen=True):
    """What a long list takes too: whether to count it all."""

    total: Annotated[
        Literal["exacto", "estimado"] | None,
        Meta(
            description="count them in X-Total-Count: exactly, which reads them all, or nearly, which is free"
        ),
    ] = None


def make_cursor(request: Request, list_name: str, place: object) -> str:
    """A place in a list, readable by this API alone and for that list alone."""
    return request.services.keys.seal(list_name, msgspec.json.encode(place))


def read_cursor(request: Request, list_name: str, cursor: str | None, type_: type[T]) -> T | None:
    """The place of a cursor, None without one. Raises Problem 422 when it is not one of that list's."""
    if cursor is None:
        return None
    data = request.services.keys.open(list_name, cursor)
    if data is None:
        raise invalid("despues", "debe ser un cursor de esta misma lista, sin cambios")
    return msgspec.json.decode(data, type=type_)


def page_headers(request: Request, cursor: str | None, total: int | None) -> Headers:
    """Link (RFC 8288) and X-Next-Cursor to the next page, when there is one; X-Total-Count, when asked for."""
    headers = []
    if cursor is not None:
        asked = quote(request.scope["query_string"], safe="&=%+").split("&")
        kept = [pair for pair in asked if unquote(pair.partition("=")[0]) not in ("", "despues")]
        target = f"{request.prefix}{quote(request.own_path)}?" + "&".join([*kept, f"despues={cursor}"])
        headers.append((b"link", f'<{target}>; rel="next"'.encode()))
        headers.append((b"x-next-cursor", cursor.encode()))
    if total is not None:
        headers.append((b"x-total-count", b"%d" % total))
    return headers
