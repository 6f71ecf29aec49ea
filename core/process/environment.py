"""The settings as the environment and `.env` give them, checked before anything starts."""

import re
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import quote

import msgspec
import psycopg
from psycopg.conninfo import conninfo_to_dict

from core.checkout import CHECKOUT
from core.process import dotenv_file
from core.process.dotenv_file import DotenvError
from core.process.settings import Settings, SettingsError
from core.process.unsafe_settings import refuse_unsafe

DOTENV = CHECKOUT / ".env"
PARTS = ("POSTGRES_USER", "POSTGRES_PASSWORD", "POSTGRES_SERVER", "POSTGRES_PORT", "POSTGRES_DB")


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
    refuse_unsafe(settings)
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
