"""The command `check`: all that a start would refuse and a review would ask, each with what to do."""

import argparse
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from typing import Any, Literal

import psycopg
from msgspec import Struct
from psycopg.errors import InsufficientPrivilege

from core.migrating.migrations import FOLDER, MigrationError, applied, connect, names, plain_errors, read
from core.process import strength
from core.process.application import StartError
from core.process.connection_budget import shortage
from core.process.settings import Settings
from core.process.unsafe_settings import SECRET_BITS
from sql import auditoria_retention, review
from sql.review import Facts

LEAST_MONTHS = 3
MOST_TRANSACTION_IDS = 1_000_000_000
ADVICE = 3
EXIT_CODES = """
exit codes:
    0  nothing to do
    1  the start would refuse this, or the database cannot be asked
    2  wrong usage
    3  it would start, and there is advice
"""

Verdict = Literal["ok", "advice", "refused"]


class Finding(Struct, frozen=True):
    """`refused` keeps a server from its work, `advice` is what a review would ask; `text` says what to do."""

    verdict: Verdict
    text: str


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's options on `parser`."""
    parser.description = (
        "Tell, without changing anything, what a start would refuse and what a review would ask, of the settings and "
        "the database: a line each, which begins with ok, advice or refused and says what to do. Run it with the "
        "settings of the application, as its role."
    )
    parser.epilog = EXIT_CODES
    parser.formatter_class = argparse.RawDescriptionHelpFormatter


def run(settings: Settings, database: Callable[[], AbstractContextManager[str]]) -> int:
    """Print each finding about `settings` and the `database` that they name; returns the exit code."""
    findings = [*of_settings(settings)]
    try:
        with database() as url, plain_errors(), connect(url) as connection:
            facts = review.facts(connection)
            findings += of_migrations(_states(connection), settings)
            findings += of_database(facts, review.nodes(connection), settings)
            if due := auditoria_retention.due(url, settings.audit_months):
                findings.append(
                    Finding(
                        "advice", f"{len(due)} months of the audit are due: run `scripts/ventas retention`"
                    )
                )
        if settings.read_database_url:
            findings += _of_follower(settings.read_database_url)
    except (MigrationError, StartError) as error:
        findings.append(Finding("refused", f"database: {error}"))
    for finding in findings:
        print(f"{finding.verdict:8} {finding.text}")
    verdicts = {finding.verdict for finding in findings}
    return 1 if "refused" in verdicts else ADVICE if "advice" in verdicts else 0


def of_settings(settings: Settings) -> Iterator[Finding]:
    """What a review asks of settings that a start takes."""
    yield Finding("ok", f"settings: every value can be used; APP_ENV is {settings.app_env}")
    if settings.jwt_secret and strength.bits(settings.jwt_secret) < SECRET_BITS:
        yield Finding("advice", "JWT_SECRET can be guessed, production refuses it: `openssl rand -hex 32`")
    if not settings.production:
        return
    asked = [
        (
            settings.jwt_secret_previous,
            "JWT_SECRET_PREVIOUS: leave it empty once REFRESH_TOKEN_DAYS have passed",
        ),
        (not settings.public_url, "PUBLIC_URL: set it, for links in mails and for plain HTTP sent to HTTPS"),
        (not settings.mail_url, "MAIL_URL: without it nobody can recover an account"),
        (
            not settings.metrics_token,
            "METRICS_TOKEN: without it GET /metrics is off, and nobody is told of trouble",
        ),
        (
            settings.trusted_proxies == 0,
            "TRUSTED_PROXIES is 0: behind a proxy all clients would be one address",
        ),
        (settings.cors_origins == "*", "CORS_ORIGINS is *: name the origins of your applications"),
        (
            settings.first_admin == "register",
            "FIRST_ADMIN is register: whoever comes first is admin; set it to cli",
        ),
        (settings.bcrypt_rounds < 12, f"BCRYPT_ROUNDS is {settings.bcrypt_rounds}: 12 is the default"),
    ]
    for true, text in asked:
        if true:
            yield Finding("advice", text)


def of_migrations(states: list[tuple[str, str]], settings: Settings) -> Iterator[Finding]:
    """What is pending, edited or ahead, among pairs of a migration's name and state."""
    advice = {
        "pending": "run `scripts/ventas migrate`, as the owner of the tables",
        "edited": "the file is not what was applied: docs/migrations.md",
        "ahead": "the database has what this code lacks: deploy the newer code, or roll back with it",
    }
    for state, text in advice.items():
        if names := [name for name, found in states if found == state]:
            refused = state == "pending" and settings.production
            yield Finding(
                "refused" if refused else "advice", f"migrations {state}: {', '.join(names)}; {text}"
            )
    if all(state == "applied" for _, state in states):
        yield Finding("ok", f"migrations: all {len(states)} applied")


def _states(connection: psycopg.Connection[Any]) -> list[tuple[str, str]]:
    """Each migration's name and state; the application's role may not read the texts, so to it none is edited."""
    try:
        return [(migration.name, migration.state) for migration in read(connection, FOLDER)]
    except InsufficientPrivilege:
        done = applied(connection)
        return [(name, "applied" if name in done else "pending") for name in names()] + [
            (name, "ahead") for name in sorted(done.keys() - set(names()))
        ]


def of_database(facts: Facts, nodes: int, settings: Settings) -> Iterator[Finding]:
    """What a review asks of the server, the database and the role; of one's own machine, less."""
    yield Finding("ok", f"PostgreSQL {facts.version}, encoding UTF8, locale {facts.locale}")
    short = shortage(settings, facts.allowed, nodes)
    yield Finding(
        "advice" if short else "ok", f"connections: {short or f'they fit the {facts.allowed} allowed'}"
    )
    asked = [
        (facts.locale_changed, "locale: the C library sorts otherwise than when the database was made: REINDEX "
         "DATABASE, then ALTER DATABASE … REFRESH COLLATION VERSION"),
        (facts.transaction_ids > MOST_TRANSACTION_IDS, f"transaction ids: {facts.transaction_ids:,} in use, of two "
         "billion: VACUUM (FREEZE)"),
        (facts.closed, f"role: {facts.role} may read nothing of {', '.join(facts.closed)}: run docs/roles.sql, as the "
         "owner"),
        (facts.off, f"server: {', '.join(facts.off)} off: what was acknowledged may be lost, or the tables grow"),
    ]  # fmt: skip
    if settings.production:
        asked += [
            (facts.months_ahead < LEAST_MONTHS, f"partitions: auditoria has {facts.months_ahead} months ahead: run "
             "`scripts/ventas migrate` or `retention`, as the owner"),
            (facts.superuser, f"role: {facts.role} is a superuser: run the application as ventas_app (docs/roles.sql)"),
            (facts.owner and not facts.superuser, f"role: {facts.role} owns the tables: run the application as "
             "ventas_app (docs/roles.sql), unless the platform has one role only"),
            (not facts.encrypted and not facts.local, "TLS: the connection is in the clear: add sslmode=require to "
             "DATABASE_URL"),
            (facts.passwords_as == "md5", "server: password_encryption is md5: set scram-sha-256"),
            (facts.archive_mode == "off", "server: archive_mode is off: a backup brings back its own moment only "
             "(docs/backup.md)"),
            (settings.db_prepare == "off" and facts.statement_timeout == "0", f"timeouts: {facts.role} has no "
             "statement_timeout, and through a pooler the application sets none: run docs/roles.sql"),
        ]  # fmt: skip
    for true, text in asked:
        if true:
            yield Finding("advice", text)


def _of_follower(url: str) -> Iterator[Finding]:
    try:
        with plain_errors(), connect(url) as connection:
            follower = review.facts(connection).follower
    except MigrationError as error:
        yield Finding("advice", f"READ_DATABASE_URL: {error}; the primary is read meanwhile")
    else:
        if not follower:
            yield Finding("advice", "READ_DATABASE_URL is no follower: it is not in recovery")
