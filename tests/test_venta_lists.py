"""Pages of sales by keyset: their order, their links, their filters, their totals, and whose they are."""

import pytest
from conftest import problem, walk

from core.database.rooms import Room

COUNTS = {
    "desde=2026-01-20": 1,
    "desde=2026-01-20T12:00:00Z": 1,
    "desde=2026-01-20T12:00:00.000001Z": 0,
    "hasta=2026-01-01": 1,
    "hasta=2026-01-01T12:00:00": 0,
    "hasta=2026-01-01T12:00:00.000001": 1,
    "hasta=2026-01-01T09:30:00-03:00": 1,
    "hasta=2026-01-01T14:30:00%2B02:00": 1,
    "hasta=2026-01-01 14:30:00 02:00": 1,
    "hasta=2026-01-01T12:00": 0,
    "hasta=2026-01-01T12:01": 1,
    "hasta=2026-01-01T09:01&zona=America/Argentina/Buenos_Aires": 1,
    "hasta=2026-01-01T09:00&zona=America/Argentina/Buenos_Aires": 0,
    "desde=2026-01-02&hasta=2026-01-03": 2,
    "desde=0001-01-01&hasta=9999-12-31": 23,
    "desde=2026-01-03&hasta=2026-01-02": 0,
    "minimo=20000": 1,
    "maximo=1000&minimo=1000": 1,
    "desde=2026-01-10&hasta=2026-01-10&maximo=500": 3,
}

BAD = {
    "limit=0": "limit",
    "limit=1001": "limit",
    "limit=abc": "limit",
    "limit=5&limit=6": "limit",
    "color=azul": "color",
    "usuario_id=0": "usuario_id",
    "usuario_id=abc": "usuario_id",
    "usuario_id=9223372036854775808": "usuario_id",
    "minimo=-1": "minimo",
    "maximo=1000000000000001": "maximo",
    "desde=ayer": "desde",
    "desde=2026-02-30": "desde",
    "desde=20260101": "desde",
    "hasta=2026-01-01T25:00:00Z": "hasta",
    "hasta=٢٠٢٦-٠١-٠١": "hasta",
    "hasta=0001-01-01T00:00:00%2B03:00": "hasta",
    "desde=10000-01-01": "desde",
    "despues=abc": "despues",
}


@pytest.fixture
def many(ana, beto, carla, rows):
    """Beto's sales, one of 1000 cents per day from January 1 on and three more at the same moment; two of Carla's."""
    rows(
        "INSERT INTO venta (usuario_id, venta, ventas_productos, creacion)"
        " SELECT %s, n * 1000, 1, '2026-01-01T12:00Z'::timestamptz + (n - 1) * interval '1 day'"
        " FROM generate_series(1, 20) AS n",
        beto.id,
    )
    rows(
        "INSERT INTO venta (usuario_id, venta, ventas_productos, creacion)"
        " SELECT u, 500, 1, '2026-01-10T12:00Z' FROM unnest(%s::bigint[]) AS u",
        [beto.id, beto.id, beto.id, carla.id, carla.id],
    )
    return beto


def _place(sale):
    return sale["creacion"], sale["id"]


@pytest.mark.parametrize("query", ["", "minimo=501&", "desde=2026-01-05&hasta=2026-01-12&", "maximo=500&"])
def test_pages_hold_every_sale_once_newest_first(many, query):
    pages = walk(many, f"/venta/?{query}limit=3")
    whole = many.get(f"/venta/?{query}limit=1000").json()

    sales = [sale for page in pages for sale in page]
    assert sales == whole == sorted(whole, key=_place, reverse=True)
    assert len({sale["id"] for sale in sales}) == len(sales)
    assert all(len(page) == 3 for page in pages[:-1])


@pytest.mark.parametrize("query", ["", "desde=2026-01-05&hasta=2026-01-12&", "maximo=500&"])
def test_oldest_first_is_the_same_list_from_its_end(ana, many, query):
    pages = walk(many, f"/venta/?{query}limit=3&orden=creacion")

    newest_first = many.get(f"/venta/?{query}orden=-creacion").json()
    assert [sale for page in pages for sale in page] == newest_first[::-1]
    assert len(walk(ana, "/venta/?limit=10&orden=creacion")) == 3


def test_a_cursor_is_of_one_order(many):
    cursor = many.get("/venta/?limit=1&orden=creacion").headers["x-next-cursor"]
    problem(many.get("/venta/", params={"despues": cursor}), 422, "datos_invalidos")
    problem(many.get("/venta/?orden=venta"), 422, "datos_invalidos")


def test_a_page_that_ends_the_list_has_no_link(many):
    assert "link" not in many.get("/venta/?limit=23").headers
    assert "link" in many.get("/venta/?limit=22").headers


def test_what_comes_and_goes_meanwhile_repeats_and_skips_nothing(many, rows):
    first = many.get("/venta/?limit=5")
    expected = many.get("/venta/?limit=1000").json()[5:]
    rows("DELETE FROM venta WHERE id = %s", first.json()[-1]["id"])
    rows("DELETE FROM venta WHERE id = %s", expected.pop(2)["id"])
    many.post("/venta/", json={"venta": 1, "ventas_productos": 1})

    rest = walk(many, first.links["next"]["url"])

    assert [sale for page in rest for sale in page] == expected


def test_a_user_lists_their_own_and_an_admin_everyones(ana, many, carla):
    assert {sale["usuario_id"] for sale in many.get("/venta/").json()} == {many.id}
    assert [sale["venta"] for sale in carla.get("/venta/").json()] == [500, 500]
    assert len(ana.get("/venta/").json()) == 25


def test_a_users_list_has_two_addresses(ana, many):
    by_path = ana.get(f"/user/{many.id}/venta/?limit=4&minimo=501")
    by_query = ana.get(f"/venta/?usuario_id={many.id}&limit=4&minimo=501")

    assert by_path.json() == by_query.json() == many.get("/venta/?limit=4&minimo=501").json()
    assert walk(ana, by_path.links["next"]["url"]) == walk(ana, by_query.links["next"]["url"])
    assert many.get(f"/user/{many.id}/venta").status_code == 200


def test_anothers_list_is_refused_whether_or_not_they_exist(many, carla):
    for id in (many.id, 999):
        problem(carla.get(f"/venta/?usuario_id={id}"), 403, "sin_permiso")
        problem(carla.get(f"/user/{id}/venta"), 403, "sin_permiso")


@pytest.mark.parametrize("id", ["999", "0", "abc"])
def test_nobodys_list_is_404_to_an_admin(ana, id):
    body = problem(ana.get(f"/user/{id}/venta"), 404, "usuario_inexistente")
    assert body["detail"] == f"No existe el usuario con el id {id}"
    assert ana.get("/venta/?usuario_id=999").json() == []


def test_a_user_without_sales_has_an_empty_list(ana):
    assert ana.get(f"/user/{ana.id}/venta").json() == []


def test_the_bounds_are_kept(many):
    for query, count in COUNTS.items():
        answer = many.get(f"/venta/?{query}&total=exacto&limit=2")
        assert answer.headers["x-total-count"] == str(count), query
        assert len(many.get(f"/venta/?{query}").json()) == count, query


def test_filters_of_an_admin_combine(ana, many, carla):
    answer = ana.get(
        f"/venta/?usuario_id={carla.id}&desde=2026-01-10&hasta=2026-01-10&minimo=500&total=exacto"
    )
    assert [sale["usuario_id"] for sale in answer.json()] == [carla.id] * 2
    assert answer.headers["x-total-count"] == "2"


@pytest.mark.parametrize("query", ["minimo=2", "maximo=2", "total=exacto", "minimo=2&usuario_id={id}"])
def test_a_list_that_may_read_many_sales_for_a_page_is_bounded_per_account(connect, ana, monkeypatch, query):
    monkeypatch.setattr("core.database.rooms.WAITING_OF_ONE", 0)
    monkeypatch.setattr(Room, "_full", lambda room, account: not room._waiting_of_one)  # the heavy one is
    crowded = connect()
    crowded.headers["authorization"] = ana.headers["authorization"]
    problem(crowded.get(f"/venta/?{query.format(id=ana.id)}"), 429, "demasiado_a_la_vez")
    assert crowded.get("/venta/?desde=2026-01-01&total=estimado").status_code == 200


def test_an_estimated_total_is_as_of_the_last_analyze(ana, many, rows):
    rows("ANALYZE venta")
    assert ana.get("/venta/?total=estimado&limit=1").headers["x-total-count"] == "25"


def test_a_bad_query_is_422_and_named(beto):
    for query, campo in BAD.items():
        for path in ("/venta/", f"/user/{beto.id}/venta"):
            errores = problem(beto.get(f"{path}?{query}"), 422, "datos_invalidos")["errores"]
            assert [error["campo"] for error in errores] == [campo]
            assert errores[0]["mensaje"]


def test_a_cursor_of_another_list_edited_or_truncated_is_refused(ana, many):
    other = ana.get("/user/?limit=1").links["next"]["url"].partition("despues=")[2]
    cursor = many.get("/venta/?limit=1").links["next"]["url"].partition("despues=")[2]
    for bad in (other, cursor[:-1], cursor[:20], cursor + "A", "A" + cursor[1:], cursor.swapcase(), "ñ", ""):
        errores = problem(many.get("/venta/", params={"despues": bad}), 422, "datos_invalidos")["errores"]
        assert errores[0]["campo"] == "despues"
