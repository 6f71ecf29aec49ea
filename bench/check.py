"""The proof that a contender does the work: its answers, before any load, are the ones the seed calls for."""

import secrets
from datetime import UTC, datetime, timedelta
from typing import Any

from bench.cases import PAGE, SALES_PAGE, USER_IDS, Callers, sale_of
from bench.database import SALES, USERS
from bench.server import ContenderServer

INVALID = (400, 422)


class WrongAnswer(Exception):
    """A contender answered something else than it should."""


def check(server: ContenderServer, callers: Callers, refresh_token: str) -> None:
    """Asks for every case, right and wrong. Raises WrongAnswer."""
    admin, beto, carla = callers.tokens[1], USER_IDS[0], USER_IDS[1]
    sale, new = sale_of(beto, 3), {"venta": 123, "ventas_productos": 4}

    def expect(
        what: str, token: str, method: str, path: str, json: object, *statuses: int, key: str = ""
    ) -> Any:
        with server.client(token) as client:
            headers = {"Idempotency-Key": key} if key else {}
            answer = client.request(method, path, json=json, headers=headers)
        if answer.status_code not in statuses:
            raise WrongAnswer(f"{what}: {answer.status_code} {answer.text[:200]}")
        return answer.json()

    def same(what: str, got: object, wanted: object) -> None:
        if got != wanted:
            raise WrongAnswer(f"{what}: {got!r:.300} instead of {wanted!r:.300}")

    same("a user", expect("a user", admin, "GET", f"/user/{USERS}", None, 200), _user(USERS))
    page = expect("a page", admin, "GET", callers.pages[3], None, 200)
    same("a page", page, [_user(id) for id in range(3 * PAGE + 1, 4 * PAGE + 1)])
    got = expect("a sale", callers.tokens[beto], "GET", f"/venta/{sale}", None, 200)
    same("a sale", got | {"creacion": datetime.fromisoformat(got["creacion"])}, _sale(sale, beto))
    created = expect("a new sale", callers.tokens[beto], "POST", "/venta/", new, 201)
    same("a new sale", created, {"respuesta": "Venta creada correctamente", "id": created["id"]})
    got = expect("the new sale", callers.tokens[beto], "GET", f"/venta/{created['id']}", None, 200)
    same("the new sale", {name: got[name] for name in new}, new)

    page = expect("sales", callers.tokens[carla], "GET", f"/venta/?limit={SALES_PAGE}", None, 200)
    newest = [sale_of(carla, n) for n in reversed(range(SALES // USERS))]
    same(
        "sales",
        [got | {"creacion": datetime.fromisoformat(got["creacion"])} for got in page],
        [_sale(id, carla) for id in newest],
    )

    key, post = secrets.token_hex(8), (callers.tokens[beto], "POST", "/venta/")
    first = expect("a keyed sale", *post, new, 201, key=key)
    same("a keyed sale again", expect("a keyed sale again", *post, new, 201, key=key), first)
    expect("a key of another sale", *post, new | {"venta": 5}, *INVALID, 409, key=key)
    same("the next sale", expect("the next sale", *post, new, 201)["id"] > first["id"], True)

    def renew(what: str, token: str, *statuses: int) -> Any:
        return expect(
            what, "", "POST", "/login/", {"grant_type": "refresh_token", "refresh_token": token}, *statuses
        )

    renewed = renew("a refresh token", refresh_token, 200)
    expect("the new access token", renewed["access_token"], "GET", "/venta/?limit=1", None, 200)
    renew("the next refresh token", renewed["refresh_token"], 200)
    renew("a forged refresh token", refresh_token[:-4] + "AAAA", 400, 401)

    expect("no token", "", "GET", f"/user/{USERS}", None, 401)
    expect("a forged token", admin[:-4] + "AAAA", "GET", f"/user/{USERS}", None, 401)
    expect("another user", callers.tokens[beto], "GET", f"/user/{carla}", None, 403)
    expect("another's sale", callers.tokens[carla], "GET", f"/venta/{sale}", None, 404)
    expect("an unknown user", admin, "GET", f"/user/{USERS + 1}", None, 404)
    expect("a value out of range", callers.tokens[beto], "POST", "/venta/", new | {"venta": -1}, *INVALID)
    expect("an unknown field", callers.tokens[beto], "POST", "/venta/", new | {"otro": 1}, *INVALID)


def _user(id: int) -> dict[str, object]:
    return {
        "id": id,
        "username": f"u{id:06}",
        "nombre": f"Nombre {id}",
        "apellido": f"Apellido {id}",
        "correo": f"u{id:06}@example.com",
    }


def _sale(id: int, owner: int) -> dict[str, object]:
    return {
        "id": id,
        "usuario_id": owner,
        "venta": id % 100_000,
        "ventas_productos": 1 + id % 20,
        "creacion": datetime(2025, 1, 1, tzinfo=UTC) + timedelta(minutes=id),
    }
