"""Nothing that a client sends holds the event loop for 50 milliseconds: the others' requests go on."""

import asyncio
import gc
import json
import threading
from collections.abc import Callable, Iterator

import httpx
import pytest
from conftest import member
from databases import Rows
from watchdog import Watchdog

from background import budget

pytestmark = pytest.mark.slow

HELD_SECONDS = 0.05
LONG = "ñandú " * 300_000


@pytest.fixture
def watchdog(monkeypatch: pytest.MonkeyPatch) -> Iterator[Watchdog]:
    """Watches the loop of the next server."""
    dog = Watchdog()
    original = budget.watching
    tasks = []
    gc.freeze()  # the tests' own objects are no matter of the server's

    def watching(services: object) -> object:
        tasks.append(asyncio.get_running_loop().create_task(dog.watch()))
        return original(services)  # type: ignore[arg-type]

    monkeypatch.setattr(budget, "watching", watching)
    yield dog
    gc.unfreeze()
    assert tasks, "no server was watched"


@pytest.fixture
def ana(watchdog: Watchdog, api: httpx.Client, rows: Rows) -> Iterator[httpx.Client]:
    """The admin, with 20,000 sales of a hundred others."""
    with member(api, "ana") as client:
        rows("""
            INSERT INTO usuario (username, password, nombre, apellido, telefono, correo)
            SELECT 'u' || n, '$2b$04$' || repeat('a', 53), repeat('N', 90), repeat('A', 90), '099123',
                   'u' || n || '@example.com'
              FROM generate_series(1, 2000) AS n
        """)
        rows("""
            INSERT INTO venta (usuario_id, venta, ventas_productos, creacion)
            SELECT 2 + n %% 1000, n, 1, timestamptz '2001-01-01Z' + n * interval '10 hours'
              FROM generate_series(1, 20000) AS n
        """)
        yield client


GETS = [
    "/user/?limit=1000",
    "/venta/?limit=1000&total=exacto",
    "/venta/resumen?por=dia",
    "/venta/resumen?por=usuario",
    "/venta/exportar",
    "/venta/exportar?formato=ndjson",
    "/auditoria?limit=1000",
    "/openapi.json",
    "/docs",
    "/metrics",
]


@pytest.mark.parametrize("coding", ["identity", "gzip", "br", "zstd"])
def test_no_answer_holds_it(ana: httpx.Client, watchdog: Watchdog, coding: str) -> None:
    for path in GETS:
        ana.get(path, headers={"Accept-Encoding": coding})  # the first makes what is made once
    held = {}
    for path in GETS:
        watchdog.longest = 0
        assert ana.get(path, headers={"Accept-Encoding": coding}).status_code == 200
        held[path] = watchdog.longest
    assert {path for path, seconds in held.items() if seconds >= HELD_SECONDS} == set()


BODIES: dict[str, Callable[[], bytes]] = {
    "a long text": lambda: json.dumps({"username": LONG}).encode(),
    "deep": lambda: b"[" * 1_000_000,
    "many keys": lambda: b"{" + b",".join(b'"k%d":[[]]' % n for n in range(100_000)) + b"}",
    "many numbers": lambda: b"[" + b"1," * 500_000 + b"1]",
    "a long password": lambda: json.dumps({"username": "eva", "password": "Abc1 " * 20}).encode(),
}


def test_no_body_holds_it(ana: httpx.Client, watchdog: Watchdog) -> None:
    ana.headers["Content-Type"] = "application/json"
    held = {}
    for path in ["/user/", "/login/", "/venta/", "/venta/lote"]:
        ana.post(path, content=b"{}")
        for name, body in BODIES.items():
            content, watchdog.longest = body(), 0
            assert 400 <= ana.post(path, content=content).status_code < 500
            held[path, name] = watchdog.longest
    assert {what for what, seconds in held.items() if seconds >= HELD_SECONDS} == set()


def test_a_batch_of_ten_thousand_does_not_hold_it(ana: httpx.Client, watchdog: Watchdog) -> None:
    batch = [{"venta": n, "ventas_productos": 1} for n in range(10_000)]
    watchdog.longest = 0
    assert ana.post("/venta/lote", json=batch).status_code == 201
    assert watchdog.longest < HELD_SECONDS


ROW = '{"usuario_id": 1, "venta": 999999999999999.0, "ventas_productos": 1000000}' + 30 * " " + ","
LOTES = {
    "good": "[" + ROW * 9999 + '{"venta": 1, "ventas_productos": 1}]',
    "the last row bad": "[" + ROW * 9999 + '{"venta": -1, "ventas_productos": 1}]',
    "a lone surrogate": "[" + ROW * 9999 + '{"\\ud800": 1}]',
    "cut off": "[" + ROW * 9999,
    "one row": "[{" + ",".join(f'"k{n}": 1.5' for n in range(29_000)) + "}]",
    "an object": "{" + ",".join(f'"k{n}": 1.5' for n in range(29_000)) + "}",
}


@pytest.mark.parametrize("lote", LOTES)
def test_several_large_batches_do_not_hold_it(ana: httpx.Client, watchdog: Watchdog, lote: str) -> None:
    def post() -> None:
        headers = {**ana.headers, "Content-Type": "application/json"}
        url = f"{ana.base_url}/venta/lote"
        assert httpx.post(url, content=LOTES[lote], headers=headers, timeout=60).status_code < 500

    posts = [threading.Thread(target=post) for _ in range(4)]
    watchdog.longest = 0
    for sending in posts:
        sending.start()
    for sending in posts:
        sending.join()
    assert watchdog.longest < HELD_SECONDS


def test_an_import_does_not_hold_it_while_others_ask(ana: httpx.Client, watchdog: Watchdog) -> None:
    file = b"venta,ventas_productos\n" + b"1,1\n" * 100_000
    sending = threading.Thread(
        target=lambda: ana.post("/venta/importar", content=file, headers={"Content-Type": "text/csv"})
    )
    watchdog.longest = 0
    sending.start()
    while sending.is_alive():
        assert httpx.get(f"{ana.base_url}/healthz").status_code == 200
    assert watchdog.longest < HELD_SECONDS
