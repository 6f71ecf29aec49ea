"""What every endpoint answers alike, tried on each: no token, wrong bodies, a database that is away."""

import time
import uuid
from concurrent.futures import ThreadPoolExecutor

import httpx
import jwt
import psycopg
import pytest
from answers import operations
from conftest import PASSWORD, SETTINGS, member, problem

from core.auth.links import Link
from core.auth.sealing import Keys
from core.database.rooms import Room
from handlers import throttle
from sql.intentos import Limit

FOR_PEOPLE_AND_PROBES = {
    "/",
    "/docs",
    "/healthz",
    "/login/deshacer",
    "/login/restablecer",
    "/panel",
    "/problemas",
    "/readyz",
    "/user/verificar",
}
BODIES = {key: operation for key, operation in operations().items() if "requestBody" in operation}


def _ask(client: httpx.Client, method: str, path: str, **options) -> httpx.Response:
    return client.request(method, path.replace("{id}", "1"), **options)


def _media(operation) -> str:
    return next(iter(operation["requestBody"]["content"]))


def _example(operation) -> dict[str, object]:
    media = _media(operation)
    example = operation["requestBody"]["content"][media]["example"]
    if media == "application/json":
        return {"json": example}
    if media == "application/x-www-form-urlencoded":
        return {"data": example}
    return {"content": example, "headers": {"Content-Type": media}}


def test_whoever_has_no_token_is_told_so(api_of_all):
    for (method, path), operation in operations().items():
        if operation["security"]:
            problem(_ask(api_of_all, method, path), 401, "no_autenticado")


def test_an_unknown_parameter_is_refused_everywhere_else(ana_of_all):
    oauth = {("POST", "/login/"), ("POST", "/login/revocar")}  # RFC 6749 section 3.2: ignored
    for method, path in sorted(operations().keys() - oauth):
        if not (method == "GET" and path in FOR_PEOPLE_AND_PROBES):
            problem(
                _ask(ana_of_all, method, f"{path}?color=azul", **_valid(method, path)), 422, "datos_invalidos"
            )


def _valid(method: str, path: str) -> dict[str, object]:
    operation = operations()[method, path]
    return _example(operation) if "requestBody" in operation else {}


@pytest.mark.parametrize(("method", "path"), BODIES)
def test_a_body_of_another_type_is_refused(ana_of_all, method, path):
    answer = _ask(ana_of_all, method, path, content="x", headers={"Content-Type": "text/x-nada"})
    problem(answer, 415, "tipo_de_contenido")


def test_what_is_no_json_is_refused_everywhere(ana_of_all):
    for (method, path), operation in BODIES.items():
        if "application/json" in operation["requestBody"]["content"]:
            answer = _ask(ana_of_all, method, path, content="{", headers={"Content-Type": "application/json"})
            problem(answer, 400, "json_invalido")


def test_a_body_too_large_is_refused_everywhere(connect, ana):
    small = connect(MAX_BODY_BYTES="1024")
    for (method, path), operation in BODIES.items():
        if "413" in operation["responses"]:
            headers = {"Content-Type": _media(operation), "Authorization": ana.headers["authorization"]}
            problem(
                _ask(small, method, path, content="x" * 2000, headers=headers), 413, "cuerpo_demasiado_grande"
            )


def test_a_body_that_does_not_end_is_refused_everywhere(ana, monkeypatch):
    monkeypatch.setattr("core.http.messages.BODY_SECONDS", 0.2)
    monkeypatch.setattr("core.http.streams.STALL_SECONDS", 0.2)

    def endless():
        yield b"{"
        time.sleep(2)

    def ask(method, path):
        headers = {"Content-Type": _media(operations()[method, path])}
        return _ask(ana, method, path, content=endless(), headers=headers)

    slow = [call for call, operation in BODIES.items() if "408" in operation["responses"]]
    with ThreadPoolExecutor(len(slow)) as at_once:
        for answer in at_once.map(ask, *zip(*slow, strict=True)):
            problem(answer, 408, "cuerpo_demasiado_lento")


def test_what_only_an_admin_may_do_is_refused_to_others(beto):
    for (method, path), operation in operations().items():
        if "403" in operation["responses"] and "For an admin" in operation.get("description", ""):
            problem(_ask(beto, method, path), 403, "sin_permiso")


def test_without_a_database_everything_says_so_at_once(connect):
    api = connect(
        DATABASE_URL="postgresql://nadie@127.0.0.1:1/nada",
        APP_ENV="production",
        BCRYPT_ROUNDS="10",
        MAIL_URL="smtp://127.0.0.1:1",
        MAIL_FROM="ventas@example.com",
        PUBLIC_URL="http://127.0.0.1",
    )
    now = int(time.time())
    claims = {"sub": "1", "sid": 1, "rol": "admin", "iat": now, "exp": now + 600}
    access = jwt.encode(claims, SETTINGS["JWT_SECRET"], "HS256")
    api.headers["authorization"] = f"Bearer {access}"
    keys, link = Keys(SETTINGS["JWT_SECRET"], ""), Link(1, uuid.uuid4())
    tokens = {
        "/login/revocar": access,
        "/user/verificar": link.encode(keys, "verificacion"),
        "/login/restablecer": link.encode(keys, "recuperacion"),
        "/login/deshacer": link.encode(keys, "deshacer"),
    }
    for (method, path), operation in operations().items():
        sent = _valid(method, path)
        if path in tokens:  # the example's token is nobody's, and no query is made for such
            sent = {"json": sent.get("json", {}) | {"token": tokens[path]}} if method == "POST" else {}
        answer = _ask(api, method, path, **sent)
        if "503" in operation["responses"]:
            problem(answer, 503, "bd_no_disponible")
            assert int(answer.headers["retry-after"]) >= 1
        elif path != "/metrics":  # in production it is off without a token of its own
            assert answer.status_code == 200, (method, path, answer.text)


def test_a_version_that_moved_on_is_refused_everywhere(ana):
    ana.post("/venta/", json={"venta": 1, "ventas_productos": 1})
    for (method, path), operation in operations().items():
        if "412" in operation["responses"]:
            sent = _valid(method, path) | {"headers": {"If-Match": '"99"'}}
            if method == "PUT":
                sent["json"] = sent["json"] | {"password_actual": PASSWORD}
            problem(_ask(ana, method, path, **sent), 412, "version_distinta")


def test_what_is_the_same_is_not_sent_again(ana):
    ana.post("/venta/", json={"venta": 1, "ventas_productos": 1})
    for (method, path), operation in operations().items():
        if "304" in operation["responses"]:
            assert _ask(ana, method, path, headers={"If-None-Match": "*"}).status_code == 304


def test_a_key_in_use_is_told_everywhere(connect, ana, database):
    impatient = connect(DB_TIMEOUT_SECONDS="0.5")
    headers = {"Authorization": ana.headers["authorization"], "Idempotency-Key": "k-1"}
    with psycopg.connect(database) as first:
        first.execute("INSERT INTO idempotencia (usuario_id, clave) VALUES (%s, 'k-1')", [ana.id])
        for (method, path), operation in operations().items():
            if any(parameter.get("name") == "Idempotency-Key" for parameter in operation["parameters"]):
                sent = _valid(method, path)
                sent["headers"] = headers | sent.get("headers", {})
                if "password_actual" in sent.get("json", {}):
                    sent["json"] = sent["json"] | {"password_actual": PASSWORD}
                problem(_ask(impatient, method, path, **sent), 409, "clave_en_uso")
        first.rollback()


def test_too_many_attempts_are_refused_everywhere(ana, monkeypatch):
    limits = [name for name, value in vars(throttle).items() if isinstance(value, Limit)]
    for name in limits:
        monkeypatch.setattr(throttle, name, Limit(free=1, first=60, longest=60, forget=60))
    for (method, path), operation in operations().items():
        if "demasiados_intentos" in operation["responses"].get("429", {}).get("description", ""):
            sent = _valid(method, path)
            if method in ("PATCH", "PUT"):
                sent["json"] = sent["json"] | {
                    "password": "otra clave larga",
                    "password_actual": "no es esta",
                }
            if path == "/login/":
                sent["json"] = sent["json"] | {"password": "no es esta"}
            for _ in range(3):
                answer = _ask(ana, method, path, **sent)
            problem(answer, 429, "demasiados_intentos")
            assert int(answer.headers["retry-after"]) >= 1


def test_what_is_too_much_at_once_is_told_everywhere(connect, ana, monkeypatch):
    monkeypatch.setattr("core.database.rooms.WAITING_OF_ONE", 0)
    monkeypatch.setattr(Room, "_full", lambda room, account: not room._waiting_of_one)
    crowded = connect()
    crowded.headers["authorization"] = ana.headers["authorization"]
    heavy = {"/user/": "?q=a", "/venta/": "?minimo=1", "/user/{id}/venta": "?minimo=1"}
    for (method, path), operation in operations().items():
        told = operation["responses"].get("429", {}).get("description", "")
        if operation["security"] and "demasiado_a_la_vez" in told and "demasiados_intentos" not in told:
            query = heavy.get(path, "") if method == "GET" else ""
            answer = _ask(crowded, method, path + query, **_valid(method, path))
            problem(answer, 429, "demasiado_a_la_vez")
            assert int(answer.headers["retry-after"]) >= 1


def test_whoever_is_gone_is_told_so(api, ana, rows):
    for method, path in operations():
        if path in ("/user/me", "/user/me/datos"):
            with member(api, f"gone-{method.lower()}-{path[9:]}") as gone:
                gone.get("/user/me")
                rows("DELETE FROM usuario WHERE id = %s", gone.id)
                problem(_ask(gone, method, path, **_valid(method, path)), 404, "usuario_inexistente")
