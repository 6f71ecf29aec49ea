"""A typed client that openapi-python-client makes from the description does what a person does first."""

import importlib
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import PASSWORD, new_user

pytestmark = pytest.mark.slow

# Files go as bytes: their content is the caller's to make.
CONFIG = {
    "content_type_overrides": dict.fromkeys(["text/csv", "application/x-ndjson"], "application/octet-stream"),
    "post_hooks": [],
}


@pytest.fixture
def client(api, tmp_path, monkeypatch):
    """The package of a client, generated from what the server says of itself."""
    (tmp_path / "openapi.json").write_bytes(api.get("/openapi.json").content)
    (tmp_path / "config.json").write_text(json.dumps(CONFIG))
    program = Path(sys.executable).parent / "openapi-python-client"
    options = [
        "--path",
        "openapi.json",
        "--config",
        "config.json",
        "--meta",
        "none",
        "--output-path",
        "ventas_client",
    ]
    uncovered = {name: value for name, value in os.environ.items() if not name.startswith("COVERAGE")}
    subprocess.run(
        [program, "generate", *options], cwd=tmp_path, env=uncovered | {"NO_COLOR": "1"}, check=True
    )
    monkeypatch.syspath_prepend(tmp_path)
    yield importlib.import_module("ventas_client")
    for name in [name for name in sys.modules if name.startswith("ventas_client")]:
        del sys.modules[name]


def _module(name: str):
    return importlib.import_module(f"ventas_client.{name}")


def test_it_registers_logs_in_sells_and_lists(api, client):
    models = _module("models")
    with client.Client(base_url=str(api.base_url)) as anyone:
        eva = models.NewUser.from_dict(new_user("eva"))
        created = _module("api.users.users_create").sync(client=anyone, body=eva)
        asked = models.PasswordGrant(username="eva", password=PASSWORD)
        token = _module("api.login.login_token").sync(client=anyone, body=asked)
    with client.AuthenticatedClient(base_url=str(api.base_url), token=token.access_token) as member:
        sale = models.NewVenta(venta=150000, ventas_productos=3)
        sold = _module("api.ventas.ventas_create").sync(client=member, body=sale)
        (listed,) = _module("api.ventas.ventas_index").sync(client=member, limit=10)

    assert (listed.id, listed.usuario_id, listed.venta) == (sold.id, created.id, 150000)


def test_it_reads_a_problem(api, client):
    with client.Client(base_url=str(api.base_url)) as anyone:
        problem = _module("api.ventas.ventas_show").sync(client=anyone, id=1)

    assert problem.codigo == "no_autenticado"
