"""Pages of users by keyset: their order, their links, their filters, their totals."""

import gzip

import pytest
from conftest import PASSWORD, new_user, problem, walk

from core.http.codings import zstd


@pytest.fixture
def many(ana, rows):
    """Ana and 25 more, made by SQL."""
    rows(
        "INSERT INTO usuario (username, password, nombre, apellido, telefono, correo, estado)"
        " SELECT 'u' || n, '$2b$04$' || repeat('a', 53), 'Nombre' || n, 'Apellido' || n, '12345',"
        " 'u' || n || '@example.com', n %% 2 = 0 FROM generate_series(1, 25) AS n"
    )
    return ana


@pytest.mark.parametrize("query", ["", "q=u&", "estado=false&", "rol=usuario&"])
def test_pages_hold_every_user_once(many, query):
    pages = walk(many, f"/user/?{query}limit=7")
    whole = many.get(f"/user/?{query}limit=1000").json()

    ids = [user["id"] for page in pages for user in page]
    assert ids == sorted(set(ids)) == [user["id"] for user in whole]
    assert all(len(page) == 7 for page in pages[:-1])


def test_a_page_that_ends_the_list_has_no_link(many):
    assert "link" not in many.get("/user/?limit=26").headers
    assert "link" in many.get("/user/?limit=25").headers


def test_what_comes_and_goes_meanwhile_repeats_and_skips_nobody(many, rows):
    first = many.get("/user/?limit=10")
    rows("DELETE FROM usuario WHERE id = %s", first.json()[-1]["id"])
    rows("DELETE FROM usuario WHERE id = %s", first.json()[0]["id"] + 2)

    rest = walk(many, first.links["next"]["url"])

    assert rest[0][0]["id"] == first.json()[-1]["id"] + 1
    assert sum(map(len, rest)) == 16


@pytest.mark.parametrize("q", ["NOMBRE1", "apellido1", "U1", "u1"])
def test_q_is_a_prefix_in_any_letter_case(many, q):
    assert len(many.get("/user/", params={"q": q}).json()) == 11


@pytest.mark.parametrize("q", ["%", "_", "ombre", "\\"])
def test_q_has_no_wildcards(many, q):
    assert many.get("/user/", params={"q": q}).json() == []


def test_filters_combine(many):
    found = many.get("/user/?q=u2&estado=true&rol=usuario").json()
    assert [user["username"] for user in found] == ["u2", "u20", "u22", "u24"]


@pytest.mark.parametrize(("query", "total"), [("", 26), ("q=u2", 7), ("estado=true", 12), ("rol=admin", 1)])
def test_an_exact_total_is_counted(many, query, total):
    answer = many.get(f"/user/?{query}&total=exacto&limit=2")
    assert answer.headers["x-total-count"] == str(total)


def test_an_estimated_total_is_as_of_the_last_analyze(many, rows):
    rows("ANALYZE usuario")
    assert many.get("/user/?total=estimado").headers["x-total-count"] == "26"


def test_a_cursor_that_was_touched_is_refused(many):
    cursor = many.get("/user/?limit=1").links["next"]["url"].partition("despues=")[2]
    for touched in (cursor[:-1], cursor + "A", "A" + cursor[1:], cursor.swapcase(), "ñ", ""):
        answer = many.get("/user/", params={"despues": touched})
        problem(answer, 422, "datos_invalidos")


def test_a_list_is_bare_json(ana):
    answer = ana.get("/user/")
    assert isinstance(answer.json(), list)
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["cache-control"] == "private, no-cache"


def test_a_new_user_is_at_the_end(ana, api):
    api.post("/user/", json=new_user("beto"))
    assert [user["username"] for user in ana.get("/user").json()] == ["ana", "beto"]


@pytest.mark.parametrize(("coding", "decompress"), [("gzip", gzip.decompress), ("zstd", zstd.decompress)])
@pytest.mark.parametrize("rows_of", [20, 1000])
def test_a_list_is_compressed_for_those_who_want_it(beto, rows, rows_of, coding, decompress):
    rows(
        "INSERT INTO venta (usuario_id, venta, ventas_productos) SELECT %s, n, 1 FROM generate_series(1, %s) AS n",
        beto.id,
        rows_of,
    )
    path = "/venta/?limit=1000"
    plain = beto.get(path, headers={"Accept-Encoding": "identity"})
    with beto.stream("GET", path, headers={"Accept-Encoding": coding}) as answer:
        assert decompress(b"".join(answer.iter_raw())) == plain.content
    assert answer.headers["content-encoding"] == coding
    assert int(answer.headers["content-length"]) < len(plain.content) / 3
    for headers in (plain.headers, answer.headers):
        assert headers["vary"] == "Authorization, Accept-Encoding"


def test_what_is_short_or_carries_a_token_is_not_compressed(beto, api):
    wanted = {"Accept-Encoding": "gzip, zstd"}
    login = {"username": "beto", "password": PASSWORD, "scope": "offline_access"}
    for answer in (beto.get("/venta/", headers=wanted), api.post("/login/", data=login, headers=wanted)):
        assert answer.status_code == 200
        assert "content-encoding" not in answer.headers


def test_the_cursor_of_the_next_page_has_a_header_of_its_own(beto):
    for _ in range(3):
        beto.post("/venta/", json={"venta": 1, "ventas_productos": 1})
    page = beto.get("/venta/?limit=2")
    cursor = page.headers["x-next-cursor"]
    assert page.links["next"]["url"].endswith(f"despues={cursor}")
    last = beto.get("/venta/", params={"limit": 2, "despues": cursor})
    assert len(last.json()) == 1
    assert "x-next-cursor" not in last.headers
