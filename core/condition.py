"""Which versions of a row a change may find: what If-Match and If-None-Match mean to a statement."""

from msgspec import Struct


class Condition(Struct, frozen=True):
    """The row's version is one of `versions`, or any where that is None, and none of `others`.

    The fields are the statements' parameters."""

    versions: list[int] | None = None
    others: list[int] = []


ALWAYS = Condition()


class Change(Struct, frozen=True):
    """How a conditional change ended: was there a row, and did it still have the version asked for."""

    found: bool
    changed: bool
