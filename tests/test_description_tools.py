"""Tools from npm read the description without a complaint: two linters, and a generator of TypeScript types."""

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest

TOOLS = [
    "@redocly/cli@2.77.0",
    "@stoplight/spectral-cli@6.16.3",
    "openapi-typescript@7.13.0",
    "typescript@5.9.3",
]
CLIENT = """\
import type { components, paths } from "./openapi";

const sale: components["schemas"]["NewVenta"] = { venta: 150000, ventas_productos: 3 };
type Listed = paths["/venta/"]["get"]["responses"][200]["content"]["application/json"];
export const total = (listed: Listed): number => listed.reduce((sum, one) => sum + one.venta, sale.venta);
"""

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(shutil.which("npm") is None, reason="npm is not installed"),
]


@pytest.fixture(scope="module")
def tools(request):
    """The folder of the tools' programs, kept between runs."""
    folder = request.config.cache.mkdir("npm")
    programs = folder / "node_modules" / ".bin"
    done = folder / "installed"
    if not done.exists() or done.read_text() != str(TOOLS):
        command = [
            "npm",
            "install",
            "--no-audit",
            "--no-fund",
            "--loglevel=error",
            "--prefix",
            folder,
            *TOOLS,
        ]
        try:
            subprocess.run(command, check=True, timeout=120)
        except (subprocess.CalledProcessError, subprocess.TimeoutExpired):
            pytest.skip("npm could not install the tools")
        done.write_text(str(TOOLS))
    return programs


@pytest.fixture
def description(api, tmp_path) -> Path:
    file = tmp_path / "openapi.json"
    file.write_bytes(api.get("/openapi.json").content)
    return file


def test_redocly_finds_nothing(tools, description):
    linted = subprocess.run(
        # A page or probe that refuses nothing has no answer of the 400s.
        [tools / "redocly", "lint", "--format=json", "--skip-rule=operation-4xx-response", description],
        cwd=description.parent,
        env=os.environ | {"REDOCLY_TELEMETRY": "off"},
        capture_output=True,
        text=True,
    )

    assert json.loads(linted.stdout)["problems"] == []


def test_spectral_finds_nothing(tools, description):
    rules = description.with_name("rules.json")
    rules.write_text(json.dumps({"extends": "spectral:oas"}))  # those that it recommends
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
