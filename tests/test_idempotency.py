"""Idempotency-Key: however often a request is sent, it has one effect and one answer."""

import asyncio
import socket
import threading
from urllib.parse import urlsplit

import psycopg
import pytest
from conftest import problem
from fleets import until

from app import routes
from core.http.routing import Methods
from core.process import start
from sql import idempotencia

SALE = {"venta": 100, "ventas_productos": 1}
CSV = {"Content-Type": "text/csv"}
FILE = b"venta,ventas_productos\n1,1\n2,2\n"


def post(client, key="k-1", path="/venta/", headers=None, **body):
    return client.post(path, headers={"Idempotency-Key": key} | (headers or {}), **(body or {"json": SALE}))


def count(rows):
    return rows("SELECT count(*) FROM venta")[0][0]


@pytest.mark.parametrize(
    ("path", "body", "headers", "effect"),
    [
        ("/venta/", {"json": SALE}, {}, 1),
        ("/venta/lote", {"json": [SALE] * 3}, {}, 3),
        ("/venta/importar", {"content": FILE}, CSV, 2),
        ("/venta/importar?simular=true", {"content": FILE}, CSV, 0),
    ],
)
def test_a_repeated_request_gets_the_first_answer(beto, rows, path, body, headers, effect):
    first = post(beto, path=path, headers=headers, **body)
    again = post(beto, path=path, headers=headers, **body)

    assert count(rows) == effect
    assert (again.status_code, again.content) == (first.status_code, first.content)
    assert again.headers["idempotent-replayed"] == "true"
    assert "idempotent-replayed" not in first.headers
    for name in ("content-type", "cache-control", "location"):
        assert again.headers.get(name) == first.headers.get(name)


def test_the_answer_of_ten_thousand_is_kept_too(beto, rows):
    answers = [post(beto, path="/venta/lote", json=[SALE] * 10_000) for _ in range(2)]

    assert answers[0].json() == answers[1].json()
    assert len(answers[1].json()["ids"]) == count(rows) == 10_000


def test_other_keys_and_none_are_other_sales(beto, rows):
    ids = [post(beto, key).json()["id"] for key in ("a", "A", "b" * 255, "!~")]
    ids += [beto.post("/venta/", json=SALE).json()["id"] for _ in range(2)]
    assert len(set(ids)) == count(rows) == 6


@pytest.mark.parametrize(("quoted", "bare"), [('"k-1"', "k-1"), (r'"a\"b\\c"', 'a"b\\c'), ('"', '"\\""')])
def test_a_key_in_the_drafts_quotes_is_the_same_without(beto, rows, quoted, bare):
    first, again = post(beto, quoted), post(beto, bare)

    assert (again.content, again.headers["idempotent-replayed"]) == (first.content, "true")
    assert count(rows) == 1


def test_a_key_is_its_users_own(beto, carla, rows):
    assert post(beto).json() != post(carla).json()
    assert count(rows) == 2


@pytest.mark.parametrize(
    ("path", "body", "headers"),
    [
        ("/venta/", {"json": SALE | {"venta": 101}}, {}),
        ("/venta/lote", {"json": [SALE]}, {}),
        ("/venta/importar", {"content": FILE}, CSV),
    ],
)
def test_a_key_of_another_request_is_refused(beto, rows, path, body, headers):
    post(beto)
    answer = post(beto, path=path, headers=headers, **body)

    assert (
        problem(answer, 422, "clave_reutilizada")["detail"]
        == "Esta Idempotency-Key ya se usó con otra petición"
    )
    assert count(rows) == 1


@pytest.mark.parametrize(
    ("path", "content", "headers"),
    [
        ("/venta/importar?simular=true", FILE, CSV),
        ("/venta/importar", FILE + b"3,3\n", CSV),
        ("/venta/importar", FILE, {"Content-Type": "application/x-ndjson"}),
    ],
)
def test_another_file_or_query_or_type_is_another_request(beto, rows, path, content, headers):
    post(beto, path="/venta/importar", headers=CSV, content=FILE)
    problem(post(beto, path=path, headers=headers, content=content), 422, "clave_reutilizada")
    assert count(rows) == 2


@pytest.mark.parametrize(
    "key", ["", '""', "a b", '"a b"', "ñ".encode(), "x" * 256, '"' + "x" * 256 + '"', "a\tb"]
)
def test_a_bad_key_is_refused(beto_of_all, rows_of_all, key):
    errores = problem(post(beto_of_all, key), 422, "datos_invalidos")["errores"]
    assert errores == [
        {"campo": "Idempotency-Key", "mensaje": "debe tener de 1 a 255 caracteres ASCII visibles"}
    ]
    assert count(rows_of_all) == 0


def test_two_keys_are_refused(beto, rows):
    headers = [("Idempotency-Key", "a"), ("Idempotency-Key", "b")]
    problem(beto.post("/venta/", json=SALE, headers=headers), 422, "datos_invalidos")
    assert count(rows) == 0


def test_a_refused_request_does_not_use_its_key(ana, beto, rows):
    problem(post(beto, json=SALE | {"usuario_id": ana.id}), 403, "sin_permiso")
    problem(post(ana, json=SALE | {"usuario_id": 999}), 404, "usuario_inexistente")
    problem(post(beto, json={"venta": -1}), 422, "datos_invalidos")
    problem(post(beto, path="/venta/importar", headers=CSV, content=b"x"), 422, "datos_invalidos")

    assert rows("SELECT count(*) FROM idempotencia") == [(0,)]
    assert post(beto).status_code == post(ana).status_code == 201


def test_concurrent_repetitions_have_one_effect_and_one_answer(serve, beto, rows):
    urls = [serve(), serve()]
    answers = []

    def send(number):
        answers.append(post(beto, path=f"{urls[number % 2]}/venta/", json=SALE))

    threads = [threading.Thread(target=send, args=(number,)) for number in range(32)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert count(rows) == 1
    assert {(answer.status_code, answer.content) for answer in answers} == {(201, answers[0].content)}
    assert sum("idempotent-replayed" not in answer.headers for answer in answers) == 1


@pytest.fixture
def impatient(connect, beto):
    """A server where nobody waits long, and Beto's client of it."""
    api = connect(DB_TIMEOUT_SECONDS="0.5")
    api.headers["authorization"] = beto.headers["authorization"]
    return api


def test_a_repetition_does_not_wait_for_ever(impatient, beto, database, rows):
    with psycopg.connect(database) as first:
        first.execute("INSERT INTO idempotencia (usuario_id, clave) VALUES (%s, 'k-1')", [beto.id])
        answers = []
        threads = [threading.Thread(target=lambda: answers.append(post(impatient))) for _ in range(12)]
        for thread in threads:
            thread.start()
        other = post(impatient, "k-2")
        for thread in threads:
            thread.join()
        first.rollback()

    assert other.status_code == 201
    for answer in answers:
        problem(answer, 409, "clave_en_uso")
        assert int(answer.headers["retry-after"]) >= 1
    assert post(impatient).status_code == 201


def test_an_answer_that_was_lost_is_given_again(beto, rows):
    body = b'{"venta":100,"ventas_productos":1}'
    url = urlsplit(str(beto.base_url))
    with socket.create_connection((url.hostname, url.port)) as peer:
        peer.sendall(
            b"POST /venta/ HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nIdempotency-Key: k-1\r\n"
            + f"Authorization: {beto.headers['authorization']}\r\n".encode()
            + b"Content-Length: %d\r\n\r\n%b" % (len(body), body)
        )
        until(lambda: count(rows) == 1)

    answer = post(beto, headers={"Content-Type": "application/json"}, content=body)

    assert answer.headers["idempotent-replayed"] == "true"
    assert rows("SELECT id FROM venta") == [(answer.json()["id"],)]


def test_a_broken_import_does_not_use_its_key(beto, rows):
    url = urlsplit(str(beto.base_url))
    with socket.create_connection((url.hostname, url.port)) as peer:
        peer.sendall(
            b"POST /venta/importar HTTP/1.1\r\nHost: x\r\nContent-Type: text/csv\r\nIdempotency-Key: k-1\r\n"
            + f"Authorization: {beto.headers['authorization']}\r\nContent-Length: 900\r\n\r\n".encode()
            + FILE
        )
    answer = post(beto, path="/venta/importar", headers=CSV, content=FILE)
    assert answer.status_code == 201
    assert "idempotent-replayed" not in answer.headers
    assert count(rows) == 2


def test_a_key_is_free_again_after_24_hours(beto, rows):
    post(beto)
    [(hours,)] = rows("SELECT extract(epoch FROM expira - creacion) / 3600 FROM idempotencia")
    assert hours == 24
    rows("UPDATE idempotencia SET creacion = creacion - interval '1 day', expira = expira - interval '1 day'")

    again = post(beto, json=SALE | {"venta": 5})

    assert again.status_code == 201
    assert post(beto, json=SALE | {"venta": 5}).json() == again.json()
    assert count(rows) == 2


def test_the_sweep_forgets_what_expired_and_nothing_else(database, beto, rows):
    for key in ("new", "old", "older", "oldest"):
        post(beto, key)
    for key, hours in {"old": 25, "older": 26, "oldest": 27}.items():
        rows(
            "UPDATE idempotencia SET creacion = creacion - %s * interval '1 hour',"
            " expira = expira - %s * interval '1 hour' WHERE clave = %s",
            hours,
            hours,
            key,
        )

    async def sweep():
        async with start.services({"DATABASE_URL": database}) as services:
            while await idempotencia.sweep(services.db):
                continue

    asyncio.run(sweep())
    assert rows("SELECT clave FROM idempotencia") == [("new",)]


def test_every_post_that_needs_a_token_takes_a_key():
    maps = [route.app for route in routes if isinstance(getattr(route, "app", None), Methods)]
    posts = [map_.endpoints["POST"] for map_ in maps if "POST" in map_.endpoints]
    assert [endpoint.name for endpoint in posts if not (endpoint.public or endpoint.once)] == []
