"""Statements on intento (migrations/0007_create_intento.sql): attempts, counted across processes."""

from collections.abc import Sequence

from msgspec import Struct

from core.database.database import Runner


class Limit(Struct, frozen=True):
    """`free` attempts at once, then one after each of waits that double from `first` to `longest` seconds.

    One attempt is forgotten every `forget` seconds, and each that succeeds. With `learns`, success clears the
    count, and what is counted is known from then on: it has `known` attempts at once, not `free`, and the limits
    for `strangers` that are asked together with it do not count. Clients read its `name`."""

    free: int
    first: float
    longest: float
    forget: float
    known: int = 0
    learns: bool = False
    strangers: bool = False
    name: str = "intentos"


class AttemptVerdict(Struct, frozen=True):
    """Seconds to `wait` before the next attempt; 0 when this one may go on, and is counted.

    `clave` is of the count that leaves the fewest attempts, or that makes wait; `made` says how many of its attempts
    are not forgotten, this one included, and is None when this one is not counted."""

    wait: float
    clave: bytes
    made: float | None


class Count(Struct, frozen=True):
    """What is counted under a limit; `clave` is 16 bytes."""

    clave: bytes
    limit: Limit


class Tried(Struct, frozen=True):
    """The counts of one attempt; none where nothing is throttled. Where one of `witnesses` is known, the limits for
    strangers do not count."""

    counts: Sequence[Count]
    witnesses: Sequence[bytes]

    def parameters(self) -> dict[str, object]:
        return {
            "testigos": list(self.witnesses),
            "clave": [count.clave for count in self.counts],
            "gratis": [count.limit.free for count in self.counts],
            "gratis_conocida": [count.limit.known for count in self.counts],
            "primera": [float(count.limit.first) for count in self.counts],
            "mayor": [float(count.limit.longest) for count in self.counts],
            "olvido": [float(count.limit.forget) for count in self.counts],
            "aprende": [count.limit.learns for count in self.counts],
            "ajenos": [count.limit.strangers for count in self.counts],
        }


ASKED = """asked AS (
    SELECT clave, gratis, gratis_conocida, primera, mayor, olvido, aprende
      FROM unnest(%(clave)s::bytea[], %(gratis)s::bigint[], %(gratis_conocida)s::bigint[],
                  %(primera)s::double precision[], %(mayor)s::double precision[], %(olvido)s::double precision[],
                  %(aprende)s::boolean[], %(ajenos)s::boolean[])
           AS asked (clave, gratis, gratis_conocida, primera, mayor, olvido, aprende, ajenos)
     WHERE NOT (ajenos AND EXISTS (
               SELECT 1 FROM intento AS i
                WHERE i.clave = ANY (%(testigos)s::bytea[])
                  AND i.conocida))
)"""

ATTEMPT = f"""
-- intentos.attempt: seconds to wait (0 means go on, and that it is counted), and the count that leaves least. Of many
-- at once each waits for the row and sees what the one before left; in the order of clave, so that no two wait for each
-- other; uses intento_pkey
WITH {ASKED}, refused AS (
    SELECT max(i.espera) AS espera
      FROM intento AS i
      JOIN asked ON asked.clave = i.clave
     WHERE i.espera > now()
), counted AS (
    INSERT INTO intento AS i (clave, intentos, ultimo)
    SELECT asked.clave, 1, now()
      FROM asked
      JOIN refused ON refused.espera IS NULL
     ORDER BY asked.clave
    ON CONFLICT (clave) DO UPDATE
       SET (intentos, ultimo, espera) = (
           SELECT made,
                  greatest(i.ultimo, now()),
                  CASE WHEN excess < 0 THEN '-infinity'
                       ELSE now() + least(primera * 2 ^ least(excess, 30), mayor) * interval '1 second' END
             FROM asked
            CROSS JOIN LATERAL (SELECT greatest(0, extract(epoch FROM now() - i.ultimo)) / olvido) AS a (forgotten)
            CROSS JOIN LATERAL (SELECT greatest(0, i.intentos - forgotten) + 1) AS b (made)
            CROSS JOIN LATERAL (SELECT ceil(made) - CASE WHEN i.conocida THEN gratis_conocida ELSE gratis END)
                       AS c (excess)
            WHERE asked.clave = i.clave)
     WHERE i.espera <= now()
    RETURNING i.clave, i.intentos
), tightest AS (
    SELECT asked.clave, counted.intentos::double precision AS made
      FROM asked
      LEFT JOIN counted ON counted.clave = asked.clave
      LEFT JOIN intento AS i ON i.clave = asked.clave AND i.espera > now()
     ORDER BY i.espera DESC NULLS LAST, asked.gratis - counted.intentos
     LIMIT 1
)
SELECT CASE WHEN espera IS NOT NULL THEN extract(epoch FROM espera - now())::double precision
            WHEN (SELECT count(*) FROM counted) < (SELECT count(*) FROM asked) THEN 1
            ELSE 0 END, tightest.clave, tightest.made
  FROM refused
 CROSS JOIN tightest
"""

# Clears the asked counts or, where nothing is learnt, forgets one attempt; what is learnt is known from then on. Locks
# in the order of clave, as intentos.attempt does.
SETTLE = """INSERT INTO intento AS i (clave, intentos, ultimo, conocida)
    SELECT clave, 0, now(), aprende
      FROM asked
     WHERE {succeeded}
     ORDER BY clave
    ON CONFLICT (clave) DO UPDATE
       SET intentos = CASE WHEN excluded.conocida THEN 0 ELSE greatest(0, i.intentos - 1) END,
           ultimo   = CASE WHEN excluded.conocida THEN greatest(i.ultimo, now()) ELSE i.ultimo END,
           espera   = CASE WHEN excluded.conocida
                             OR i.intentos - 1 < (SELECT gratis FROM asked WHERE asked.clave = i.clave)
                           THEN '-infinity' ELSE i.espera END,
           conocida = i.conocida OR excluded.conocida"""

SUCCEEDED = f"""
-- intentos.succeeded: clears or, where nothing is learnt, forgets the one attempt that succeeded; locks in the order of
-- clave, as intentos.attempt does; uses intento_pkey
WITH {ASKED}
    {SETTLE.format(succeeded="true")}
"""

SWEEP = """
-- intentos.sweep: forgets some of what no limit remembers after a day, and of the addresses known a month ago;
-- reads the whole table; uses intento_pkey
WITH over AS (
    SELECT clave
      FROM intento
     WHERE ultimo < now() - CASE WHEN conocida THEN interval '30 days' ELSE interval '1 day' END
     LIMIT 1000
       FOR UPDATE SKIP LOCKED
)
DELETE FROM intento AS i
 USING over
 WHERE i.clave = over.clave
"""


async def attempt(db: Runner, tried: Tried) -> AttemptVerdict:
    """Counts an attempt that has something to count, if it may go on."""
    verdict = await db.one(AttemptVerdict, ATTEMPT, **tried.parameters())
    assert verdict is not None  # noqa: S101 - an aggregate has a row, and there is something to count
    return verdict


async def succeeded(db: Runner, tried: Tried) -> None:
    if tried.counts:
        await db.run(SUCCEEDED, **tried.parameters())


async def sweep(db: Runner) -> int:
    return await db.run(SWEEP)
