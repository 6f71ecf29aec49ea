"""The errors of /login/ and /login/revocar: RFC 6749 section 5.2 to the letter, for a form and for JSON alike."""

from collections.abc import Iterator

import httpx
import pytest
from conftest import PASSWORD, client_of, database_url, new_database, new_user, problem, running

from handlers.login_bodies import MFA_OTP

FORM = {"Content-Type": "application/x-www-form-urlencoded"}
JSON = {"Content-Type": "application/json"}
RIGHT = {"username": "ana", "password": PASSWORD}


@pytest.fixture(scope="module")
def site(postgres: str, template: str) -> Iterator[httpx.Client]:
    """A client of a server where Ana has registered, for tests that change nothing."""
    with (
        new_database(postgres, "test", template=template) as name,
        running({"DATABASE_URL": database_url(postgres, name), "THROTTLE": "off"}) as url,
        client_of(url) as client,
    ):
        assert client.post("/user/", json=new_user("ana")).status_code == 201
        yield client


@pytest.mark.parametrize("kind", ["data", "json"])
@pytest.mark.parametrize(
    ("path", "sent", "codigo", "error", "description"),
    [
        (
            "/login/",
            RIGHT | {"password": "equivocada"},
            "credenciales_invalidas",
            "invalid_grant",
            "Usuario o contrasena incorrectos",
        ),
        (
            "/login/",
            {"grant_type": "refresh_token", "refresh_token": "nada"},
            "refresh_token_invalido",
            "invalid_grant",
            "El refresh_token no es valido, ya se uso o su sesion termino: inicie sesion otra vez",
        ),
        (
            "/login/",
            {"username": "ana"},
            "peticion_de_token_invalida",
            "invalid_request",
            "Datos invalidos: password",
        ),
        (
            "/login/",
            {"grant_type": 'ma"gia\\'},
            "peticion_de_token_invalida",
            "unsupported_grant_type",
            f"grant_type debe ser password o refresh_token o {MFA_OTP}",
        ),
        (
            "/login/",
            RIGHT | {"scope": 'ñ"\\☃'},
            "peticion_de_token_invalida",
            "invalid_scope",
            "scope desconocido: n''",
        ),
        ("/login/revocar", {}, "peticion_de_token_invalida", "invalid_request", "Datos invalidos: token"),
        (
            "/login/revocar",
            {"token": ""},
            "peticion_de_token_invalida",
            "invalid_request",
            "Datos invalidos: token",
        ),
    ],
)
def test_an_error_has_what_oauth_clients_read_and_a_problem_beside(
    site, kind, path, sent, codigo, error, description
):
    body = problem(site.post(path, **{kind: sent}), 400, codigo)
    assert (body["error"], body["error_description"]) == (error, description)


@pytest.mark.parametrize(
    ("content", "headers"),
    [
        ("username=ana&username=ana&password=x", FORM),
        ("username=%FF&password=x", FORM),
        ('{"username": "ana", "username": "ana", "password": "x"}', JSON),
        ('{"username": ["ana"], "password": "x"}', JSON),
        ('{"username": null, "password": "x"}', JSON),
        ('{"username": "\\ud800", "password": "x"}', JSON),
        ('{"username": "a\\u0000", "password": "x"}', JSON),
        ("grant_type=password&grant_type=password&username=ana&password=x", FORM),
        ('["username"]', JSON),
        ("[" * 5000 + "]" * 5000, JSON),
        ("", {}),
    ],
)
def test_what_is_missing_repeated_or_malformed_is_an_invalid_request(site, content, headers):
    answer = site.post("/login/", content=content, headers=headers)
    assert problem(answer, 400, "peticion_de_token_invalida")["error"] == "invalid_request"


@pytest.mark.parametrize(
    ("content", "headers"),
    [
        (f"username=ana&password={PASSWORD}&color=azul&color=rojo&scope=&grant_type=", FORM),
        (
            f'{{"username": "ana", "password": "{PASSWORD}", "color": {{"a": 1, "a": 2}}, "color": NULL}}',
            JSON,
        ),
    ],
)
@pytest.mark.parametrize("query", ["", "?utm_source=x&utm_source=y"])
def test_what_it_does_not_know_is_ignored_and_what_is_empty_was_not_sent(site, content, headers, query):
    content = content.replace("NULL", "null")
    assert site.post(f"/login/{query}", content=content, headers=headers).status_code == 200


def test_a_password_in_the_address_is_none(site):
    answer = site.post(f"/login/?username=ana&password={PASSWORD}")
    problem(answer, 400, "peticion_de_token_invalida")


def test_every_other_error_has_the_same_form(site, connect):
    away = connect(DATABASE_URL="postgresql://127.0.0.1:1/nada", APP_ENV="production", BCRYPT_ROUNDS="10")
    answers = {
        (400, "json_invalido", "invalid_request"): site.post("/login/", content="{", headers=JSON),
        (405, "metodo_no_permitido", "invalid_request"): site.get("/login"),
        (413, "cuerpo_demasiado_grande", "invalid_request"): site.post(
            "/login/", data={"username": "x" * 20_000}
        ),
        (415, "tipo_de_contenido", "invalid_request"): site.post("/login/revocar", content="x"),
        (503, "bd_no_disponible", "temporarily_unavailable"): away.post("/login/", data=RIGHT),
    }
    for (status, codigo, error), answer in answers.items():
        assert problem(answer, status, codigo)["error"] == error


@pytest.mark.parametrize(
    ("headers", "codigo"), [({"X-Forwarded-Proto": "http"}, "https_requerido"), ({}, "demasiados_intentos")]
)
def test_who_may_not_is_told_so_in_that_form(connect, headers, codigo):
    api = connect(HTTPS_ONLY="on", TRUSTED_PROXIES="1")
    wrong = {"username": "nadie", "password": "equivocada"}
    for _ in range(0 if headers else 20):
        api.post("/login/", data=wrong)
    problem(api.post("/login/", data=wrong, headers=headers), 403 if headers else 429, codigo)


def test_under_a_prefix_too(connect):
    api = connect(PUBLIC_URL="https://ventas.example/api")
    answer = api.post("/api/login/", data={"username": "ana"})
    assert answer.headers["content-type"] == "application/json"
    assert answer.json()["type"] == "/api/problemas#peticion_de_token_invalida"


def test_an_answer_with_tokens_is_kept_nowhere(site):
    answer = site.post("/login/", data=RIGHT)
    assert (answer.headers["cache-control"], answer.headers["pragma"]) == ("no-store", "no-cache")
