"""The image's and compose's steps, taken by hand where no engine runs: files, settings, command, health check."""

import json
import os
import re
import secrets
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from processes import listening
from psycopg.conninfo import conninfo_to_dict

from core.checkout import CHECKOUT
from core.process.environment import PARTS, meanings

DOCKERFILE = (CHECKOUT / "Dockerfile").read_text()
COMPOSE = yaml.safe_load((CHECKOUT / "compose.yaml").read_text())


def instruction(word: str) -> list[str]:
    """The JSON list of an instruction, such as CMD."""
    [found] = re.findall(rf"^{word} (\[.*\])$", DOCKERFILE, re.MULTILINE)
    words: list[str] = json.loads(found)
    return words


@pytest.fixture
def image(tmp_path: Path) -> Iterator[Path]:
    """The folder that `COPY . ./` fills: what .dockerignore lets through."""
    for line in (CHECKOUT / ".dockerignore").read_text().splitlines():
        if line.startswith("!"):
            source, target = CHECKOUT / line[1:], tmp_path / line[1:]
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copytree(source, target) if source.is_dir() else shutil.copy(source, target)
    yield tmp_path


def test_the_linter_finds_nothing() -> None:
    linter = Path(sys.executable).with_name("hadolint")
    done = subprocess.run([linter, CHECKOUT / "Dockerfile"], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, "")


def test_it_is_the_python_of_production_and_not_root() -> None:
    version = (CHECKOUT / ".python-version").read_text().strip()
    assert re.search(rf"^FROM python:{version}-slim", DOCKERFILE, re.MULTILINE)
    assert re.search(r"^USER [1-9][0-9]*$", DOCKERFILE, re.MULTILINE)


def test_compose_names_settings_that_exist_and_holds_no_secret() -> None:
    services = COMPOSE["services"]
    for name in ("api", "migrate"):
        environment = services[name]["environment"]
        assert environment.keys() <= {*meanings(), *PARTS}
        assert environment["POSTGRES_SERVER"] in services
        assert environment["JWT_SECRET"].startswith("${JWT_SECRET:?")
        assert environment["POSTGRES_PASSWORD"].startswith("${POSTGRES_PASSWORD:?")
    assert services["api"]["depends_on"]["migrate"]["condition"] == "service_completed_successfully"
    assert services["migrate"]["depends_on"]["database"]["condition"] == "service_healthy"


@pytest.mark.slow
def test_its_steps_migrate_serve_are_healthy_and_stop(image: Path, slug: Path, empty_database: str) -> None:
    [settings] = re.findall(r"^ENV (.*)$", DOCKERFILE, re.MULTILINE)
    environ = dict(pair.split("=") for pair in settings.split()) | {
        "PATH": f"{slug}/bin:{os.defpath}",
        "JWT_SECRET": secrets.token_hex(32),
        "HOST": "127.0.0.1",
        "PORT": "0",
    }
    parts = conninfo_to_dict(empty_database)
    environ |= {
        "POSTGRES_USER": str(parts["user"]),
        "POSTGRES_SERVER": str(parts["host"]),
        "POSTGRES_DB": str(parts["dbname"]),
        "POSTGRES_PORT": str(parts.get("port", 5432)),
    }
    run = {"cwd": image, "env": environ, "text": True}
    subprocess.run(COMPOSE["services"]["migrate"]["command"], check=True, **run)  # type: ignore[call-overload]
    checked = subprocess.run(["scripts/ventas", "migrate", "--status"], capture_output=True, **run)  # type: ignore[call-overload]
    assert checked.returncode == 0, checked.stderr
    with subprocess.Popen(instruction("CMD"), stdout=subprocess.PIPE, **run) as server:  # type: ignore[call-overload]
        environ["PORT"] = listening(server.stdout).rpartition(":")[2]
        assert healthy(run)
        server.send_signal(signal.SIGTERM)
        assert server.wait() == 0


def healthy(run: dict[str, object]) -> bool:
    """Whether the image's own health check says so."""
    [check] = re.findall(r"^HEALTHCHECK .*\\\n +CMD (\[.*\])$", DOCKERFILE, re.MULTILINE)
    return subprocess.run(json.loads(check), **run).returncode == 0  # type: ignore[call-overload]
