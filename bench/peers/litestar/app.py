"""Litestar, msgspec and asyncpg, with Litestar's own JWT authentication."""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Annotated, Any, Literal

import asyncpg
import msgspec
from litestar import Litestar, MediaType, Request, Response, get, post
from litestar.connection import ASGIConnection
from litestar.datastructures import State
from litestar.exceptions import (
    HTTPException,
    NotAuthorizedException,
    NotFoundException,
    PermissionDeniedException,
)
from litestar.params import Parameter
from litestar.security.jwt import JWTAuth, Token
from msgspec import Meta, Struct

SECRET = os.environ["JWT_SECRET"]

CLAIM = "INSERT INTO idempotencia (usuario_id, clave) VALUES ($1, $2) ON CONFLICT DO NOTHING"
STORED = "SELECT huella, cuerpo FROM idempotencia WHERE usuario_id = $1 AND clave = $2"
STORE = "UPDATE idempotencia SET huella = $3, estado = 201, cuerpo = $4 WHERE usuario_id = $1 AND clave = $2"
INSERT = "INSERT INTO venta (usuario_id, venta, ventas_productos) VALUES ($1, $2, $3) RETURNING id"
LIST = "SELECT id, usuario_id, venta, ventas_productos, creacion FROM venta"
NEWEST = "ORDER BY creacion DESC, id DESC LIMIT $1"
RENEW = """
UPDATE sesion AS s SET contador = contador + 1, uso = now() FROM usuario AS u
 WHERE s.usuario_id = $1 AND s.id = $2 AND s.contador = $3 AND s.renovable AND s.fin IS NULL AND s.expira > now()
   AND u.id = s.usuario_id AND NOT u.bloqueado
RETURNING s.contador, u.rol
"""


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


class Renewal(Struct):
    grant_type: Literal["refresh_token"]
    refresh_token: str


class Tokens(Struct, kw_only=True):
    access_token: str
    token_type: str = "bearer"
    expires_in: int = 1800
    refresh_token: str


CallerRequest = Request[Caller, Token, State]
Id = Annotated[int, Parameter(ge=1, le=2**63 - 1)]


async def caller_of(token: Token, connection: ASGIConnection[Any, Any, Any, Any]) -> Caller | None:
    return Caller(int(token.sub), token.extras["rol"]) if "rol" in token.extras else None


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


@get("/venta")
async def list_ventas(
    request: CallerRequest, state: State, limit: Annotated[int, Parameter(ge=1, le=1000)] = 100
) -> list[Venta]:
    if request.user.rol == "admin":
        rows = await state.pool.fetch(f"{LIST} {NEWEST}", limit)
    else:
        rows = await state.pool.fetch(f"{LIST} WHERE usuario_id = $2 {NEWEST}", limit, request.user.id)
    return [Venta(*row) for row in rows]


async def create_once(
    pool: asyncpg.Pool, key: str, new: NewVenta, owner: int, caller: Caller
) -> Response[bytes]:
    """The key, the sale and the answer in one transaction; the second waits for the first, and gets its answer."""
    fingerprint = sha256(msgspec.json.encode(new)).digest()
    async with pool.acquire() as connection, connection.transaction():
        if await connection.execute(CLAIM, caller.id, key) == "INSERT 0 0":
            kept = await connection.fetchrow(STORED, caller.id, key)
            if kept["huella"] != fingerprint:
                raise HTTPException("La clave es de otra petición", status_code=422)
            return Response(kept["cuerpo"], media_type=MediaType.JSON)
        id = await connection.fetchval(INSERT, owner, new.venta, new.ventas_productos)
        answer = msgspec.json.encode(Created("Venta creada correctamente", id))
        await connection.execute(STORE, caller.id, key, fingerprint, answer)
        return Response(answer, media_type=MediaType.JSON)


@post("/login", status_code=200, exclude_from_auth=True)
async def renew(data: Renewal, state: State) -> Response[Tokens]:
    """A refresh token has a number, which the session counts: each is good once."""
    bad = HTTPException("refresh_token no válido", status_code=400)
    try:
        token = Token.decode(data.refresh_token, SECRET, "HS256")
    except NotAuthorizedException:
        raise bad from None
    about = token.extras
    if about.get("typ") != "refresh":
        raise bad
    row = await state.pool.fetchrow(RENEW, int(token.sub), about["sid"], about["n"])
    if row is None:
        raise bad
    now, session = datetime.now(UTC), {"sid": about["sid"]}
    access = Token(exp=now + timedelta(minutes=30), sub=token.sub, extras=session | {"rol": row["rol"]})
    numbered = session | {"n": row["contador"], "typ": "refresh"}
    following = Token(exp=now + timedelta(days=30), sub=token.sub, extras=numbered)
    tokens = Tokens(
        access_token=access.encode(SECRET, "HS256"), refresh_token=following.encode(SECRET, "HS256")
    )
    return Response(tokens, headers={"Cache-Control": "no-store"})


@post("/venta")
async def create_venta(data: NewVenta, request: CallerRequest, state: State) -> Created | Response[bytes]:
    owner = data.usuario_id or request.user.id
    if request.user.rol != "admin" and owner != request.user.id:
        raise PermissionDeniedException("Sin permiso")
    if key := request.headers.get("idempotency-key"):
        return await create_once(state.pool, key, data, owner, request.user)
    id = await state.pool.fetchval(INSERT, owner, data.venta, data.ventas_productos)
    return Created("Venta creada correctamente", id)


auth = JWTAuth[Caller](token_secret=SECRET, retrieve_user_handler=caller_of)
app = Litestar(
    [list_users, show_user, show_venta, list_ventas, create_venta, renew],
    lifespan=[pool],
    on_app_init=[auth.on_app_init],
    openapi_config=None,
)
