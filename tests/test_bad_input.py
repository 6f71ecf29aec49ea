"""Whatever is sent wrong gets a clear error, names the field, and changes nothing."""

import codecs
import gzip
import json
import socket
from urllib.parse import urlsplit

import pytest
from conftest import new_user, problem

JSON = {"Content-Type": "application/json"}
LONG = "x" * 5000

BAD_FIELDS = {
    "username": ["", " ", "a b", "a@b", "a" * 51, "a\x00b", "a\nb", "ana\n", "\ud800", 5, None, [], {}],
    "password": [
        "corta 7",
        "x" * 73,
        "ñ" * 37,
        "😀" * 19,
        " " * 10,
        "con\x00nulo!",
        "\ud800 larga",
        12345678,
        None,
    ],
    "nombre": ["", " ", "\u00a0", "x" * 101, "A\x00", "A\nB", "\udfff", 1, None],
    "apellido": ["", "\tPaz", "x" * 101, False],
    "direccion": ["x" * 201, "calle\x00", 5],
    "telefono": [-5, 0.5, "", "+", "5+", "abc", "1" * 21, "5\x00", 10**30, None, True, "٣٣٣", "123\n"],
    "correo": [
        "",
        "sin arroba",
        "a@",
        "@b.com",
        "a@b@c",
        "a b@c.com",
        "a@b.com\n",
        "x" * 300 + "@b.com",
        "a@\x00b",
        5,
    ],
    "creacion": ["ayer", 5, "2026-13-01T00:00:00Z"],
}


@pytest.mark.parametrize(
    ("campo", "value"), [(campo, value) for campo, values in BAD_FIELDS.items() for value in values]
)
def test_a_bad_field_is_named(api_of_all, unchanged, campo, value):
    body = json.dumps(new_user("ana") | {campo: value})

    errores = problem(api_of_all.post("/user/", content=body, headers=JSON), 422, "datos_invalidos")[
        "errores"
    ]

    assert [error["campo"] for error in errores] == [campo]
    assert errores[0]["mensaje"]


def test_emoji_are_a_password_like_any_other(api):
    answer = api.post("/user/", json=new_user("ana", password="😀" * 18))
    assert answer.status_code == 201
    assert api.post("/login/", json={"username": "ana", "password": "😀" * 18}).status_code == 200


def test_every_field_at_fault_is_named_at_once(api_of_all):
    body = {"username": "", "password": 5, "nombre": "Ana", "correo": "x", "color": "azul"}

    answer = problem(api_of_all.post("/user/", json=body), 422, "datos_invalidos")

    assert {error["campo"]: error["mensaje"] for error in answer["errores"]} == {
        "username": "debe ser un texto de 1 a 50 caracteres, sin espacios, @ ni caracteres invisibles",
        "password": "debe ser un texto de hasta 72 bytes en UTF-8",
        "correo": "debe ser un correo de hasta 254 caracteres, sin espacios ni caracteres invisibles",
        "apellido": "es obligatorio",
        "telefono": "es obligatorio",
        "color": "no es un campo conocido",
    }


@pytest.mark.parametrize(
    "body", [b"", b"{", b'{"a":NaN}', b"nada", b'{"a":1}x', '{"a":"ñ"}'.encode("latin-1"), b"\xff"]
)
def test_what_is_not_json_is_400(api_of_all, body):
    problem(api_of_all.post("/user/", content=body, headers=JSON), 400, "json_invalido")


@pytest.mark.parametrize("body", [b"[]", b"5", b'"x"', b"null", b"[{}]", b"[" * 5000 + b"]" * 5000])
def test_json_of_another_shape_is_422(api_of_all, body):
    problem(api_of_all.post("/user/", content=body, headers=JSON), 422, "datos_invalidos")


def test_a_deep_field_is_422(api_of_all):
    body = json.dumps(new_user("ana"))[:-1].encode() + b',"direccion":' + b"[" * 5000 + b"]" * 5000 + b"}"
    problem(api_of_all.post("/user/", content=body, headers=JSON), 422, "datos_invalidos")


def test_a_repeated_key_is_422(api_of_all, unchanged):
    body = '{"username": "eva",' + json.dumps(new_user("ana"))[1:]

    errores = problem(api_of_all.post("/user/", content=body, headers=JSON), 422, "datos_invalidos")[
        "errores"
    ]

    assert errores == [{"campo": "username", "mensaje": "está repetido"}]


def test_a_body_too_large_is_413(api_of_all):
    body = json.dumps(new_user("ana", direccion="x" * 10_000_000))
    problem(api_of_all.post("/user/", content=body, headers=JSON), 413, "cuerpo_demasiado_grande")


def test_a_body_of_unsaid_length_is_bounded_too(api_of_all):
    chunks = (b" " * 100_000 for _ in range(1000))
    problem(api_of_all.post("/user/", content=chunks, headers=JSON), 413, "cuerpo_demasiado_grande")


@pytest.mark.parametrize("media", ["text/plain", "application/xml", "application/x-www-form-urlencoded", ""])
def test_another_content_type_is_415(api_of_all, media):
    answer = api_of_all.post("/user/", content=json.dumps(new_user("ana")), headers={"Content-Type": media})
    problem(answer, 415, "tipo_de_contenido")


def test_no_content_type_is_415_and_no_body_400(api_of_all):
    problem(api_of_all.post("/user/", content=b"{}"), 415, "tipo_de_contenido")
    problem(api_of_all.post("/user/"), 400, "json_invalido")


def test_a_compressed_body_is_415_and_told_why(api):
    body = gzip.compress(json.dumps(new_user("ana")).encode())
    answer = api.post("/user/", content=body, headers=JSON | {"Content-Encoding": "gzip"})
    told = problem(answer, 415, "cuerpo_comprimido")
    assert told["detail"] == "El cuerpo viene comprimido (gzip): envíelo sin Content-Encoding"
    assert answer.headers["accept-encoding"] == "identity"
    plain = {"Content-Encoding": "identity"}
    assert api.post("/user/", json=new_user("ana"), headers=plain).status_code == 201


def test_a_byte_order_mark_is_no_part_of_the_json(api):
    body = codecs.BOM_UTF8 + json.dumps(new_user("ana")).encode()
    assert api.post("/user/", content=body, headers=JSON).status_code == 201
    problem(api.post("/user/", content=codecs.BOM_UTF8 * 2 + body, headers=JSON), 400, "json_invalido")


def test_a_charset_is_no_other_type(api):
    headers = {"Content-Type": "Application/JSON; charset=utf-8"}
    assert api.post("/user/", content=json.dumps(new_user("ana")), headers=headers).status_code == 201


@pytest.mark.parametrize(
    ("query", "campo"),
    [
        ("limit=0", "limit"),
        ("limit=1001", "limit"),
        ("limit=abc", "limit"),
        ("limit=5&limit=6", "limit"),
        ("color=azul", "color"),
        ("estado=quizas", "estado"),
        ("rol=dios", "rol"),
        ("rol=null", "rol"),
        ("limit=null", "limit"),
        ("q=", "q"),
        ("q=%00", "q"),
        ("q=%FF", "consulta"),
        ("total=casi", "total"),
        ("despues=abc", "despues"),
        ("despues=%F1", "consulta"),
    ],
)
def test_a_bad_query_is_422(ana_of_all, query, campo):
    errores = problem(ana_of_all.get(f"/user/?{query}"), 422, "datos_invalidos")["errores"]
    assert [error["campo"] for error in errores] == [campo]


def test_what_a_parameter_must_be_says_nothing_of_null(beto_of_all):
    answer = beto_of_all.get("/venta/exportar?desde=ayer&zona=&decimal=x&usuario_id=0&bom=1")
    mensajes = [error["mensaje"] for error in problem(answer, 422, "datos_invalidos")["errores"]]
    assert len(mensajes) == 5
    assert "null" not in "".join(mensajes)


def test_a_query_where_none_is_taken_is_422(ana_of_all):
    problem(ana_of_all.get("/user/me?color=azul"), 422, "datos_invalidos")


@pytest.mark.parametrize("path", ["/nada", "/user/1/nada", "/%00", "/user/1%2F2"])
def test_an_unknown_path_is_404(ana_of_all, path):
    problem(ana_of_all.get(path), 404, "ruta_desconocida")


@pytest.mark.parametrize("name", ["nada", "%00", "%2e%2e/docs.py", "docs", "x" * 3000])
def test_an_unknown_asset_is_404(api_of_all, name):
    problem(api_of_all.get(f"/assets/{name}"), 404, "ruta_desconocida")


def test_an_asset_can_only_be_read(api_of_all):
    answer = api_of_all.post("/assets/page.css")
    problem(answer, 405, "metodo_no_permitido")
    assert answer.headers["allow"] == "GET, HEAD"
    assert api_of_all.head("/assets/page.css").status_code == 200


def test_a_wrong_method_is_405_and_says_which_are_right(ana_of_all):
    answer = ana_of_all.put("/user/")
    problem(answer, 405, "metodo_no_permitido")
    assert answer.headers["allow"] == "GET, HEAD, POST"


def test_a_head_is_a_get_without_its_body(beto):
    answer = beto.head("/user/me")
    assert (answer.status_code, answer.content) == (200, b"")
    assert int(answer.headers["content-length"]) > 0


def test_a_repeated_field_is_found_among_very_many(api_of_all):
    fields = "".join(f'"{n:x}":1,' for n in range(2000))

    answer = api_of_all.post("/user/", content=f'{{{fields}"0": 1}}', headers=JSON)

    assert problem(answer, 422, "datos_invalidos")["errores"] == [{"campo": "0", "mensaje": "está repetido"}]


def test_of_very_many_repeated_fields_the_first_hundred_are_named(api_of_all):
    fields = ",".join(f'"{n:x}":1,"{n:x}":2' for n in range(1000))

    answer = api_of_all.post("/user/", content=f"{{{fields}}}", headers=JSON)

    errores = problem(answer, 422, "datos_invalidos")["errores"]
    assert [error["campo"] for error in errores] == [f"{n:x}" for n in range(100)]


def test_a_sane_request_id_is_echoed_and_another_replaced(api_of_all):
    assert (
        api_of_all.get("/nada", headers={"X-Request-ID": "abc-1.2_3"}).headers["x-request-id"] == "abc-1.2_3"
    )
    for bad in ("", "a b", "x" * 129, "<script>"):
        made = api_of_all.get("/nada", headers={"X-Request-ID": bad}).headers["x-request-id"]
        assert made != bad
        assert made


def test_a_broken_off_body_changes_nothing(api, rows):
    address = urlsplit(str(api.base_url))
    with socket.create_connection((address.hostname, address.port)) as client:
        client.sendall(b"POST /user/ HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n")
        client.sendall(b"Content-Length: 900\r\n\r\n{")
    assert api.get("/healthz").status_code == 200
    assert rows("SELECT count(*) FROM usuario") == [(0,)]


def test_a_websocket_is_refused(api_of_all):
    headers = {
        "Connection": "Upgrade",
        "Upgrade": "websocket",
        "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
        "Sec-WebSocket-Version": "13",
    }
    assert api_of_all.get("/user/me", headers=headers).status_code in (401, 403)
