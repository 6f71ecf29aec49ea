"""What ends a session ends its tokens in every process, without a query per request."""

import asyncio
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import partial
from urllib.parse import urlencode

import httpx
import psycopg
import pytest
from conftest import PASSWORD, SETTINGS, new_user
from fleets import CHECKOUT, process_of, serving, until
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict
from test_migration_guard import pgbouncer
from test_refresh import bearer, offline, renew

from core.auth import revocation
from core.auth.links import Link
from core.auth.revocation import KnownSessions
from core.auth.sealing import Keys
from core.caller import Caller
from sql import logins
from sql.intentos import Tried

# When a request last asked the database; a COMMIT is of the background: a GET has none.
WORKED = """
SELECT max(query_start)
  FROM pg_stat_activity
 WHERE datname = current_database()
   AND application_name = 'ventas'
   AND query !~ 'listener.ping|enlaces|avisos|eliminaciones|sweep|factores.outdated|auditoria_late|retention|^COMMIT'
"""
WAITING = """
SELECT pid
  FROM pg_stat_activity
 WHERE datname = current_database()
   AND wait_event_type = 'Lock'
"""
LISTENERS = """
SELECT pid
  FROM pg_stat_activity
 WHERE datname = current_database()
   AND query ~ 'listener.ping'
   AND pid <> pg_backend_pid()
"""


@pytest.fixture
def fleet(request, database, tmp_path) -> Iterator[list[httpx.Client]]:
    """A client of each of two processes, where Ana and Beto are registered."""
    settings = SETTINGS | {"DATABASE_URL": database}
    with ExitStack() as stack:
        if getattr(request, "param", "two servers") == "two workers":
            servers = [stack.enter_context(serving(tmp_path / "socket", settings, workers=2))]
        else:
            servers = [stack.enter_context(serving(tmp_path / name, settings)) for name in ("one", "two")]
        clients = [client for server in servers for client in stack.enter_context(server.clients())]
        for client in clients:
            client.undo_token = partial(_undo_token, database)  # type: ignore[attr-defined]
        assert len({process_of(client.get("/healthz")) for client in clients}) == 2
        for username in ("ana", "beto"):
            assert clients[0].post("/user/", json=new_user(username)).status_code == 201
        yield clients


def _undo_token(database: str) -> str:
    """What was mailed about Beto's newest change."""
    with psycopg.connect(database) as connection:
        newest = "SELECT id FROM aviso WHERE usuario_id = 2 AND reversible ORDER BY creacion DESC LIMIT 1"
        [(id,)] = connection.execute(newest).fetchall()
    return Link(2, id).encode(Keys(SETTINGS["JWT_SECRET"]), "deshacer")


def status(client: httpx.Client, tokens: dict[str, object], path: str = "/user/me") -> int:
    return client.get(path, headers=bearer(tokens)).status_code


def by_logging_out(api, ana, beto):
    return api.post("/login/revocar", data={"token": beto["access_token"]})


def by_ending_it(api, ana, beto):
    [session, *_] = api.get("/login/sesiones", headers=bearer(beto)).json()
    return api.delete(f"/login/sesiones/{session['id']}", headers=bearer(beto))


def by_ending_all(api, ana, beto):
    return api.delete("/login/sesiones?todas=true", headers=bearer(beto))


def by_deleting_oneself(api, ana, beto):
    return api.delete("/user/me", headers=bearer(beto))


def by_an_admins_new_password(api, ana, beto):
    return api.patch("/user/2", json={"password": "otra clave larga"}, headers=bearer(ana))


def by_a_lost_estado(api, ana, beto):
    api.patch("/user/2", json={"estado": True}, headers=bearer(ana))
    return api.patch("/user/2", json={"estado": False}, headers=bearer(ana))


def by_a_new_correo(api, ana, beto):
    change = {"correo": "nuevo@example.com", "password_actual": PASSWORD}
    return api.patch("/user/me", json=change, headers=bearer(offline(api, "beto")))


def by_an_admins_new_correo(api, ana, beto):
    return api.patch("/user/2", json={"correo": "otro@example.com"}, headers=bearer(ana))


def by_blocking(api, ana, beto):
    answer = api.patch("/user/2", json={"bloqueado": True}, headers=bearer(ana))
    api.patch("/user/2", json={"bloqueado": False}, headers=bearer(ana))
    return answer


def by_undoing(api, ana, beto):
    change = {"password": "otra clave larga", "password_actual": PASSWORD}
    assert api.patch("/user/me", json=change, headers=bearer(beto)).status_code == 200
    return api.post("/login/deshacer", json={"token": api.undo_token()})


def by_a_new_password(api, ana, beto):
    change = {"password": "otra clave larga", "password_actual": PASSWORD}
    return api.patch("/user/me", json=change, headers=bearer(offline(api, "beto")))


WAYS = [
    by_logging_out,
    by_ending_it,
    by_ending_all,
    by_an_admins_new_password,
    by_a_lost_estado,
    by_a_new_password,
    by_a_new_correo,
    by_an_admins_new_correo,
    by_blocking,
    by_undoing,
]


@pytest.mark.parametrize(
    "fleet", ["two workers", pytest.param("two servers", marks=pytest.mark.slow)], indirect=True
)
def test_what_ends_a_session_is_heard_in_every_process(fleet):
    ana = offline(fleet[0], "ana")
    for way in WAYS:
        beto = offline(fleet[0], "beto")
        assert [status(client, beto) for client in fleet] == [200, 200]

        assert way(fleet[0], ana, beto).status_code == 200, way.__name__

        assert status(fleet[0], beto) == 401
        until(partial(_refused, fleet[1], beto))
        fleet[0].patch("/user/2", json={"password": PASSWORD}, headers=bearer(ana))
    assert [status(client, ana) for client in fleet] == [200, 200]


def _refused(client: httpx.Client, tokens: dict[str, object]) -> bool:
    return status(client, tokens) == 401


def test_a_deleted_users_tokens_are_refused_in_every_process(fleet):
    beto = offline(fleet[0], "beto")
    assert [status(client, beto) for client in fleet] == [200, 200]

    assert by_deleting_oneself(fleet[1], None, beto).status_code == 200

    assert status(fleet[1], beto) == 401
    until(partial(_refused, fleet[0], beto))


@pytest.mark.slow
def test_a_replay_ends_the_session_in_every_process(fleet):
    first = offline(fleet[0], "beto")
    beto = renew(fleet[0], renew(fleet[0], first["refresh_token"]).json()["refresh_token"]).json()
    assert [status(client, beto) for client in fleet] == [200, 200]

    assert renew(fleet[1], first["refresh_token"]).status_code == 400

    until(partial(_refused, fleet[0], beto))


def test_a_rol_is_gained_and_lost_in_every_process(fleet):
    ana, beto = (offline(fleet[0], username) for username in ("ana", "beto"))
    assert [status(client, beto, "/user/") for client in fleet] == [403, 403]

    for rol, seen in (("admin", 200), ("usuario", 403)):
        fleet[0].patch("/user/2", json={"rol": rol}, headers=bearer(ana))
        assert status(fleet[0], beto, "/user/") == seen
        until(lambda seen=seen: status(fleet[1], beto, "/user/") == seen)


@pytest.mark.slow
def test_the_command_ends_sessions_in_every_process(fleet, database):
    beto = offline(fleet[0], "beto")
    assert [status(client, beto) for client in fleet] == [200, 200]

    environ = {"PATH": os.environ["PATH"], "DATABASE_URL": database} | SETTINGS
    subprocess.run([sys.executable, "app.py", "revoke", "beto"], env=environ, cwd=CHECKOUT, check=True)

    for client in fleet:
        until(partial(_refused, client, beto))


@pytest.fixture
def deaf(fleet, database, postgres) -> Iterator[list[httpx.Client]]:
    """The same processes, whose listening connections were cut and cannot be made again."""
    name = conninfo_to_dict(database)["dbname"]
    with psycopg.connect(postgres, autocommit=True) as connection:
        allow = sql.SQL("ALTER DATABASE {} ALLOW_CONNECTIONS {}")
        connection.execute(allow.format(sql.Identifier(name), sql.SQL("false")))
        query = LISTENERS.replace("current_database()", "%s")
        listeners = [pid for (pid,) in connection.execute(query, [name]).fetchall()]
        assert len(listeners) == 2
        for pid in listeners:
            connection.execute("SELECT pg_terminate_backend(%s)", [pid])
        until(lambda: connection.execute(query, [name]).fetchall() == [])
        yield fleet
        connection.execute(allow.format(sql.Identifier(name), sql.SQL("true")))


def test_while_nothing_is_heard_the_database_is_asked(fleet, request, rows):
    beto, other = offline(fleet[0], "beto"), offline(fleet[1], "beto")
    assert [status(client, beto) for client in fleet] == [200, 200]
    request.getfixturevalue("deaf")
    rows("UPDATE sesion SET fin = now() WHERE id = 1")  # told to nobody

    for client in fleet:
        until(partial(_refused, client, beto))
    assert [status(client, other) for client in fleet] == [200, 200]


@pytest.mark.slow
def test_after_the_cut_it_is_heard_again(fleet, rows):
    beto = offline(fleet[0], "beto")
    assert [status(client, beto) for client in fleet] == [200, 200]
    cut = rows(f"SELECT pg_terminate_backend(pid) FROM ({LISTENERS}) AS listeners")
    assert cut == [(True,), (True,)]
    until(lambda: len(rows(LISTENERS)) == 2)
    until(lambda: not _asks(fleet, beto, rows))

    by_logging_out(fleet[0], None, beto)

    until(partial(_refused, fleet[1], beto))


def _asks(clients: list[httpx.Client], tokens: dict[str, object], rows: Callable[..., list[tuple]]) -> bool:
    """Whether a request that needs no data makes any process ask the database."""
    before = rows(WORKED)
    assert [status(client, tokens, "/user/1") for client in clients] == [403] * len(clients)
    return rows(WORKED) != before


@pytest.mark.slow
def test_a_thousand_requests_ask_the_database_nothing(fleet, rows):
    beto = offline(fleet[0], "beto")
    until(lambda: not _asks(fleet, beto, rows))
    before = rows(WORKED)

    for _ in range(500):
        assert [status(client, beto, "/user/1") for client in fleet] == [403, 403]

    assert rows(WORKED) == before


@pytest.mark.parametrize("direct", [False, pytest.param(True, marks=pytest.mark.slow)])
def test_behind_a_pooler_it_hears_past_it_or_asks(database, tmp_path, rows, direct):
    with ExitStack() as stack:
        parts = conninfo_to_dict(stack.enter_context(pgbouncer(database, "transaction")))
        name = parts.pop("dbname")
        settings = SETTINGS | {
            "DATABASE_URL": f"postgresql:///{name}?{urlencode(parts)}",
            "DB_PREPARE": "off",
        }
        if direct:
            settings["DATABASE_DIRECT_URL"] = database
        server = stack.enter_context(serving(tmp_path / "socket", settings))
        clients = stack.enter_context(server.clients())
        clients[0].post("/user/", json=new_user("ana"))
        clients[0].post("/user/", json=new_user("beto"))
        # The pooler's connections are shared: what mails ask would hide what a request asked.
        until(lambda: rows("SELECT count(*) FROM enlace WHERE enviado IS NULL") == [(0,)])
        beto = offline(clients[0], "beto")
        if direct:
            until(lambda: not _asks(clients, beto, rows))
        else:
            assert all(_asks(clients, beto, rows) for _ in range(10))

        rows("UPDATE sesion SET fin = now()")
        rows("SELECT pg_notify('revocacion', '2')")

        until(partial(_refused, clients[0], beto))


def test_a_login_that_a_new_password_overtakes_is_ended_with_the_others(ana, beto, api, database, rows):
    [(hashed,)] = rows("SELECT password FROM usuario WHERE id = %s", beto.id)
    login = {
        "usuario_id": beto.id,
        "verified": hashed,
        "seconds": 1800,
        "renewable": True,
        "verified_only": False,
        "actor": 0,
        "address": "",
        "agent": "",
        "request_id": "",
        **Tried([], []).parameters(),
    }
    with psycopg.connect(database) as connection:
        connection.execute(logins.ENTER, login)
        [(session, _)] = connection.execute(logins.INSERT, login).fetchall()
        change = threading.Thread(
            target=ana.patch, args=[f"/user/{beto.id}"], kwargs={"json": {"password": "otra clave larga"}}
        )
        change.start()
        until(
            lambda: rows(
                "SELECT 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
            )
        )
        connection.commit()
    change.join()

    assert rows("SELECT fin IS NOT NULL FROM sesion WHERE id = %s", session) == [(True,)]


CALLER = Caller(id=7, rol="usuario", session=1, expires=100)


async def _stands(caller: Caller) -> str:
    return "usuario"


def _hearing() -> KnownSessions:
    known = KnownSessions()
    known._sound = float("inf")
    return known


def test_an_answer_older_than_what_was_heard_meanwhile_is_not_kept():
    known = _hearing()

    async def ended_meanwhile(caller: Caller) -> str:
        known.hear("7")
        return "usuario"

    assert asyncio.run(known.check(CALLER, ended_meanwhile))
    assert known.recall(CALLER) is None
    assert asyncio.run(known.check(CALLER, _stands))
    assert known.recall(CALLER) == CALLER


def test_what_is_told_of_one_user_leaves_the_others():
    known = _hearing()
    other = Caller(id=8, rol="admin", session=2, expires=100)
    for caller in (CALLER, other):
        asyncio.run(known.check(caller, _stands))

    known.hear("7")

    assert known.recall(CALLER) is None
    assert known.recall(other).rol == "usuario"
    known.hear("no es un id")
    assert known.known == 0


def test_a_newer_token_is_asked_about_once_more():
    known = _hearing()
    asyncio.run(known.check(CALLER, _stands))

    assert known.recall(Caller(id=7, rol="usuario", session=1, expires=101)) is None
    assert known.recall(Caller(id=7, rol="usuario", session=1, expires=99))


def test_it_holds_only_so_much(monkeypatch):
    monkeypatch.setattr(revocation, "MOST_KNOWN", 10)
    known = _hearing()

    for number in range(1, 100):
        caller = Caller(id=number % 7, rol="usuario", session=number, expires=100)
        asyncio.run(known.check(caller, _stands))
        assert known.known == sum(map(len, known._standing.values())) <= 10
        assert known.recall(caller)
