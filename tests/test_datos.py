"""All that is kept about oneself, and nothing of others."""

from conftest import log_in, new_user, problem


def test_it_has_the_profile_the_sessions_the_audit_and_where_the_sales_are(ana, beto, api):
    log_in(api, "beto")
    beto.delete("/login/sesiones")
    beto.post("/venta/", json={"venta": 100, "ventas_productos": 1})

    answer = beto.get("/user/me/datos")

    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["cache-control"] == "private, no-store"
    kept = answer.json()
    assert kept.keys() == {"perfil", "factor", "llaves", "ventas", "sesiones", "auditoria"}
    assert kept["perfil"] == beto.get("/user/me").json()
    assert beto.get(kept["ventas"]).text.count("\n") == 2
    assert [session["fin"] is None for session in kept["sesiones"]] == [False, True]
    assert {"login", "sesion_terminada", "usuario_creado"} <= {
        record["accion"] for record in kept["auditoria"]
    }
    assert len({record["id"] for record in kept["auditoria"]}) == len(kept["auditoria"])


def test_it_has_nothing_of_others(ana, beto, carla, api):
    admin = {"User-Agent": "oficina/1.0", "X-Request-ID": "de-ana"}
    ana.patch(f"/user/{beto.id}", json={"nombre": "Alberto", "rol": "admin"}, headers=admin)
    token = {"Authorization": f"Bearer {log_in(api, 'beto')}"}
    api.patch(f"/user/{carla.id}", json={"nombre": "Carola"}, headers=token)

    answer = api.get("/user/me/datos", headers=token)

    records = {(r["usuario_id"], r["afectado_id"], r["accion"]): r for r in answer.json()["auditoria"]}
    by_ana = records[ana.id, beto.id, "usuario_actualizado"]
    assert (by_ana["direccion"], by_ana["despues"]["nombre"]) == ("", "Alberto")
    assert records[beto.id, carla.id, "usuario_actualizado"]["despues"] is None
    for text in ("oficina", "de-ana", "carola"):
        assert text not in answer.text.lower()
    assert all(beto.id in (usuario, afectado) for usuario, afectado, _ in records)


def test_it_is_whole_however_long(beto, rows):
    rows(
        "INSERT INTO auditoria (usuario_id, accion, afectado_id)"
        " SELECT CASE WHEN n > 2500 THEN %s ELSE 0 END, 'login', %s FROM generate_series(1, 5000) AS n",
        beto.id,
        beto.id,
    )
    rows(
        "INSERT INTO sesion (usuario_id, expira) SELECT %s, now() FROM generate_series(1, 2500)",
        beto.id,
    )
    kept = beto.get("/user/me/datos").json()
    assert len(kept["sesiones"]) == 2501
    assert len(kept["auditoria"]) == 5000 + 2


def test_it_needs_a_token(api):
    problem(api.get("/user/me/datos"), 401, "no_autenticado")
    api.post("/user/", json=new_user("ana"))
    token = {"Authorization": f"Bearer {log_in(api, 'ana')}"}
    problem(api.get("/user/me/datos?usuario_id=1", headers=token), 422, "datos_invalidos")
