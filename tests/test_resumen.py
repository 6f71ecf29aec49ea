"""Sums of sales by day, week, month or user, in UTC, empty periods included."""

import json
from datetime import UTC, datetime, timedelta

import pytest
from conftest import member, problem, walk


@pytest.fixture
def sold(beto, carla, rows):
    """Sales of Beto's on both sides of midnight and of a new year, and one of Carla's."""
    for usuario_id, creacion, venta in [
        (beto.id, "2025-12-31T23:59:59.999999Z", 1),
        (beto.id, "2026-01-01T00:00:00Z", 10),
        (beto.id, "2026-01-01T20:00:00-05:00", 100),
        (beto.id, "2026-01-05T12:00:00Z", 10**15),
        (carla.id, "2026-01-05T12:00:00Z", 10**15),
    ]:
        rows(
            "INSERT INTO venta (usuario_id, venta, ventas_productos, creacion) VALUES (%s, %s, 2, %s)",
            usuario_id,
            venta,
            creacion,
        )
    return beto


def _sums(client, query):
    answer = client.get(f"/venta/resumen?{query}")
    assert answer.status_code == 200, answer.text
    return [tuple(row.values()) for row in answer.json()]


def test_days_are_utc_and_empty_ones_are_zeros(sold):
    answer = sold.get("/venta/resumen/?por=dia&desde=2025-12-31&hasta=2026-01-06")

    assert answer.json()[0] == {"periodo": "2025-12-31", "ventas": 1, "productos": 2, "importe": 1}
    assert [tuple(row.values()) for row in answer.json()[1:]] == [
        ("2026-01-01", 1, 2, 10),
        ("2026-01-02", 1, 2, 100),
        ("2026-01-03", 0, 0, 0),
        ("2026-01-04", 0, 0, 0),
        ("2026-01-05", 1, 2, 10**15),
        ("2026-01-06", 0, 0, 0),
    ]


def test_weeks_begin_on_monday(sold):
    assert _sums(sold, "por=semana&desde=2025-12-31&hasta=2026-01-12") == [
        ("2025-12-29", 3, 6, 111),
        ("2026-01-05", 1, 2, 10**15),
        ("2026-01-12", 0, 0, 0),
    ]


def test_months_are_the_calendars(sold):
    assert _sums(sold, "por=mes&desde=2025-11-30&hasta=2026-02-01") == [
        ("2025-11-01", 0, 0, 0),
        ("2025-12-01", 1, 2, 1),
        ("2026-01-01", 3, 6, 10**15 + 110),
        ("2026-02-01", 0, 0, 0),
    ]


def test_the_bounds_cut_within_a_period(sold):
    assert _sums(sold, "por=mes&desde=2026-01-01T00:00:01Z&hasta=2026-01-05T12:00:00Z") == [
        ("2026-01-01", 1, 2, 100)
    ]


def test_an_admin_sums_everyones_or_one_users(ana, sold, carla):
    assert _sums(ana, "por=dia&desde=2026-01-05&hasta=2026-01-05") == [("2026-01-05", 2, 4, 2 * 10**15)]
    assert _sums(ana, f"por=mes&usuario_id={carla.id}&desde=2026-01-01&hasta=2026-01-31") == [
        ("2026-01-01", 1, 2, 10**15)
    ]


def test_by_user_each_has_a_row(ana, sold, carla):
    answer = ana.get("/venta/resumen?por=usuario&desde=2026-01-01")

    assert answer.json() == [
        {"usuario_id": sold.id, "ventas": 3, "productos": 6, "importe": 10**15 + 110},
        {"usuario_id": carla.id, "ventas": 1, "productos": 2, "importe": 10**15},
    ]
    assert [row["usuario_id"] for row in sold.get("/venta/resumen?por=usuario").json()] == [sold.id]


def test_anothers_sums_are_refused(sold, carla):
    problem(carla.get(f"/venta/resumen?usuario_id={sold.id}"), 403, "sin_permiso")
    assert _sums(carla, "por=dia&desde=2026-01-01&hasta=2026-01-01") == [("2026-01-01", 0, 0, 0)]


def _sell(rows, usuario_id, *moments, venta=1):
    for creacion in moments:
        rows(
            "INSERT INTO venta (usuario_id, venta, ventas_productos, creacion) VALUES (%s, %s, 1, %s)",
            usuario_id,
            venta,
            creacion,
        )


def test_a_day_ends_at_the_midnight_of_its_zona(beto, rows):
    _sell(rows, beto.id, "2026-01-31T10:00:00-03:00", "2026-01-31T22:15:00-03:00")
    shop = "zona=America/Argentina/Buenos_Aires&desde=2026-01-31&hasta=2026-01-31"

    assert _sums(beto, f"{shop}&por=dia") == [("2026-01-31", 2, 2, 2)]
    assert _sums(beto, f"{shop}&por=semana") == [("2026-01-26", 2, 2, 2)]
    assert _sums(beto, f"{shop}&por=mes") == [("2026-01-01", 2, 2, 2)]
    assert len(beto.get(f"/venta/?{shop}").json()) == 2
    assert len(beto.get("/venta/?desde=2026-01-31&hasta=2026-01-31").json()) == 1


@pytest.mark.parametrize(
    ("zona", "day", "first", "last", "hours"),
    [
        ("America/Santiago", "2026-09-06", "04:00:00", "2026-09-07T02:59:59.999999", 23),
        ("America/Santiago", "2026-04-04", "03:00:00", "2026-04-05T03:59:59.999999", 25),
        ("Europe/Madrid", "2026-03-29", "2026-03-28T23:00:00", "2026-03-29T21:59:59.999999", 23),
        ("Europe/Madrid", "2026-10-25", "2026-10-24T22:00:00", "2026-10-25T22:59:59.999999", 25),
    ],
)
def test_a_day_has_the_hours_that_its_clock_gives_it(beto, rows, zona, day, first, last, hours):
    first = datetime.fromisoformat(first if "T" in first else f"{day}T{first}").replace(tzinfo=UTC)
    last = datetime.fromisoformat(last).replace(tzinfo=UTC)
    tick = timedelta(microseconds=1)
    _sell(rows, beto.id, first - tick, first, last, last + tick)

    assert last + tick - first == timedelta(hours=hours)
    assert _sums(beto, f"zona={zona}&desde={day}&hasta={day}") == [(day, 2, 2, 2)]


def test_the_setting_is_the_zona_that_nobody_names(connect, rows):
    api = connect(TIMEZONE="America/Argentina/Buenos_Aires")
    with member(api, "ana") as ana:
        _sell(rows, ana.id, "2026-01-31T22:15:00-03:00")

        assert _sums(ana, "desde=2026-01-31T22:00&hasta=2026-01-31") == [("2026-01-31", 1, 1, 1)]
        assert _sums(ana, "desde=2026-02-01&hasta=2026-02-01&zona=UTC") == [("2026-02-01", 1, 1, 1)]


@pytest.mark.parametrize(
    ("typed", "means"),
    [
        ("2026-01-31T10:00", "2026-01-31T09:00:00"),
        ("2026-03-29T02:30", "2026-03-29T01:30:00"),  # which the clock skips: as if it had not been changed
        ("2026-10-25T02:30", "2026-10-25T00:30:00"),  # which the clock shows twice: the first
    ],
)
def test_a_time_without_an_offset_is_of_the_zona_wherever_it_is_a_bound(beto, rows, typed, means):
    at = datetime.fromisoformat(f"{means}Z")
    _sell(rows, beto.id, at - timedelta(microseconds=1), venta=1)
    _sell(rows, beto.id, at, venta=10)

    for bounds, venta in ((f"desde={typed}&hasta=2026-12-31", 10), (f"desde=2026-01-01&hasta={typed}", 1)):
        query = f"zona=Europe/Madrid&{bounds}"
        assert [sale["venta"] for sale in beto.get(f"/venta/?{query}").json()] == [venta]
        assert [row[3] for row in _sums(beto, f"por=mes&{query}") if row[1]] == [venta]
        assert [row["importe"] for row in beto.get(f"/venta/resumen?por=usuario&{query}").json()] == [venta]
        exported = beto.get(f"/venta/exportar?formato=ndjson&{query}").text.splitlines()
        assert [json.loads(line)["venta"] for line in exported] == [venta]


def test_a_mistyped_year_of_before_spoils_no_sum(ana, rows):
    _sell(rows, ana.id, "0026-01-31T10:00:00Z", "2062-01-31T10:00:00Z", datetime.now(UTC))

    assert _sums(ana, "") == [(datetime.now(UTC).date().isoformat(), 1, 1, 1)]
    assert _sums(ana, "por=usuario") == [(ana.id, 1, 1, 1)]
    assert _sums(ana, "por=usuario&desde=0001-01-01&hasta=9999-12-31") == [(ana.id, 3, 3, 3)]


def test_a_first_sale_of_decades_ago_spoils_no_sum(connect, rows):
    with member(connect(SALES_FROM="1990-01-01"), "ana") as ana:
        _sell(rows, ana.id, "1990-01-01T10:00:00Z", datetime.now(UTC))
        sums = _sums(ana, "")
    assert (sums[0][0], sum(row[1] for row in sums)) == ("1990-01-01", 2)


@pytest.mark.parametrize(
    ("zona", "near"), [("Buenos Aires", "America/Argentina/Buenos_Aires"), ("Europa/Madrid", "Europe/Madrid")]
)
def test_an_unknown_zona_suggests_near_ones(beto, zona, near):
    for path in ("/venta/resumen", "/venta/", "/venta/exportar"):
        errores = problem(beto.get(path, params={"zona": zona}), 422, "datos_invalidos")["errores"]
        assert errores[0]["campo"] == "zona"
        assert errores[0]["mensaje"].startswith("debe ser el nombre IANA de una zona horaria, como ")
        assert near in errores[0]["mensaje"]


def test_a_sum_that_javascript_would_round_is_text(beto, rows):
    _sell(rows, beto.id, *["2026-01-05T12:00:00Z"] * 9, venta=10**15)
    assert _sums(beto, "por=mes&desde=2026-01-01&hasta=2026-01-31")[0][3] == 9 * 10**15
    _sell(rows, beto.id, "2026-01-05T12:00:00Z", venta=10**15)
    assert _sums(beto, "por=mes&desde=2026-01-01&hasta=2026-01-31")[0][3] == "10000000000000000"
    assert beto.get("/venta/resumen?por=usuario").json()[0]["importe"] == "10000000000000000"


def test_without_bounds_it_is_from_the_first_sale_to_today(sold):
    rows = _sums(sold, "por=mes")
    assert rows[0][0] == "2025-12-01"
    assert rows[-1][0] == datetime.now(UTC).strftime("%Y-%m-01")
    assert _sums(sold, "")[0][0] == "2025-12-31"


def test_who_sold_nothing_has_no_periods(ana):
    assert _sums(ana, "por=dia") == []
    assert _sums(ana, "por=usuario") == []


def test_a_bad_query_is_422(sold):
    for query, campo in {
        "por=hora": "por",
        "desde=ayer": "desde",
        "hasta=2026-13-01": "hasta",
        "limit=0": "limit",
        "por=dia&por=mes": "por",
        "desde=0001-01-01&hasta=9999-12-31": "desde",
        "desde=1900-01-01&hasta=2026-01-01": "desde",
        "zona=": "zona",
        "zona=%2E%2E/etc": "zona",
    }.items():
        errores = problem(sold.get(f"/venta/resumen?{query}"), 422, "datos_invalidos")["errores"]
        assert [error["campo"] for error in errores] == [campo]


def test_sellers_are_a_list_of_any_length_the_best_first(ana, rows):
    rows("""
        INSERT INTO usuario (username, password, nombre, apellido, telefono, correo)
        SELECT 'v' || n, '$2b$04$' || repeat('a', 53), 'N', 'A', '099123', 'v' || n || '@example.com'
          FROM generate_series(1, 7) AS n
    """)
    rows("INSERT INTO venta (usuario_id, venta, ventas_productos) SELECT id, id %% 3, 1 FROM usuario")
    everyone = sorted(id for (id,) in rows("SELECT id FROM usuario"))

    by_id = walk(ana, "/venta/resumen?por=usuario&limit=3")
    best = walk(ana, "/venta/resumen?por=usuario&orden=importe&limit=3")

    assert [row["usuario_id"] for page in by_id for row in page] == everyone
    assert [row["usuario_id"] for page in best for row in page] == sorted(
        everyone, key=lambda id: (-(id % 3), id)
    )
    assert [len(page) for page in best] == [3, 3, 2]


def test_the_order_of_sellers_is_of_sellers_alone(ana):
    problem(ana.get("/venta/resumen?por=dia&orden=importe"), 422, "datos_invalidos")
    answer = ana.get("/venta/resumen?por=mes&orden=usuario")
    assert answer.json()["errores"] == [{"campo": "orden", "mensaje": "solo con por=usuario"}]


@pytest.mark.parametrize("query", ["por=dia&limit=5", "limit=5", "por=mes&limit=1000&orden=importe"])
def test_a_limit_is_for_users_alone(beto, query):
    errores = problem(beto.get(f"/venta/resumen?{query}"), 422, "datos_invalidos")["errores"]
    assert {"campo": "limit", "mensaje": "solo con por=usuario"} in errores
    assert beto.get("/venta/resumen?por=usuario&limit=5").status_code == 200
