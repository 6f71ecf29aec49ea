"""The guide's page for browser applications, in Chromium, from an origin of its own."""

import re
import threading
from collections.abc import Iterator
from contextlib import closing
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from conftest import PASSWORD, member

from core.checkout import CHECKOUT

pytestmark = pytest.mark.slow


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None: ...


@pytest.fixture
def site(tmp_path: Path) -> Iterator[str]:
    """The origin that serves the folder."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=tmp_path))
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


def test_the_guides_page_logs_in_and_renews_in_two_tabs(chromium, connect, site, tmp_path):
    guide = (CHECKOUT / "docs" / "clients.md").read_text()
    [page_text] = re.findall(r"```html\n(.*?)```", guide, re.DOTALL)
    api = connect(CORS_ORIGINS=site)
    (tmp_path / "index.html").write_text(
        page_text.replace("http://127.0.0.1:8000", str(api.base_url).rstrip("/"))
    )
    with member(api, "ana") as ana, closing(chromium.new_context(base_url=site)) as person:
        ana.post("/venta/", json={"venta": 150050, "ventas_productos": 1})
        first = person.new_page()
        first.goto("/")
        first.locator("[name=username]").fill("ana")
        first.locator("[name=password]").fill("equivocada")
        first.get_by_role("button").click()
        first.get_by_text("Usuario o contraseña incorrectos").wait_for()
        first.locator("[name=password]").fill(PASSWORD)
        first.get_by_role("button").click()
        first.get_by_text("1500.5").wait_for()
        second = person.new_page()
        second.goto("/")
        second.get_by_text("1500.5").wait_for()
        first.reload()
        first.get_by_text("1500.5").wait_for()
