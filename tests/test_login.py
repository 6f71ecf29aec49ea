"""The token endpoint, and what makes a token good or bad."""

import base64
import json
import time
from concurrent.futures import ThreadPoolExecutor

import bcrypt
import jwt
import psycopg
import pytest
from conftest import PASSWORD, SETTINGS, log_in, new_user, problem
from fleets import until
from round_trips import listening

from sql.logins import ENTER, HOLD

SECRET = SETTINGS["JWT_SECRET"]
WAITING = "SELECT 1 FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"


@pytest.mark.parametrize("path", ["/login/", "/login"])
@pytest.mark.parametrize("kind", ["data", "json"])
def test_it_answers_exactly_two_keys(ana, api, path, kind):
    answer = api.post(path, **{kind: {"username": "ana", "password": PASSWORD}})

    assert answer.status_code == 200
    assert answer.json().keys() == {"access_token", "token_type"}
    assert answer.json()["token_type"] == "bearer"
    assert answer.headers["cache-control"] == "no-store"


@pytest.mark.parametrize("name", ["ana", "ANA", "ana@example.com", "Ana@Example.COM"])
def test_username_may_be_the_correo_in_any_letter_case(ana, api, name):
    log_in(api, name)


def test_oauth_clients_may_send_more(ana, api):
    form = {"grant_type": "password", "username": "ana", "password": PASSWORD, "scope": "", "client_id": "x"}
    assert api.post("/login/", data=form).status_code == 200


def test_unknown_user_and_wrong_password_are_one_answer(ana, api):
    answers = [
        api.post("/login/", data={"username": name, "password": "equivocada"}) for name in ("ana", "nadie")
    ]

    bodies = [problem(answer, 400, "credenciales_invalidas") for answer in answers]
    for body in bodies:
        assert body.pop("request_id")
        assert body["detail"] == "Usuario o contraseña incorrectos"
        assert body["error"] == "invalid_grant"
    assert bodies[0] == bodies[1]


@pytest.mark.parametrize("password", ["x" * 73, "ñ" * 40, PASSWORD + " "])
def test_a_password_is_never_cut_short(ana, api, password):
    answer = api.post("/login/", json={"username": "ana", "password": password})
    problem(answer, 400, "credenciales_invalidas")


def test_it_says_what_is_missing(api):
    body = problem(api.post("/login/", data={"username": "ana"}), 400, "peticion_de_token_invalida")
    assert body["error"] == "invalid_request"
    assert body["errores"] == [{"campo": "password", "mensaje": "es obligatorio"}]


def test_it_refuses_other_grants(api):
    body = problem(api.post("/login/", data={"grant_type": "magia"}), 400, "peticion_de_token_invalida")
    assert body["error"] == "unsupported_grant_type"


def test_a_repeated_parameter_is_refused(api):
    answer = api.post("/login/", content="username=a&username=b&password=c", headers=FORM)
    errores = problem(answer, 400, "peticion_de_token_invalida")["errores"]
    assert errores == [{"campo": "username", "mensaje": "está repetido"}]


def test_the_token_names_its_owner_by_id_for_half_an_hour(ana, api):
    claims = jwt.decode(log_in(api, "ana"), SECRET, ["HS256"])

    assert claims["sub"] == str(ana.id)
    assert claims["exp"] - claims["iat"] == 30 * 60
    assert abs(claims["iat"] - time.time()) < 10


def test_a_rename_keeps_the_token_valid(beto):
    assert beto.patch("/user/me", json={"username": "norberto"}).status_code == 200
    assert beto.get("/user/me").json()["username"] == "norberto"


def test_a_hash_of_another_cost_is_renewed_at_login(ana, connect, rows):
    costlier = connect(BCRYPT_ROUNDS="5")

    log_in(costlier, "ana")

    [(password,)] = rows("SELECT password FROM usuario")
    assert password.startswith("$2b$05$")
    assert log_in(costlier, "ana")
    assert ana.get("/user/me").status_code == 200


def test_of_many_who_log_in_while_a_hash_is_renewed_none_is_refused(ana, connect):
    costlier = connect(BCRYPT_ROUNDS="5")
    with ThreadPoolExecutor(8) as people:
        assert len({*people.map(lambda _: log_in(costlier, "ana"), range(16))}) == 16


LOGIN = [
    ["BEGIN", "usuarios.credentials", "intentos.attempt", "COMMIT"],
    ["BEGIN", "logins.enter", "logins.insert", "COMMIT"],
]
OF_A_LOGIN = {"usuarios.credentials", "intentos.attempt", "logins.insert", "intentos.succeeded"}


def test_it_asks_the_database_once_before_bcrypt_and_once_after(ana, connect, database, tmp_path):
    with listening(database, tmp_path) as (url, trips):
        api = connect(DATABASE_URL=url, DB_PREPARE="off")
        trips.clear()

        log_in(api, "ana")

        assert [trip for trip in trips if OF_A_LOGIN & {*trip}] == LOGIN


def test_a_refused_login_asks_once_and_is_recorded_once(ana, connect, database, tmp_path):
    with listening(database, tmp_path) as (url, trips):
        api = connect(DATABASE_URL=url, DB_PREPARE="off")
        trips.clear()

        api.post("/login/", data={"username": "ana", "password": "equivocada"})

        asked = [trip for trip in trips if {*trip} & {*LOGIN[0], "auditoria.record"} - {"BEGIN", "COMMIT"}]
        assert asked == [LOGIN[0], ["auditoria.record"]]


def test_it_waits_for_no_lock_of_the_user(ana, api, database):
    with psycopg.connect(database) as other:
        other.execute("SELECT 1 FROM usuario FOR NO KEY UPDATE")

        assert log_in(api, "ana")


def test_a_change_that_ends_sessions_waits_for_a_login_and_ends_its_session(ana, api, database, rows):
    with psycopg.connect(database) as other, ThreadPoolExecutor(1) as people:
        other.execute(ENTER, {"usuario_id": 1})
        other.execute("INSERT INTO sesion (usuario_id, expira) VALUES (1, now() + interval '1 day')")
        changing = people.submit(
            ana.patch, "/user/me", json={"password": "otra clave larga", "password_actual": PASSWORD}
        )
        until(lambda: rows(WAITING))
        other.commit()

        assert changing.result().status_code == 200
    assert rows("SELECT count(*) FROM sesion WHERE fin IS NULL") == [(1,)]


def test_a_login_waits_for_a_change_that_ends_sessions_and_is_refused(ana, api, database, rows):
    with psycopg.connect(database) as other, ThreadPoolExecutor(1) as people:
        other.execute(HOLD, {"usuario_id": 1})
        other.execute("UPDATE usuario SET password = '$2b$04$' || repeat('.', 53)")
        form = {"username": "ana", "password": PASSWORD}
        entering = people.submit(api.post, "/login/", data=form)
        until(lambda: rows(WAITING))
        other.commit()

        assert entering.result().json()["detail"] == "Usuario o contraseña incorrectos"


def test_the_previous_secret_still_verifies(beto, connect):
    changed = connect(JWT_SECRET="another secret, also of 32 bytes or more", JWT_SECRET_PREVIOUS=SECRET)

    assert changed.get("/user/me", headers=beto.headers).status_code == 200
    assert jwt.decode(log_in(changed, "beto"), "another secret, also of 32 bytes or more", ["HS256"])


def test_another_secret_does_not(beto, connect):
    other = connect(JWT_SECRET="another secret, also of 32 bytes or more")
    problem(
        other.get("/user/me", headers={"Authorization": beto.headers["authorization"]}), 401, "token_invalido"
    )


def _changed(token: str, secret: str = SECRET, **claims: object) -> str:
    payload = jwt.decode(token, options={"verify_signature": False}) | claims
    return jwt.encode({name: value for name, value in payload.items() if value is not None}, secret, "HS256")


def _unsigned(token: str) -> str:
    header = (
        base64.urlsafe_b64encode(json.dumps({"alg": "none", "typ": "JWT"}).encode()).rstrip(b"=").decode()
    )
    return f"{header}.{token.split('.')[1]}."


FORM = {"Content-Type": "application/x-www-form-urlencoded"}

BAD_TOKENS = {
    "truncated": lambda token: token[:-5],
    "without its signature": lambda token: token.rpartition(".")[0],
    "signed by another": lambda token: _changed(token, "another secret, also of 32 bytes or more"),
    "alg none": _unsigned,
    "expired": lambda token: _changed(token, exp=int(time.time()) - 1),
    "not valid yet": lambda token: _changed(token, nbf=int(time.time()) + 600),
    "of the future": lambda token: _changed(token, iat=int(time.time()) + 600),
    "another's session": lambda token: _changed(token, sub="999"),
    "of no session": lambda token: _changed(token, sid=999),
    "a sub that is no id": lambda token: _changed(token, sub="abc"),
    "a sub beyond 64 bits": lambda token: _changed(token, sub=str(2**63)),
    "without exp": lambda token: _changed(token, exp=None),
    "an exp that is no number": lambda token: _changed(token, exp="mañana"),
    "a rol that is none": lambda token: _changed(token, rol="dios"),
    "noise": lambda token: "no.es.token",
    "not ascii": lambda token: "\xf1" * 20,
}


@pytest.mark.parametrize("kind", BAD_TOKENS)
def test_a_bad_token_is_401(beto_of_all, api_of_all, kind):
    token = beto_of_all.headers["authorization"].removeprefix("Bearer ")

    answer = api_of_all.get(
        "/user/me", headers={"Authorization": f"Bearer {BAD_TOKENS[kind](token)}".encode("latin-1")}
    )

    problem(answer, 401, "token_invalido")
    assert answer.headers["www-authenticate"] == 'Bearer realm="ventas", error="invalid_token"'


@pytest.mark.parametrize("value", [None, "", "Basic YTpi", "Token x", "Bearer"])
def test_no_token_is_401(api_of_all, value):
    answer = api_of_all.get("/user/me", headers={"Authorization": value} if value is not None else {})

    assert answer.status_code == 401
    assert answer.headers["www-authenticate"].startswith("Bearer")


def test_two_tokens_are_none(beto, api):
    token = ("Authorization", beto.headers["authorization"])
    problem(api.get("/user/me", headers=[token, token]), 401, "no_autenticado")


def test_the_scheme_may_be_in_any_letter_case(beto, api):
    token = beto.headers["authorization"].replace("Bearer", "bEARER")
    assert api.get("/user/me", headers={"Authorization": token}).status_code == 200


def test_a_public_route_ignores_a_bad_token(api):
    answer = api.post("/user/", json=new_user("ana"), headers={"Authorization": "Bearer nada"})
    assert answer.status_code == 201


@pytest.mark.parametrize("rounds", ["4", "6"])
def test_whoever_is_named_a_refusal_costs_the_same(ana, connect, monkeypatch, rounds):
    api = connect(BCRYPT_ROUNDS=rounds)
    work: list[int] = []
    check = bcrypt.checkpw

    def counted(password: bytes, hashed: bytes) -> bool:
        work.append(2 ** int(hashed[4:6]))
        return check(password, hashed)

    monkeypatch.setattr(bcrypt, "checkpw", counted)
    for name in ("ana", "ana@example.com", "nadie", "nadie@example.com"):
        work.clear()
        api.post("/login/", data={"username": name, "password": "equivocada"})
        assert sum(work) == 2 ** int(rounds)
