"""The description: valid, whole, and its examples true."""

import json
import re

import pytest
from answers import document, operations
from openapi_spec_validator import validate
from starlette.routing import Mount

from app import routes
from core.checkout import CHECKOUT
from core.problems import KINDS


def test_it_is_openapi_3_1(api):
    served = api.get("/openapi.json")

    assert served.json()["openapi"].startswith("3.1")
    validate(served.json())


def test_it_is_served_with_an_etag(api):
    first = api.get("/openapi.json")
    again = api.get("/openapi.json", headers={"If-None-Match": first.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")


def test_every_route_is_described():
    served = {
        (method, route.app.path.rstrip("/") or "/")
        for route in routes
        if not isinstance(route, Mount)
        for method in route.app.endpoints
    }
    assert served == operations().keys()


def test_the_password_is_as_long_as_the_setting_asks(connect):
    api = connect(PASSWORD_MIN_LENGTH="11")
    schemas = api.get("/openapi.json").json()["components"]["schemas"]
    assert schemas["NewUser"]["properties"]["password"]["minLength"] == 11


def test_operations_are_named_once():
    names = [operation["operationId"] for operation in operations().values()]
    assert len(names) == len(set(names))


def test_what_clients_were_generated_from_keeps_its_names():
    """tests/operations.txt: method, path, operationId and tag of every operation."""
    named = sorted(
        f"{method} {path} {operation['operationId']} {operation['tags'][0]}"
        for (method, path), operation in operations().items()
    )
    assert named == sorted((CHECKOUT / "tests" / "operations.txt").read_text().splitlines())


def test_operations_say_what_they_do_and_for_whom():
    for operation in operations().values():
        assert operation["summary"]
        assert "`" not in operation["summary"]  # shown as it stands
        assert operation["description"].endswith(
            ("No login needed.", "For an admin.", "For whoever is logged in.")
        )


def test_patterns_are_ecmascripts():
    assert r"\\Z" not in json.dumps(document())


def test_every_body_has_an_example():
    for operation in operations().values():
        for content in operation.get("requestBody", {}).get("content", {}).values():
            assert content["example"]


def test_every_change_has_an_answer_as_its_example():
    schemas = document()["components"]["schemas"]
    changes = {
        f"#/components/schemas/{name}" for name in schemas if "respuesta" in schemas[name]["properties"]
    }
    for operation in operations().values():
        contents = [
            answer.get("content", {}).get("application/json") for answer in operation["responses"].values()
        ]
        answers = [content for content in contents if content]
        is_change = any(content["schema"].get("$ref") in changes for content in answers)
        assert is_change == any("example" in content for content in answers), operation["operationId"]


def test_the_examples_work(ana, postbox, connect):
    """Each is sent as it stands, by an admin, and answered as it says; what is refused says why."""
    api = connect(MAIL_URL=postbox.url)
    api.headers["authorization"] = ana.headers["authorization"]
    ana.post("/venta/", json={"venta": 1, "ventas_productos": 1})
    refused = {}
    for (method, path), operation in operations().items():
        for media, content in operation.get("requestBody", {}).get("content", {}).items():
            body = content["example"]
            sent = {"json": body} if "json" in media and "nd" not in media else {"data": body}
            if isinstance(body, str):
                sent = {"content": body}
            headers = {"Content-Type": media}
            if media == "multipart/form-data":
                sent, headers = {"files": body}, {}
            answer = api.request(method, path.replace("{id}", "1"), headers=headers, **sent)
            if answer.is_success:
                said = operation["responses"][str(answer.status_code)]["content"]["application/json"]
                assert said.get("example", {}).get("respuesta") == answer.json().get("respuesta")
            else:
                refused[f"{method} {path}", media] = answer.json()["codigo"]

    assert refused == {
        ("POST /user/crear-usuario", "application/json"): "usuario_repetido",
        ("PUT /user/{id}", "application/json"): "password_actual_incorrecto",
        ("POST /user/verificar", "application/json"): "enlace_invalido",
        ("POST /login/restablecer", "application/json"): "enlace_invalido",
        ("POST /login/deshacer", "application/json"): "enlace_invalido",
    }


def test_every_problem_is_on_the_page_and_every_type_leads_there(api):
    page = api.get("/problemas").text
    assert re.findall(r'<section class="card problem" id="(\w+)"', page) == [
        kind.codigo for kind in sorted(KINDS.values(), key=lambda kind: (kind.status, kind.codigo))
    ]
    assert "`" not in page


@pytest.mark.parametrize("path", ["/", "/docs", "/problemas"])
def test_pages_are_locked_up(api, path):
    answer = api.get(path, headers={"Accept": "text/html"})
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    policy = answer.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert not re.search(r"""<script>|<style>|\son\w+=|(src|href)="https?://""", answer.text)


def test_the_root_says_where_to_go(api):
    assert api.get("/").json()["docs"] == "/docs"
