"""Refresh tokens that are used together share a round trip; two of one session end as if one came after the other."""

import asyncio

import pytest
from databases import Rows
from test_batching import batches
from test_held import locked

from core.auth.refresh import RefreshToken
from core.caller import NOBODY, Origin
from core.database.database import Database
from sql import sesiones_rotation
from sql.sesiones_rotation import Rotation

pytestmark = pytest.mark.anyio

ORIGIN = Origin(actor=NOBODY, address="192.0.2.1", agent="a", request_id="r")
Session = tuple[int, int]


@pytest.fixture
def sessions(rows: Rows, users: list[int]) -> list[Session]:
    """A session each of 20 users: the user's id and its own; the first token is number 0."""
    rows(
        "INSERT INTO sesion (usuario_id, expira, renovable)"
        " SELECT u, now() + interval '1 day', true FROM unnest(%s::bigint[]) AS u",
        users[:20],
    )
    return rows("SELECT usuario_id, id FROM sesion ORDER BY 1")


def rotate(db: Database, session: Session, counter: int) -> "asyncio.Future[Rotation | None]":
    token = RefreshToken(*session, counter)
    return asyncio.ensure_future(sesiones_rotation.rotate(db, token, ORIGIN, idle=3600, verified_only=False))


def told(rotation: Rotation | None) -> tuple[str, int] | None:
    return rotation and (rotation.verdict, rotation.contador)


async def test_those_that_come_together_share_a_round_trip(db: Database, sessions: list[Session]) -> None:
    await rotate(db, sessions[0], 0)
    before = batches(db, "writes")

    found = await asyncio.gather(*(rotate(db, session, 0) for session in sessions))

    assert batches(db, "writes") == before + 1
    assert [told(each) for each in found] == [("repeated", 1), *[("rotated", 1)] * 19]


@pytest.mark.parametrize(
    ("counters", "verdicts", "contador"),
    [
        ([5, 5], [("rotated", 6), ("rotated", 6)], 6),
        ([5, 4], [("rotated", 6), ("repeated", 5)], 6),
        ([4, 4], [("repeated", 5), ("repeated", 5)], 5),
        ([5, 3], ["replayed", "replayed"], None),
        ([3, 4], ["replayed", "replayed"], None),
    ],
)
async def test_two_tokens_of_one_session_are_used_one_after_the_other(
    db: Database,
    sessions: list[Session],
    rows: Rows,
    counters: list[int],
    verdicts: list,
    contador: int | None,
) -> None:
    session = sessions[3]
    rows("UPDATE sesion SET contador = 5 WHERE id = %s", session[1])

    found = await asyncio.gather(
        *(rotate(db, session, counter) for counter in counters), rotate(db, sessions[4], 0)
    )

    assert told(found.pop()) == ("rotated", 1)
    assert [told(each) if contador else each and each.verdict for each in found] == verdicts
    [(kept, ended)] = rows("SELECT contador, fin IS NOT NULL FROM sesion WHERE id = %s", session[1])
    assert (kept, ended) == ((contador, False) if contador else (5, True))
    recorded = rows("SELECT direccion FROM auditoria WHERE accion = 'refresh_repetido'")
    assert recorded == ([] if contador else [("192.0.2.1",)])


async def test_a_locked_session_holds_up_nobody_else(
    db: Database, sessions: list[Session], database: str
) -> None:
    async with locked(database, "SELECT FROM sesion WHERE id = %s FOR UPDATE", sessions[0][1]) as blocker:
        held = rotate(db, sessions[0], 0)
        for counter in range(20):
            rotated = await asyncio.gather(*(rotate(db, session, counter) for session in sessions[1:]))
            assert {told(each) for each in rotated} == {("rotated", counter + 1)}
        assert not held.done()
        await blocker.rollback()

    assert told(await held) == ("rotated", 1)


async def test_a_session_that_ends_meanwhile_is_over(
    db: Database, sessions: list[Session], database: str
) -> None:
    async with locked(database, "UPDATE sesion SET fin = now() WHERE id = %s", sessions[0][1]) as blocker:
        held = rotate(db, sessions[0], 0)
        assert await rotate(db, sessions[1], 0)
        await blocker.commit()

    assert await held is None


async def test_one_that_is_over_or_unknown_has_none(
    db: Database, sessions: list[Session], rows: Rows
) -> None:
    rows("UPDATE sesion SET fin = now() WHERE id = %s", sessions[0][1])

    assert await asyncio.gather(rotate(db, sessions[0], 0), rotate(db, (1, 2**40), 0)) == [None, None]
