"""The notes' stack: FastAPI, the SQLAlchemy ORM and psycopg2, in synchronous endpoints."""
# ruff: noqa: B008 - Depends() as a default value is how FastAPI was long written

import os
from collections.abc import Iterator
from datetime import datetime
from typing import Annotated

from fastapi import Depends, FastAPI, HTTPException, Query, status
from fastapi.security import OAuth2PasswordBearer
from jose import JWTError, jwt
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy import ForeignKey, create_engine, make_url
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


class Venta(Base):
    __tablename__ = "venta"

    id: Mapped[int] = mapped_column(primary_key=True)
    usuario_id: Mapped[int] = mapped_column(ForeignKey("usuario.id"))
    venta: Mapped[int]
    ventas_productos: Mapped[int]
    creacion: Mapped[datetime] = mapped_column(server_default="now()")


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


@app.post("/venta/", status_code=status.HTTP_201_CREATED)
def create_venta(
    new: NewVenta, db: Session = Depends(get_db), current_user: TokenData = Depends(get_current_user)
):
    owner = new.usuario_id or current_user.id
    if current_user.rol != "admin" and owner != current_user.id:
        raise HTTPException(status.HTTP_403_FORBIDDEN, "Sin permiso")
    venta = Venta(usuario_id=owner, venta=new.venta, ventas_productos=new.ventas_productos)
    db.add(venta)
    db.commit()
    db.refresh(venta)
    return {"respuesta": "Venta creada correctamente", "id": venta.id}
