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
    assert "PATCH" in answer.headers["access-control-allow-methods"]
    assert answer.headers["access-control-allow-headers"] == "authorization,if-match"


def test_a_page_may_read_answers_and_their_headers(site):
    answer = site.post("/user/", json=new_user("ana"), headers=PAGE)

    assert answer.status_code == 201
    assert answer.headers["access-control-allow-origin"] == "https://app.example"
    assert "Location" in answer.headers["access-control-expose-headers"]
    assert answer.headers["vary"] == "Origin"


def test_a_page_may_read_errors(site):
    wrong = {"username": "ana", "password": PASSWORD}
    answers = [
        (site.post("/login/", json=wrong, headers=PAGE), 401, "credenciales_invalidas"),
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
