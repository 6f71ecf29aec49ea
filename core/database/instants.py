"""Times out of the database, as answers have them."""

from datetime import datetime

import psycopg
from psycopg.abc import AdaptContext, Buffer
from psycopg.adapt import Loader
from psycopg.postgres import types
from psycopg.pq import Format

from core.instants import rfc3339

_whole = psycopg.adapters.get_loader(types["timestamptz"].oid, Format.BINARY)


class InstantLoader(Loader):
    """Loads a timestamptz as a datetime, or as RFC 3339 text when its fraction is zero.

    JSON of a datetime has six digits of fraction or none; an answer always has six."""

    format = Format.BINARY

    def __init__(self, oid: int, context: AdaptContext | None = None) -> None:
        super().__init__(oid, context)
        assert _whole  # noqa: S101 - psycopg has it
        self._load = _whole(oid, context).load

    def load(self, data: Buffer) -> datetime | str:
        moment: datetime = self._load(data)
        return moment if moment.microsecond else rfc3339(moment)
