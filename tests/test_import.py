"""Files of sales over HTTP: every line is a sale, or none is and the bad lines are named."""

import itertools
import select
import socket
import threading
from urllib.parse import urlsplit

import httpx
import pytest
from conftest import problem
from fleets import until

CSV = {"Content-Type": "text/csv"}
NDJSON = {"Content-Type": "application/x-ndjson"}
HEAD = b"venta,ventas_productos\n"


def send(client, content, headers=CSV, query=""):
    return client.post(f"/venta/importar{query}", content=content, headers=headers)


def errors(answer):
    errores = problem(answer, 422, "datos_invalidos")["errores"]
    assert all(error["mensaje"] for error in errores)
    return [(error["linea"], error["campo"]) for error in errores]


@pytest.fixture
def untouched(rows):
    """Sees in the end that no sale, transaction or temporary table is left."""
    yield
    assert rows("SELECT count(*) FROM venta") == [(0,)]
    until(lambda: not busy(rows))
    assert rows("SELECT count(*) FROM pg_class WHERE relname = 'importacion'") == [(0,)]


def busy(rows) -> list[tuple]:
    """The connections of the server that are in a transaction."""
    return rows(
        "SELECT pid, query FROM pg_stat_activity WHERE datname = current_database()"
        " AND pid <> pg_backend_pid() AND xact_start IS NOT NULL AND backend_type = 'client backend'"
    )


def test_a_csv_is_imported_whatever_its_dress(ana, beto, rows):
    file = (
        "\ufeffcreacion,ventas_productos,venta,usuario_id\r\n"
        f'"2026-01-31T10:00:00-03:00","3",150000,{beto.id}\r\n'
        "\r\n"
        '2026-01-31 10:00:00,"1",0,\r\n'
        f',2,5,"{beto.id}"'
    )

    answer = send(ana, file, {"Content-Type": "Text/CSV; charset=utf-8"}, "/")

    assert (answer.status_code, answer.json()) == (
        201,
        {"respuesta": "Ventas importadas correctamente", "filas": 3},
    )
    assert rows("SELECT usuario_id, venta, ventas_productos FROM venta ORDER BY id") == [
        (beto.id, 150000, 3),
        (ana.id, 0, 1),
        (beto.id, 5, 2),
    ]
    assert [sale["creacion"] for sale in ana.get("/venta/?hasta=2026-01-31").json()] == [
        "2026-01-31T13:00:00.000000Z",
        "2026-01-31T10:00:00.000000Z",
    ]


def test_an_ndjson_is_imported(beto, rows):
    file = b'{"venta":5,"ventas_productos":1}\n\n{"ventas_productos":2,"venta":7,"creacion":"2026-01-31T10:00:00Z"}'

    assert send(beto, file, NDJSON).json()["filas"] == 2
    assert rows("SELECT usuario_id, venta FROM venta ORDER BY id") == [(beto.id, 5), (beto.id, 7)]


def test_a_simulation_keeps_nothing(beto, untouched):
    answer = send(beto, HEAD + b"1,1\n2,2\n", query="?simular=true")

    assert answer.status_code == 200
    assert answer.json() == {"respuesta": "El archivo es válido; no se guardó nada", "filas": 2}
    assert errors(send(beto, HEAD + b"1,0\n", query="?simular=true")) == [(2, "ventas_productos")]


def test_a_header_alone_is_no_sales(beto):
    assert send(beto, HEAD).json()["filas"] == 0


BAD_CELLS = {
    "venta": [
        "",
        "-1",
        "1e3",
        "5.0",
        "٣",
        "1" + "0" * 30,
        str(10**15 + 1),
        "cinco",
        "=1+1",
        "0x5",
        "1_000",
    ],
    "ventas_productos": ["", "0", "1000001", "1.5"],
    "usuario_id": ["0", "-1", str(2**63), "999999", "beto"],
    "creacion": [
        "ayer",
        "2026-13-01T00:00:00Z",
        "2026-01-31T25:00:00Z",
        "0001-01-01T00:00:00+03:00",
        "10000-01-01",
        "0026-01-31",
        "2062-01-31",
    ],
}


def test_every_bad_line_is_named(ana, untouched):
    bad = [(campo, cell) for campo, cells in BAD_CELLS.items() for cell in cells]
    good = {"venta": "1", "ventas_productos": "1", "usuario_id": "", "creacion": ""}
    lines = [",".join((good | {campo: cell}).values()) for campo, cell in bad]

    answer = send(ana, "\n".join([",".join(good), *lines, "1,1,,"]))

    assert errors(answer) == [(line, campo) for line, (campo, _) in enumerate(bad, 2)]


@pytest.mark.parametrize(
    ("file", "where"),
    [
        (HEAD + b"1,1\n1,1,1\n1\n", [(3, "cuerpo"), (4, "cuerpo")]),
        (HEAD + b'"1,1\n', [(2, "cuerpo")]),
        (HEAD + b'"1"2,1\n', [(2, "cuerpo")]),
        (HEAD + b"1\x00,1\n", [(2, "cuerpo")]),
        (HEAD + b"1,1\n\xe91,1\n", [(3, "cuerpo")]),
        (b"venta;ventas_productos\n1;1\n0,1;1\n", [(3, "venta")]),
        (b"venta,importe\n1,1\n", [(1, "importe"), (1, "ventas_productos")]),
        (b"venta,venta,ventas_productos\n", [(1, "venta")]),
        (b"1,2\n", [(1, "1"), (1, "2"), (1, "venta"), (1, "ventas_productos")]),
        (b"", [(1, "cuerpo")]),
    ],
)
def test_a_bad_file_says_where(beto, untouched, file, where):
    assert sorted(errors(send(beto, file))) == sorted(where)


def test_a_bad_ndjson_says_where(beto, untouched):
    file = (
        b'{"venta":1,"ventas_productos":1}\n{"venta":1}\n[1]\n{"venta":1,"venta":2,"ventas_productos":1}\nnada\n'
        b'{"venta":"1","ventas_productos":1,"color":"azul"}\n'
    )
    assert errors(send(beto, file, NDJSON)) == [
        (2, "ventas_productos"),
        (3, "cuerpo"),
        (4, "venta"),
        (5, "cuerpo"),
        (6, "venta"),
        (6, "color"),
    ]


@pytest.mark.parametrize("content", [b"", b"\n", b" \r\n\n", b"\xef\xbb\xbf\n"])
@pytest.mark.parametrize("query", ["", "?simular=true"])
def test_an_empty_ndjson_is_refused(beto, untouched, content, query):
    answer = beto.post(f"/venta/importar{query}", content=content, headers=NDJSON)
    [wrong] = problem(answer, 422, "datos_invalidos")["errores"]
    assert (wrong["linea"], wrong["mensaje"]) == (1, "el archivo está vacío")


def test_the_first_hundred_errors_are_told(beto, untouched):
    found = errors(send(beto, HEAD + b"1,0\n" * 5000))
    assert found == [(line, "ventas_productos") for line in range(2, 102)]


def test_another_users_sales_are_an_admins_to_import(ana, beto, carla, rows):
    file = f"venta,ventas_productos,usuario_id\n1,1,{beto.id}\n1,1,{carla.id}\n"

    assert errors(send(beto, file)) == [(3, "usuario_id")]
    assert rows("SELECT count(*) FROM venta") == [(0,)]
    assert send(ana, file).json()["filas"] == 2


@pytest.mark.parametrize(
    ("headers", "query", "status", "codigo"),
    [
        ({"Content-Type": "application/json"}, "", 415, "tipo_de_contenido"),
        ({}, "", 415, "tipo_de_contenido"),
        (CSV, "?simular=quizas", 422, "datos_invalidos"),
        (CSV, "?formato=csv", 422, "datos_invalidos"),
    ],
)
def test_a_bad_request_is_refused(beto, untouched, headers, query, status, codigo):
    problem(send(beto, HEAD + b"1,1\n", headers, query), status, codigo)


@pytest.mark.parametrize(
    ("beginning", "campo"),
    [(b"venta,importe\n", "importe"), (HEAD + b"1,0\n" * 100, "ventas_productos"), (b"", "cuerpo")],
)
def test_three_gigabytes_are_refused_as_soon_as_they_are_bad(beto, untouched, beginning, campo):
    sent = 0

    def chunks():
        nonlocal sent
        yield beginning
        for chunk in itertools.repeat(b"x" * 65536, 3 << 14):
            sent += len(chunk)
            yield chunk

    answer = send(beto, chunks())

    assert errors(answer)[0][1] == campo
    assert answer.headers["connection"] == "close"
    assert sent < 100 << 20


def _half(client, beginning: bytes = HEAD + b"1,1\n" * 20_000) -> socket.socket:
    """A connection on which an import has begun and its first slices were sent."""
    url = urlsplit(str(client.base_url))
    peer = socket.create_connection((url.hostname, url.port), timeout=20)
    peer.sendall(
        b"POST /venta/importar HTTP/1.1\r\nHost: x\r\nContent-Type: text/csv\r\nContent-Length: 9000000\r\n"
        + f"Authorization: {client.headers['authorization']}\r\nIdempotency-Key: despacio\r\n\r\n".encode()
    )
    peer.sendall(beginning)
    return peer


def test_a_client_that_hangs_up_half_way_leaves_nothing(connect, beto, rows, untouched):
    api = connect(DB_TIMEOUT_SECONDS="0.5")
    api.headers["authorization"] = beto.headers["authorization"]
    for _ in range(5):
        with _half(api):
            problem(send(api, HEAD), 429, "demasiado_a_la_vez")
            assert not busy(rows)
    until(lambda: send(api, HEAD).status_code == 201)


def test_a_client_that_stalls_is_given_up(beto, rows, untouched, monkeypatch):
    monkeypatch.setattr("core.http.streams.STALL_SECONDS", 0.3)
    with _half(beto) as peer:
        answer = b"".join(iter(lambda: peer.recv(65536), b""))
    assert answer.startswith(b"HTTP/1.1 408 ")
    assert b'"codigo":"cuerpo_demasiado_lento"' in answer
    until(lambda: not busy(rows))


def test_a_client_that_drips_is_given_up(beto, untouched, monkeypatch):
    monkeypatch.setattr("core.http.streams.STALL_SECONDS", 0.3)
    with _half(beto, HEAD) as peer:
        while not select.select([peer], [], [], 0.02)[0]:
            peer.sendall(b"\n")
        answer = b"".join(iter(lambda: peer.recv(65536), b""))
    assert answer.startswith(b"HTTP/1.1 408 ")
    assert b'"codigo":"cuerpo_demasiado_lento"' in answer


def test_a_file_that_is_still_coming_holds_neither_connection_nor_row(beto, ana, rows, untouched):
    with _half(beto), _half(ana):
        assert ana.delete(f"/user/{beto.id}").status_code == 200
        assert not busy(rows)


def test_a_file_of_too_many_bytes_or_sales_is_refused(connect, ana, untouched):
    api = connect(TRANSFER_MAX_BYTES="100000", TRANSFER_MAX_ROWS="10")
    api.headers["authorization"] = ana.headers["authorization"]
    problem(send(api, HEAD + b"1,1\n" * 30_000), 413, "cuerpo_demasiado_grande")
    answer = send(api, HEAD + b"1,1\n" * 11)
    assert answer.json()["errores"][0]["mensaje"] == "pasa de 10 ventas"
    assert errors(answer)


def test_it_refuses_files_while_the_disk_has_no_room_for_them(connect, ana, untouched):
    api = connect(SPOOL_MAX_BYTES=str(4 << 20))
    api.headers["authorization"] = ana.headers["authorization"]
    problem(send(api, HEAD + b"1,1\n" * 600_000), 413, "cuerpo_demasiado_grande")
    assert send(api, HEAD).status_code == 201


def test_an_account_that_imports_waits_for_itself_alone(connect, ana, beto, untouched):
    api = connect(DB_POOL_MAX="7", DB_TIMEOUT_SECONDS="0.5")
    mine, other = (
        {"authorization": ana.headers["authorization"]},
        {"authorization": beto.headers["authorization"]},
    )
    api.headers.update(mine)
    with _half(api):
        answer = send(api, HEAD)
        problem(answer, 429, "demasiado_a_la_vez")
        assert int(answer.headers["retry-after"]) >= 1
        assert api.patch("/venta/1", json={}).status_code == 404
        api.headers.update(other)
        assert send(api, HEAD).status_code == 201
    api.headers.update(mine)
    until(lambda: send(api, HEAD).status_code == 201)


def test_others_are_served_while_a_file_is_read(beto):
    done = threading.Event()
    answers = []

    def ask():
        with httpx.Client(base_url=beto.base_url, headers=beto.headers) as client:
            while not done.is_set():
                answers.append(client.get("/user/me").status_code)

    asking = threading.Thread(target=ask)
    asking.start()
    send(beto, HEAD + b"1,1\n" * 30_000)
    done.set()
    asking.join()
    assert len(answers) > 10
    assert set(answers) == {200}


@pytest.mark.parametrize("many", [10_000, pytest.param(1_000_000, marks=pytest.mark.slow)])
def test_many_lines_and_the_last_is_bad(ana, untouched, many):
    def lines():
        yield b"venta,ventas_productos,usuario_id\n"
        for first in range(0, many, 1000):
            unknown = first == many * 7 // 10
            yield b"".join(
                b"%d,1,%d\n" % (n, 999 if unknown and n == first else ana.id)
                for n in range(first, first + 1000)
            )
        yield b"1,-1,1\n"

    ana.timeout = 60
    assert errors(send(ana, lines())) == [(many * 7 // 10 + 2, "usuario_id"), (many + 2, "ventas_productos")]
