"""Registering, reading, changing and deleting users, and who may."""

import threading

import httpx
import pytest
from conftest import PASSWORD, log_in, member, new_user, problem

PUBLIC = {"id", "username", "nombre", "apellido", "correo"}
FULL = PUBLIC | {"direccion", "telefono", "estado", "rol", "creacion", "actualizacion"}


@pytest.mark.parametrize("path", ["/user/", "/user", "/user/crear-usuario", "/user/crear-usuario/"])
def test_anyone_registers(api, path):
    answer = api.post(path, json=new_user("ana"))

    assert answer.status_code == 201
    id = answer.json()["id"]
    assert answer.json() == {"respuesta": "Usuario creado correctamente", "id": id}
    assert answer.headers["location"] == f"/user/{id}"


def test_the_first_to_register_is_admin_and_no_other(ana, beto):
    assert ana.get("/user/me").json()["rol"] == "admin"
    assert beto.get("/user/me").json()["rol"] == "usuario"


def test_nobody_becomes_admin_by_registering_when_the_setting_says_so(connect):
    api = connect(FIRST_ADMIN="cli")
    with member(api, "ana") as ana:
        assert ana.get("/user/me").json()["rol"] == "usuario"


def test_of_two_who_register_first_at_once_one_is_admin(api, rows):
    _at_once(lambda number: api.post("/user/", json=new_user(f"primero{number}")), 8)

    assert rows("SELECT count(*) FROM usuario WHERE rol = 'admin'") == [(1,)]


def test_the_password_is_kept_as_a_bcrypt_hash(ana, rows):
    [(password,)] = rows("SELECT password FROM usuario")
    assert password.startswith("$2b$04$")


def test_the_servers_clock_decides_when_a_user_was_made(api, rows):
    answer = api.post("/user/", json=new_user("ana", creacion="2001-01-01T00:00:00"))

    assert answer.status_code == 201
    assert rows("SELECT creacion > now() - interval '1 minute' FROM usuario") == [(True,)]


@pytest.mark.parametrize(
    ("sent", "kept"),
    [
        (2604538424, "2604538424"),
        (0, "0"),
        (2604538424.0, "2604538424"),
        ("7", "7"),
        ("+54 9 260 453-8424", "+54 9 260 453-8424"),
        ("(0260) 453", "(0260) 453"),
        ("\u202a+54 9 260 453‑8424\u202c", "+54 9 260 453-8424"),
        ("+54\u00a09\u00a0260 453–8424 ", "+54 9 260 453-8424"),
    ],
)
def test_a_telefono_is_kept_as_text(api, rows, sent, kept):
    assert api.post("/user/", json=new_user("ana", telefono=sent)).status_code == 201
    assert rows("SELECT telefono FROM usuario") == [(kept,)]


def test_spaces_around_a_name_are_not_kept(api, rows):
    ana = new_user("ana", nombre=" Ana\u00a0", apellido="de la  Paz ", direccion=" San Martín 123 ")

    assert api.post("/user/", json=ana).status_code == 201
    assert rows("SELECT nombre, apellido, direccion FROM usuario") == [
        ("Ana", "de la  Paz", "San Martín 123")
    ]


def test_the_story_of_the_notes_runs_as_written(connect):
    api = connect(PASSWORD_MIN_LENGTH="3")
    pablito = {
        "username": "pablito",
        "password": "123",
        "nombre": "Pablo",
        "apellido": "Paz",
        "direccion": "San Martín 123",
        "telefono": 0,
        "correo": "pablito@example.com",
        "creacion": "2022-07-01T10:00:00.123Z",
    }

    created = api.post("/user/crear-usuario", json=pablito)
    assert (created.status_code, created.json()["respuesta"]) == (201, "Usuario creado correctamente")
    path = f"/user/{created.json()['id']}"
    login = api.post("/login/", data={"username": "pablito", "password": "123"})
    assert (login.status_code, login.json()["token_type"]) == (200, "bearer")
    api.headers["Authorization"] = f"Bearer {login.json()['access_token']}"
    assert [user["username"] for user in api.get("/user/").json()] == ["pablito"]
    assert api.get("/user/me").json()["telefono"] == "0"
    changed = api.patch(path, json={"nombre": "Pablo José"})
    assert changed.json() == {"respuesta": "Usuario actualizado correctamente"}
    assert api.get(path).json()["nombre"] == "Pablo José"
    assert api.delete(path).json() == {"respuesta": "Usuario eliminado correctamente"}


@pytest.mark.parametrize(
    ("fields", "campo"),
    [
        ({"correo": "otra@example.com", "username": "ANA"}, "username"),
        ({"correo": "ANA@Example.com"}, "correo"),
    ],
)
def test_it_refuses_what_is_taken_whatever_the_letter_case(ana, api, fields, campo):
    answer = api.post("/user/", json=new_user("otra") | fields)

    body = problem(answer, 409, "usuario_repetido")
    assert body["detail"] == f"Error creando usuario: el {campo} ya está en uso"


def test_letter_case_means_more_than_ascii(ana, api):
    assert api.post("/user/", json=new_user("ñandú", correo="a@b.com")).status_code == 201
    problem(api.post("/user/", json=new_user("ÑANDÚ", correo="c@d.com")), 409, "usuario_repetido")


def test_of_two_who_register_one_name_at_once_one_succeeds(ana, api):
    answers = _at_once(lambda number: api.post("/user/", json=new_user("beto")), 8)

    assert sorted(answer.status_code for answer in answers) == [201] + [409] * 7


def test_only_an_admin_lists_users(ana, beto, api):
    users = ana.get("/user/").json()

    assert [user["username"] for user in users] == ["ana", "beto"]
    assert all(user.keys() == PUBLIC for user in users)
    problem(beto.get("/user/"), 403, "sin_permiso")
    problem(api.get("/user/"), 401, "no_autenticado")


def test_a_user_reads_themselves(beto):
    answer = beto.get(f"/user/{beto.id}")

    assert answer.json().keys() == PUBLIC
    assert answer.headers["etag"] == f'"{beto.id}-1"'
    assert "private" in answer.headers["cache-control"]
    assert beto.get("/user/me").json().keys() == FULL
    assert beto.get("/user/me/").json()["creacion"].endswith("Z")


def test_an_admin_reads_everyone(ana, beto):
    assert ana.get(f"/user/{beto.id}/").json()["username"] == "beto"


def test_an_ordinary_user_learns_nothing_of_others(ana, beto):
    for id in (ana.id, 999, 0, -1, 2**63, "abc"):
        for method in ("GET", "PATCH", "DELETE"):
            body = {} if method == "PATCH" else None
            problem(beto.request(method, f"/user/{id}", json=body), 403, "sin_permiso")


@pytest.mark.parametrize(
    "id", ["999", "0", "-1", str(2**63), "99999999999999999999", "abc", "1.0", "٣", "%00"]
)
def test_an_id_that_is_no_users_is_404(ana_of_all, id):
    shown = "\x00" if id == "%00" else id
    texts = {
        "GET": "",
        "PATCH": " por lo tanto no se puede actualizar",
        "DELETE": " por lo tanto no se elimina",
    }
    for method, text in texts.items():
        answer = ana_of_all.request(
            method, f"/user/{id}", json={"nombre": "X"} if method == "PATCH" else None
        )
        body = problem(answer, 404, "usuario_inexistente")
        assert body["detail"] == f"No existe el usuario con el id {shown}{text}"


def test_only_the_fields_sent_change(beto):
    before = beto.get("/user/me").json()

    answer = beto.patch(f"/user/{beto.id}", json={"nombre": "Alberto", "direccion": "San Martín 1"})

    assert answer.json() == {"respuesta": "Usuario actualizado correctamente"}
    after = beto.get("/user/me").json()
    assert after.pop("actualizacion") > before.pop("actualizacion")
    assert after == before | {"nombre": "Alberto", "direccion": "San Martín 1"}


def test_a_null_direccion_takes_it_away(beto):
    beto.patch("/user/me", json={"direccion": "San Martín 1"})
    beto.patch("/user/me", json={"direccion": None})

    assert beto.get("/user/me").json()["direccion"] is None


def test_a_change_to_a_taken_correo_is_refused(ana, beto):
    change = {"correo": "ANA@example.com", "nombre": "Otro", "password_actual": PASSWORD}
    answer = beto.patch("/user/me", json=change)

    body = problem(answer, 409, "usuario_repetido")
    assert body["detail"] == "Error actualizando usuario: el correo ya está en uso"
    assert beto.get("/user/me").json()["nombre"] == "Beto"
    problem(ana.put(f"/user/{beto.id}", json=new_user("ana")), 409, "usuario_repetido")
    problem(ana.patch(f"/user/{beto.id}", json={"username": "ana"}), 409, "usuario_repetido")
    problem(ana.put("/user/999", json=new_user("nadie")), 404, "usuario_inexistente")


def test_a_put_replaces_the_whole_user(ana, beto):
    beto.patch("/user/me", json={"direccion": "San Martín 1"})

    answer = ana.put(f"/user/{beto.id}", json=new_user("beto", nombre="Norberto"))

    assert answer.json() == {"respuesta": "Usuario actualizado correctamente"}
    assert answer.status_code == 200
    with httpx.Client(base_url=beto.base_url) as again:
        again.headers["authorization"] = f"Bearer {log_in(again, 'beto')}"
        profile = again.get("/user/me").json()
    assert (profile["nombre"], profile["direccion"]) == ("Norberto", None)


def test_a_put_without_a_required_field_is_refused(ana, beto):
    whole = new_user("beto")
    del whole["correo"]

    body = problem(ana.put(f"/user/{beto.id}", json=whole), 422, "datos_invalidos")
    assert body["errores"] == [{"campo": "correo", "mensaje": "es obligatorio"}]


@pytest.mark.parametrize("field", [{"rol": "admin"}, {"estado": True}])
def test_rol_and_estado_are_an_admins_to_set(ana, beto, field):
    answer = beto.patch("/user/me", json=field | {"nombre": "Otro"})

    problem(answer, 403, "sin_permiso")
    assert beto.get("/user/me").json()["nombre"] == "Beto"
    assert ana.patch(f"/user/{beto.id}", json=field).status_code == 200
    assert field.items() <= beto.get("/user/me").json().items()


@pytest.mark.parametrize("stated", [{}, {"password_actual": "otra cosa"}])
def test_changing_ones_password_needs_the_current_one(beto, stated):
    answer = beto.patch("/user/me", json={"password": "otra clave larga"} | stated)

    problem(answer, 403, "password_actual_incorrecto")
    log_in(beto, "beto")


def test_a_new_password_ends_the_other_sessions_and_keeps_this_one(beto, api):
    other = {"Authorization": f"Bearer {log_in(api, 'beto')}"}
    change = {"password": "otra clave larga", "password_actual": PASSWORD}

    assert beto.patch("/user/me", json=change).status_code == 200
    assert beto.get("/user/me").status_code == 200
    problem(api.get("/user/me", headers=other), 401, "token_invalido")
    log_in(api, "beto", "otra clave larga")


def test_an_admin_sets_anothers_password_and_ends_their_sessions(ana, beto, api):
    assert ana.patch(f"/user/{beto.id}", json={"password": "la del admin"}).status_code == 200

    problem(beto.get("/user/me"), 401, "token_invalido")
    log_in(api, "beto", "la del admin")


def test_deleting_a_user_takes_their_sales_and_tokens_too(ana, beto, rows):
    rows("INSERT INTO venta (usuario_id, venta, ventas_productos) VALUES (%s, 100, 1)", beto.id)

    answer = ana.delete(f"/user/{beto.id}")

    assert answer.json() == {"respuesta": "Usuario eliminado correctamente"}
    assert rows("SELECT count(*) FROM venta") == [(0,)]
    problem(beto.get("/user/me"), 401, "token_invalido")
    problem(ana.delete(f"/user/{beto.id}"), 404, "usuario_inexistente")


def test_a_user_deletes_themselves(beto):
    assert beto.delete("/user/me").json() == {"respuesta": "Usuario eliminado correctamente"}
    problem(beto.get("/user/me"), 401, "token_invalido")


def test_a_plain_sql_insert_works(rows, api):
    hashed = "$2b$04$" + "a" * 53
    rows(
        "INSERT INTO usuario (username, password, nombre, apellido, direccion, telefono, correo)"
        " VALUES ('sql', %s, 'S', 'Q', 'L', '123', 's@q.l')",
        hashed,
    )

    [(estado, rol, fresh)] = rows("SELECT estado, rol, creacion > now() - interval '1 minute' FROM usuario")
    assert (estado, rol, fresh) == (False, "usuario", True)


def _at_once(ask, times: int) -> list[httpx.Response]:
    answers: list[httpx.Response] = []
    threads = [threading.Thread(target=lambda n=n: answers.append(ask(n))) for n in range(times)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return answers
