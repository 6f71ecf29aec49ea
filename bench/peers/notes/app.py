"""The notes' stack: FastAPI, the SQLAlchemy ORM and psycopg2, in synchronous endpoints."""
# ruff: noqa: B008 - Depends() as a default value is how FastAPI was long written

import json
import os
import time
from collections.abc import Iterator
from datetime import datetime
from hashlib import sha256
from typing import Annotated, Literal

from fastapi import Depends, FastAPI, Header, HTTPException, Query, Response, status
from fastapi.security import OAuth2PasswordBearer
from jose import JWTError, jwt
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy import ForeignKey, create_engine, func, make_url
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column, sessionmaker

url = make_url(os.environ["DATABASE_URL"]).set(drivername="postgresql+psycopg2")
engine = create_engine(url, pool_size=10, max_overflow=0)
SessionLocal = sessionmaker(bind=engine, autoflush=False)
oauth2_scheme = OAuth2PasswordBearer(tokenUrl="login")


class Base(DeclarativeBase):
    pass


class User(Base):
    __tablename__ = "usuario"

    id: Mapped[int] = mapped_column(primary_key=True)
    username: Mapped[str]
    password: Mapped[str]
    nombre: Mapped[str]
    apellido: Mapped[str]
    direccion: Mapped[str | None]
    telefono: Mapped[str]
    correo: Mapped[str]
    creacion: Mapped[datetime]
    estado: Mapped[bool]
    rol: Mapped[str]


class Venta(Base):
    __tablename__ = "venta"

    id: Mapped[int] = mapped_column(primary_key=True)
    usuario_id: Mapped[int] = mapped_column(ForeignKey("usuario.id"))
    venta: Mapped[int]
    ventas_productos: Mapped[int]
    creacion: Mapped[datetime] = mapped_column(server_default="now()")


class Key(Base):
    __tablename__ = "idempotencia"

    usuario_id: Mapped[int] = mapped_column(primary_key=True)
    clave: Mapped[str] = mapped_column(primary_key=True)
    huella: Mapped[bytes | None]
    estado: Mapped[int | None]
    cuerpo: Mapped[bytes | None]


class UserSession(Base):
    __tablename__ = "sesion"

    usuario_id: Mapped[int] = mapped_column(primary_key=True)
    id: Mapped[int] = mapped_column(primary_key=True)
    contador: Mapped[int]
    uso: Mapped[datetime]
    expira: Mapped[datetime]
    fin: Mapped[datetime | None]
    renovable: Mapped[bool]


class Renewal(BaseModel):
    grant_type: Literal["refresh_token"]
    refresh_token: str


class TokenData(BaseModel):
    id: int
    rol: str


class ShowUser(BaseModel):
    model_config = ConfigDict(from_attributes=True)

    id: int
    username: str
    nombre: str
    apellido: str
    correo: str


class ShowVenta(BaseModel):
    model_config = ConfigDict(from_attributes=True)

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


def get_db() -> Iterator[Session]:
    db = SessionLocal()
    try:
        yield db
    finally:
        db.close()


def get_current_user(token: str = Depends(oauth2_scheme)) -> TokenData:
    try:
        claims = jwt.decode(token, os.environ["JWT_SECRET"], algorithms=["HS256"])
        return TokenData(id=int(claims["sub"]), rol=claims["rol"])
    except (JWTError, KeyError, ValueError):
        raise HTTPException(
            status.HTTP_401_UNAUTHORIZED, "No autenticado", headers={"WWW-Authenticate": "Bearer"}
        ) from None


app = FastAPI()


@app.get("/user/", response_model=list[ShowUser])
def list_users(
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
    despues: int = 0,
    db: Session = Depends(get_db),
    current_user: TokenData = Depends(get_current_user),
):
    if current_user.rol != "admin":
        raise HTTPException(status.HTTP_403_FORBIDDEN, "Solo un administrador")
    return db.query(User).filter(User.id > despues).order_by(User.id).limit(limit).all()


@app.get("/user/{id}", response_model=ShowUser)
def show_user(id: int, db: Session = Depends(get_db), current_user: TokenData = Depends(get_current_user)):
    if current_user.rol != "admin" and current_user.id != id:
        raise HTTPException(status.HTTP_403_FORBIDDEN, "Sin permiso")
    user = db.query(User).filter(User.id == id).first()
    if not user:
        raise HTTPException(status.HTTP_404_NOT_FOUND, f"No existe el usuario con el id {id}")
    return user


@app.get("/venta/{id}", response_model=ShowVenta)
def show_venta(id: int, db: Session = Depends(get_db), current_user: TokenData = Depends(get_current_user)):
    query = db.query(Venta).filter(Venta.id == id)
    if current_user.rol != "admin":
        query = query.filter(Venta.usuario_id == current_user.id)
    venta = query.first()
    if not venta:
        raise HTTPException(status.HTTP_404_NOT_FOUND, f"No existe la venta con el id {id}")
    return venta


@app.get("/venta/", response_model=list[ShowVenta])
def list_ventas(
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
    db: Session = Depends(get_db),
    current_user: TokenData = Depends(get_current_user),
):
    query = db.query(Venta)
    if current_user.rol != "admin":
        query = query.filter(Venta.usuario_id == current_user.id)
    return query.order_by(Venta.creacion.desc(), Venta.id.desc()).limit(limit).all()


def create_once(db: Session, key: str, new: NewVenta, owner: int, user: int) -> Response:
    """The key, the sale and the answer in one transaction; the second waits for the first, and gets its answer."""
    fingerprint = sha256(new.model_dump_json().encode()).digest()
    claim = insert(Key).values(usuario_id=user, clave=key).on_conflict_do_nothing()
    claimed = db.execute(claim).rowcount
    kept = db.get_one(Key, (user, key))
    if not claimed:
        if kept.huella != fingerprint:
            raise HTTPException(422, "La clave es de otra petición")
        return Response(kept.cuerpo, status.HTTP_201_CREATED, media_type="application/json")
    venta = Venta(usuario_id=owner, venta=new.venta, ventas_productos=new.ventas_productos)
    db.add(venta)
    db.flush()
    kept.huella, kept.estado = fingerprint, status.HTTP_201_CREATED
    kept.cuerpo = json.dumps({"respuesta": "Venta creada correctamente", "id": venta.id}).encode()
    answer = kept.cuerpo
    db.commit()
    return Response(answer, status.HTTP_201_CREATED, media_type="application/json")


@app.post("/login/")
def renew(asked: Renewal, response: Response, db: Session = Depends(get_db)):
    """A refresh token has a number, which the session counts: each is good once."""
    bad = HTTPException(400, "refresh_token no válido")
    try:
        claims = jwt.decode(asked.refresh_token, os.environ["JWT_SECRET"], algorithms=["HS256"])
    except JWTError:
        raise bad from None
    if claims.get("typ") != "refresh":
        raise bad
    found = (
        db.query(UserSession, User.rol)
        .join(User, User.id == UserSession.usuario_id)
        .filter(
            UserSession.usuario_id == int(claims["sub"]),
            UserSession.id == claims["sid"],
            UserSession.contador == claims["n"],
            UserSession.renovable,
            UserSession.fin.is_(None),
            UserSession.expira > func.now(),
        )
        .with_for_update(of=UserSession)
        .first()
    )
    if not found:
        raise bad
    session, rol = found
    session.contador += 1
    session.uso = func.now()
    counter = session.contador
    db.commit()
    about, now = {"sub": claims["sub"], "sid": claims["sid"]}, int(time.time())
    response.headers["Cache-Control"] = "no-store"
    secret = os.environ["JWT_SECRET"]
    return {
        "access_token": jwt.encode(about | {"rol": rol, "iat": now, "exp": now + 1800}, secret),
        "token_type": "bearer",
        "expires_in": 1800,
        "refresh_token": jwt.encode(
            about | {"n": counter, "exp": now + 30 * 86400, "typ": "refresh"}, secret
        ),
    }


@app.post("/venta/", status_code=status.HTTP_201_CREATED)
def create_venta(
    new: NewVenta,
    idempotency_key: Annotated[str | None, Header()] = None,
    db: Session = Depends(get_db),
    current_user: TokenData = Depends(get_current_user),
):
    owner = new.usuario_id or current_user.id
    if current_user.rol != "admin" and owner != current_user.id:
        raise HTTPException(status.HTTP_403_FORBIDDEN, "Sin permiso")
    if idempotency_key:
        return create_once(db, idempotency_key, new, owner, current_user.id)
    venta = Venta(usuario_id=owner, venta=new.venta, ventas_productos=new.ventas_productos)
    db.add(venta)
    db.commit()
    db.refresh(venta)
    return {"respuesta": "Venta creada correctamente", "id": venta.id}
