"""PUBLIC_URL with a path: behind a real nginx at /api/, which takes the path off or leaves it on, all links hold."""

import getpass
from collections.abc import Iterator
from contextlib import ExitStack

import browsers
import httpx
import pytest
from conftest import PASSWORD, client_of, log_in, new_user, running
from fleets import until
from postbox import Postbox
from test_browser import _log_in, _send
from test_rolling_restart import NGINX, free_ports, listens, program, told
from test_rolling_restart import running as process

KEEPS_THE_PATH = """
server {{
    listen 127.0.0.1:{port};
    location /api/ {{
        proxy_pass http://{app};
        proxy_set_header Host $http_host;
    }}
}}
"""
ADDRESSES = ["off", "on"]


@pytest.fixture(scope="module")
def postbox() -> Iterator[Postbox]:
    with Postbox().open() as server:
        yield server


@pytest.fixture(scope="module")
def doors(database_of_all: str, postbox: Postbox, tmp_path_factory) -> Iterator[dict[str, str]]:
    """Where the API is reached: through the configuration of docs/deploy.md, and through one that leaves /api on."""
    nginx = program("nginx")
    folder = tmp_path_factory.mktemp("nginx")
    off, on = free_ports(2)
    with ExitStack() as stack:
        settings = {"PUBLIC_URL": f"http://127.0.0.1:{off}/api", "MAIL_URL": postbox.url}
        app = stack.enter_context(running({"DATABASE_URL": database_of_all} | settings))
        app = app.removeprefix("http://")
        locations = told("nginx", "location /api/", {"unix:/run/ventas.sock:": app, "$host": "$http_host"})
        servers = f"server {{ listen 127.0.0.1:{off};\n{locations} }}" + KEEPS_THE_PATH.format(
            port=on, app=app
        )
        config = folder / "nginx.conf"
        config.write_text(NGINX.format(folder=folder, user=getpass.getuser(), server=servers))
        stack.enter_context(process(nginx, "-e", folder / "error.log", "-c", config))
        until(lambda: listens(off) and listens(on))
        yield {"off": f"http://127.0.0.1:{off}", "on": f"http://127.0.0.1:{on}"}


@pytest.fixture(scope="module")
def ana(doors: dict[str, str]) -> Iterator[httpx.Client]:
    with client_of(f"{doors['off']}/api") as client:
        assert client.post("/user/", json=new_user("ana")).headers["location"] == "/api/user/1"
        client.headers["authorization"] = f"Bearer {log_in(client, 'ana')}"
        yield client


@pytest.fixture(params=ADDRESSES)
def door(request, doors: dict[str, str]) -> str:
    return doors[request.param]


def test_every_address_that_it_gives_has_the_path(ana, door):
    with client_of(door, headers={"authorization": ana.headers["authorization"]}) as client:
        for _ in range(2):
            sold = client.post("/api/venta/", json={"venta": 1, "ventas_productos": 1})
            assert client.get(sold.headers["location"]).json()["id"] == sold.json()["id"]
        following = client.get("/api/venta/?limit=1").links["next"]["url"]
        assert following.startswith("/api/venta/?limit=1&despues=")
        assert client.get(following).status_code == 200
        assert client.get("/api/nada").json()["type"] == "/api/problemas#ruta_desconocida"
        assert client.get("/api/", headers={"Accept": "application/json"}).json()["docs"] == "/api/docs"


def test_the_description_has_the_path(ana, doors, door):
    with client_of(door) as client:
        described = client.get("/api/openapi.json").json()
        metadata = client.get("/api/.well-known/oauth-authorization-server").json()
    assert described["servers"] == [{"url": "/api"}]
    flow = described["components"]["securitySchemes"]["oauth2"]["flows"]["password"]
    assert flow["tokenUrl"] == flow["refreshUrl"] == "/api/login/"
    assert metadata["token_endpoint"] == f"{doors['off']}/api/login/"
    with client_of(doors["off"]) as client:
        assert client.get("/.well-known/oauth-authorization-server/api").json() == metadata


@pytest.fixture
def page(chromium, door):
    with browsers.person(chromium, door) as context:
        yield context.new_page()


def test_docs_are_read_and_tried(page, ana):
    page.goto("/api/docs")
    _log_in(page, "ana", PASSWORD)
    assert _send(page, "ventas_create", link="POST /venta/").startswith("201")


def test_the_start_leads_on(page, ana):
    page.goto("/api/")
    page.get_by_label("Páginas").get_by_role("link", name="Problemas").click()
    page.get_by_role("heading", name="Problemas", exact=True).wait_for()
    page.get_by_label("Páginas").get_by_role("link", name="Documentación").click()
    page.wait_for_url("**/api/docs", wait_until="commit")


def test_the_panel_lets_people_in(page, ana):
    page.goto("/api/panel")
    page.get_by_label("Usuario o correo").fill("ana")
    page.get_by_label("Contraseña", exact=True).fill(PASSWORD)
    page.get_by_role("button", name="Entrar").click()
    page.get_by_role("heading", name="Ventas").wait_for()


def test_a_mailed_link_opens_its_page_and_works(chromium, ana, doors, postbox):
    token = postbox.token()
    with chromium.new_page() as page:
        page.goto(f"{doors['off']}/api/user/verificar#{token}")
        page.get_by_role("button", name="Verificar").click()
        page.get_by_role("status").get_by_text("verificado").wait_for()
