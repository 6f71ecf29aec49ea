"""What a request may say of a user: a new one, some changes, a whole replacement."""

from collections.abc import Callable
from datetime import datetime
from typing import Annotated, Any, ClassVar

from msgspec import UNSET, Meta, UnsetType, structs

from core.caller import Rol
from core.http.validation import Body
from handlers.fields import (
    Correo,
    Direccion,
    Nombre,
    Password,
    Telefono,
    Username,
    kept_correo,
    kept_username,
    plain_telephone,
    trimmed,
)

ADMINS = {"rol", "estado", "bloqueado"}  # what only an admin sets

KEPT: dict[str, Callable[[Any], str]] = {
    "username": kept_username,
    "correo": kept_correo,
    "nombre": trimmed,
    "apellido": trimmed,
    "direccion": trimmed,
    "telefono": plain_telephone,
}


class NewUser(Body, frozen=True):
    """A registration; `creacion` is accepted and ignored: the server's clock decides."""

    EXAMPLE: ClassVar = {
        "username": "eva",
        "password": "una frase larga",
        "nombre": "Eva",
        "apellido": "Paz",
        "telefono": "+54 9 260 453-8424",
        "correo": "eva@example.com",
    }

    username: Username
    password: Password
    nombre: Nombre
    apellido: Nombre
    telefono: Telefono
    correo: Correo
    direccion: Direccion | None = None
    creacion: Annotated[datetime, Meta(extra_json_schema={"format": "date-time"})] | None = None


class UserChanges(Body, frozen=True):
    """Only the fields sent change. `rol`, `estado` and `bloqueado` are an admin's to set."""

    EXAMPLE: ClassVar = {"nombre": "Ana María", "direccion": "San Martín 123"}

    username: Username | UnsetType = UNSET
    password: Password | UnsetType = UNSET
    password_actual: Password | UnsetType = UNSET
    nombre: Nombre | UnsetType = UNSET
    apellido: Nombre | UnsetType = UNSET
    telefono: Telefono | UnsetType = UNSET
    correo: Correo | UnsetType = UNSET
    direccion: Direccion | None | UnsetType = UNSET
    estado: bool | UnsetType = UNSET
    rol: Rol | UnsetType = UNSET
    bloqueado: bool | UnsetType = UNSET


class WholeUser(NewUser, frozen=True):
    """A full replacement: every required field must be there."""

    EXAMPLE: ClassVar = NewUser.EXAMPLE | {"direccion": "San Martín 123"}

    password_actual: Password | UnsetType = UNSET
    estado: bool | UnsetType = UNSET
    rol: Rol | UnsetType = UNSET
    bloqueado: bool | UnsetType = UNSET


def columns_of(sent: NewUser | UserChanges) -> dict[str, Any]:
    """The columns that a body sets, one spelling each."""
    columns = {name: value for name, value in structs.asdict(sent).items() if value is not UNSET}
    for name in ("creacion", "password_actual"):
        columns.pop(name, None)
    for name in columns.keys() & KEPT.keys():
        if columns[name] is not None:
            columns[name] = KEPT[name](columns[name])
    return columns
