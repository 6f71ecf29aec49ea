"""FastAPI and asyncpg, in asynchronous endpoints."""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Annotated

import asyncpg
import jwt
from fastapi import Depends, FastAPI, HTTPException, Path, Query, Request
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from pydantic import BaseModel, ConfigDict, Field

SECRET = os.environ["JWT_SECRET"]
bearer = HTTPBearer()


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
        return Caller(id=claims["sub"], rol=claims["rol"])
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


@app.post("/venta/", status_code=201)
async def create_venta(new: NewVenta, pool: Pool, caller: CurrentCaller) -> Created:
    owner = new.usuario_id or caller.id
    if caller.rol != "admin" and owner != caller.id:
        raise HTTPException(403, "Sin permiso")
    id = await pool.fetchval(
        "INSERT INTO venta (usuario_id, venta, ventas_productos) VALUES ($1, $2, $3) RETURNING id",
        owner,
        new.venta,
        new.ventas_productos,
    )
    return Created(respuesta="Venta creada correctamente", id=id)
