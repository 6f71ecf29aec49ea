"""Clients that stock generators make from the description, without a hint: compiled strictly, and each tells its story.

The story: register, a 409 and a 422 told apart by type, log in, sell, import, page to the end, export."""

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import npm
import pytest

from core.checkout import CHECKOUT

STORIES = CHECKOUT / "tests" / "generated"
PACKAGES = {
    "orval": "8.38.0",
    "@hey-api/openapi-ts": "0.99.0",
    "openapi-typescript": "7.13.0",
    "openapi-fetch": "0.17.0",
    "typescript": "5.9.3",
    "@types/node": "20.19.0",
}
STRICT = [
    "--strict",
    "--noUncheckedIndexedAccess",
    "--target",
    "es2022",
    "--module",
    "node16",
    "--lib",
    "es2023,dom,dom.iterable",
]
GENERATE = {
    "orval.ts": ["orval", "--config", "orval.config.cjs"],
    "hey_api.ts": ["openapi-ts", "--input", "openapi.json", "--output", "hey"],
    "openapi_fetch.ts": ["openapi-typescript", "openapi.json", "--output", "openapi.ts"],
}

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def tools(request: pytest.FixtureRequest) -> Path:
    return npm.installed(
        request.config, "generators", [f"{name}@{version}" for name, version in PACKAGES.items()]
    )


@pytest.fixture
def workshop(tools: Path, api, tmp_path: Path) -> Iterator[Path]:
    """A folder with the description and the tools in reach."""
    (tmp_path / "node_modules").symlink_to(tools / "node_modules")
    (tmp_path / "openapi.json").write_bytes(api.get("/openapi.json").content)
    return tmp_path


@pytest.mark.parametrize("story", GENERATE)
def test_a_generated_client_compiles_strictly_and_tells_the_story(workshop, api, story):
    programs = workshop / "node_modules" / ".bin"
    url = str(api.base_url).rstrip("/")
    tool, *options = GENERATE[story]
    output = {"target": "./ventas.ts", "client": "fetch", "baseUrl": url}
    config = {"ventas": {"input": "./openapi.json", "output": output}}
    (workshop / "orval.config.cjs").write_text(f"module.exports = {json.dumps(config)}")
    subprocess.run([programs / tool, *options], cwd=workshop, check=True)
    shutil.copy(STORIES / story, workshop)

    subprocess.run([programs / "tsc", *STRICT, story], cwd=workshop, check=True)
    subprocess.run(
        ["node", Path(story).with_suffix(".js")],
        cwd=workshop,
        check=True,
        timeout=60,
        env=os.environ | {"API_URL": url},
    )


def test_the_guide_names_these_versions():
    guide = (CHECKOUT / "docs" / "clients.md").read_text()
    assert [name for name, version in PACKAGES.items() if f"{name} {version}" not in guide] == []
