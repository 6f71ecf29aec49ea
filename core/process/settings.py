"""Every setting of the product: typed, with its default and its meaning."""

import json
import re
from datetime import date, datetime
from typing import Annotated, Literal
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

from msgspec import Meta, Struct

from core.instants import midnight
from core.zones import zone

SECRET = re.compile(
    r"DATABASE_\w*URL|MAIL_URL|SECRET|(TOKEN|PASSWORD|KEYS?)$"
)  # names of what is never shown
MOST_SHOWN = 60  # characters of a value
LOCAL_SENDER = "ventas@localhost"


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
