"""Tools from npm read the description without a complaint: two linters, and a generator of TypeScript types."""

import json
import os
import subprocess
from pathlib import Path

import npm
import pytest

TOOLS = [
    "@redocly/cli@2.77.0",
    "@stoplight/spectral-cli@6.16.3",
    "openapi-typescript@7.13.0",
    "typescript@5.9.3",
]
# A page or probe that refuses nothing has no answer of the 400s; a collection's path ends with a slash.
UNLIKE = ["operation-4xx-response", "no-path-trailing-slash"]
pytestmark = pytest.mark.slow

CLIENT = """\
import type { components, paths } from "./openapi";

const sale: components["schemas"]["NewVenta"] = { venta: 150000, ventas_productos: 3 };
type Listed = paths["/venta/"]["get"]["responses"][200]["content"]["application/json"];
export const total = (listed: Listed): number => listed.reduce((sum, one) => sum + one.venta, sale.venta);
"""


@pytest.fixture(scope="module")
def tools(request: pytest.FixtureRequest) -> Path:
    """The folder of the tools' programs, kept between runs."""
    return npm.installed(request.config, "npm", TOOLS) / "node_modules" / ".bin"


@pytest.fixture
def description(api, tmp_path) -> Path:
    file = tmp_path / "openapi.json"
    file.write_bytes(api.get("/openapi.json").content)
    return file


def test_redocly_finds_nothing(tools, description):
    linted = subprocess.run(
        [
            tools / "redocly",
            "lint",
            "--format=json",
            *(f"--skip-rule={rule}" for rule in UNLIKE),
            description,
        ],
        cwd=description.parent,
        env=os.environ | {"REDOCLY_TELEMETRY": "off"},
        capture_output=True,
        text=True,
    )

    assert json.loads(linted.stdout)["problems"] == []


def test_spectral_finds_nothing(tools, description):
    rules = description.with_name("rules.json")
    # A scheme other than OAuth's may list roles too, here an API key's scopes (OpenAPI 3.1, 4.8.30).
    unlike = dict.fromkeys(["path-keys-no-trailing-slash", "oas3-operation-security-defined"], "off")
    recommended = {"extends": "spectral:oas", "rules": unlike}
    rules.write_text(json.dumps(recommended))
    linted = subprocess.run(
        [tools / "spectral", "lint", "--quiet", "--format=json", "--ruleset", rules, description],
        capture_output=True,
        text=True,
    )

    assert json.loads(linted.stdout) == []


def test_its_typescript_types_compile(tools, description):
    folder = description.parent
    subprocess.run([tools / "openapi-typescript", description, "-o", folder / "openapi.ts"], check=True)
    (folder / "client.ts").write_text(CLIENT)
    subprocess.run([tools / "tsc", "--strict", "--noEmit", folder / "client.ts"], check=True)
