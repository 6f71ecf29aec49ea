"""Litestar, msgspec and asyncpg, with Litestar's own JWT authentication."""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Annotated, Any

import asyncpg
from litestar import Litestar, Request, get, post
from litestar.connection import ASGIConnection
from litestar.datastructures import State
from litestar.exceptions import NotFoundException, PermissionDeniedException
from litestar.params import Parameter
from litestar.security.jwt import JWTAuth, Token
from msgspec import Meta, Struct


class Caller(Struct):
    id: int
    rol: str


class User(Struct):
    id: int
    username: str
    nombre: str
    apellido: str
    correo: str


class Venta(Struct):
    id: int
    usuario_id: int
    venta: int
    ventas_productos: int
    creacion: datetime


class NewVenta(Struct, forbid_unknown_fields=True):
    venta: Annotated[int, Meta(ge=0, le=10**15)]
    ventas_productos: Annotated[int, Meta(ge=1, le=10**6)]
    usuario_id: int | None = None


class Created(Struct):
    respuesta: str
    id: int


CallerRequest = Request[Caller, Token, State]
Id = Annotated[int, Parameter(ge=1, le=2**63 - 1)]


async def caller_of(token: Token, connection: ASGIConnection[Any, Any, Any, Any]) -> Caller:
    return Caller(int(token.sub), token.extras["rol"])


@asynccontextmanager
async def pool(app: Litestar) -> AsyncIterator[None]:
    async with asyncpg.create_pool(os.environ["DATABASE_URL"], min_size=10, max_size=10) as pool:
        app.state.pool = pool
        yield


@get("/user")
async def list_users(
    request: CallerRequest,
    state: State,
    limit: Annotated[int, Parameter(ge=1, le=1000)] = 100,
    despues: Annotated[int, Parameter(ge=0, le=2**63 - 1)] = 0,
) -> list[User]:
    if request.user.rol != "admin":
        raise PermissionDeniedException("Solo un administrador")
    rows = await state.pool.fetch(
        "SELECT id, username, nombre, apellido, correo FROM usuario WHERE id > $1 ORDER BY id LIMIT $2",
        despues,
        limit,
    )
    return [User(*row) for row in rows]


@get("/user/{id:int}")
async def show_user(id: Id, request: CallerRequest, state: State) -> User:
    if request.user.rol != "admin" and request.user.id != id:
        raise PermissionDeniedException("Sin permiso")
    row = await state.pool.fetchrow(
        "SELECT id, username, nombre, apellido, correo FROM usuario WHERE id = $1", id
    )
    if row is None:
        raise NotFoundException(f"No existe el usuario con el id {id}")
    return User(*row)


@get("/venta/{id:int}")
async def show_venta(id: Id, request: CallerRequest, state: State) -> Venta:
    row = await state.pool.fetchrow(
        "SELECT id, usuario_id, venta, ventas_productos, creacion FROM venta"
        " WHERE id = $1 AND ($2::bigint IS NULL OR usuario_id = $2)",
        id,
        None if request.user.rol == "admin" else request.user.id,
    )
    if row is None:
        raise NotFoundException(f"No existe la venta con el id {id}")
    return Venta(*row)


@post("/venta")
async def create_venta(data: NewVenta, request: CallerRequest, state: State) -> Created:
    owner = data.usuario_id or request.user.id
    if request.user.rol != "admin" and owner != request.user.id:
        raise PermissionDeniedException("Sin permiso")
    id = await state.pool.fetchval(
        "INSERT INTO venta (usuario_id, venta, ventas_productos) VALUES ($1, $2, $3) RETURNING id",
        owner,
        data.venta,
        data.ventas_productos,
    )
    return Created("Venta creada correctamente", id)


auth = JWTAuth[Caller](token_secret=os.environ["JWT_SECRET"], retrieve_user_handler=caller_of)
app = Litestar(
    [list_users, show_user, show_venta, create_venta],
    lifespan=[pool],
    on_app_init=[auth.on_app_init],
    openapi_config=None,
)
