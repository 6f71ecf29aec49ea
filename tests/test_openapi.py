"""The description: valid, whole, and its examples true."""

import json
import re

import pytest
from answers import document, operations
from conftest import new_user
from openapi_schema_validator import OAS31Validator
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
        (method, route.app.path)
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


def test_schemas_keep_their_names():
    """tests/schemas.txt: clients that were generated have classes and types of these names."""
    pinned = (CHECKOUT / "tests" / "schemas.txt").read_text().splitlines()
    assert set(pinned) <= document()["components"]["schemas"].keys()


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
        ("POST /user/me/factor", "application/json"): "password_actual_incorrecto",
        ("DELETE /user/me/factor", "application/json"): "password_actual_incorrecto",
        ("POST /user/me/factor/confirmar", "application/json"): "factor_inexistente",
        ("POST /user/me/llaves", "application/json"): "password_actual_incorrecto",
        ("DELETE /user/me/llaves/{id}", "application/json"): "password_actual_incorrecto",
        ("DELETE /user/{id}/factor", "application/json"): "password_actual_incorrecto",
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


def test_each_problem_is_told_by_its_codigo():
    """A client's type of an answer has one member for each `codigo`, and its status with it."""
    schemas = document()["components"]["schemas"]
    told = set()
    for operation in operations().values():
        for status, answer in operation["responses"].items():
            for media, content in answer.get("content", {}).items():
                if int(status) < 400 or media == "text/plain":
                    continue
                names = [ref["$ref"] for ref in content["schema"].get("oneOf", [content["schema"]])]
                mapping = content["schema"].get("discriminator", {}).get("mapping", {})
                for name in names:
                    members = schemas[name.rpartition("/")[2]]["properties"]
                    codigo = members["codigo"]["const"]
                    assert KINDS[codigo].status == members["status"]["const"] == int(status)
                    assert mapping.get(codigo, name) == name
                    assert media == ("application/json" if "error" in members else "application/problem+json")
                    told.add(codigo)
    assert told >= {"usuario_repetido", "datos_invalidos", "credenciales_invalidas", "bd_lenta"}


def test_an_error_answers_as_its_schema_says(ana, api):
    refused = {
        "ProblemUsuarioRepetido": api.post("/user/", json=new_user("ana")),
        "ProblemDatosInvalidos": api.post("/user/", json={}),
        "OAuthProblemPeticionDeTokenInvalida": api.post("/login/", data={}),
        "OAuthProblemCredencialesInvalidas": api.post("/login/", data={"username": "a", "password": "b"}),
    }
    schemas = document()["components"]["schemas"]
    for name, answer in refused.items():
        validator = OAS31Validator(
            {"$ref": f"#/components/schemas/{name}", "components": {"schemas": schemas}}
        )
        assert [error.message for error in validator.iter_errors(answer.json())] == []
        assert schemas[name]["properties"].keys() >= answer.json().keys()


def test_no_client_is_told_to_send_what_is_meant_anyway():
    """Generated clients send the `default` of a parameter."""
    parameters = [one for operation in operations().values() for one in operation["parameters"]]
    assert not [one["name"] for one in parameters if "default" in one.get("schema", {})]


def test_login_says_what_each_grant_requires():
    schemas = document()["components"]["schemas"]
    content = operations()["POST", "/login/"]["requestBody"]["content"]
    for media in ("application/json", "application/x-www-form-urlencoded"):
        grants = [schemas[one["$ref"].rpartition("/")[2]] for one in content[media]["schema"]["oneOf"]]
        required = {grant["properties"]["grant_type"]["enum"][0]: grant["required"] for grant in grants}
        assert required["password"] == ["username", "password"]
        assert required["refresh_token"] == ["grant_type", "refresh_token"]


def test_a_collection_has_one_spelling(ana):
    ana.post("/venta/", json={"venta": 1, "ventas_productos": 1})
    ana.post("/venta/", json={"venta": 1, "ventas_productos": 1})
    assert {"/user/", "/venta/", "/login/"} <= document()["paths"].keys()
    for path in ("/venta", "/venta/"):
        assert ana.get(f"{path}?limit=1").headers["link"].startswith("</venta/?limit=1&despues=")
    for path in ("/user/1/venta", "/user/1/venta/"):
        assert ana.get(f"{path}?limit=1").headers["link"].startswith("</user/1/venta?limit=1&despues=")


@pytest.mark.parametrize(
    "page", [*(CHECKOUT / "docs").glob("*.md"), CHECKOUT / "README.md"], ids=lambda page: page.name
)
def test_the_pages_spell_collections_so_too(page):
    assert re.findall(r"(?:GET|POST|8000) ?/(?:user|venta|login)(?![/\w-])", page.read_text()) == []
