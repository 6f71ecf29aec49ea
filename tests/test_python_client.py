"""A typed client that openapi-python-client makes from the description does what a person does first."""

import importlib
import os
import subprocess
import sys
from io import BytesIO
from pathlib import Path

import pytest
from conftest import PASSWORD, new_user

pytestmark = pytest.mark.slow


@pytest.fixture
def client(api, tmp_path, monkeypatch):
    """The package of a client, generated from what the server says of itself."""
    (tmp_path / "openapi.json").write_bytes(api.get("/openapi.json").content)
    program = Path(sys.executable).parent / "openapi-python-client"
    options = [
        "--path",
        "openapi.json",
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


def test_it_imports_pages_to_the_end_and_exports(beto, client):
    index, file = _module("api.ventas.ventas_index"), BytesIO(b"venta,ventas_productos\n1,1\n2,2\n3,3\n")
    token = beto.headers["authorization"].removeprefix("Bearer ")
    with client.AuthenticatedClient(base_url=str(beto.base_url), token=token) as member:
        loaded = _module("api.bulk.bulk_load").sync(client=member, body=_module("types").File(payload=file))
        sold, cursor = [], _module("types").UNSET
        while cursor is not None:
            page = index.sync_detailed(client=member, limit=2, despues=cursor)
            sold += [sale.venta for sale in page.parsed]
            cursor = page.headers.get("x-next-cursor")
        exported = _module("api.bulk.bulk_export").sync_detailed(client=member)

    assert (loaded.filas, sorted(sold)) == (3, [1, 2, 3])
    assert exported.content.startswith(b"id,usuario_id,venta,ventas_productos,creacion\n")


def test_it_reads_a_problem(api, client):
    with client.Client(base_url=str(api.base_url)) as anyone:
        problem = _module("api.ventas.ventas_show").sync(client=anyone, id=1)

    assert isinstance(problem, _module("models").ProblemNoAutenticado)


def test_it_tells_a_409_from_a_422_by_type(ana, client):
    models, create = _module("models"), _module("api.users.users_create")
    with client.Client(base_url=str(ana.base_url)) as anyone:
        taken = create.sync(client=anyone, body=models.NewUser.from_dict(new_user("ana")))
        wrong = create.sync(client=anyone, body=models.NewUser.from_dict(new_user("eva", password="1")))
        login = models.PasswordGrant(username="ana", password="equivocada")
        refused = _module("api.login.login_token").sync(client=anyone, body=login)

    assert isinstance(taken, models.ProblemUsuarioRepetido)
    assert isinstance(wrong, models.ProblemDatosInvalidos)
    assert [field.campo for field in wrong.errores] == ["password"]
    assert (type(refused).__name__, refused.error) == ("OAuthProblemCredencialesInvalidas", "invalid_grant")
