"""API keys: what a till or a script has instead of a password, what it may do, and how it ends."""

import re
from datetime import UTC, datetime, timedelta
from zlib import crc32

import httpx
import pytest
from conftest import client_of, log_in, member, new_user, problem, walk
from fleets import until
from postbox import token_of
from second_factor import PASSWORD_ACTUAL, activate, delete
from test_revocation import fleet as fleet

from app import routes
from core.auth import api_keys
from core.auth.api_keys import ApiKey
from core.http.routing import Methods

SALE = {"venta": 150000, "ventas_productos": 2}
ALL = ["ventas:leer", "ventas:crear"]
LETTERS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"


def make(client: httpx.Client, *ambitos: str, **fields: object) -> dict[str, object]:
    """A new key's answer; it may do all unless said otherwise."""
    body = PASSWORD_ACTUAL | {"nombre": "Caja 2", "ambitos": ambitos or ALL} | fields
    answer = client.post("/user/me/llaves", json=body)
    assert answer.status_code == 201, answer.text
    return answer.json()


def bearer(made: dict[str, object]) -> dict[str, str]:
    return {"Authorization": f"Bearer {made['llave']}"}


def test_a_till_records_sales_with_it(beto, api):
    made = make(beto, "ventas:crear")

    assert api.post("/venta/", json=SALE, headers=bearer(made)).status_code == 201
    assert api.post("/venta/lote", json=[SALE, SALE], headers=bearer(made)).status_code == 201
    csv = bearer(made) | {"Content-Type": "text/csv"}
    assert (
        api.post("/venta/importar", content="venta,ventas_productos\n5,1\n", headers=csv).status_code == 201
    )
    assert [sale["usuario_id"] for sale in beto.get("/venta/").json()] == [beto.id] * 4


@pytest.mark.parametrize(
    "path", ["/venta/", "/venta/1", "/venta/exportar", "/venta/resumen?por=dia", "/user/{id}/venta"]
)
def test_a_script_reads_sales_with_it(beto, api, path):
    beto.post("/venta/", json=SALE)
    headers = bearer(make(beto, "ventas:leer"))
    assert api.get(path.format(id=beto.id), headers=headers).status_code == 200
    refused = api.post("/venta/", json=SALE, headers=headers)
    assert (
        problem(refused, 403, "ambito_insuficiente")["detail"] == "Esta llave no tiene el ámbito ventas:crear"
    )
    assert refused.headers["www-authenticate"] == (
        'Bearer realm="ventas", error="insufficient_scope", scope="ventas:crear"'
    )


def test_a_script_that_reads_sells_nothing(beto, api):
    headers = bearer(make(beto, "ventas:leer"))
    csv = headers | {"Content-Type": "text/csv"}
    lot = api.post("/venta/lote", json=[SALE], headers=headers)
    file = api.post("/venta/importar", content="venta,ventas_productos\n5,1\n", headers=csv)
    for refused in (lot, file):
        problem(refused, 403, "ambito_insuficiente")
    assert beto.get("/venta/").json() == []


def test_a_till_that_sells_reads_nothing(beto, api):
    sale = beto.post("/venta/", json=SALE).headers["location"]
    headers = bearer(make(beto, "ventas:crear"))
    assert api.post("/venta/", json=SALE, headers=headers).status_code == 201
    for path in (sale, "/venta/", "/venta/exportar", "/venta/resumen?por=dia", f"/user/{beto.id}/venta"):
        problem(api.get(path, headers=headers), 403, "ambito_insuficiente")


def test_it_does_nothing_else(ana, api):
    """Whatever the map has or will have: a route that says nothing of keys takes none."""
    headers = bearer(make(ana))
    maps = [route.app for route in routes if isinstance(getattr(route, "app", None), Methods)]
    for map_ in maps:
        for method, endpoint in map_.endpoints.items():
            if not endpoint.public and not endpoint.ambito:
                answer = api.request(method, map_.path.replace("{id}", "1"), headers=headers)
                detail = problem(answer, 403, "ambito_insuficiente")["detail"]
                assert detail == "Una llave de API no puede hacer esto: inicie sesión", (method, map_.path)


def test_scanners_know_it_by_its_form_and_checksum(beto):
    made = make(beto)["llave"]

    assert re.fullmatch(r"ven_[0-9A-Za-z]{62}", str(made))
    number, checksum = crc32(str(made)[:-6].encode()), ""
    while number:
        number, digit = divmod(number, 62)
        checksum = LETTERS[digit] + checksum
    assert str(made)[-6:] == checksum.rjust(6, "0")


def test_it_is_shown_once_and_kept_as_a_hash(beto, rows):
    first = beto.post(
        "/user/me/llaves",
        json=PASSWORD_ACTUAL | {"nombre": "Caja", "ambitos": ALL},
        headers={"Idempotency-Key": "una"},
    )
    again = beto.post(
        "/user/me/llaves",
        json=PASSWORD_ACTUAL | {"nombre": "Caja", "ambitos": ALL},
        headers={"Idempotency-Key": "una"},
    )

    assert (again.json(), again.headers["idempotent-replayed"]) == (first.json(), "true")
    assert first.headers["cache-control"] == "no-store"
    text = first.json()["llave"]
    [listed] = beto.get("/user/me/llaves").json()
    assert (listed["nombre"], listed["ambitos"], "llave" in listed) == (
        "Caja",
        ["ventas:crear", "ventas:leer"],
        False,
    )
    kept = str(rows("SELECT * FROM llave")) + str(rows("SELECT cuerpo FROM idempotencia"))
    key = api_keys.read(text)
    assert key is not None
    assert text not in kept and key.rights[9:].hex() not in kept


def miscopied(text: str) -> str:
    return text[:-1] + ("a" if text[-1] != "a" else "b")


def longer_lived(text: str) -> str:
    """With an end that its holder would like, and a checksum that fits."""
    key = api_keys.read(text)
    assert key is not None
    return ApiKey(key.usuario_id, key.id, (2**40).to_bytes(8, "big") + key.rights[8:]).encode()


def of_another(text: str) -> str:
    key = api_keys.read(text)
    assert key is not None
    return ApiKey(1, key.id, key.rights).encode()


@pytest.mark.parametrize(
    "altered",
    [
        miscopied,
        longer_lived,
        of_another,
        str.upper,
        lambda text: text[:-1],
        lambda text: text + "0",
        lambda _: "ven_",
    ],
)
def test_an_altered_one_is_none(ana, beto, api, altered):
    headers = {"Authorization": f"Bearer {altered(str(make(beto)['llave']))}"}
    answer = api.get("/venta/", headers=headers)
    problem(answer, 401, "token_invalido")
    assert answer.headers["www-authenticate"] == 'Bearer realm="ventas", error="invalid_token"'


def test_no_text_makes_the_reader_fail():
    for text in ("ven_" + "z" * 62, "ven_" + "0" * 62, "ven_\u0661" + "0" * 61, "", "ven_" + "\x00" * 62):
        assert api_keys.read(text) is None
    body = "ven_" + "z" * 56
    number, checksum = crc32(body.encode()), ""
    for _ in range(6):
        number, digit = divmod(number, 62)
        checksum = LETTERS[digit] + checksum
    assert api_keys.read(body + checksum) is None, "more than fits"


def test_it_is_taken_in_one_place_alone(beto, api):
    key = str(make(beto)["llave"])
    problem(api.get("/venta/", headers={"X-API-Key": key}), 401, "no_autenticado")
    problem(api.get("/venta/", headers={"Authorization": key}), 401, "no_autenticado")
    problem(api.get("/venta/", headers={"Authorization": f"Basic {key}"}), 401, "no_autenticado")
    problem(api.get("/venta/", headers={"Cookie": f"token={key}"}), 401, "no_autenticado")
    problem(api.get(f"/venta/?access_token={key}"), 401, "no_autenticado")
    problem(beto.get(f"/venta/?access_token={key}"), 422, "datos_invalidos")
    both = [("Authorization", f"Bearer {key}"), ("Authorization", beto.headers["authorization"])]
    problem(api.get("/venta/", headers=both), 401, "no_autenticado")
    problem(api.get("/venta/", headers={"Authorization": f"Bearer {key}, {key}"}), 401, "token_invalido")


def test_its_end_is_written_as_every_time_is(ana):
    day = f"{datetime.now(UTC).year + 1}-01-31"
    end = f"{day}T10:00:00.000000Z"

    assert make(ana, expira=f"{day}T11:00:00+01:00")["expira"] == end
    assert ana.get("/user/me/llaves").json()[0]["expira"] == end
    assert ana.get("/auditoria?accion=llave_creada").json()[0]["despues"]["expira"] == end


def test_it_ends_at_its_end(beto, api):
    end = datetime.now(UTC) + timedelta(seconds=2)
    headers = bearer(make(beto, expira=end.isoformat()))
    assert api.get("/venta/", headers=headers).status_code == 200
    until(lambda: api.get("/venta/", headers=headers).status_code == 401)
    assert len(beto.get("/user/me/llaves").json()) == 1


@pytest.mark.parametrize(
    "body",
    [
        {"ambitos": []},
        {"ambitos": ["ventas:borrar"]},
        {"ambitos": ["ventas:leer"] * 3},
        {"ambitos": "ventas:leer"},
        {"nombre": ""},
        {"nombre": "a\x00b"},
        {"nombre": "x" * 101},
        {"expira": "2000-01-01T00:00:00Z"},
        {"expira": "2999-01-01T00:00:00Z"},
        {"expira": "0001-01-01T00:00:00+14:00"},
        {"expira": "9999-12-31T23:59:59-12:00"},
        {"expira": "2027-01-01"},
        {"usuario_id": 1},
    ],
)
def test_it_refuses_what_is_no_key(beto_of_all, body):
    sent = PASSWORD_ACTUAL | {"nombre": "Caja", "ambitos": ALL} | body
    problem(beto_of_all.post("/user/me/llaves", json=sent), 422, "datos_invalidos")
    assert beto_of_all.get("/user/me/llaves").json() == []


def test_a_stolen_session_makes_none_and_ends_none(beto):
    made = make(beto)
    wrong = {"nombre": "Caja", "ambitos": ALL, "password_actual": "no es esta clave"}
    problem(beto.post("/user/me/llaves", json=wrong), 403, "password_actual_incorrecto")
    refused = delete(beto, f"/user/me/llaves/{made['id']}", "no es esta clave")
    problem(refused, 403, "password_actual_incorrecto")
    assert len(beto.get("/user/me/llaves").json()) == 1


def test_another_has_none_of_it(beto, carla, api):
    made = make(beto)
    assert carla.get("/user/me/llaves").json() == []
    answer = delete(carla, f"/user/me/llaves/{made['id']}")
    assert problem(answer, 404, "llave_inexistente")["detail"] == f"No existe la llave con el id {made['id']}"
    assert api.get("/venta/", headers=bearer(made)).status_code == 200


def test_the_list_goes_page_by_page(beto):
    ids = [make(beto)["id"] for _ in range(3)]
    pages = walk(beto, "/user/me/llaves?limit=2")
    assert [[key["id"] for key in page] for page in pages] == [ids[:0:-1], ids[:1]]


def test_nobody_has_too_many(beto, rows):
    rows(
        "INSERT INTO llave (usuario_id, nombre, ambitos, huella, expira)"
        " SELECT %s, 'x', ARRAY['ventas:leer'], sha256(n::text::bytea), now() + interval '1 day'"
        " FROM generate_series(1, 100) AS n",
        beto.id,
    )
    answer = beto.post("/user/me/llaves", json=PASSWORD_ACTUAL | {"nombre": "Caja", "ambitos": ALL})
    detail = problem(answer, 409, "demasiadas_llaves")["detail"]
    assert detail == "Ya tiene 100 llaves: revoque las que no use"


def test_its_use_is_seen(beto, api):
    made = make(beto)
    assert beto.get("/user/me/llaves").json()[0]["uso"] is None
    api.get("/venta/", headers=bearer(made))
    until(lambda: beto.get("/user/me/llaves").json()[0]["uso"])


def test_it_may_do_no_more_than_its_owner_today(ana, beto, api):
    beto.post("/venta/", json=SALE)
    ana.patch(f"/user/{beto.id}", json={"rol": "admin"})
    headers = bearer(make(ana))
    assert len(api.get("/venta/", headers=headers).json()) == 1

    log = {"Authorization": f"Bearer {log_in(api, 'beto')}"}
    assert api.patch(f"/user/{ana.id}", json={"rol": "usuario"}, headers=log).status_code == 200
    assert api.get("/venta/", headers=headers).json() == []
    problem(api.get(f"/user/{beto.id}/venta", headers=headers), 403, "sin_permiso")


def test_it_needs_an_owner_with_a_verified_correo_where_a_login_does(connect, rows):
    api = connect(REQUIRE_VERIFIED="true")
    for name in ("ana", "beto"):
        assert api.post("/user/", json=new_user(name)).status_code == 201
    rows("UPDATE usuario SET estado = true")
    with client_of(str(api.base_url), headers={"Authorization": f"Bearer {log_in(api, 'beto')}"}) as beto:
        headers = bearer(make(beto))
        assert api.get("/venta/", headers=headers).status_code == 200
        changes = PASSWORD_ACTUAL | {"correo": "otro@example.com"}
        assert beto.patch("/user/me", json=changes).status_code == 200
    problem(api.get("/venta/", headers=headers), 401, "token_invalido")


def test_whoever_finds_it_ends_it(beto, api):
    made = make(beto)
    found = {"token": str(made["llave"])}
    assert api.post("/login/revocar", data={"token": miscopied(found["token"])}).status_code == 200
    assert api.get("/venta/", headers=bearer(made)).status_code == 200
    assert api.post("/login/revocar", data=found).status_code == 200
    problem(api.get("/venta/", headers=bearer(made)), 401, "token_invalido")


def by_its_owner(api, ana, beto, made):
    return delete(api, f"/user/me/llaves/{made['id']}", headers=beto)


def by_who_found_it(api, ana, beto, made):
    return api.post("/login/revocar", data={"token": made["llave"]})


def by_blocking_its_owner(api, ana, beto, made):
    return api.patch("/user/2", json={"bloqueado": True}, headers=ana)


def by_deleting_its_owner(api, ana, beto, made):
    return api.delete("/user/2", headers=ana)


@pytest.mark.parametrize(
    "ending", [by_its_owner, by_who_found_it, by_blocking_its_owner, by_deleting_its_owner]
)
def test_it_ends_within_a_second_in_every_process(fleet, ending):
    one, other = fleet
    ana, beto = ({"Authorization": f"Bearer {log_in(one, name)}"} for name in ("ana", "beto"))
    body = PASSWORD_ACTUAL | {"nombre": "Caja", "ambitos": ALL}
    made = one.post("/user/me/llaves", json=body, headers=beto).json()
    for client in fleet:
        assert client.get("/venta/", headers=bearer(made)).status_code == 200

    assert ending(one, ana, beto, made).status_code == 200
    assert one.get("/venta/", headers=bearer(made)).status_code == 401
    until(lambda: other.get("/venta/", headers=bearer(made)).status_code == 401)


def test_what_its_owner_does_is_audited_without_its_name(ana, beto):
    made = make(beto)
    delete(beto, f"/user/me/llaves/{made['id']}")
    ended, begun, *_ = ana.get("/auditoria", params={"afectado_id": beto.id}).json()
    assert (begun["accion"], begun["despues"]["llave"]) == ("llave_creada", made["id"])
    assert (ended["accion"], ended["antes"]) == ("llave_revocada", {"llaves": [made["id"]]})
    assert "Caja" not in str([begun, ended])


def test_its_making_is_told_by_mail_five_times_a_day_at_most(connect, postbox):
    api = connect(MAIL_URL=postbox.url)
    with member(api, "beto") as beto:
        postbox.mail()
        for _ in range(7):
            make(beto)
        assert [postbox.mail()["Subject"] for _ in range(5)] == ["Se creó una llave de API de su cuenta"] * 5
        assert delete(beto, "/user/me/llaves/1").status_code == 200
        assert postbox.mail()["Subject"] == "Se revocó una llave de API de su cuenta"


@pytest.mark.parametrize(("verified", "status"), [(False, 401), (True, 200)])
def test_it_outlives_a_recovery_where_its_maker_had_shown_whose_the_correo_is(
    connect, postbox, verified, status
):
    api = connect(MAIL_URL=postbox.url)
    with member(api, "beto") as beto:
        mailed = {"token": postbox.token()}
        if verified:
            assert api.post("/user/verificar", json=mailed).status_code == 200
        headers = bearer(make(beto))
    assert postbox.mail()["Subject"] == "Se creó una llave de API de su cuenta"
    api.post("/login/recuperar", json={"correo": "beto@example.com"})
    reset = {"token": postbox.token(), "password": "una clave distinta"}
    assert api.post("/login/restablecer", json=reset).status_code == 200
    assert api.get("/venta/", headers=headers).status_code == status


def test_it_is_not_asked_for_a_second_factor(beto, api):
    headers = bearer(make(beto))
    activate(beto)
    assert api.get("/venta/", headers=headers).status_code == 200


def test_the_keys_of_a_thief_go_when_the_owner_undoes_it(connect, postbox):
    api = connect(MAIL_URL=postbox.url)
    with member(api, "beto") as beto:
        postbox.mail()
        before = bearer(make(beto))
        postbox.mail()
        stolen = bearer(make(beto))
        token = token_of(postbox.mail())
    assert api.post("/login/deshacer", json={"token": token}).status_code == 200
    assert api.get("/venta/", headers=before).status_code == 200
    problem(api.get("/venta/", headers=stolen), 401, "token_invalido")
