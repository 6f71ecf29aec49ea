"""Recovering an account: the mail, its token, and what ends it."""

import threading
import time

import httpx
import pytest
from conftest import PASSWORD, log_in, member, new_user, problem

from core.auth.password_hashes import Passwords
from core.database.rooms import Room
from core.problems import BUSY

NEW = "una clave distinta"
RECOVERING = {"respuesta": "Si hay una cuenta con ese correo, recibirá un enlace que vence en 1 hora"}
RESET = {"respuesta": "Contraseña cambiada correctamente; inicie sesión con ella"}


@pytest.fixture
def site(connect, postbox) -> httpx.Client:
    """A client of a server that sends mail, where Ana and Beto have theirs already."""
    api = connect(MAIL_URL=postbox.url)
    for username in ("ana", "beto"):
        api.post("/user/", json=new_user(username))
        postbox.mail()
    return api


def _recover(client: httpx.Client, correo: str = "beto@example.com") -> httpx.Response:
    return client.post("/login/recuperar", json={"correo": correo})


def _reset(client: httpx.Client, token: str, password: str = NEW) -> httpx.Response:
    return client.post("/login/restablecer", json={"token": token, "password": password})


@pytest.fixture
def token(site, postbox) -> str:
    """What was mailed to Beto, who cannot log in."""
    assert _recover(site, "BETO@Example.com").status_code == 202
    return postbox.token()


def test_it_sets_a_password_and_verifies_the_correo(site, token, rows):
    assert _reset(site, token).json() == RESET

    log_in(site, "beto", NEW)
    problem(
        site.post("/login/", data={"username": "beto", "password": PASSWORD}), 400, "credenciales_invalidas"
    )
    assert rows("SELECT estado FROM usuario WHERE username = 'beto'") == [(True,)]


def test_it_ends_every_session(site, token, connect, postbox):
    other = connect(MAIL_URL=postbox.url)
    sessions = [{"Authorization": f"Bearer {log_in(api, 'beto')}"} for api in (site, other)]

    _reset(site, token)

    for api in (site, other):
        for session in sessions:
            _until_refused(api, session)


def test_it_works_once(site, token):
    _reset(site, token)

    problem(_reset(site, token, "una tercera clave"), 422, "enlace_invalido")
    log_in(site, "beto", NEW)


def test_of_many_at_once_one_works(site, token):
    answers: list[httpx.Response] = []
    threads = [
        threading.Thread(target=lambda n=n: answers.append(_reset(site, token, f"la clave larga {n}")))
        for n in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sorted(answer.status_code for answer in answers) == [200] + [422] * 7


def test_a_newer_one_ends_it(site, token, postbox):
    _recover(site)

    problem(_reset(site, token), 422, "enlace_invalido")
    assert _reset(site, postbox.token()).json() == RESET


def test_a_new_password_ends_it(site, token):
    site.headers["authorization"] = f"Bearer {log_in(site, 'beto')}"
    site.patch("/user/me", json={"password": NEW, "password_actual": PASSWORD})

    problem(_reset(site, token, "una tercera clave"), 422, "enlace_invalido")


def test_a_new_correo_ends_it(site, token):
    site.headers["authorization"] = f"Bearer {log_in(site, 'beto')}"
    site.patch("/user/me", json={"correo": "otro@example.com", "password_actual": PASSWORD})

    problem(_reset(site, token), 422, "enlace_invalido")


def test_it_ends_after_an_hour(site, token, rows):
    only = "WHERE tipo = 'recuperacion'"
    _until_sent(rows, only)
    assert rows(f"SELECT expira - enviado = interval '1 hour' FROM enlace {only}") == [(True,)]

    rows(f"UPDATE enlace SET creacion = now() - interval '2 h', expira = now() - interval '1 s' {only}")
    problem(_reset(site, token), 422, "enlace_invalido")


def test_it_opens_no_other_account(site, token, rows):
    _reset(site, token)

    log_in(site, "ana", PASSWORD)


def test_a_token_of_one_kind_is_none_of_another(site, token, postbox):
    with member(site, "carla") as carla:
        verification = postbox.token()
        refresh = site.post(
            "/login/", data={"username": "carla", "password": PASSWORD, "scope": "offline_access"}
        ).json()["refresh_token"]
        access = carla.headers["authorization"].removeprefix("Bearer ")

    problem(_reset(site, verification), 422, "enlace_invalido")
    problem(site.post("/user/verificar", json={"token": token}), 422, "enlace_invalido")
    for other in (refresh, access):
        assert _reset(site, other).status_code == 422
        assert site.post("/user/verificar", json={"token": other}).status_code == 422
    for mailed in (token, verification):
        problem(site.get("/user/me", headers={"Authorization": f"Bearer {mailed}"}), 401, "token_invalido")
        renewal = {"grant_type": "refresh_token", "refresh_token": mailed}
        assert site.post("/login/", data=renewal).status_code == 400
    assert _reset(site, token).json() == RESET


@pytest.mark.parametrize(
    ("password", "mensaje"),
    [
        ("corta", "debe tener al menos 8 caracteres"),
        ("password1", "es de las más usadas, y de las primeras que se prueban; elija otra"),
        ("beto@example.com", "no puede ser el username ni el correo"),
    ],
)
def test_a_refused_password_leaves_the_token_good(site, token, password, mensaje):
    body = problem(_reset(site, token, password), 422, "datos_invalidos")

    assert body["errores"] == [{"campo": "password", "mensaje": mensaje}]
    assert _reset(site, token).json() == RESET


def test_known_and_unknown_are_one_answer_at_one_time(site, monkeypatch):
    monkeypatch.setattr("handlers.recovery.ANSWER_SECONDS", 1.0)
    answers = {}
    for correo in ("beto@example.com", "nadie@example.com"):
        began = time.monotonic()
        answers[correo] = _recover(site, correo)
        assert time.monotonic() - began >= 1.0

    known, unknown = answers.values()
    assert known.status_code == unknown.status_code == 202
    assert known.json() == unknown.json() == RECOVERING


def test_nobody_learns_from_the_limits_who_has_an_account(site):
    for correo in ("beto@example.com", "nadie@example.com"):
        assert [_recover(site, correo).status_code for _ in range(4)] == [202, 202, 202, 429]


def test_one_address_asks_for_few(connect, postbox):
    api = connect(MAIL_URL=postbox.url, TRUSTED_PROXIES="1")
    answers = []
    threads = [
        threading.Thread(target=lambda n=n: answers.append(_recover(api, f"u{n}@x.com"))) for n in range(35)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sorted(answer.status_code for answer in answers) == [202] * 30 + [429] * 5


def test_the_link_leads_to_a_form(site):
    page = site.get("/login/restablecer")

    assert page.status_code == 200
    assert 'name="password" type="password"' in page.text


def _until_sent(rows, only: str) -> None:
    for _ in range(200):
        if rows(f"SELECT 1 FROM enlace {only} AND enviado IS NOT NULL"):
            return
        threading.Event().wait(0.05)
    raise AssertionError("the mail was not recorded as sent")


def _until_refused(api: httpx.Client, session: dict[str, str]) -> None:
    """A revocation reaches every process within a second."""
    for _ in range(40):
        if api.get("/user/me", headers=session).status_code == 401:
            return
        threading.Event().wait(0.05)
    raise AssertionError("the session still stands")


def test_it_is_recorded(site, token, rows):
    _reset(site, token)

    found = rows("SELECT usuario_id, despues FROM auditoria WHERE accion = 'password_restablecido'")
    assert found == [(0, {"estado": True, "password": "***"})]


def test_an_address_whose_passwords_wait_already_is_told(site, token, connect, postbox, monkeypatch):
    begin = Passwords.__init__

    def without_room(passwords: Passwords, rounds: int) -> None:
        begin(passwords, rounds)
        passwords.room = Room(most=0, of_one=0, waiting_of_one=0, timeout=1, in_vain=BUSY)

    monkeypatch.setattr(Passwords, "__init__", without_room)
    crowded = connect(MAIL_URL=postbox.url)

    problem(_reset(crowded, token), 429, "demasiado_a_la_vez")
    assert _reset(site, token).json() == RESET
