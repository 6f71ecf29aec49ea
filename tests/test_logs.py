"""What the log says of requests, and what it never says."""

import json
import logging
import os
import re
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import datetime
from urllib.parse import urlsplit

import httpx
import pytest
from conftest import PASSWORD, SETTINGS, client_of, member, problem
from processes import CHECKOUT, listening

from core import trace
from core.process.logs import MOST_REQUESTS_PER_SECOND, Throttle, logfmt

ENVIRON = {"PATH": os.defpath, "PORT": "0", "DRAIN_SECONDS": "0"} | SETTINGS
WELCOME = ("Panel  ", "Docs   ", "Try   ", "       ", "Start over")


class Server:
    """`python app.py`, whose lines are read when it has ended."""

    def __init__(self, **settings: str) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "app.py"],
            cwd=CHECKOUT,
            env=ENVIRON | settings,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self._process.stdout
        self.url = listening(self._process.stdout)

    def end(self) -> list[str]:
        """What it printed, but for the words of welcome."""
        self._process.terminate()
        output, _ = self._process.communicate(timeout=30)
        return [line for line in output.splitlines() if not line.startswith(WELCOME)]


@pytest.fixture
def server(database: str) -> Iterator[Callable[..., Server]]:
    """A function that starts a server on the test's database, with more settings."""
    started = []

    def start(**settings: str) -> Server:
        started.append(Server(DATABASE_URL=database, **settings))
        return started[-1]

    yield start
    for each in started:
        if each._process.returncode is None:
            each.end()


def requests(lines: list[str]) -> list[dict[str, object]]:
    """The JSON lines about requests."""
    return [line for line in map(json.loads, lines) if line["logger"] == "ventas.request"]


def test_a_line_tells_what_was_asked_and_how_long_it_took(server: Callable[..., Server]) -> None:
    logging_all = server(LOG_REQUESTS="all", LOG_FORMAT="json")
    with client_of(logging_all.url) as api, member(api, "ana") as ana:
        answer = ana.get(f"/user/{ana.id}")
    line = requests(logging_all.end())[-1]
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", line.pop("time"))
    assert 0 < line.pop("db_ms") <= line.pop("ms")
    assert line == {
        "level": "info",
        "logger": "ventas.request",
        "msg": "request",
        "request_id": answer.headers["x-request-id"],
        "method": "GET",
        "route": "/user/{id}",
        "path": f"/user/{ana.id}",
        "status": 200,
        "user": ana.id,
    }


TRACE = ("0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331")
PARENT = f"00-{TRACE[0]}-{TRACE[1]}-01"


@pytest.mark.parametrize(
    ("sent", "told"),
    [
        (["00-" + "-".join(TRACE) + "-01"], TRACE),
        (["cc-" + "-".join(TRACE) + "-01-more"], TRACE),
        (["00-" + "-".join(TRACE) + "-01-more"], None),
        (["ff-" + "-".join(TRACE) + "-01"], None),
        (["00-" + "0" * 32 + "-" + TRACE[1] + "-01"], None),
        (["00-" + "-".join(TRACE).upper() + "-01"], None),
        (["00-" + "-".join(TRACE) + "-01"] * 2, None),
        ([], None),
    ],
)
def test_a_line_names_the_trace_that_the_request_is_part_of(
    sent: list[str], told: tuple[str, str] | None
) -> None:
    headers = [(b"traceparent", value.encode()) for value in sent]
    scope = {"headers": headers, "header_names": dict(headers).keys()}
    assert trace.named(scope) == (dict(zip(("trace_id", "span_id"), told, strict=True)) if told else {})


@pytest.mark.parametrize(("sent", "named"), [(PARENT, True), (PARENT.upper(), False), ("", False)])
def test_a_statement_names_the_trace_that_it_is_part_of(
    beto: httpx.Client, rows: Callable[..., list[tuple]], sent: str, named: bool
) -> None:
    headers = {"traceparent": sent} if sent else {}
    assert beto.get("/venta/resumen?por=mes", headers=headers).status_code == 200
    last = [query for (query,) in rows("SELECT query FROM pg_stat_activity WHERE pid <> pg_backend_pid()")]
    sums = [query for query in last if "-- ventas_sums." in query]
    assert [query.startswith(f"/*traceparent='{PARENT}'*/\n") for query in sums] == [named]


def test_the_collectors_recipe_fits_the_lines(server: Callable[..., Server]) -> None:
    page = (CHECKOUT / "docs/observability.md").read_text()
    [recipe] = re.findall(r"```yaml\n(receivers:\n.*?)```", page, re.DOTALL)
    started = server(LOG_FORMAT="json", LOG_REQUESTS="all")
    httpx.get(f"{started.url}/healthz", headers={"traceparent": PARENT})
    [line] = requests(started.end())
    assert set(re.findall(r"attributes\.(\w+)", recipe)) <= line.keys()
    [layout] = re.findall(r'layout: "(.*?)"', recipe)
    assert datetime.strptime(line["time"], layout.replace("%L", "%f"))


@pytest.mark.parametrize("processes", ["1", "2"])
def test_every_line_is_json_where_it_is_to_be(database: str, processes: str) -> None:
    settings = {"DATABASE_URL": database, "LOG_FORMAT": "json", "LOG_REQUESTS": "all"}
    process = subprocess.Popen(
        [sys.executable, "app.py"],
        cwd=CHECKOUT,
        env=ENVIRON | settings | {"WEB_CONCURRENCY": processes},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert process.stdout
    begun = iter(json.loads(line)["msg"] for line in process.stdout)
    url = next(said for said in begun if said.startswith("Listening")).split()[2]
    httpx.get(f"{url}/healthz", headers={"traceparent": PARENT})
    process.terminate()
    with process, process.stdout:
        output = process.stdout.read()
    lines = [json.loads(line) for line in output.splitlines()]
    [told] = [line for line in lines if line["logger"] == "ventas.request"]
    assert (told["trace_id"], told["span_id"]) == TRACE


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"DB_POOL_MAX": "muchos"}, 'error: DB_POOL_MAX: "muchos" cannot be used'),
        ({"HOST": "203.0.113.1"}, "error: HOST: 203.0.113.1 is no address"),
        ({"APP_ENV": "production", "WEB_CONCURRENCY": "2"}, "pending migrations: 0001"),
        ({"APP_ENV": "production"}, "pending migrations: 0001"),
    ],
)
def test_a_start_that_fails_says_it_in_json_too(
    empty_database: str, settings: dict[str, str], said: str
) -> None:
    environ = ENVIRON | {"DATABASE_URL": empty_database, "LOG_FORMAT": "json", "BCRYPT_ROUNDS": "10"}
    secret = {"JWT_SECRET": os.urandom(32).hex()}
    done = subprocess.run(
        [sys.executable, "app.py"],
        cwd=CHECKOUT,
        env=environ | secret | settings,
        capture_output=True,
        text=True,
    )
    lines = [json.loads(line) for line in (done.stdout + done.stderr).splitlines()]
    assert done.returncode in (1, 3)
    assert any(line["level"] == "error" and line["msg"].startswith(said) for line in lines)


def test_only_errors_and_slow_requests_get_one_by_default(server: Callable[..., Server]) -> None:
    for settings, lines in (({}, 0), ({"LOG_SLOW_SECONDS": "0.000001"}, 1), ({"LOG_REQUESTS": "off"}, 0)):
        started = server(LOG_FORMAT="json", **settings)
        assert httpx.get(f"{started.url}/healthz").status_code == 200
        assert len(requests(started.end())) == lines, settings


@pytest.mark.parametrize("settings", [{}, {"LOG_REQUESTS": "off"}])
def test_a_defect_leaves_its_stack_but_not_its_words(
    settings: dict[str, str], server: Callable[..., Server], rows: Callable[..., list[tuple]]
) -> None:
    started = server(APP_ENV="production", BCRYPT_ROUNDS="10", LOG_FORMAT="json", **settings)
    rows("ALTER TABLE _yoyo_migration RENAME TO secreto")
    answer = httpx.get(f"{started.url}/readyz")
    problem(answer, 500, "error_interno")
    output = started.end()
    [line] = requests(output)
    assert (line["level"], line["status"]) == ("error", 500)
    assert line["request_id"] == answer.headers["x-request-id"]
    assert line["stack"].startswith("UndefinedTable 42P01: core/http/outermost.py:")
    assert "sql/migrations.py:" in line["stack"]
    assert "_yoyo_migration" not in "".join(output)


def test_on_ones_own_machine_the_traceback_follows(
    server: Callable[..., Server], rows: Callable[..., list[tuple]]
) -> None:
    started = server()
    rows("ALTER TABLE _yoyo_migration RENAME TO secreto")
    problem(httpx.get(f"{started.url}/readyz"), 500, "error_interno")
    output = "\n".join(started.end())
    assert "status=500" in output
    assert "\nTraceback (most recent call last):\n" in output
    assert 'relation "_yoyo_migration" does not exist' in output


def test_it_never_says_a_secret(server: Callable[..., Server]) -> None:
    started = server(LOG_REQUESTS="all", LOG_LEVEL="debug")
    with client_of(started.url) as api, member(api, "ana") as ana:
        ana.get("/user/?q=secreto-consulta")
        ana.post("/venta/", json={"venta": "secreto-cuerpo"})
        ana.post("/venta/", content=b"secreto-cuerpo", headers={"Content-Type": "application/json"})
        api.post("/login/", data={"username": "ana", "password": "secreto-password"})
        api.get("/user/1", headers={"Authorization": "Bearer secreto-token", "Cookie": "secreto-cookie"})
        token = ana.headers["authorization"].removeprefix("Bearer ")
    output = "\n".join(started.end())
    assert output.count("logger=ventas.request") >= 7
    assert "/login" in output
    for secret in ("secreto", PASSWORD, token, SETTINGS["JWT_SECRET"]):
        assert secret not in output


def test_a_path_cannot_forge_a_line(server: Callable[..., Server]) -> None:
    started = server(LOG_REQUESTS="all")
    httpx.get(f"{started.url}/x%0Atime=1%20level=info%20msg=%22forged")
    lines = started.end()
    assert all(line.startswith("time=2") for line in lines), lines
    assert any(r'path="/x\ntime=1 level=info msg=\"forged"' in line for line in lines)


def test_what_is_no_http_has_a_line_where_every_request_has_one(server: Callable[..., Server]) -> None:
    started = server(LOG_REQUESTS="all")
    _say_no_http(started)
    [line] = [line for line in started.end() if "status=400" in line]
    assert re.match(r"time=\S+ level=info logger=ventas.request msg=request request_id=\S+ ", line)


def test_what_is_no_http_cannot_fill_the_log(server: Callable[..., Server]) -> None:
    started = server()
    for _ in range(100):
        _say_no_http(started)
    assert [line for line in started.end() if "status=400" in line or "HTTP" in line] == []


def _say_no_http(started: Server) -> None:
    parts = urlsplit(started.url)
    with socket.create_connection((parts.hostname, parts.port)) as raw:
        raw.sendall(b"this is no HTTP\r\n\r\n")
        assert raw.recv(100).startswith(b"HTTP/1.1 400 ")


def test_uvicorn_alone_tells_no_query_strings(database: str, tmp_path: object) -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        server = subprocess.Popen(
            [sys.executable, "-m", "uvicorn", "app:app", "--fd", str(listener.fileno())],
            cwd=CHECKOUT,
            env=ENVIRON | {"DATABASE_URL": database, "LOG_REQUESTS": "all"},
            pass_fds=[listener.fileno()],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        problem(httpx.get(f"{url}/venta/?secreto=1", timeout=30), 401, "no_autenticado")
        server.terminate()
        output, _ = server.communicate(timeout=30)
    assert "path=/venta status=401" in output
    assert "secreto" not in output


def test_a_flood_of_lines_is_held_back() -> None:
    throttle = Throttle()

    def passes(second: float) -> dict[str, object] | None:
        record = logging.makeLogRecord({"created": second, "fields": {"status": 503}})
        return record.fields if throttle.filter(record) else None

    told = [passes(7.5) for _ in range(MOST_REQUESTS_PER_SECOND + 20)]
    assert told.count({"status": 503}) == MOST_REQUESTS_PER_SECOND
    assert passes(8.1) == {"status": 503, "lines_held_back": 20}
    assert passes(8.2) == {"status": 503}


@pytest.mark.parametrize(
    ("value", "written"),
    [
        ("ñandú", "ñandú"),
        ("", '""'),
        ("a b", '"a b"'),
        ("a=b", '"a=b"'),
        ('"', r'"\""'),
        ("\x1b[0m", r'"\u001b[0m"'),
    ],
)
def test_logfmt_quotes_what_is_not_one_word(value: str, written: str) -> None:
    assert logfmt({"k": value, "n": 1}) == f"k={written} n=1"


def test_answers_tell_their_time_when_asked_to(connect: Callable[..., httpx.Client]) -> None:
    quiet, timed = connect(), connect(SERVER_TIMING="on")
    assert "server-timing" not in quiet.get("/readyz").headers
    told = re.fullmatch(
        r"total;dur=(\d+\.\d), db;dur=(\d+\.\d)", timed.get("/readyz").headers["server-timing"]
    )
    assert told
    total, database = map(float, told.groups())
    assert 0 < database <= total
