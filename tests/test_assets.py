"""What a browser gets: files at addresses that it may keep, pages that it asks about, all of it compressed once."""

import gzip
import re
from collections.abc import Iterator

import httpx
import pytest
from conftest import client_of, problem, running

from core.checkout import CHECKOUT
from core.http.codings import zstd

BUNDLE = "docs/docs.js"
PAGES = ["/docs", "/problemas", "/user/verificar", "/login/restablecer"]


@pytest.fixture(scope="module")
def site(database_of_all: str) -> Iterator[httpx.Client]:
    """A client of a server that nothing here changes; it asks for no compression of its own accord."""
    with (
        running({"DATABASE_URL": database_of_all}) as url,
        client_of(url, headers={"Accept-Encoding": "identity"}) as client,
    ):
        yield client


def address(site: httpx.Client, name: str) -> str:
    """Where /docs says that a file is."""
    return re.findall(rf'"(/assets/[0-9a-f]+/{name})"', site.get("/docs").text)[0]


def test_a_file_is_kept_for_a_year_under_its_hash(site):
    answer = site.get(address(site, BUNDLE))
    assert answer.content == (CHECKOUT / "web" / BUNDLE).read_bytes()
    assert answer.headers["cache-control"] == "public, max-age=31536000, immutable"
    assert answer.headers["content-type"] == "text/javascript; charset=utf-8"


@pytest.mark.parametrize("path", ["/assets/page.css", "/assets/0123456789abcdef/page.css"])
def test_a_file_of_another_release_is_what_it_is_now_and_not_kept(site, path):
    answer = site.get(path)
    assert answer.content == (CHECKOUT / "web" / "page.css").read_bytes()
    assert answer.headers["cache-control"] == "no-cache"


@pytest.mark.parametrize("name", ["README.md", "docs.html", "../app.py", "%2e%2e/app.py", "docs", "%00", ""])
def test_nothing_else_is_served(site, name):
    problem(site.get(f"/assets/{name}"), 404, "ruta_desconocida")


@pytest.mark.parametrize(("coding", "decompress"), [("gzip", gzip.decompress), ("zstd", zstd.decompress)])
@pytest.mark.parametrize("path", [f"/assets/{BUNDLE}", "/openapi.json", "/problemas"])
def test_it_is_compressed_for_those_who_want_it(site, path, coding, decompress):
    plain = site.get(path)
    with site.stream("GET", path, headers={"Accept-Encoding": coding}) as answer:
        assert decompress(b"".join(answer.iter_raw())) == plain.content
    assert answer.headers["content-encoding"] == coding
    assert int(answer.headers["content-length"]) < len(plain.content) / 2
    assert plain.headers["vary"] == answer.headers["vary"] == "Accept-Encoding"
    assert plain.headers["etag"] != answer.headers["etag"]


@pytest.mark.parametrize(
    ("wanted", "got"),
    [
        ("gzip, deflate, br, zstd", "zstd"),
        ("GZIP;Q=0.5", "gzip"),
        ("gzip;q=0.8, zstd;q=0.2", "gzip"),
        ("gzip;q=0, *", "zstd"),
        ("*;q=0", None),
        ("br", None),
        ("", None),
        ("identity, gzip;q=0.5", None),
        ("gzip;q=nada", None),
        (",".join(f"x{n}" for n in range(5000)), None),
    ],
)
def test_the_weights_count(site, wanted, got):
    with site.stream("GET", "/problemas", headers={"Accept-Encoding": wanted}) as answer:
        assert answer.headers.get("content-encoding") == got


@pytest.mark.parametrize("path", [*PAGES, "/", "/openapi.json", "/assets/page.css"])
@pytest.mark.parametrize("coding", ["identity", "gzip", "zstd"])
def test_what_the_browser_has_is_not_sent_again(site, path, coding):
    wanted = {"Accept-Encoding": coding}
    tag = site.get(path, headers=wanted).headers["etag"]
    answer = site.get(path, headers=wanted | {"If-None-Match": f"W/{tag}"})
    assert (answer.status_code, answer.content, answer.headers["etag"]) == (304, b"", tag)
    assert answer.headers["cache-control"] == "no-cache"
    assert "content-type" not in answer.headers
    assert "content-encoding" not in answer.headers


@pytest.mark.parametrize("path", PAGES)
def test_a_page_says_what_a_browser_has_to_know(site, path):
    headers = site.get(path).headers
    assert headers["content-security-policy"].startswith("default-src 'none'; script-src 'self'")
    assert headers["referrer-policy"] == "no-referrer"
    assert headers["cross-origin-opener-policy"] == "same-origin"
    assert "camera=()" in headers["permissions-policy"]
    assert headers["cache-control"] == "no-cache"


@pytest.mark.parametrize("path", [*PAGES, "/", "/healthz", "/nada", "/assets/page.css", "/user/me"])
def test_no_answer_is_sniffed(site, path):
    assert site.get(path).headers.get_list("x-content-type-options") == ["nosniff"]


@pytest.mark.parametrize("path", [*PAGES, "/", "/healthz", "/readyz"])
def test_what_a_mail_program_adds_to_an_address_is_ignored(site, path):
    assert site.get(f"{path}?utm_source=correo&fbclid=x&a=1&a=2&%FF").status_code == 200


@pytest.mark.parametrize(
    ("accept", "media"),
    [
        (None, "application/json"),
        ("*/*", "application/json"),
        ("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", "text/html; charset=utf-8"),
        ("text/html;q=0, */*", "application/json"),
        ("text/html;q=0.1, application/json", "application/json"),
        ("TEXT/*, application/json;q=0.9", "text/html; charset=utf-8"),
        ("image/png", "application/json"),
    ],
)
def test_the_start_is_what_the_client_would_rather_have(site, accept, media):
    site.headers.pop("accept", None)
    answer = site.get("/", headers={"Accept": accept} if accept else {})
    assert answer.headers["content-type"] == media
    assert "Accept" in answer.headers.get_list("vary", split_commas=True)


def test_a_head_of_a_page_is_its_get_without_a_body(site):
    for path in ("/docs", "/assets/page.css", "/openapi.json"):
        wanted = {"Accept-Encoding": "gzip"}
        whole, head = site.get(path, headers=wanted), site.head(path, headers=wanted)
        for name in ("content-length", "content-encoding", "etag", "vary", "content-type"):
            assert head.headers.get(name) == whole.headers.get(name)
