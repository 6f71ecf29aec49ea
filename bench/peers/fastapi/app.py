"""FastAPI and asyncpg, in asynchronous endpoints."""

import os
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime
from hashlib import sha256
from typing import Annotated, Literal

import asyncpg
import jwt
from fastapi import Depends, FastAPI, Header, HTTPException, Path, Query, Request, Response
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from pydantic import BaseModel, ConfigDict, Field

SECRET = os.environ["JWT_SECRET"]
bearer = HTTPBearer()

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


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    async with asyncpg.create_pool(os.environ["DATABASE_URL"], min_size=10, max_size=10) as pool:
        app.state.pool = pool
        yield


async def get_pool(request: Request) -> asyncpg.Pool:
    return request.app.state.pool


class Caller(BaseModel):
    id: int
    rol: str


async def get_caller(credentials: Annotated[HTTPAuthorizationCredentials, Depends(bearer)]) -> Caller:
    try:
        claims = jwt.decode(
            credentials.credentials, SECRET, algorithms=["HS256"], options={"require": ["exp", "sub"]}
        )
        return Caller(id=claims["sub"], rol=claims["rol"])  # which a refresh token has not
    except (jwt.InvalidTokenError, KeyError, ValueError):
        raise HTTPException(401, "No autenticado", {"WWW-Authenticate": "Bearer"}) from None


Pool = Annotated[asyncpg.Pool, Depends(get_pool)]
CurrentCaller = Annotated[Caller, Depends(get_caller)]
Id = Annotated[int, Path(ge=1, le=2**63 - 1)]


class User(BaseModel):
    id: int
    username: str
    nombre: str
    apellido: str
    correo: str


class Venta(BaseModel):
    id: int
    usuario_id: int
    venta: int
    ventas_productos: int
    creacion: datetime


class NewVenta(BaseModel):
    model_config = ConfigDict(extra="forbid")

    venta: int = Field(ge=0, le=10**15)
    ventas_productos: int = Field(ge=1, le=10**6)
    usuario_id: int | None = None


class Created(BaseModel):
    respuesta: str
    id: int


class Renewal(BaseModel):
    grant_type: Literal["refresh_token"]
    refresh_token: str


class Tokens(BaseModel):
    access_token: str
    token_type: str = "bearer"
    expires_in: int = 1800
    refresh_token: str


app = FastAPI(lifespan=lifespan)


@app.get("/user/")
async def list_users(
    pool: Pool,
    caller: CurrentCaller,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
    despues: Annotated[int, Query(ge=0, le=2**63 - 1)] = 0,
) -> list[User]:
    if caller.rol != "admin":
        raise HTTPException(403, "Solo un administrador")
    rows = await pool.fetch(
        "SELECT id, username, nombre, apellido, correo FROM usuario WHERE id > $1 ORDER BY id LIMIT $2",
        despues,
        limit,
    )
    return [User(**row) for row in rows]


@app.get("/user/{id}")
async def show_user(id: Id, pool: Pool, caller: CurrentCaller) -> User:
    if caller.rol != "admin" and caller.id != id:
        raise HTTPException(403, "Sin permiso")
    row = await pool.fetchrow("SELECT id, username, nombre, apellido, correo FROM usuario WHERE id = $1", id)
    if row is None:
        raise HTTPException(404, f"No existe el usuario con el id {id}")
    return User(**row)


@app.get("/venta/{id}")
async def show_venta(id: Id, pool: Pool, caller: CurrentCaller) -> Venta:
    row = await pool.fetchrow(
        "SELECT id, usuario_id, venta, ventas_productos, creacion FROM venta"
        " WHERE id = $1 AND ($2::bigint IS NULL OR usuario_id = $2)",
        id,
        None if caller.rol == "admin" else caller.id,
    )
    if row is None:
        raise HTTPException(404, f"No existe la venta con el id {id}")
    return Venta(**row)


@app.get("/venta/")
async def list_ventas(
    pool: Pool, caller: CurrentCaller, limit: Annotated[int, Query(ge=1, le=1000)] = 100
) -> list[Venta]:
    if caller.rol == "admin":
        rows = await pool.fetch(f"{LIST} {NEWEST}", limit)
    else:
        rows = await pool.fetch(f"{LIST} WHERE usuario_id = $2 {NEWEST}", limit, caller.id)
    return [Venta(**row) for row in rows]


async def create_once(pool: asyncpg.Pool, key: str, new: NewVenta, owner: int, caller: Caller) -> Response:
    """The key, the sale and the answer in one transaction; the second waits for the first, and gets its answer."""
    fingerprint = sha256(new.model_dump_json().encode()).digest()
    async with pool.acquire() as connection, connection.transaction():
        if await connection.execute(CLAIM, caller.id, key) == "INSERT 0 0":
            kept = await connection.fetchrow(STORED, caller.id, key)
            if kept["huella"] != fingerprint:
                raise HTTPException(422, "La clave es de otra petición")
            return Response(kept["cuerpo"], 201, media_type="application/json")
        id = await connection.fetchval(INSERT, owner, new.venta, new.ventas_productos)
        answer = Created(respuesta="Venta creada correctamente", id=id).model_dump_json().encode()
        await connection.execute(STORE, caller.id, key, fingerprint, answer)
        return Response(answer, 201, media_type="application/json")


@app.post("/login/")
async def renew(asked: Renewal, pool: Pool, response: Response) -> Tokens:
    """A refresh token has a number, which the session counts: each is good once."""
    bad = HTTPException(400, "refresh_token no válido")
    try:
        claims = jwt.decode(
            asked.refresh_token, SECRET, algorithms=["HS256"], options={"require": ["exp", "sub"]}
        )
    except jwt.InvalidTokenError:
        raise bad from None
    if claims.get("typ") != "refresh":
        raise bad
    row = await pool.fetchrow(RENEW, int(claims["sub"]), claims["sid"], claims["n"])
    if row is None:
        raise bad
    response.headers["Cache-Control"] = "no-store"
    about, now = {"sub": claims["sub"], "sid": claims["sid"]}, int(time.time())
    access = about | {"rol": row["rol"], "iat": now, "exp": now + 1800}
    following = about | {"n": row["contador"], "exp": now + 30 * 86400, "typ": "refresh"}
    return Tokens(access_token=jwt.encode(access, SECRET), refresh_token=jwt.encode(following, SECRET))


@app.post("/venta/", status_code=201, response_model=Created)
async def create_venta(
    new: NewVenta, pool: Pool, caller: CurrentCaller, idempotency_key: Annotated[str | None, Header()] = None
) -> Created | Response:
    owner = new.usuario_id or caller.id
    if caller.rol != "admin" and owner != caller.id:
        raise HTTPException(403, "Sin permiso")
    if idempotency_key:
        return await create_once(pool, idempotency_key, new, owner, caller)
    id = await pool.fetchval(INSERT, owner, new.venta, new.ventas_productos)
    return Created(respuesta="Venta creada correctamente", id=id)
