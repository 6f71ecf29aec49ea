"""What a process opens before it serves: settings, database, migrations, services."""

import asyncio
import gc
import logging
import multiprocessing
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import (
    AbstractAsyncContextManager,
    AsyncExitStack,
    asynccontextmanager,
    contextmanager,
)
from weakref import WeakValueDictionary

from msgspec import structs

from core.auth.api_keys import ApiKeys
from core.auth.password_hashes import Passwords
from core.auth.revocation import KnownSessions
from core.auth.sealing import Keys
from core.auth.tokens import Tokens
from core.auth.vault import Vault
from core.database.database import Database, open_database
from core.database.rooms import registrations, transfers
from core.files.spool import Disk
from core.migrating import migrations
from core.process import environment, logs
from core.process.application import StartError
from core.process.counters import Requests, Siblings
from core.process.dotenv_file import DotenvError
from core.process.mail import Mail
from core.process.services import Services
from core.process.settings import Settings, SettingsError
from core.process.shutdown import Shutdown

GARBAGE = 50_000  # objects, between two looks at the young ones

log = logging.getLogger("ventas")


def load_settings(environ: Mapping[str, str]) -> Settings:
    """The settings of an environment and, locally, of `.env`. Raises StartError."""
    try:
        return environment.read(environ)
    except (SettingsError, DotenvError) as error:
        raise StartError(str(error)) from None


@asynccontextmanager
async def services(environ: Mapping[str, str]) -> AsyncIterator[Services]:
    """Everything a request uses, open until the process ends. Raises StartError."""
    async with AsyncExitStack() as stack:
        try:
            chosen = with_secret(load_settings(environ))
            shutdown = Shutdown(chosen.drain_seconds, repeats="DYNO" in environ)
            alone = shutdown.heed_signals()
            if alone:
                logs.write(chosen)
            url = await asyncio.to_thread(stack.enter_context, database_url(chosen))
            chosen = structs.replace(chosen, database_url=url)
            await asyncio.to_thread(migrate_or_refuse, chosen)
        except migrations.MigrationError as error:
            raise StartError(str(error)) from None
        db = await stack.enter_async_context(_open(chosen, chosen.database_url))
        read_db = db
        if chosen.read_database_url:
            read_db = await stack.enter_async_context(_open(chosen, chosen.read_database_url))
        passwords = Passwords(chosen.bcrypt_rounds)
        stack.callback(passwords.close)
        if alone:
            spare_collector()
        yield Services(
            settings=chosen,
            db=db,
            read_db=read_db,
            tokens=Tokens(chosen.jwt_secret, chosen.jwt_secret_previous, chosen.access_token_minutes),
            api_keys=ApiKeys(),
            keys=Keys(chosen.jwt_secret, chosen.jwt_secret_previous),
            vault=Vault(chosen.jwt_secret, chosen.jwt_secret_previous),
            passwords=passwords,
            known=KnownSessions(),
            requests=Requests(),
            siblings=Siblings() if multiprocessing.parent_process() else None,
            shutdown=shutdown,
            mail=Mail(chosen.mail_url, chosen.mail_from)
            if chosen.mail_url or not chosen.production
            else None,
            turns=WeakValueDictionary(),
            transfers=transfers(chosen.db_timeout_seconds),
            registrations=registrations(),
            disk=Disk(chosen.spool_max_bytes, chosen.spool_dir),
        )


def spare_collector() -> None:
    """What the start has made stays to the end: the garbage collector need not look at it again and again.

    What a request makes is freed without it, so that it looks less often, too."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(GARBAGE, *gc.get_threshold()[1:])


@contextmanager
def database_url(chosen: Settings) -> Iterator[str]:
    """DATABASE_URL, or that of the embedded PostgreSQL, which runs as long as the context. Raises StartError."""
    if chosen.database_url:
        yield chosen.database_url
    else:
        from core.process.own_machine import postgres  # here, since production does without it

        with postgres() as url:
            yield url


def with_secret(chosen: Settings) -> Settings:
    """The settings with a JWT_SECRET: outside production, without one, that of one's own machine."""
    if chosen.jwt_secret:
        return chosen
    from core.process.own_machine import jwt_secret  # here, since production does without it

    return structs.replace(chosen, jwt_secret=jwt_secret())


@contextmanager
def direct_url(chosen: Settings) -> Iterator[str]:
    """Where migrations go: past a pooler, when there is one."""
    with database_url(chosen) as url:
        yield chosen.database_direct_url or url


def migrate_or_refuse(chosen: Settings) -> None:
    """Locally, applies what is pending; in production raises StartError that names it."""
    try:
        missing = migrations.pending(chosen.direct_url)
    except migrations.MigrationError as error:
        if not chosen.production or isinstance(error, migrations.UnsuitableError):
            if chosen.database_url and not isinstance(error, migrations.UnsuitableError):
                raise StartError(
                    "DATABASE_URL: start the database that it names, or empty it for a PostgreSQL of"
                    f" this machine's own: {error}"
                ) from None
            raise
        log.warning("the database cannot be asked for its migrations: %s", error)
        return
    if missing and chosen.production:
        raise StartError(f"pending migrations: {', '.join(missing)}; run `scripts/ventas migrate`")
    if missing:
        from core.migrating import guard  # here, since few starts migrate and the import takes 30 ms

        guard.apply(chosen.direct_url, say=log.info, stop_at_edits=False)


def _open(chosen: Settings, url: str) -> AbstractAsyncContextManager[Database]:
    return open_database(
        url,
        pool_min=chosen.db_pool_min,
        pool_max=chosen.db_pool_max,
        timeout=chosen.db_timeout_seconds,
        prepare=chosen.db_prepare == "on",
        coalesce=chosen.db_coalesce == "on",
    )
