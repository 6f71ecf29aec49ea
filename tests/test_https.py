"""Behind a proxy that ends TLS: plain HTTP is not served, and browsers are told to stay with HTTPS."""

from collections.abc import Callable

import httpx
import pytest
from conftest import problem

PRODUCTION = {"APP_ENV": "production", "BCRYPT_ROUNDS": "10", "TRUSTED_PROXIES": "1"}
HTTP, HTTPS = {"X-Forwarded-Proto": "http"}, {"X-Forwarded-Proto": "https"}


@pytest.fixture
def api(connect: Callable[..., httpx.Client]) -> httpx.Client:
    return connect(**PRODUCTION)


def test_https_is_served_and_stays(api: httpx.Client) -> None:
    for answer in (api.get("/healthz", headers=HTTPS), api.get("/nada", headers=HTTPS)):
        assert answer.headers["strict-transport-security"] == "max-age=31536000"
        assert answer.headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_plain_http_is_sent_on(method: str, api: httpx.Client) -> None:
    answer = api.request(method, "/user/?q=a%20b", headers=HTTP | {"Host": "api.example.com"})
    assert answer.status_code == 308
    assert answer.headers["location"] == "https://api.example.com/user/?q=a%20b"
    assert answer.content == b""


def test_it_is_sent_to_where_the_service_says_it_is(connect: Callable[..., httpx.Client]) -> None:
    api = connect(**PRODUCTION, PUBLIC_URL="https://ventas.example.com/")
    assert api.get("/docs", headers=HTTP).headers["location"] == "https://ventas.example.com/docs"


@pytest.mark.parametrize("path", ["/docs", "/api/docs"])
def test_the_path_of_public_url_is_there_once(connect: Callable[..., httpx.Client], path: str) -> None:
    api = connect(**PRODUCTION, PUBLIC_URL="https://example.com/api")
    assert api.get(path, headers=HTTP).headers["location"] == "https://example.com/api/docs"


def test_plain_http_changes_nothing(api: httpx.Client) -> None:
    answer = api.post("/login/", data={"username": "ana", "password": "una clave"}, headers=HTTP)
    problem(answer, 403, "https_requerido")


def test_a_host_that_is_none_is_not_sent_on(api: httpx.Client) -> None:
    problem(api.get("/docs", headers=HTTP | {"Host": "a b"}), 403, "https_requerido")


def test_the_nearest_proxy_is_believed(api: httpx.Client) -> None:
    assert api.get("/healthz", headers={"X-Forwarded-Proto": "http, https"}).status_code == 200
    assert api.get("/healthz", headers={"X-Forwarded-Proto": "https, http"}).status_code == 308


def test_who_comes_past_the_proxy_is_served(api: httpx.Client) -> None:
    answer = api.get("/readyz")
    assert answer.status_code == 200
    assert "strict-transport-security" not in answer.headers


@pytest.mark.parametrize("settings", [{}, {"APP_ENV": "production", "BCRYPT_ROUNDS": "10"}])
def test_without_a_proxy_nobody_is_believed(
    settings: dict[str, str], connect: Callable[..., httpx.Client]
) -> None:
    assert connect(**settings).get("/healthz", headers=HTTP).status_code == 200


def test_it_can_be_switched_off(connect: Callable[..., httpx.Client]) -> None:
    assert connect(**PRODUCTION, HTTPS_ONLY="off").get("/healthz", headers=HTTP).status_code == 200
