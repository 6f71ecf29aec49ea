"""The values of settings that are unsafe, or that cannot work: they stop the start."""

import re
from email.utils import parseaddr

from core.instants import midnight
from core.process import strength
from core.process.mail import Server
from core.process.settings import LOCAL_SENDER, Settings, SettingsError
from core.zones import UnknownZone, zone

SECRET_BITS = 128
PUBLIC_URL = re.compile(r"https?://(\[[0-9A-Fa-f:.]+\]|[^\s/?#@:\[\]]+)(:[0-9]+)?((/[\w.~%-]+)*)/?", re.ASCII)
ORIGIN = re.compile(r"\*|[a-z][a-z0-9+.-]*://[^\sA-Z/?#]+")


def refuse_unsafe(settings: Settings) -> None:
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
