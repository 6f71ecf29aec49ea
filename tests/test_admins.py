"""What only admins do: keep somebody out, and never be gone while there are others."""

import logging
import threading
from collections.abc import Callable, Iterable
from contextlib import ExitStack

import httpx
import pytest
from conftest import PASSWORD, log_in, member, new_user, problem
from test_refresh import bearer, offline, renew

LAST = "Es el último admin: nombre a otro antes de quitarle el rol, bloquearlo o eliminarlo"
LEFT = "SELECT count(*) FROM usuario WHERE rol = 'admin' AND NOT bloqueado"


def _change(client: httpx.Client, id: int, **fields: object) -> httpx.Response:
    return client.patch(f"/user/{id}", json=fields)


def _at_once(asks: Iterable[Callable[[], httpx.Response]]) -> list[int]:
    answers: list[int] = []
    threads = [threading.Thread(target=lambda ask=ask: answers.append(ask().status_code)) for ask in asks]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return sorted(answers)


@pytest.mark.parametrize(
    "fields", [{"rol": "usuario"}, {"bloqueado": True}, {"rol": "usuario", "bloqueado": False}]
)
def test_the_last_admin_stays_one(ana, beto, rows, fields):
    body = problem(_change(ana, ana.id, **fields), 409, "ultimo_admin")

    assert body["detail"] == LAST
    assert rows(LEFT) == [(1,)]
    assert ana.get("/user/").status_code == 200


def test_the_last_admin_is_not_deleted_while_there_are_others(ana, beto):
    for answer in (ana.delete("/user/me"), ana.delete(f"/user/{ana.id}")):
        assert problem(answer, 409, "ultimo_admin")["detail"] == LAST
    beto.delete("/user/me")

    assert ana.delete("/user/me").status_code == 200


def test_an_admin_who_is_blocked_is_none(ana, beto, carla):
    _change(ana, beto.id, rol="admin", bloqueado=True)

    problem(_change(ana, ana.id, rol="usuario"), 409, "ultimo_admin")
    _change(ana, carla.id, rol="admin")
    assert _change(ana, ana.id, rol="usuario").status_code == 200


def test_a_version_that_moved_on_is_told_first(ana, beto):
    answer = ana.patch(f"/user/{ana.id}", json={"rol": "usuario"}, headers={"If-Match": '"99"'})
    problem(answer, 412, "version_distinta")


@pytest.mark.parametrize("fields", [{"rol": "usuario"}, {"bloqueado": True}])
def test_two_admins_who_end_each_other_at_once_leave_one(ana, beto, rows, fields):
    for _ in range(5):
        rows("UPDATE usuario SET rol = 'admin', bloqueado = false")
        for client, username in ((ana, "ana"), (beto, "beto")):
            client.headers["authorization"] = f"Bearer {log_in(client, username)}"
        statuses = _at_once(
            [lambda: _change(ana, beto.id, **fields), lambda: _change(beto, ana.id, **fields)]
        )
        assert rows(LEFT) == [(1,)], statuses
        assert 200 in statuses


def test_of_many_admins_who_leave_at_once_one_stays(ana, beto, api, rows):
    with ExitStack() as stack:
        admins = [ana, *(stack.enter_context(member(api, f"admin{n}")) for n in range(7))]
        for other in admins[1:]:
            _change(ana, other.id, rol="admin")

        assert _at_once([lambda admin=admin: admin.delete("/user/me") for admin in admins]) == [200] * 7 + [
            409
        ]
    assert rows(LEFT) == [(1,)]


def test_who_registers_while_the_only_user_leaves_finds_an_admin_or_is_one(api, rows):
    for n in range(5):
        rows("DELETE FROM usuario")
        with member(api, f"ana{n}") as ana:
            _at_once(
                [
                    lambda ana=ana: ana.delete("/user/me"),
                    lambda n=n: api.post("/user/", json=new_user(f"b{n}")),
                ]
            )
        assert rows(LEFT) == [(1,)]


def test_the_log_says_who_became_admin_by_registering(api, caplog):
    with caplog.at_level(logging.WARNING, "ventas"), member(api, "ana") as ana, member(api, "beto"):
        said = [record.getMessage() for record in caplog.records if "admin" in record.getMessage()]
    assert said == [f"user {ana.id} is admin: the first to register (FIRST_ADMIN=register)"]


def test_who_is_blocked_neither_logs_in_nor_renews(ana, beto, api):
    tokens = offline(api, "beto")
    assert _change(ana, beto.id, bloqueado=True).status_code == 200

    for headers in (dict(beto.headers), bearer(tokens)):
        problem(api.get("/user/me", headers=headers), 401, "token_invalido")
    login = api.post("/login/", data={"username": "beto", "password": PASSWORD})
    for answer in (login, renew(api, tokens["refresh_token"])):
        assert answer.status_code == 403
        body = answer.json()
        assert (body["codigo"], body["error"]) == ("cuenta_bloqueada", "invalid_grant")
        assert body["detail"] == "La cuenta está bloqueada; hable con quien opera el servicio"
        assert answer.headers["cache-control"] == "no-store"


def test_only_the_right_password_learns_of_the_block(ana, beto, api):
    _change(ana, beto.id, bloqueado=True)
    answers = [
        api.post("/login/", data={"username": name, "password": "equivocada"}) for name in ("beto", "nadie")
    ]
    assert answers[0].status_code == answers[1].status_code != 403


def test_who_is_let_in_again_logs_in_anew(ana, beto, api):
    tokens = offline(api, "beto")
    _change(ana, beto.id, bloqueado=True)
    _change(ana, beto.id, bloqueado=False)

    assert renew(api, tokens["refresh_token"]).status_code == 400
    problem(beto.get("/user/me"), 401, "token_invalido")
    log_in(api, "beto")


def test_a_block_in_the_database_alone_counts_for_new_tokens(ana, beto, api, rows):
    rows("UPDATE usuario SET bloqueado = true WHERE id = %s", beto.id)
    rows("SELECT pg_notify('revocacion', %s::text)", beto.id)

    assert api.post("/login/", data={"username": "beto", "password": PASSWORD}).status_code == 403


def test_only_an_admin_blocks(ana, beto):
    for value in (True, False):
        detail = problem(_change(beto, beto.id, bloqueado=value), 403, "sin_permiso")["detail"]
        assert detail == "Solo un admin puede cambiar rol, estado o bloqueado"


def test_an_admin_lists_who_is_blocked(ana, beto, carla):
    _change(ana, beto.id, bloqueado=True)

    def names(query: str) -> list[str]:
        return [user["username"] for user in ana.get(f"/user/?{query}").json()]

    assert (
        names("bloqueado=true")
        == names("bloqueado=true&q=be")
        == names("bloqueado=true&rol=usuario")
        == ["beto"]
    )
    assert names("bloqueado=false") == ["ana", "carla"]
