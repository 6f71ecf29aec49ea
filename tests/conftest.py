"""A real PostgreSQL per run, a database per test, a real server on it, and the cast."""

import asyncio
import hashlib
import os
import re
import signal
import ssl
import subprocess
import sys
import threading
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack, ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import answers
import httpx
import psycopg
import pytest
import uvicorn
from clones import Clones, database_url, new_database
from databases import Open
from postbox import Postbox

from app import application
from core.checkout import CHECKOUT
from core.database.database import Database, open_database
from core.http.connection import Connection
from core.local.embedded import temporary_postgres
from core.local.programs import binaries, run
from core.migrating import guard
from core.migrating.migrations import FOLDER

SETTINGS = {
    "APP_ENV": "development",
    "BCRYPT_ROUNDS": "4",
    "JWT_SECRET": "a secret of the tests, of 32 bytes or more",
    "PASSWORD_MIN_LENGTH": "8",
    "FIRST_ADMIN": "register",
}
# Processes that tests start are measured too (coverage's `patch = subprocess`).
SETTINGS |= {name: value for name, value in os.environ.items() if name.startswith("COVERAGE_")}
PASSWORD = "una clave larga"
ROLES = CHECKOUT / "docs" / "roles.sql"

NO_TLS = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # one, for all: making it takes longer than most tests

SLOWEST_FILES = 20
SEEN = "answers/seen"  # in pytest's cache: what the fast part of the suite saw, for the slow part

OTHER_POSTGRESQLS = [
    pytest.param(path, id=path.parent.name, marks=pytest.mark.slow)
    for path in sorted(Path("/usr/lib/postgresql").glob("*/bin"))
]

if (
    signal.getsignal(signal.SIGINT) == signal.SIG_IGN
):  # as in a shell's background: what tests start would ignore it too
    signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """A test marked `each_postgresql` runs once more on each other PostgreSQL of this machine; these runs are slow."""
    if metafunc.definition.get_closest_marker("each_postgresql") and "postgres" in metafunc.fixturenames:
        own = pytest.param(None, id=pytest.HIDDEN_PARAM)
        metafunc.parametrize("postgres", [own, *OTHER_POSTGRESQLS], indirect=True, scope="session")


@pytest.fixture(scope="session")
def postgres(request: pytest.FixtureRequest) -> Iterator[str]:
    """The URL of a server where databases may be made: TEST_DATABASE_URL, or one of our own."""
    programs = getattr(request, "param", None)
    if programs is None and (url := os.environ.get("TEST_DATABASE_URL")):
        yield url
    else:
        with temporary_postgres(bin_dir=programs) as url:
            yield url


@pytest.fixture(scope="session")
def slug(request: pytest.FixtureRequest) -> Path:
    """A virtual environment with what Heroku would install; kept from run to run while that stays the same."""
    requirements = CHECKOUT / "requirements.txt"
    key = hashlib.sha256(requirements.read_bytes() + sys.version.encode()).hexdigest()[:16]
    folder = Path(request.config.cache.mkdir(f"slug-{key}"))
    if not (folder / "ready").exists():
        subprocess.run([sys.executable, "-m", "venv", "--clear", folder], check=True)
        install = [folder / "bin/python", "-m", "pip", "install", "--quiet", "--requirement", requirements]
        if (done := subprocess.run(install, capture_output=True, text=True)).returncode:
            pytest.skip(f"requirements.txt cannot be installed here: {done.stderr.splitlines()[-1]}")
        (folder / "ready").touch()
    return folder


@pytest.fixture(scope="session")
def template(postgres: str) -> Iterator[str]:
    """The name of a migrated database, with its roles, to be cloned."""
    with new_database(postgres, "template") as name:
        url = database_url(postgres, name)
        guard.apply(url, say=lambda line: None)
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute(ROLES.read_text("utf-8"))
            for role in ("ventas_app", "ventas_lectura"):
                connection.execute(f"ALTER ROLE {role} PASSWORD '{role}'")
            preloaded = connection.execute("SHOW shared_preload_libraries").fetchone()
        if "citus" in str(preloaded):
            distribute(url)
        yield name


def distribute(url: str) -> None:
    """Makes a cluster of one node of a database, as docs/scale-out.md does of three."""
    with psycopg.connect(url, autocommit=True) as connection:
        node = [connection.info.host, connection.info.port]
        connection.execute("CREATE EXTENSION citus")
        connection.execute("SELECT citus_set_coordinator_host(%s, %s)", node)
        connection.execute("SELECT citus_set_node_property(%s, %s, 'shouldhaveshards', true)", node)
    for file in (FOLDER / "scale-out" / "distribute.sql", ROLES):
        run(binaries() / "psql", "-qX", "-v", "ON_ERROR_STOP=1", url, stdin=file.read_text("utf-8"))


@pytest.fixture(scope="session")
def clones(postgres: str, template: str) -> Iterator[Clones]:
    """Databases like the template, for whoever wants one."""
    clones = Clones(postgres, template)
    yield clones
    clones.close()


@pytest.fixture
def database(clones: Clones) -> Iterator[str]:
    """The URL of a database of the test's own, migrated and empty."""
    with clones.url() as url:
        yield url


@pytest.fixture(scope="module")
def database_of_all(clones: Clones) -> Iterator[str]:
    """The URL of a database that the tests of a module share."""
    with clones.url() as url:
        yield url


@pytest.fixture(scope="module")
def api_of_all(database_of_all: str) -> Iterator[httpx.Client]:
    """A client of one server for those tests of a module that change nothing."""
    with running({"DATABASE_URL": url_as("ventas_app", database_of_all)}) as url, client_of(url) as client:
        yield client


@pytest.fixture(scope="module")
def ana_of_all(api_of_all: httpx.Client) -> Iterator[httpx.Client]:
    """Its admin."""
    with member(api_of_all, "ana") as client:
        yield client


@pytest.fixture(scope="module")
def beto_of_all(ana_of_all: httpx.Client, api_of_all: httpx.Client) -> Iterator[httpx.Client]:
    """An ordinary user of it."""
    with member(api_of_all, "beto") as client:
        yield client


@pytest.fixture
def unchanged(database_of_all: str) -> Iterator[None]:
    """Sees in the end that no user was added to it or changed."""
    users = "SELECT count(*), sum(xmin::text::bigint) FROM usuario"
    with psycopg.connect(database_of_all, autocommit=True) as connection:
        before = connection.execute(users).fetchone()
        yield
        assert connection.execute(users).fetchone() == before


@pytest.fixture
def empty_database(postgres: str) -> Iterator[str]:
    """The URL of a database without any migration."""
    with new_database(postgres, "empty") as name:
        yield database_url(postgres, name)


@pytest.fixture
def serve(database: str) -> Iterator[Callable[..., str]]:
    """A function that starts a server on the test's database, as the application's role, with more settings.

    It returns the server's URL."""
    url = url_as("ventas_app", database)
    with ExitStack() as stack:
        yield lambda **settings: stack.enter_context(running({"DATABASE_URL": url} | settings))


@pytest.fixture
def connect(serve: Callable[..., str]) -> Iterator[Callable[..., httpx.Client]]:
    """A function that starts a server with more settings and returns a client of it."""
    with ExitStack() as stack:
        yield lambda **settings: stack.enter_context(client_of(serve(**settings)))


@pytest.fixture
def api(connect: Callable[..., httpx.Client]) -> httpx.Client:
    """A client that has no token."""
    return connect()


@pytest.fixture(scope="session", autouse=True)
def quick_recoveries() -> Iterator[None]:
    """Whoever asks for a recovery waits half a second, so that the time tells nothing; one test looks at that."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("handlers.recovery.ANSWER_SECONDS", 0.05)
        yield


@pytest.fixture
def anyio_backend() -> tuple[str, dict[str, bool]]:
    """What asynchronous tests run on: the loop that serves."""
    return "asyncio", {"use_uvloop": True}


@pytest.fixture
async def opened(database: str) -> AsyncIterator[Open]:
    """A function that opens the test's database, or another, with settings."""
    async with AsyncExitStack() as stack:

        async def open_it(url: str = database, **settings: Any) -> Database:
            return await stack.enter_async_context(open_database(url, **settings))

        yield open_it


@pytest.fixture
async def db(opened: Open) -> Database:
    return await opened()


@pytest.fixture
def rows(database: str) -> Iterator[Callable[..., list[tuple]]]:
    """A function that runs SQL on the test's database and returns the rows."""
    with rows_of(database) as run:
        yield run


@pytest.fixture(scope="module")
def rows_of_all(database_of_all: str) -> Iterator[Callable[..., list[tuple]]]:
    """The same on the database that the tests of a module share, which they read."""
    with rows_of(database_of_all) as run:
        yield run


@pytest.fixture
def users(rows: Callable[..., list[tuple]]) -> list[int]:
    """The ids of 50 users, with a sale each whose id is the user's."""
    rows("""
        INSERT INTO usuario (username, password, nombre, apellido, telefono, correo)
        SELECT 'u' || n, '$2b$04$' || repeat('a', 53), 'N', 'A', '099123', 'u' || n || '@example.com'
          FROM generate_series(1, 50) AS n
    """)
    rows("INSERT INTO venta (id, usuario_id, venta, ventas_productos) SELECT id, id, 1, 1 FROM usuario")
    rows("SELECT setval(pg_get_serial_sequence('venta', 'id'), 1000)")
    return [id for (id,) in rows("SELECT id FROM usuario ORDER BY id")]


@pytest.fixture
def postbox() -> Iterator[Postbox]:
    """A mail server that takes whatever comes."""
    with Postbox().open() as server:
        yield server


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    """A Chromium for the tests of a module; they skip themselves where there is none."""
    import browsers

    if browsers.CHROMIUM is None:
        pytest.skip("no Chromium is installed")
    with browsers.chromium() as browser:
        yield browser


@pytest.fixture
def browser(chromium: Any, api: httpx.Client) -> Iterator[Any]:
    """One person's browser, on the test's server."""
    import browsers

    with browsers.person(chromium, str(api.base_url).rstrip("/")) as context:
        yield context


@pytest.fixture
def page(browser: Any) -> Any:
    """A page of that browser, still empty."""
    return browser.new_page()


@pytest.fixture
def ana(api: httpx.Client) -> Iterator[httpx.Client]:
    """The admin: the first to register."""
    with member(api, "ana") as client:
        yield client


@pytest.fixture
def beto(ana: httpx.Client, api: httpx.Client) -> Iterator[httpx.Client]:
    """An ordinary user, who owns sales."""
    with member(api, "beto") as client:
        yield client


@pytest.fixture
def carla(ana: httpx.Client, api: httpx.Client) -> Iterator[httpx.Client]:
    """Another ordinary user, who must never see Beto's."""
    with member(api, "carla") as client:
        yield client


@contextmanager
def rows_of(url: str) -> Iterator[Callable[..., list[tuple]]]:
    """A function that runs SQL on the database and returns the rows."""
    with psycopg.connect(url, autocommit=True) as connection:

        def run(statement: str, *parameters: object) -> list[tuple]:
            cursor = connection.execute(statement, parameters)
            return cursor.fetchall() if cursor.description else []

        yield run


def client_of(base_url: str, **options: object) -> httpx.Client:
    """A client whose answers count as exercised (see answers.py)."""
    hooks = {"response": [answers.record]}
    return httpx.Client(base_url=base_url, verify=NO_TLS, event_hooks=hooks, timeout=30, **options)  # type: ignore[arg-type]


def new_user(username: str, **fields: object) -> dict[str, object]:
    """The body of a registration."""
    return {
        "username": username,
        "password": PASSWORD,
        "nombre": username.capitalize(),
        "apellido": "Paz",
        "telefono": 2604538424,
        "correo": f"{username}@example.com",
    } | fields


def walk(client: httpx.Client, path: str) -> list[list[dict[str, object]]]:
    """The pages of a list, from one to the next by its Link."""
    pages = []
    while path:
        answer = client.get(path)
        assert answer.status_code == 200, answer.text
        pages.append(answer.json())
        path = answer.links.get("next", {}).get("url", "")
    return pages


def log_in(api: httpx.Client, username: str, password: str = PASSWORD) -> str:
    """An access token."""
    answer = api.post("/login/", data={"username": username, "password": password})
    assert answer.status_code == 200, answer.text
    return answer.json()["access_token"]


@contextmanager
def member(api: httpx.Client, username: str) -> Iterator[httpx.Client]:
    """A newly registered user's client, with their token and their `id`."""
    answer = api.post("/user/", json=new_user(username))
    assert answer.status_code == 201, answer.text
    headers = {"Authorization": f"Bearer {log_in(api, username)}"}
    with client_of(str(api.base_url), headers=headers) as client:
        client.id = answer.json()["id"]  # type: ignore[attr-defined]
        yield client


def problem(answer: httpx.Response, status: int, codigo: str) -> dict[str, object]:
    """Checks the one error shape and returns the problem; at OAuth's endpoints it has RFC 6749's members too."""
    assert answer.status_code == status, answer.text
    body = answer.json()
    if answer.request.url.path.rstrip("/").endswith(("/login", "/login/revocar")):
        assert answer.headers["content-type"] == "application/json"
        assert (answer.headers["cache-control"], answer.headers["pragma"]) == ("no-store", "no-cache")
        assert "www-authenticate" not in answer.headers
        assert re.fullmatch(r"[ !#-\[\]-~]+", body["error"])
        assert re.fullmatch(r"[ !#-\[\]-~]+", body["error_description"])
    else:
        assert answer.headers["content-type"] == "application/problem+json"
        assert "error" not in body
    assert body["codigo"] == codigo
    assert body["status"] == status
    assert body["type"] == f"/problemas#{codigo}"
    assert body["request_id"] == answer.headers["x-request-id"]
    assert body["title"]
    assert body["detail"]
    return body


def url_as(role: str, url: str) -> str:
    """The URL of the same database for another role."""
    parts = urlsplit(url)
    return parts._replace(netloc=f"{role}:{role}@{parts.netloc.rpartition('@')[2]}").geturl()


class Server(uvicorn.Server):
    """uvicorn's server, but started and stopped by events where uvicorn looks every tenth of a second."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.up = threading.Event()

    async def startup(self, sockets: object = None) -> None:
        await super().startup()
        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        self.up.set()

    async def main_loop(self) -> None:
        while not self._stop.is_set():
            await self.on_tick(0)  # the Date of the next second
            with suppress(TimeoutError):
                await asyncio.wait_for(self._stop.wait(), 1)

    async def shutdown(self, sockets: object = None) -> None:
        for server in self.servers:
            server.close()
        for _ in range(3):  # turns of the loop, in which a connection that was just accepted comes to be
            await asyncio.sleep(0)
        for connection in list(self.server_state.connections):
            connection.shutdown()
        while self.server_state.connections or self.server_state.tasks:  # noqa: ASYNC110 - uvicorn has no event for it
            await asyncio.sleep(0.002)
        await self.lifespan.shutdown()

    def stop(self) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)


@contextmanager
def running(settings: dict[str, str]) -> Iterator[str]:
    """The URL of the application with these settings, on a free port of the loopback."""
    with serving(settings) as server:
        yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"


@contextmanager
def serving(
    settings: dict[str, str], http: type[Connection] = Connection, **options: Any
) -> Iterator[Server]:
    """uvicorn in a thread of this process, with more options of its own."""
    app = application(SETTINGS | settings)
    server = Server(
        uvicorn.Config(
            app,
            http=http,
            ws="none",
            port=0,
            log_level="warning",
            server_header=False,
            proxy_headers=False,
            **options,
        )
    )
    thread = threading.Thread(target=lambda: (server.run(), server.up.set()))
    thread.start()
    server.up.wait()
    assert server.started, "the server did not start"
    try:
        yield server
    finally:
        server.stop()
        thread.join()


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """After a run: the seconds that each of the slowest files took, so that the next slow one is seen."""
    seconds: defaultdict[str, float] = defaultdict(float)
    for reports in terminalreporter.stats.values():
        for report in reports:
            if isinstance(report, pytest.TestReport):
                seconds[report.nodeid.partition("::")[0]] += report.duration
    if len(seconds) > 1:
        terminalreporter.section("seconds per file")
        for file, took in sorted(seconds.items(), key=lambda item: -item[1])[:SLOWEST_FILES]:
            terminalreporter.line(f"{took:7.1f}  {file}")


def pytest_sessionfinish(session: pytest.Session) -> None:
    """After the whole suite, or both its parts: an answer that is documented and never seen is a failure."""
    config = session.config
    if hasattr(config, "workeroutput"):  # one of several processes: the first one judges
        config.workeroutput["seen"] = answers.seen()
        return
    if config.args_source is not config.ArgsSource.TESTPATHS or config.option.keyword or session.exitstatus:
        return
    if config.option.markexpr == "not slow":
        config.cache.set(SEEN, answers.seen())
        return
    fast = config.cache.get(SEEN, None) if config.option.markexpr == "slow" else []
    if fast is None or config.option.markexpr not in ("", "slow"):
        return
    answers.see(fast)
    if unseen := answers.unseen():
        print("\n\nDocumented, but no test has seen it:", *unseen, sep="\n  ")
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: object) -> None:
    """What a process of pytest-xdist saw."""
    answers.see(node.workeroutput["seen"])  # type: ignore[attr-defined]
