"""What a psycopg error means to the caller: the one place where SQLSTATEs become problems."""

import re
from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
from psycopg_pool import PoolTimeout, TooManyRequests

from core.problems import (
    BUSY,
    DB_AWAY,
    DB_BEHIND,
    DB_FULL,
    DB_POOL,
    DB_READ_ONLY,
    DB_RESTARTING,
    DB_SLOW,
    OUTCOME_UNKNOWN,
    DatabaseUnavailable,
    Kind,
    violated,
)


class SilenceError(Exception):
    """The server says nothing for longer than its own time-outs allow."""


BY_STATE: dict[str | None, Kind] = {
    "25006": DB_READ_ONLY,  # read_only_sql_transaction
    "25P03": DB_SLOW,  # idle_in_transaction_session_timeout
    "40001": DB_SLOW,  # serialization_failure, and conflict with recovery on a follower
    "40P01": DB_SLOW,  # deadlock_detected
    "53100": DB_FULL,  # disk_full
    "53300": DB_POOL,  # too_many_connections
    "55P03": DB_SLOW,  # lock_not_available
    "57014": DB_SLOW,  # query_canceled, by statement_timeout
    "57P01": DB_RESTARTING,  # admin_shutdown
    "57P02": DB_RESTARTING,  # crash_shutdown
    "57P03": DB_RESTARTING,  # cannot_connect_now
    "CIINF": DB_AWAY,  # a worker of a cluster went away with what an earlier part of the statement had found
}
NUMBERED = re.compile(r"_(pkey|id_key)(_\d+)?$")  # a sequence gave the id, so it is behind its table
# A worker's error has its constraint in its message alone; the words around it are of the server's language.
TOLD = re.compile(r"""["«„“](\w+_(?:key|pkey|fkey|check)_\d+)["»“”]""")
BY_CLASS: dict[type[Exception], Kind] = {
    PoolTimeout: DB_POOL,
    TooManyRequests: BUSY,
}
BY_TEXT = {  # libpq gives no SQLSTATE for a refused connection
    "starting up": DB_RESTARTING,
    "shutting down": DB_RESTARTING,
    "recovery": DB_RESTARTING,
    "too many": DB_POOL,
    "remaining connection slots": DB_POOL,
    "read-only": DB_READ_ONLY,
}
ESSENTIAL = "marked as essential"  # how a cluster says, as an internal error, that one of its nodes is away


def problem_of(error: Exception) -> Exception:
    """The Problem that an error of the database means; the error itself when it is a defect of ours."""
    problem = _problem_of(error)
    if problem is not error:
        problem.__cause__ = error
    return problem


def _problem_of(error: Exception) -> Exception:
    if isinstance(error, SilenceError):
        return DatabaseUnavailable(DB_SLOW)
    if not isinstance(error, psycopg.Error):
        return error
    if constraint := _constraint(error):
        return DatabaseUnavailable(DB_BEHIND) if NUMBERED.search(constraint) else violated(constraint)
    if kind := BY_STATE.get(error.sqlstate) or BY_CLASS.get(type(error)):
        return DatabaseUnavailable(kind)
    if isinstance(error, psycopg.OperationalError) or out_of_step(error) or ESSENTIAL in str(error):
        kinds = [kind for words, kind in BY_TEXT.items() if words in str(error)]
        return DatabaseUnavailable(kinds[0] if kinds else DB_AWAY)
    return error


def _constraint(error: psycopg.Error) -> str:
    """The name of the violated constraint, empty when there is none. A cluster tells some as internal errors."""
    if not isinstance(error, psycopg.IntegrityError | psycopg.InternalError):
        return ""
    told = TOLD.search(error.diag.message_primary or "")
    return error.diag.constraint_name or (told[1] if told else "")


def unanswered(error: Exception) -> bool:
    """Whether PostgreSQL said nothing: what it was sent may or may not have been committed."""
    return isinstance(error, SilenceError) or (isinstance(error, psycopg.Error) and error.sqlstate is None)


def outcome_unknown(error: Exception) -> DatabaseUnavailable:
    """The Problem of a change that was sent and not answered."""
    problem = DatabaseUnavailable(OUTCOME_UNKNOWN)
    problem.__cause__ = error
    return problem


def out_of_step(error: psycopg.Error) -> bool:
    """Whether psycopg, not PostgreSQL, found an answer that does not belong to its question: the server is going."""
    return isinstance(error, psycopg.InternalError) and error.sqlstate is None


@contextmanager
def as_problems() -> Iterator[None]:
    """Raises psycopg's errors, and the silence of the server, as the Problems they mean."""
    try:
        yield
    except (psycopg.Error, SilenceError) as error:
        problem = problem_of(error)
        if problem is error:
            raise
        raise problem from error
