"""Every setting of the product: typed, with its meaning, checked before anything starts."""

import json
import re
from collections.abc import Mapping
from datetime import date, datetime
from email.utils import parseaddr
from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import quote, urlsplit
from zoneinfo import ZoneInfo

import msgspec
import psycopg
from msgspec import Meta, Struct
from psycopg.conninfo import conninfo_to_dict

from core.checkout import CHECKOUT
from core.instants import midnight
from core.process import dotenv_file, strength
from core.process.dotenv_file import DotenvError
from core.process.mail import Server
from core.zones import UnknownZone, zone

DOTENV = CHECKOUT / ".env"
SECRET_BITS = 128
SECRET = re.compile(
    r"DATABASE_\w*URL|MAIL_URL|SECRET|(TOKEN|PASSWORD|KEYS?)$"
)  # names of what is never shown
MOST_SHOWN = 60  # characters of a value
PARTS = ("POSTGRES_USER", "POSTGRES_PASSWORD", "POSTGRES_SERVER", "POSTGRES_PORT", "POSTGRES_DB")
LOCAL_SENDER = "ventas@localhost"
PUBLIC_URL = re.compile(r"https?://(\[[0-9A-Fa-f:.]+\]|[^\s/?#@:\[\]]+)(:[0-9]+)?((/[\w.~%-]+)*)/?", re.ASCII)
ORIGIN = re.compile(r"\*|[a-z][a-z0-9+.-]*://[^\sA-Z/?#]+")


class SettingsError(Exception):
    """A setting that is missing, malformed or unsafe: one line that names it and says what to do.

    It shows the value, unless that is a secret or nothing."""

    def __init__(self, name: str, what_to_do: str, value: object = "") -> None:
        shown = "" if value == "" or SECRET.search(name) else f"{_quoted(str(value))} cannot be used; "
        super().__init__(f"{name}: {shown}{what_to_do}")
        self.name = name


def _quoted(value: str) -> str:
    return json.dumps(value if len(value) <= MOST_SHOWN else f"{value[:MOST_SHOWN]}…", ensure_ascii=False)


def _whole(low: int, high: int, meaning: str) -> Meta:
    return Meta(ge=low, le=high, description=f"{meaning}; a whole number from {low} to {high}")


Switch = Literal["on", "off"]


class Settings(Struct, frozen=True, kw_only=True):
    """The environment's variables, by their names in lower case."""

    app_env: Annotated[
        Literal["development", "production"],
        Meta(description="development or production, which Heroku's DYNO implies"),
    ] = "development"
    database_url: Annotated[
        str, Meta(description="postgresql://user:password@host:5432/database; empty: the embedded PostgreSQL")
    ] = ""
    read_database_url: Annotated[str, Meta(description="a follower that serves lists, exports and sums")] = ""
    database_direct_url: Annotated[
        str, Meta(description="past the pooler, for migrations and LISTEN, when DATABASE_URL is a PgBouncer")
    ] = ""
    db_pool_min: Annotated[int, _whole(0, 1000, "connections kept open per process")] = 1
    db_pool_max: Annotated[int, _whole(1, 1000, "connections at most per process")] = 10
    db_timeout_seconds: Annotated[
        float, Meta(gt=0, le=30, description="longest wait for a connection; a number from 0 to 30")
    ] = 3.0
    db_prepare: Annotated[Switch, Meta(description="prepared statements: on, or off behind PgBouncer")] = "on"
    db_coalesce: Annotated[Switch, Meta(description="requests that wait share a round trip: on or off")] = (
        "on"
    )
    jwt_secret: Annotated[
        str, Meta(description="signs access tokens: 32 bytes or more, e.g. from `openssl rand -hex 32`")
    ] = ""
    jwt_secret_previous: Annotated[str, Meta(description="the secret before a change: still verifies")] = ""
    access_token_minutes: Annotated[int, _whole(1, 1440, "how long an access token lives")] = 30
    refresh_token_days: Annotated[int, _whole(1, 365, "how long an unused refresh token lives")] = 30
    password_min_length: Annotated[int, _whole(1, 64, "fewest characters of a password")] = 8
    bcrypt_rounds: Annotated[int, _whole(4, 16, "cost of a password hash, as a power of two")] = 12
    first_admin: Annotated[
        Literal["register", "cli"],
        Meta(
            description="who becomes the first admin: who registers first, or only `scripts/ventas create-admin`"
        ),
    ] = "register"
    require_verified: Annotated[
        Literal["true", "false"], Meta(description="login only with a verified correo: true or false")
    ] = "false"
    require_factor: Annotated[
        Literal["nobody", "admins"],
        Meta(description="who acts as an admin only once they have a second factor: nobody or admins"),
    ] = "nobody"
    throttle: Annotated[
        Switch, Meta(description="limits on attempts: on, or off for load tests outside production")
    ] = "on"
    mail_url: Annotated[
        str, Meta(description="smtp://user:password@host:587 (STARTTLS) or smtps://user:password@host:465")
    ] = ""
    mail_from: Annotated[str, Meta(description="sender of the mails, e.g. Ventas <ventas@example.com>")] = (
        LOCAL_SENDER
    )
    public_url: Annotated[
        str,
        Meta(
            description="where clients reach the API, e.g. https://api.example.com or https://example.com/api"
        ),
    ] = ""
    audit_months: Annotated[
        int, _whole(0, 1200, "months that the audit is kept, besides the current one; 0: for ever")
    ] = 24
    timezone: Annotated[
        str, Meta(description="whose midnight ends a day, e.g. America/Argentina/Buenos_Aires")
    ] = "UTC"
    sales_from: Annotated[
        date, Meta(description="no sale is dated before this day; a day such as 2000-01-01")
    ] = date(2000, 1, 1)
    retention_sweep: Annotated[
        Switch,
        Meta(description="older months of the audit are dropped in the background, as the owner: on or off"),
    ] = "off"
    cors_origins: Annotated[
        str, Meta(description="origins that browsers may call from, separated by commas")
    ] = ""
    trusted_proxies: Annotated[
        int, _whole(0, 10, "proxies to believe in X-Forwarded-For, from the right")
    ] = 0
    metrics_token: Annotated[str, Meta(description="bearer that GET /metrics asks for")] = ""
    max_body_bytes: Annotated[int, _whole(1024, 1 << 30, "largest JSON body")] = 2 << 20
    transfer_max_bytes: Annotated[
        int, _whole(0, 1 << 50, "largest file of an import; 0: half of SPOOL_MAX_BYTES")
    ] = 0
    transfer_max_rows: Annotated[int, _whole(0, 1 << 40, "most sales of an import; 0: any number")] = 0
    transfer_max_seconds: Annotated[
        float, Meta(gt=0, le=86400, description="how long a file may come or go; a number from 0 to 86400")
    ] = 3600.0
    spool_max_bytes: Annotated[
        int, _whole(1 << 20, 1 << 50, "disk per process for files that come or go slowly")
    ] = 2 << 30
    spool_dir: Annotated[
        str, Meta(description="where that disk is; empty: the system's temporary folder")
    ] = ""
    host: Annotated[str, Meta(description="address to listen on")] = "127.0.0.1"
    port: Annotated[int, _whole(0, 65535, "port to listen on")] = 8000
    web_concurrency: Annotated[int, _whole(1, 64, "processes")] = 1
    instances: Annotated[
        int, _whole(1, 1000, "dynos or machines that share the database, for the warning about connections")
    ] = 1
    https_only: Annotated[
        Switch, Meta(description="plain HTTP, as the trusted proxy tells it, is sent to HTTPS: on or off")
    ] = "off"
    drain_seconds: Annotated[
        float,
        Meta(ge=0, le=60, description="how long /readyz says 503 before a stop; a number from 0 to 60"),
    ] = 1.0
    log_level: Annotated[
        Literal["debug", "info", "warning", "error"], Meta(description="debug, info, warning or error")
    ] = "info"
    log_format: Annotated[Literal["logfmt", "json"], Meta(description="logfmt or json")] = "logfmt"
    log_requests: Annotated[
        Literal["all", "errors", "off"],
        Meta(description="requests that get a line: all, errors (5xx and slow ones) or off"),
    ] = "errors"
    log_slow_seconds: Annotated[
        float, Meta(gt=0, le=3600, description="a request that takes longer is slow; a number from 0 to 3600")
    ] = 1.0
    server_timing: Annotated[
        Switch, Meta(description="answers say how long they took (Server-Timing): on or off")
    ] = "off"

    @property
    def production(self) -> bool:
        return self.app_env == "production"

    @property
    def zone(self) -> ZoneInfo:
        return zone(self.timezone)

    @property
    def first_sale(self) -> datetime:
        """The first moment that a sale may be dated, in UTC."""
        return midnight(self.sales_from, self.zone)

    @property
    def prefix(self) -> str:
        """The path of PUBLIC_URL without a last slash, like /api; mostly nothing."""
        return urlsplit(self.public_url).path.rstrip("/")

    @property
    def direct_url(self) -> str:
        return self.database_direct_url or self.database_url


def read(environ: Mapping[str, str], dotenv: Path = DOTENV) -> Settings:
    """The settings of the real environment, over `.env` outside production.

    Raises SettingsError, or DotenvError where a line of `.env` is at fault."""
    if _production(environ) or not dotenv.exists():
        return load(environ)
    values, lines = dotenv_file.read(dotenv, {*meanings(), *PARTS})
    try:
        return load(values | dict(environ))
    except SettingsError as error:
        if error.name in values and error.name not in environ:
            raise DotenvError(f"{dotenv.name}, line {lines[error.name]}: {error}") from None
        raise


def load(environ: Mapping[str, str]) -> Settings:
    """The settings of an environment. Raises SettingsError at the first that cannot stand."""
    values = {name.lower(): value for name, value in environ.items() if value.strip()}
    production = _production(environ)
    values["app_env"] = "production" if production else values.get("app_env", "development")
    if production:
        values.setdefault("first_admin", "cli")
    if "DYNO" in environ:
        values.setdefault("trusted_proxies", "1")
        values.setdefault("host", "0.0.0.0")  # noqa: S104 - Heroku's router reaches the dyno from outside
        values.setdefault("db_pool_max", "8")  # two processes and their listeners fit the smallest plan's 20
    if production and values.get("trusted_proxies", "0") != "0":
        values.setdefault("https_only", "on")
    values["database_url"] = values.get("database_url") or _from_parts(values)
    for name in ("database_url", "read_database_url", "database_direct_url"):
        if values.get(name):
            values[name] = _database_url(name, values[name], heroku="DYNO" in environ)
    known = {name: values[name] for name in Settings.__struct_fields__ if name in values}
    try:
        settings = msgspec.convert(known, Settings, strict=False)
    except msgspec.ValidationError as error:
        name = re.sub(r".*`\$\.(\w+)`$", r"\1", str(error), flags=re.DOTALL)
        raise SettingsError(name.upper(), meanings()[name.upper()], known.get(name, "")) from None
    _refuse_unsafe(settings)
    return settings


def meanings() -> dict[str, str]:
    """Every setting's name and what it means; of a number, with an example."""
    properties = msgspec.json.schema_components([Settings])[1]["Settings"]["properties"]
    return {
        name.upper(): schema["description"]
        + (f", such as {schema['default']:g}" if schema.get("type") in ("integer", "number") else "")
        for name, schema in properties.items()
    }


def _production(environ: Mapping[str, str]) -> bool:
    return (environ.get("APP_ENV", "").strip() or ("production" if "DYNO" in environ else "")) == "production"


def _from_parts(values: Mapping[str, str]) -> str:
    """The notes' POSTGRES_* variables as one URL."""
    if "postgres_server" not in values:
        if alone := [part for part in PARTS if part.lower() in values]:
            raise SettingsError(
                alone[0],
                "it says nothing without POSTGRES_SERVER: set that to the server's name, such as 127.0.0.1, or leave"
                " every POSTGRES_… empty",
            )
        return ""
    user = quote(values.get("postgres_user", "postgres"), safe="")
    password = quote(values.get("postgres_password", ""), safe="")
    database = quote(values.get("postgres_db", "postgres"), safe="")
    port = values.get("postgres_port", "5432")
    if not port.isdecimal():
        raise SettingsError("POSTGRES_PORT", "set it to a number such as 5432", port)
    server = quote(values["postgres_server"], safe="")
    return f"postgresql://{user}:{password}@{server}:{port}/{database}"


def _database_url(name: str, url: str, heroku: bool) -> str:
    scheme, separator, rest = url.partition("://")
    if scheme not in ("postgres", "postgresql") or not separator or not _connectable(f"postgresql://{rest}"):
        raise SettingsError(name.upper(), "set it to postgresql://user:password@host:5432/database")
    if heroku and "sslmode=" not in rest:
        rest += ("&" if "?" in rest else "?") + "sslmode=require"
    return f"postgresql://{rest}"


def _connectable(url: str) -> bool:
    """Whether libpq understands it, and its ports are numbers; what it says itself may quote the password."""
    try:
        ports = conninfo_to_dict(url).get("port", "")
    except psycopg.ProgrammingError:
        return False
    return re.fullmatch(r"[0-9,]*", str(ports)) is not None


def _refuse_unsafe(settings: Settings) -> None:
    for name in ("jwt_secret", "jwt_secret_previous"):
        secret = getattr(settings, name)
        if (secret or (name == "jwt_secret" and settings.production)) and len(secret.encode()) < 32:
            raise SettingsError(name.upper(), "set it to 32 bytes or more, e.g. from `openssl rand -hex 32`")
        if secret and settings.production and strength.bits(secret) < SECRET_BITS:
            raise SettingsError(
                name.upper(), "it can be guessed: set it to what `openssl rand -hex 32` prints"
            )
    if settings.db_pool_min > settings.db_pool_max:
        raise SettingsError(
            "DB_POOL_MIN", f"set it no higher than DB_POOL_MAX, {settings.db_pool_max}", settings.db_pool_min
        )
    if settings.production and not settings.database_url:
        raise SettingsError("DATABASE_URL", "set it to postgresql://user:password@host:5432/database")
    if settings.production and settings.password_min_length < 8:
        raise SettingsError(
            "PASSWORD_MIN_LENGTH",
            "set it to 8 or more in production (honcho and heroku local read .env: give them --env and another file)",
            settings.password_min_length,
        )
    if settings.production and settings.bcrypt_rounds < 10:
        raise SettingsError("BCRYPT_ROUNDS", "set it to 10 or more in production", settings.bcrypt_rounds)
    if settings.production and settings.throttle == "off":
        raise SettingsError("THROTTLE", "leave it on in production", settings.throttle)
    try:
        midnight(settings.sales_from, zone(settings.timezone))
    except UnknownZone as unknown:
        near = " or ".join(unknown.near) or "America/Argentina/Buenos_Aires"
        raise SettingsError(
            "TIMEZONE", f"set it to a name of the IANA zones, e.g. {near}", settings.timezone
        ) from None
    except ValueError:
        raise SettingsError("SALES_FROM", "set it to a day such as 2000-01-01", settings.sales_from) from None
    _refuse_unusable_mail(settings)
    _refuse_unusable_addresses(settings)


def _refuse_unusable_mail(settings: Settings) -> None:
    if settings.mail_url:
        try:
            Server.of(settings.mail_url)
        except ValueError:
            raise SettingsError("MAIL_URL", "set it to smtp://user:password@host:587") from None
    sender = parseaddr(settings.mail_from)[1]
    if not re.fullmatch(r"[^\s@]+@[^\s@]+", sender) or not settings.mail_from.isprintable():
        raise SettingsError(
            "MAIL_FROM", "set it to an address, e.g. Ventas <ventas@example.com>", settings.mail_from
        )
    if settings.production and settings.mail_url and settings.mail_from == LOCAL_SENDER:
        raise SettingsError("MAIL_FROM", "set it to the address that the mails come from")


def _refuse_unusable_addresses(settings: Settings) -> None:
    """A browser sends an origin in lower case and without a path: any other spelling would match none."""
    if settings.public_url and not PUBLIC_URL.fullmatch(settings.public_url):
        raise SettingsError(
            "PUBLIC_URL", "set it to an address such as https://api.example.com", settings.public_url
        )
    origins = [origin.strip() for origin in settings.cors_origins.split(",")]
    if settings.cors_origins and not all(map(ORIGIN.fullmatch, origins)):
        raise SettingsError(
            "CORS_ORIGINS",
            "set it to origins such as https://app.example.com, or to *",
            settings.cors_origins,
        )
