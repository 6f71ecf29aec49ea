"""Refresh tokens: how a session is renewed, and what ends it."""

import threading

import httpx
import jwt
import pytest
from conftest import PASSWORD, SETTINGS, log_in, problem

KEYS = {"access_token", "token_type", "refresh_token", "expires_in", "scope"}
DAYS_AGO = "UPDATE sesion SET uso = uso - interval '20 days'"


def offline(api: httpx.Client, username: str) -> dict[str, object]:
    """The answer to a login whose session can be renewed."""
    answer = api.post("/login/", data={"username": username, "password": PASSWORD, "scope": "offline_access"})
    assert answer.status_code == 200, answer.text
    return answer.json()


def renew(api: httpx.Client, refresh_token: object, **more: str) -> httpx.Response:
    return api.post("/login/", data={"grant_type": "refresh_token", "refresh_token": refresh_token} | more)


def bearer(tokens: dict[str, object]) -> dict[str, str]:
    return {"Authorization": f"Bearer {tokens['access_token']}"}


def refused(answer: httpx.Response) -> None:
    body = problem(answer, 400, "refresh_token_invalido")
    assert body["error"] == "invalid_grant"
    assert answer.headers["cache-control"] == "no-store"


def test_offline_access_adds_what_renews(beto, api):
    tokens = offline(api, "beto")

    assert tokens.keys() == KEYS
    assert (tokens["token_type"], tokens["expires_in"], tokens["scope"]) == ("bearer", 1800, "offline_access")


@pytest.mark.parametrize("kind", ["data", "json"])
def test_a_refresh_token_gives_new_tokens_of_the_same_session(beto, api, kind):
    first = offline(api, "beto")

    answer = api.post(
        "/login/", **{kind: {"grant_type": "refresh_token", "refresh_token": first["refresh_token"]}}
    )

    second = answer.json()
    assert second.keys() == KEYS
    assert second["refresh_token"] != first["refresh_token"]
    assert api.get("/user/me", headers=bearer(second)).json()["username"] == "beto"
    sids = [jwt.decode(t["access_token"], SETTINGS["JWT_SECRET"], ["HS256"])["sid"] for t in (first, second)]
    assert sids[0] == sids[1]
    assert answer.headers["cache-control"] == "no-store"


def test_the_database_holds_nothing_that_makes_one(beto, api, connect):
    tokens = offline(api, "beto")
    thief = connect(JWT_SECRET="another secret, also of 32 bytes or more")

    refused(renew(thief, tokens["refresh_token"]))


def test_the_previous_secret_still_renews(beto, api, connect):
    tokens = offline(api, "beto")
    changed = connect(
        JWT_SECRET="another secret, also of 32 bytes or more", JWT_SECRET_PREVIOUS=SETTINGS["JWT_SECRET"]
    )

    assert renew(changed, tokens["refresh_token"]).status_code == 200


@pytest.mark.parametrize("later", ["", DAYS_AGO])
def test_a_lost_answer_is_given_again_however_late(beto, api, rows, later):
    first = offline(api, "beto")
    lost = renew(api, first["refresh_token"]).json()
    if later:
        rows(later)

    again = [renew(api, first["refresh_token"]).json()["refresh_token"] for _ in range(3)]

    assert again == [lost["refresh_token"]] * 3
    assert rows("SELECT contador, fin FROM sesion WHERE renovable") == [(1, None)]
    assert renew(api, lost["refresh_token"]).status_code == 200


def test_asking_again_is_a_use_too(beto, api, rows):
    first = offline(api, "beto")
    renew(api, first["refresh_token"])
    rows(DAYS_AGO)

    renew(api, first["refresh_token"])

    assert rows("SELECT uso > now() - interval '1 minute' FROM sesion WHERE renovable") == [(True,)]


def test_twenty_clients_at_once_get_one_and_the_same_token(beto, api, rows):
    first = offline(api, "beto")
    answers: list[httpx.Response] = []
    threads = [
        threading.Thread(target=lambda: answers.append(renew(api, first["refresh_token"]))) for _ in range(20)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert {answer.status_code for answer in answers} == {200}
    assert len({answer.json()["refresh_token"] for answer in answers}) == 1
    assert rows("SELECT contador, fin FROM sesion WHERE renovable") == [(1, None)]


def test_a_replay_after_its_successor_was_used_ends_the_session_for_thief_and_owner(beto, api, rows):
    stolen = offline(api, "beto")
    owned = renew(api, renew(api, stolen["refresh_token"]).json()["refresh_token"]).json()
    assert api.get("/user/me", headers=bearer(owned)).status_code == 200

    refused(renew(api, stolen["refresh_token"]))

    refused(renew(api, owned["refresh_token"]))
    problem(api.get("/user/me", headers=bearer(owned)), 401, "token_invalido")
    assert rows("SELECT count(*) FROM auditoria WHERE accion = 'refresh_repetido'") == [(1,)]


def test_one_two_rotations_old_is_no_lost_answer(beto, api, rows):
    first = offline(api, "beto")
    second = renew(api, first["refresh_token"]).json()
    third = renew(api, second["refresh_token"]).json()

    refused(renew(api, first["refresh_token"]))

    refused(renew(api, third["refresh_token"]))


def test_a_replay_ends_that_session_alone(beto, api):
    mine, other = offline(api, "beto"), offline(api, "beto")
    renew(api, renew(api, mine["refresh_token"]).json()["refresh_token"])

    refused(renew(api, mine["refresh_token"]))

    assert renew(api, other["refresh_token"]).status_code == 200
    assert beto.get("/user/me").status_code == 200


@pytest.mark.parametrize("column", ["uso", "expira"])
def test_it_ends_unused_and_in_any_case_some_day(beto, connect, rows, column):
    api = connect(REFRESH_TOKEN_DAYS="2")
    tokens = offline(api, "beto")
    [(days,)] = rows("SELECT extract(days FROM expira - creacion)::int FROM sesion WHERE renovable")
    assert days == 12
    tokens = renew(api, tokens["refresh_token"]).json()
    age = {"uso": 2, "expira": 12}[column]

    rows(f"UPDATE sesion SET {column} = {column} - interval '{age} days'")

    refused(renew(api, tokens["refresh_token"]))


def test_it_is_good_until_the_last_moment(beto, api, rows):
    tokens = offline(api, "beto")

    rows("UPDATE sesion SET uso = uso - interval '29 days 23 hours'")

    assert renew(api, tokens["refresh_token"]).status_code == 200


def test_it_names_the_rol_of_today(ana, beto, api):
    tokens = offline(api, "beto")
    ana.patch(f"/user/{beto.id}", json={"rol": "admin"})

    renewed = renew(api, tokens["refresh_token"]).json()

    assert jwt.decode(renewed["access_token"], SETTINGS["JWT_SECRET"], ["HS256"])["rol"] == "admin"


def test_tokens_of_one_kind_are_no_use_as_another(beto, api):
    tokens = offline(api, "beto")
    cursor = beto.get("/login/sesiones", params={"limit": 1}).links["next"]["url"].partition("despues=")[2]

    for token in (tokens["access_token"], cursor):
        refused(renew(api, token))
    for token in (tokens["refresh_token"], cursor):
        answer = api.get("/user/me", headers={"Authorization": f"Bearer {token}"})
        problem(answer, 401, "token_invalido")
    answer = beto.get("/login/sesiones", params={"despues": tokens["refresh_token"]})
    problem(answer, 422, "datos_invalidos")


def _flip(token: str, place: int) -> str:
    return token[:place] + ("A" if token[place] != "A" else "B") + token[place + 1 :]


@pytest.mark.parametrize(
    "change",
    [
        *(lambda token, place=place: _flip(token, place) for place in (0, 8, 12, 20, 28, 40)),
        lambda token: token[:-4],
        lambda token: token + "AAAA",
        lambda token: token[: len(token) // 2],
        lambda token: "no es",
        lambda token: "ñ" * 54,
        lambda token: "=" * 54,
        lambda token: "'; DROP TABLE sesion; --",
    ],
)
def test_an_altered_one_is_none_and_ends_nothing(beto, api, change):
    tokens = offline(api, "beto")

    refused(renew(api, change(tokens["refresh_token"])))

    assert renew(api, tokens["refresh_token"]).status_code == 200


def test_a_session_without_offline_access_is_not_renewed(beto, api, rows):
    log_in(api, "beto")
    assert rows("SELECT bool_or(renovable) FROM sesion") == [(False,)]
    assert rows("SELECT max(expira - creacion) FROM sesion")[0][0].total_seconds() == 1800


@pytest.mark.parametrize(
    ("form", "status", "codigo", "error"),
    [
        ({"grant_type": "refresh_token"}, 400, "peticion_de_token_invalida", "invalid_request"),
        (
            {"grant_type": "refresh_token", "refresh_token": ""},
            400,
            "peticion_de_token_invalida",
            "invalid_request",
        ),
        (
            {"grant_type": "authorization_code"},
            400,
            "peticion_de_token_invalida",
            "unsupported_grant_type",
        ),
        (
            {"username": "beto", "password": PASSWORD, "scope": "offline_access admin"},
            400,
            "peticion_de_token_invalida",
            "invalid_scope",
        ),
    ],
)
def test_errors_are_those_of_oauth(beto, api, form, status, codigo, error):
    assert problem(api.post("/login/", data=form), status, codigo)["error"] == error


def test_a_scope_that_was_not_granted_is_refused(beto, api):
    tokens = offline(api, "beto")

    answer = renew(api, tokens["refresh_token"], scope="todo")

    assert problem(answer, 400, "peticion_de_token_invalida")["error"] == "invalid_scope"
    assert renew(api, tokens["refresh_token"], scope="offline_access").status_code == 200


def test_who_must_verify_first_is_told_so_only_with_the_right_password(ana, beto, connect):
    api = connect(REQUIRE_VERIFIED="true")
    form = {"username": "beto", "password": PASSWORD}

    assert problem(api.post("/login/", data=form), 403, "cuenta_sin_verificar")["error"] == "invalid_grant"
    problem(api.post("/login/", data=form | {"password": "equivocada"}), 400, "credenciales_invalidas")
    ana.patch(f"/user/{beto.id}", json={"estado": True})
    log_in(api, "beto")


def test_sessions_of_before_are_not_renewed_without_verification(beto, api, connect):
    tokens = offline(api, "beto")

    refused(renew(connect(REQUIRE_VERIFIED="true"), tokens["refresh_token"]))

    assert renew(api, tokens["refresh_token"]).status_code == 200
