"""CORS_ORIGINS: pages of these origins may call the API, and read its answers and errors; those of others may not."""

import pytest
from conftest import PASSWORD, new_user, problem

PAGE = {"Origin": "https://app.example"}
OTHER = {"Origin": "https://evil.example"}


@pytest.fixture
def site(connect):
    return connect(CORS_ORIGINS="https://app.example, https://otra.example:8443")


def test_a_page_may_send_what_the_api_takes(site):
    asked = {
        "Access-Control-Request-Method": "PATCH",
        "Access-Control-Request-Headers": "authorization,if-match",
    }

    answer = site.options("/user/me", headers=PAGE | asked)

    assert answer.status_code == 200
    assert answer.headers["access-control-allow-origin"] == "https://app.example"
    assert answer.headers["access-control-allow-methods"] == "DELETE, GET, HEAD, PATCH"
    assert answer.headers["access-control-allow-headers"] == "authorization,if-match"


def test_a_page_may_read_answers_and_their_headers(site):
    answer = site.post("/user/", json=new_user("ana"), headers=PAGE)

    assert answer.status_code == 201
    assert answer.headers["access-control-allow-origin"] == "https://app.example"
    exposed = set(answer.headers["access-control-expose-headers"].split(", "))
    assert exposed > {"Location", "WWW-Authenticate", "Allow", "X-Next-Cursor", "RateLimit", "ETag"}
    assert answer.headers["vary"] == "Origin"


def test_a_page_may_read_errors(site):
    wrong = {"username": "ana", "password": PASSWORD}
    answers = [
        (site.post("/login/", json=wrong, headers=PAGE), 400, "credenciales_invalidas"),
        (site.get("/user/me", headers=PAGE), 401, "no_autenticado"),
        (site.get("/nada", headers=PAGE), 404, "ruta_desconocida"),
        (site.post("/user/", json={}, headers=PAGE), 422, "datos_invalidos"),
    ]

    for answer, status, codigo in answers:
        problem(answer, status, codigo)
        assert answer.headers["access-control-allow-origin"] == "https://app.example"


def test_a_page_of_another_origin_may_not(site):
    asked = {"Access-Control-Request-Method": "GET"}

    for answer in (
        site.get("/healthz", headers=OTHER),
        site.get("/user/me", headers=OTHER),
        site.options("/user/me", headers=OTHER | asked),
    ):
        assert "access-control-allow-origin" not in answer.headers


def test_without_the_setting_no_page_may(api):
    assert "access-control-allow-origin" not in api.get("/healthz", headers=PAGE).headers


def test_a_preflight_that_is_refused_is_a_problem_like_any_other(site):
    def ask(path, headers, method):
        return site.options(path, headers=headers | {"Access-Control-Request-Method": method})

    problem(ask("/user/me", OTHER, "GET"), 403, "origen_no_permitido")
    problem(ask("/user/me", {"Origin": "null"}, "GET"), 403, "origen_no_permitido")
    for method in ("PUT", "POST", "NADA", "OPTIONS"):
        refused = ask("/user/me", PAGE, method)
        problem(refused, 405, "metodo_no_permitido")
        assert refused.headers["access-control-allow-origin"] == "https://app.example"
        assert refused.headers["allow"] == "DELETE, GET, HEAD, PATCH"
    problem(ask("/nada", PAGE, "GET"), 404, "ruta_desconocida")


def test_a_page_may_call_a_service_of_a_private_network(site):
    asked = {"Access-Control-Request-Method": "GET", "Access-Control-Request-Private-Network": "true"}

    assert (
        site.options("/user/me", headers=PAGE | asked).headers["access-control-allow-private-network"]
        == "true"
    )
    assert (
        "access-control-allow-private-network" not in site.options("/user/me", headers=OTHER | asked).headers
    )


def test_a_cache_keeps_the_answers_to_origins_apart(site):
    for headers in ({}, PAGE, OTHER):
        assert site.get("/healthz", headers=headers).headers["vary"] == "Origin"


def test_any_page_may_where_the_setting_says_so(connect):
    answer = connect(CORS_ORIGINS="*").get("/healthz", headers=OTHER)

    assert answer.headers["access-control-allow-origin"] == "*"
    assert "vary" not in answer.headers
