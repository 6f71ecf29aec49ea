"""A validating proxy made from the description lets the whole API pass."""

import socket
import subprocess
from collections.abc import Iterator

import httpx
import npm
import pytest
from answers import operations
from conftest import PASSWORD

PRISM = "5.16.0"

pytestmark = pytest.mark.slow


@pytest.fixture
def proxy(request: pytest.FixtureRequest, api: httpx.Client, tmp_path) -> Iterator[httpx.Client]:
    """A client of `prism proxy --errors` before the test's server."""
    tools = npm.installed(request.config, "prism", [f"@stoplight/prism-cli@{PRISM}"])
    (tmp_path / "openapi.json").write_bytes(api.get("/openapi.json").content)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [
        tools / "node_modules" / ".bin" / "prism",
        "proxy",
        "--errors",
        "openapi.json",
        str(api.base_url),
    ]
    with subprocess.Popen(
        [*command, "--port", str(port)],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as process:
        assert process.stdout
        try:
            assert any("listening on" in line.lower() for line in process.stdout)
            with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=60) as client:
                yield client
        finally:
            process.terminate()


def test_it_lets_the_whole_api_pass(proxy, ana):
    proxy.headers["authorization"] = ana.headers["authorization"]
    ana.post("/venta/", json={"venta": 1, "ventas_productos": 1})
    refused = {}
    for (method, path), operation in operations().items():
        contents = operation.get("requestBody", {}).get("content", {None: {}})
        for media, content in contents.items():
            if media == "multipart/form-data":
                sent = {"files": content["example"]}
            elif isinstance(content.get("example"), str):
                sent = {"content": content["example"], "headers": {"Content-Type": media}}
            elif media == "application/x-www-form-urlencoded":
                sent = {"data": content["example"]}
            else:
                sent = {"json": content["example"]} if media else {}
            answer = proxy.request(method, path.replace("{id}", "1"), **sent)
            if "stoplight.io/prism" in answer.text:
                refused[f"{method} {path} {media}"] = answer.json().get("validation") or answer.text
    assert refused == {}


def test_the_readmes_calls_pass(proxy, ana):
    for kind in ("data", "json"):
        login = proxy.post("/login/", **{kind: {"username": "ana", "password": PASSWORD}})
        assert (login.status_code, login.json().keys()) == (200, {"access_token", "token_type"})
        assert (
            proxy.post("/login/", **{kind: {"username": "ana", "password": "no"}}).json()["error"]
            == "invalid_grant"
        )
    proxy.headers["authorization"] = f"Bearer {login.json()['access_token']}"
    for key in ("k-1", '"k-1"'):
        sale = {"venta": 150000, "ventas_productos": 3}
        sold = proxy.post("/venta/", json=sale, headers={"Idempotency-Key": key})
        assert (sold.status_code, sold.json()["id"]) == (201, 1)
    assert proxy.get("/venta/?limit=1&orden=-creacion").json()[0]["venta"] == 150000
    assert proxy.get("/venta/exportar").text.startswith("id,")
    assert "stoplight.io/prism" in proxy.post("/venta/", json={"venta": "mucho"}).text  # it does look
