"""GET /sistema: how the service is, for an admin."""


def test_it_tells_an_admin_how_the_service_is(ana):
    ana.get("/venta/")
    told = ana.get("/sistema")
    assert told.status_code == 200
    body = told.json()
    assert body["estado"] == "listo"
    assert body["procesos"] == 1
    assert body["conexiones_abiertas"] >= 1
    assert body["fallas"] == 0
    assert body["p95_ms"] >= body["mediana_ms"] > 0
    assert "/venta/{id}" not in {route["ruta"] for route in body["rutas"]}
    assert sum(route["peticiones"] for route in body["rutas"]) == body["peticiones"]


def test_it_tells_nobody_else(beto, api):
    assert beto.get("/sistema").json()["codigo"] == "sin_permiso"
    assert api.get("/sistema").status_code == 401
