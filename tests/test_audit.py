"""The audit: what is recorded, what is not, and who may read it."""

import json
import threading
import time

import httpx
import psycopg
import pytest
from conftest import PASSWORD, log_in, new_user, problem, running
from test_refresh import offline, renew

from core.migrating.migrations import LockNotGrantedError
from sql.auditoria_months import make_months

FIELDS = {
    "id",
    "creacion",
    "usuario_id",
    "accion",
    "afectado_id",
    "direccion",
    "agente",
    "peticion",
    "antes",
    "despues",
}


def records(ana: httpx.Client, **filters: object) -> list[dict]:
    answer = ana.get("/auditoria", params=filters)
    assert answer.status_code == 200, answer.text
    return answer.json()


def last(ana: httpx.Client, accion: str) -> dict:
    return records(ana, accion=accion)[0]


def test_a_record_says_who_did_what_to_whom_from_where(ana, beto):
    headers = {"X-Request-ID": "mi-peticion", "User-Agent": "navegador/1.0"}
    ana.patch(f"/user/{beto.id}", json={"nombre": "Alberto", "telefono": "123"}, headers=headers)

    record = last(ana, "usuario_actualizado")

    assert record.keys() == FIELDS
    assert (record["usuario_id"], record["afectado_id"]) == (ana.id, beto.id)
    assert (record["direccion"], record["agente"]) == ("127.0.0.1", "navegador/1.0")
    assert record["peticion"] == "mi-peticion"
    assert record["antes"] == {"nombre": "Beto", "telefono": "2604538424"}
    assert record["despues"] == {"nombre": "Alberto", "telefono": "123"}


def test_only_what_changed_is_recorded(ana, beto):
    beto.patch("/user/me", json={"nombre": "Beto", "direccion": "San Martín 1"})

    record = last(ana, "usuario_actualizado")

    assert (record["antes"], record["despues"]) == ({"direccion": None}, {"direccion": "San Martín 1"})


def test_a_change_of_nothing_is_recorded_as_such(ana, beto):
    beto.patch("/user/me", json={})
    record = last(ana, "usuario_actualizado")
    assert (record["antes"], record["despues"]) == (None, {})


def test_who_registers_is_recorded(ana, beto):
    record = last(ana, "usuario_creado")
    assert (record["usuario_id"], record["afectado_id"]) == (None, beto.id)
    assert record["despues"] == {
        "username": "beto",
        "nombre": "Beto",
        "apellido": "Paz",
        "direccion": None,
        "telefono": "2604538424",
        "correo": "beto@example.com",
        "estado": False,
        "rol": "usuario",
        "bloqueado": False,
    }


def test_who_is_deleted_is_recorded(ana, beto):
    ana.delete(f"/user/{beto.id}")

    record = last(ana, "usuario_eliminado")
    assert (record["usuario_id"], record["afectado_id"]) == (ana.id, beto.id)
    assert (record["direccion"], record["antes"]) == ("127.0.0.1", {"rol": "usuario"})


@pytest.mark.parametrize("oneself", [True, False])
def test_of_who_is_deleted_the_audit_keeps_what_when_and_ids_alone(ana, carla, api, rows, oneself):
    secrets = {"nombre": "Zacarías", "apellido": "Zorro", "direccion": "Zeta 7", "telefono": "+54 99 7777"}
    agent = {"User-Agent": "zafiro/1.0", "X-Request-ID": "zeta"}
    answer = api.post("/user/", json=new_user("zoe", **secrets, correo="zoe@zzz.example"), headers=agent)
    zoe = {"Authorization": f"Bearer {log_in(api, 'zoe')}", **agent}
    api.patch("/user/me", json={"telefono": "777 77 77", "direccion": None}, headers=zoe)
    api.patch("/user/me", json={"correo": "z@zzz.example", "password_actual": PASSWORD}, headers=zoe)
    ana.patch(f"/user/{answer.json()['id']}", json={"nombre": "Zulema", "estado": True})
    api.patch(f"/user/{carla.id}", json={"nombre": "X"}, headers=zoe)
    api.post("/login/", data={"username": "zoe", "password": "equivocada"}, headers=agent)
    before = records(ana)

    who, headers = ("me", zoe) if oneself else (answer.json()["id"], dict(ana.headers))
    assert api.delete(f"/user/{who}", headers=headers).status_code == 200

    text = json.dumps(records(ana), ensure_ascii=False).lower()
    for secret in ("zoe", "zzz.example", "zacar", "zorro", "zeta", "7777", "777 77", "zulema", "zafiro"):
        assert secret not in text
    kept = [(r["id"], r["creacion"], r["accion"], r["usuario_id"], r["afectado_id"]) for r in records(ana)]
    assert kept[1:] == [
        (r["id"], r["creacion"], r["accion"], r["usuario_id"], r["afectado_id"]) for r in before
    ]
    of_zoe = f"WHERE afectado_id = {answer.json()['id']} AND usuario_id <> {ana.id}"
    assert rows(f"SELECT DISTINCT direccion, agente, peticion FROM auditoria {of_zoe}") == [("", "", "")]
    [named] = records(ana, accion="usuario_actualizado", usuario_id=ana.id)
    assert (named["direccion"], named["antes"], named["despues"]) == (
        "127.0.0.1",
        {"estado": False},
        {"estado": True},
    )
    assert {r["direccion"] for r in records(ana, usuario_id=carla.id)} == {"127.0.0.1"}


def test_a_deletion_that_is_refused_leaves_the_audit_as_it_was(ana, beto):
    before = records(ana)
    problem(ana.delete(f"/user/{beto.id}", headers={"If-Match": '"99"'}), 412, "version_distinta")
    problem(ana.delete("/user/me"), 409, "ultimo_admin")
    assert records(ana) == before


def test_of_an_admin_who_is_deleted_it_keeps_what_they_did_to_others(ana, beto, carla):
    ana.patch(f"/user/{beto.id}", json={"rol": "admin"})
    beto.patch(f"/user/{carla.id}", json={"nombre": "Carola"})
    ana.delete(f"/user/{beto.id}")

    [record] = records(ana, usuario_id=beto.id, afectado_id=carla.id)
    assert (record["direccion"], record["agente"], record["despues"]) == ("", "", {"nombre": "Carola"})


@pytest.mark.each_postgresql
def test_a_changed_sale_is_recorded_old_and_new_by_whom(ana, beto, rows):
    id = beto.post("/venta/", json={"venta": 150000, "ventas_productos": 3}).json()["id"]
    assert rows("SELECT actualizacion FROM venta") == [(None,)]

    ana.patch(f"/venta/{id}", json={"venta": 140000})

    record = last(ana, "venta_actualizada")
    assert (record["usuario_id"], record["afectado_id"]) == (ana.id, beto.id)
    assert record["antes"].pop("creacion") == record["despues"].pop("creacion")
    assert record["antes"] == {"id": id, "venta": 150000, "ventas_productos": 3}
    assert record["despues"] == {"id": id, "venta": 140000, "ventas_productos": 3}
    assert rows("SELECT actualizacion > creacion FROM venta") == [(True,)]


@pytest.mark.each_postgresql
def test_a_deleted_sale_is_recorded_so_that_it_could_be_made_again(ana, beto):
    sale = beto.get(beto.post("/venta/", json={"venta": 5, "ventas_productos": 1}).headers["location"]).json()

    beto.delete(f"/venta/{sale['id']}")

    record = last(ana, "venta_eliminada")
    assert (record["usuario_id"], record["afectado_id"]) == (beto.id, beto.id)
    assert record["antes"] | {"usuario_id": record["afectado_id"]} == sale
    assert record["despues"] is None


@pytest.mark.each_postgresql
def test_a_refused_change_of_a_sale_leaves_no_record(ana, beto, carla):
    path = beto.post("/venta/", json={"venta": 5, "ventas_productos": 1}).headers["location"]
    problem(carla.patch(path, json={"venta": 6}), 404, "venta_inexistente")
    problem(carla.delete(path), 404, "venta_inexistente")
    problem(beto.patch(path, json={"venta": 6}, headers={"If-Match": '"otro"'}), 412, "version_distinta")
    problem(ana.delete("/venta/999999"), 404, "venta_inexistente")
    assert records(ana, accion="venta_actualizada") + records(ana, accion="venta_eliminada") == []


@pytest.mark.each_postgresql
def test_records_of_changes_at_the_same_time_follow_from_each_other(ana, beto):
    path = beto.post("/venta/", json={"venta": 0, "ventas_productos": 1}).headers["location"]
    threads = [
        threading.Thread(target=beto.patch, args=(path,), kwargs={"json": {"venta": n}}) for n in range(1, 9)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    steps = {r["antes"]["venta"]: r["despues"]["venta"] for r in records(ana, accion="venta_actualizada")}
    amount = 0
    for _ in range(8):
        amount = steps.pop(amount)
    assert amount == beto.get(path).json()["venta"]


@pytest.mark.each_postgresql
def test_of_two_sales_of_one_id_a_change_takes_one(ana, beto, carla, rows):
    """As on a sharded cluster, where no index can span the shards."""
    rows("DROP INDEX venta_id_key")
    for owner in (beto.id, carla.id):
        rows("INSERT INTO venta (id, usuario_id, venta, ventas_productos) VALUES (7, %s, 5, 1)", owner)

    assert ana.patch("/venta/7", json={"venta": 6}).status_code == 200
    assert sorted(rows("SELECT venta FROM venta")) == [(5,), (6,)]
    assert ana.delete("/venta/7").status_code == 200
    assert rows("SELECT count(*) FROM venta") == [(1,)]


def test_a_refused_change_leaves_no_record_of_a_change(ana, beto):
    change = {"correo": "ana@example.com", "password_actual": PASSWORD}
    problem(beto.patch("/user/me", json=change), 409, "usuario_repetido")
    problem(ana.delete(f"/user/{beto.id}", headers={"If-Match": '"99"'}), 412, "version_distinta")

    assert records(ana, accion="usuario_actualizado") == []
    assert records(ana, accion="usuario_eliminado") == []


def test_logins_are_recorded_and_failed_ones(ana, beto, api):
    log_in(api, "beto")
    for name in ("beto", "nadie"):
        api.post("/login/", data={"username": name, "password": "equivocada"})

    login = last(ana, "login")
    unknown, known = records(ana, accion="login_fallido")
    assert (login["usuario_id"], login["afectado_id"]) == (beto.id, beto.id)
    assert login["despues"].keys() == {"sesion"}
    assert (known["usuario_id"], known["afectado_id"]) == (None, beto.id)
    assert (unknown["usuario_id"], unknown["afectado_id"]) == (None, None)


def test_ended_sessions_are_recorded(ana, beto, api):
    for _ in range(2):
        log_in(api, "beto")
    ids = [session["id"] for session in beto.get("/login/sesiones").json()]

    beto.delete("/login/sesiones")

    record = last(ana, "sesion_terminada")
    assert (record["usuario_id"], record["afectado_id"]) == (beto.id, beto.id)
    assert sorted(record["antes"]["sesiones"]) == sorted(ids)[1:]


def test_who_logs_out_is_who_ended_the_session(ana, beto, api):
    api.post("/login/revocar", data={"token": offline(api, "beto")["refresh_token"]})
    assert last(ana, "sesion_terminada")["usuario_id"] == beto.id


def test_a_replayed_refresh_token_is_recorded(ana, beto, api):
    tokens = offline(api, "beto")
    renew(api, renew(api, tokens["refresh_token"]).json()["refresh_token"])

    renew(api, tokens["refresh_token"])

    record = last(ana, "refresh_repetido")
    assert (record["usuario_id"], record["afectado_id"]) == (None, beto.id)
    assert record["antes"].keys() == {"sesion"}


@pytest.mark.parametrize("body", [{"rol": "admin"}, {"estado": True, "rol": "usuario"}])
def test_a_grab_for_rol_or_estado_is_recorded(ana, beto, body):
    problem(beto.patch("/user/me", json=body), 403, "sin_permiso")

    record = last(ana, "cambio_rechazado")
    assert (record["usuario_id"], record["afectado_id"]) == (beto.id, beto.id)
    assert record["despues"] == {"campos": sorted(body)}


@pytest.mark.parametrize("method", ["PATCH", "PUT", "DELETE"])
def test_a_grab_for_another_is_recorded(ana, beto, carla, method):
    body = None if method == "DELETE" else new_user("carla")
    problem(beto.request(method, f"/user/{carla.id}", json=body), 403, "sin_permiso")

    record = last(ana, "cambio_rechazado")
    assert (record["usuario_id"], record["afectado_id"]) == (beto.id, carla.id)


def test_refused_changes_are_few_records_however_many_they_are(ana, beto, carla, rows):
    for _ in range(25):
        problem(beto.patch(f"/user/{carla.id}", json={"nombre": "X"}), 403, "sin_permiso")
        problem(beto.patch("/user/me", json={"rol": "admin"}), 403, "sin_permiso")
        problem(beto.patch("/user/me", json={"correo": "x@example.com"}), 403, "password_actual_incorrecto")

    assert len(records(ana, accion="cambio_rechazado", usuario_id=beto.id)) == 20


def test_a_guess_at_the_current_password_is_recorded(ana, beto):
    change = {"password": "otra clave larga", "password_actual": "adivinada"}
    problem(beto.patch("/user/me", json=change), 403, "password_actual_incorrecto")

    assert last(ana, "cambio_rechazado")["despues"] == {"campos": ["password_actual"]}


def test_no_record_holds_a_secret(ana, beto, api, rows):
    tokens = offline(api, "beto")
    beto.patch("/user/me", json={"password": "otra clave larga", "password_actual": PASSWORD})
    api.post("/login/", data={"username": "otra clave larga", "password": "equivocada"})
    api.post("/login/revocar", data={"token": tokens["refresh_token"]})

    text = json.dumps(records(ana), ensure_ascii=False)

    assert last(ana, "usuario_actualizado")["despues"] == {"password": "***"}
    hashes = [password for (password,) in rows("SELECT password FROM usuario")]
    for secret in (PASSWORD, "otra clave larga", "equivocada", *map(str, tokens.values()), *hashes):
        if len(secret) > 8 and secret != "offline_access":
            assert secret not in text


def test_it_is_an_admins_to_read(ana, beto, api):
    problem(beto.get("/auditoria"), 403, "sin_permiso")
    problem(api.get("/auditoria"), 401, "no_autenticado")
    for method in ("POST", "PATCH", "DELETE"):
        assert ana.request(method, "/auditoria").status_code == 405


def test_it_is_filtered(ana, beto, carla, api):
    ana.patch(f"/user/{beto.id}", json={"nombre": "A"})
    beto.patch("/user/me", json={"nombre": "B"})
    beto.patch("/user/me", json={"estado": True})
    [record] = records(ana, afectado_id=carla.id, accion="login")

    assert {r["usuario_id"] for r in records(ana, usuario_id=beto.id)} == {beto.id}
    assert len(records(ana, usuario_id=beto.id, accion="usuario_actualizado")) == 1
    assert len(records(ana, afectado_id=beto.id, accion="usuario_actualizado")) == 2
    assert len(records(ana, usuario_id=ana.id, afectado_id=beto.id)) == 1
    assert record["usuario_id"] == carla.id
    assert records(ana, desde=record["creacion"])[-1]["id"] == record["id"]
    assert record["id"] not in {r["id"] for r in records(ana, hasta=record["creacion"])}
    assert records(ana, desde="2001-01-01", hasta="2001-12-31") == []


def test_it_comes_in_pages_newest_first(ana, beto):
    for name in "ABCDEFG":
        beto.patch("/user/me", json={"nombre": name})
    everything = records(ana)

    paged, answer = [], ana.get("/auditoria", params={"limit": 3, "total": "exacto"})
    assert answer.headers["x-total-count"] == str(len(everything))
    assert int(ana.get("/auditoria", params={"total": "estimado"}).headers["x-total-count"]) >= 0
    beto.patch("/user/me", json={"nombre": "de más"})
    while True:
        paged += answer.json()
        if "next" not in answer.links:
            break
        answer = ana.get(answer.links["next"]["url"])

    assert paged == everything
    moments = [(record["creacion"], record["id"]) for record in paged]
    assert moments == sorted(moments, reverse=True)


@pytest.mark.parametrize(
    ("query", "campo"),
    [
        ("accion=Algo Raro", "accion"),
        ("accion='%20OR%201=1", "accion"),
        ("usuario_id=0", "usuario_id"),
        ("afectado_id=abc", "afectado_id"),
        ("desde=ayer", "desde"),
        ("despues=xyz", "despues"),
        ("limit=0", "limit"),
        ("otro=1", "otro"),
    ],
)
def test_bad_filters_are_422(ana_of_all, query, campo):
    body = problem(ana_of_all.get(f"/auditoria?{query}"), 422, "datos_invalidos")
    assert [error["campo"] for error in body["errores"]] == [campo]


def test_the_longest_of_everything_fits(ana, connect):
    api = connect(TRUSTED_PROXIES="1")
    headers = {
        "X-Forwarded-For": "fe80::ffff:ffff:ffff:ffff%" + "z" * 100,
        "User-Agent": "x" * 5000,
        "X-Request-ID": "y" * 128,
    }
    assert api.post("/user/", json=new_user("beto"), headers=headers).status_code == 201

    record = last(ana, "usuario_creado")
    assert record["direccion"] == "fe80::ffff:ffff:ffff:ffff"
    assert (record["agente"], record["peticion"]) == ("x" * 200, "y" * 128)


@pytest.mark.each_postgresql
def test_a_months_records_have_a_table_of_their_own(database, rows):
    make_months(database)
    rows("INSERT INTO auditoria (usuario_id, accion, creacion) VALUES (1, 'login', '2001-01-01')")
    rows("INSERT INTO auditoria (usuario_id, accion) VALUES (1, 'login')")

    [(old,), (new,)] = rows("SELECT tableoid::regclass::text FROM auditoria ORDER BY creacion")
    assert old == "auditoria_resto"
    assert new.startswith("auditoria_2")


def test_a_start_on_ones_own_machine_makes_no_months(empty_database):
    with running({"DATABASE_URL": empty_database}) as address:
        httpx.post(f"{address}/user/", json=new_user("ana"))
    with psycopg.connect(empty_database) as connection:
        assert connection.execute("SELECT DISTINCT tableoid::regclass::text FROM auditoria").fetchall() == [
            ("auditoria_resto",)
        ]


def test_making_the_months_again_changes_nothing(database, rows):
    said: list[str] = []
    make_months(database)
    make_months(database, say=said.append)

    assert said == []
    assert rows("SELECT count(*) FROM pg_inherits WHERE inhparent = 'auditoria'::regclass") == [(14,)]


@pytest.mark.each_postgresql
def test_the_current_month_gets_its_table_also_when_it_has_begun_without(database, rows):
    said: list[str] = []
    rows("INSERT INTO auditoria (usuario_id, accion) SELECT 1, 'login' FROM generate_series(1, 1000)")
    rows("INSERT INTO auditoria (usuario_id, accion, creacion) VALUES (1, 'login', '2001-02-03')")
    before = rows("SELECT id, creacion FROM auditoria ORDER BY id")

    make_months(database, say=said.append)

    assert [line.partition(": ")[2] for line in said] == [
        "1000 records moved from auditoria_resto",
        "1 records moved from auditoria_resto",
    ]
    assert rows("SELECT id, creacion FROM auditoria ORDER BY id") == before
    assert rows("SELECT count(*) FROM auditoria_resto") == [(0,)]
    assert rows("SELECT count(*) FROM pg_inherits WHERE inhparent = 'auditoria'::regclass") == [(15,)]


@pytest.mark.each_postgresql
def test_records_are_added_and_read_while_a_month_moves(database, rows):
    rows("INSERT INTO auditoria (usuario_id, accion) SELECT 1, 'login' FROM generate_series(1, 20000)")
    done, counts = threading.Event(), []

    def work() -> None:
        with psycopg.connect(database, autocommit=True) as connection:
            while not done.is_set() or not counts:
                connection.execute("INSERT INTO auditoria (usuario_id, accion) VALUES (2, 'login')")
                counts.append(connection.execute("SELECT count(*) FROM auditoria").fetchone()[0])

    visitor = threading.Thread(target=work)
    visitor.start()
    make_months(database, say=lambda line: None, ahead=0)
    done.set()
    visitor.join()

    assert counts == list(range(20001, 20001 + len(counts)))
    assert rows("SELECT count(*) FROM auditoria_resto") == [(0,)]


def test_the_current_month_is_tried_again_and_not_let_go(database, monkeypatch):
    monkeypatch.setattr(time, "sleep", lambda seconds: None)
    with psycopg.connect(database) as other:
        other.execute("LOCK TABLE auditoria IN SHARE ROW EXCLUSIVE MODE")
        with pytest.raises(
            LockNotGrantedError, match="canceling statement due to lock timeout; run it again"
        ):
            make_months(database, say=lambda line: None, ahead=0)
