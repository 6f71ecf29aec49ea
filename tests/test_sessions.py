"""One's sessions: to look at, and to end."""

import asyncio

import httpx
import pytest
from conftest import log_in, member, problem
from test_refresh import bearer, offline, refused, renew

from core.database.database import open_database
from sql import sesiones

FIELDS = {"id", "creacion", "uso", "expira", "direccion", "agente", "actual"}


def other_session(api: httpx.Client, username: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {log_in(api, username)}"}


def test_they_are_listed_newest_first(beto, api):
    api.headers["user-agent"] = "navegador/1.0 ñ"
    other_session(api, "beto")

    newest, first = beto.get("/login/sesiones/").json()

    assert newest.keys() == FIELDS
    assert (newest["actual"], first["actual"]) == (False, True)
    assert newest["direccion"] == "127.0.0.1"
    assert newest["agente"] == "navegador/1.0 ñ".encode().decode("latin-1")
    assert newest["creacion"] == newest["uso"] < newest["expira"]


def test_renewing_is_a_use(beto, api, rows):
    tokens = offline(api, "beto")
    rows("UPDATE sesion SET uso = uso - interval '1 hour', creacion = creacion - interval '1 hour'")

    renew(api, tokens["refresh_token"])

    session = beto.get("/login/sesiones").json()[0]
    assert session["uso"] > session["creacion"]


def test_nobody_sees_anothers(beto, carla):
    assert [session["actual"] for session in carla.get("/login/sesiones").json()] == [True]


@pytest.mark.parametrize(
    "change", ["fin = now()", "expira = now()", "renovable = true, uso = now() - interval '30 days'"]
)
def test_those_that_are_over_are_not_listed(beto, api, rows, change):
    other_session(api, "beto")
    rows(f"UPDATE sesion SET {change} WHERE id = (SELECT max(id) FROM sesion)")

    assert [session["actual"] for session in beto.get("/login/sesiones").json()] == [True]


def test_they_come_in_pages(beto, api):
    for _ in range(4):
        other_session(api, "beto")

    ids, answer = [], beto.get("/login/sesiones", params={"limit": 2})
    while True:
        ids += [session["id"] for session in answer.json()]
        if "next" not in answer.links:
            break
        answer = beto.get(answer.links["next"]["url"])

    assert len(ids) == 5
    assert ids == sorted(ids, reverse=True)


def test_one_is_ended(beto, api):
    other = other_session(api, "beto")
    id = beto.get("/login/sesiones").json()[0]["id"]

    answer = beto.delete(f"/login/sesiones/{id}")

    assert answer.json() == {"respuesta": "Sesión terminada correctamente"}
    problem(api.get("/user/me", headers=other), 401, "token_invalido")
    assert beto.get("/user/me").status_code == 200
    problem(beto.delete(f"/login/sesiones/{id}"), 404, "sesion_inexistente")


def test_anothers_is_not_there_not_even_for_an_admin(ana, beto, carla):
    [session] = beto.get("/login/sesiones").json()

    for other in (carla, ana):
        body = problem(other.delete(f"/login/sesiones/{session['id']}"), 404, "sesion_inexistente")
        assert body["detail"] == f"No existe la sesión con el id {session['id']}"
    assert beto.get("/user/me").status_code == 200


@pytest.mark.parametrize("id", ["0", "-1", str(2**63), "abc", "%00", "1.0"])
def test_an_id_that_is_no_sessions_is_404(beto_of_all, id):
    problem(beto_of_all.delete(f"/login/sesiones/{id}"), 404, "sesion_inexistente")


@pytest.mark.parametrize(("query", "status"), [("", 200), ("?todas=false", 200), ("?todas=true", 401)])
def test_all_are_ended_but_this_one_unless_asked_for(beto, carla, api, query, status):
    others = [other_session(api, "beto") for _ in range(3)]
    tokens = offline(api, "beto")

    answer = beto.delete(f"/login/sesiones{query}")

    assert answer.json() == {"respuesta": "Sesiones terminadas correctamente"}
    assert [api.get("/user/me", headers=other).status_code for other in others] == [401] * 3
    refused(renew(api, tokens["refresh_token"]))
    assert beto.get("/user/me").status_code == status
    assert carla.get("/user/me").status_code == 200


def test_logging_out_with_either_token_ends_the_session(beto, api):
    for kind in ("access_token", "refresh_token"):
        for body in ("data", "json"):
            tokens = offline(api, "beto")
            answer = api.post("/login/revocar", **{body: {"token": tokens[kind], "token_type_hint": kind}})

            assert (answer.status_code, answer.json()) == (200, {"respuesta": "El token ya no sirve"})
            problem(api.get("/user/me", headers=bearer(tokens)), 401, "token_invalido")
            refused(renew(api, tokens["refresh_token"]))
    assert beto.get("/user/me").status_code == 200


@pytest.mark.parametrize(
    "form",
    [
        {"token": "nada"},
        {"token": "a.b.c", "token_type_hint": "otro", "client_id": "x"},
        {"token": "ñ" * 100},
        {"token": "x" * 2000, "token_type_hint": "x" * 2000},
        {"token": "a\x00b"},
    ],
)
def test_a_token_that_is_none_is_no_error(beto_of_all, api_of_all, form):
    form_headers = {"Content-Type": "application/x-www-form-urlencoded"}
    assert api_of_all.post("/login/revocar", data=form, headers=form_headers).status_code == 200
    assert api_of_all.post("/login/revocar", json=form).status_code == 200
    assert beto_of_all.get("/user/me").status_code == 200


def test_a_session_ended_once_is_ended(beto, api, rows):
    tokens = offline(api, "beto")

    answers = [api.post("/login/revocar", data={"token": tokens["refresh_token"]}) for _ in range(3)]

    assert {answer.status_code for answer in answers} == {200}
    assert rows("SELECT count(*) FROM auditoria WHERE accion = 'sesion_terminada'") == [(1,)]


def test_a_token_of_a_deleted_user_is_no_good_to_their_successor(ana, beto, api):
    tokens = offline(api, "beto")
    beto.delete("/user/me")

    with member(api, "beto") as successor:
        assert successor.id != beto.id
        problem(api.get("/user/me", headers=bearer(tokens)), 401, "token_invalido")
        refused(renew(api, tokens["refresh_token"]))
        assert len(successor.get("/login/sesiones").json()) == 1


def test_a_lost_estado_ends_the_sessions(ana, beto):
    ana.patch(f"/user/{beto.id}", json={"estado": True})
    assert beto.get("/user/me").status_code == 200

    ana.patch(f"/user/{beto.id}", json={"estado": False})

    problem(beto.get("/user/me"), 401, "token_invalido")


def test_what_is_long_over_is_forgotten(beto, api, database, rows):
    for age in ("1 day", "3 days"):
        other_session(api, "beto")
        rows("UPDATE sesion SET expira = now() - %s::interval WHERE id = (SELECT max(id) FROM sesion)", age)

    async def sweep() -> None:
        async with open_database(database) as db:
            assert await sesiones.sweep(db) == 1
            assert await sesiones.sweep(db) == 0

    asyncio.run(sweep())

    assert rows("SELECT count(*) FROM sesion WHERE usuario_id = %s", beto.id) == [(2,)]
