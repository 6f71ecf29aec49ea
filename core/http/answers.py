"""What a handler returns: the body alone, or with more to say."""

from typing import Generic, TypeVar

import msgspec
from msgspec import Struct

from core.http.messages import Headers

T = TypeVar("T")
encode = msgspec.json.Encoder().encode


class Answer(Struct, frozen=True):
    """An answer as it goes on the wire."""

    status: int
    headers: Headers
    body: bytes


class Reply(Struct, Generic[T], frozen=True):
    """An answer with more to say than its body: headers, or a status other than the declared one."""

    body: T
    headers: Headers = ()
    status: int | None = None


class Answered(Struct, frozen=True):
    """What a change answers."""

    respuesta: str


class Created(Struct, frozen=True):
    """What a creation answers."""

    respuesta: str
    id: int


class CreatedMany(Struct, frozen=True):
    """What a creation of many answers: their ids, in the order of the batch."""

    respuesta: str
    ids: list[int]
