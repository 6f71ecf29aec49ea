"""Who takes part: this project with and without coalescing, its peers, and the floor."""

import json
import shlex
import shutil
import subprocess
import sys
import venv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from core.checkout import CHECKOUT

BENCH = Path(__file__).parent
PEERS, CACHE = BENCH / "peers", BENCH / ".cache"
UVICORN = ("-m", "uvicorn", "--no-access-log", "--log-level", "warning", "--port", "{port}")
OURS = {
    "APP_ENV": "production",
    "ACCESS_TOKEN_MINUTES": "1440",
    "BCRYPT_ROUNDS": "10",
    "DB_POOL_MIN": "10",
    "HOST": "127.0.0.1",
    "PORT": "{port}",
    "DB_POOL_MAX": "10",
    "LOG_LEVEL": "warning",
    "TRUSTED_PROXIES": "1",
}


class CannotBuild(Exception):
    """Something a contender needs is not on this machine."""


@dataclass(frozen=True)
class Contender:
    """A server, and how to start it in its folder; `{port}` in the command is filled in then."""

    name: str
    title: str
    command: Sequence[str]
    folder: Path
    environment: Mapping[str, str] = field(default_factory=dict)
    manifest: Path | None = None  # requirements.txt or package.json of a peer: exact versions
    constant: bool = False  # answers everything alike, from no database

    @property
    def ours(self) -> bool:
        return self.name.startswith("ours")

    @property
    def packages(self) -> str:
        """What a peer is made of, with versions: `fastify 5.12.8, pg 8.23.1`."""
        if self.manifest is None:
            return ""
        text = self.manifest.read_text()
        if self.manifest.name == "package.json":
            return ", ".join(
                f"{name} {version}" for name, version in json.loads(text)["dependencies"].items()
            )
        return ", ".join(text.replace("==", " ").splitlines())

    def build(self) -> None:
        """Installs a peer under bench/.cache; does nothing when its manifest has not changed since."""
        if self.manifest is None:
            return
        home = CACHE / self.name
        built = home / "built"
        fingerprint = self.manifest.read_text()
        if not (built.exists() and built.read_text() == fingerprint):
            shutil.rmtree(home, ignore_errors=True)
            _install(self.manifest, home)
            built.write_text(fingerprint)
        if self.manifest.name == "package.json":
            shutil.copy(self.manifest.with_name("app.js"), home)


def _install(manifest: Path, home: Path) -> None:
    if manifest.name == "requirements.txt":
        venv.create(home, with_pip=True)
        _run(home / "bin/python", "-m", "pip", "install", "--quiet", "--requirement", manifest)
    elif npm := shutil.which("npm"):
        home.mkdir(parents=True)
        shutil.copy(manifest, home)
        _run(npm, "install", "--no-package-lock", "--no-audit", "--no-fund", "--silent", cwd=home)
    else:
        raise CannotBuild("npm is not on this machine")


def _run(*command: str | Path, cwd: Path | None = None) -> None:
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False)
    if done.returncode:
        raise CannotBuild(f"{Path(command[0]).name} failed: {done.stderr.strip().splitlines()[-1:]}")


def _as_deployed() -> Sequence[str]:
    """This project's server as the Procfile starts it, here."""
    [line] = [
        line for line in (CHECKOUT / "Procfile").read_text().splitlines() if line.startswith("web: exec ")
    ]
    return (sys.executable, *shlex.split(line)[3:])


def _python_peer(name: str, title: str) -> Contender:
    command = (str(CACHE / name / "bin/python"), *UVICORN, "app:app")
    return Contender(name, title, command, PEERS / name, manifest=PEERS / name / "requirements.txt")


def _node_peer(name: str, title: str, runtime: str) -> Contender:
    environment = {"NODE_ENV": "production", "PORT": "{port}"}
    return Contender(
        name, title, (runtime, "app.js"), CACHE / name, environment, PEERS / name / "package.json"
    )


CONTENDERS = (
    Contender("ours", "this project", _as_deployed(), CHECKOUT, OURS),
    Contender(
        "ours-plain",
        "this project, DB_COALESCE=off",
        _as_deployed(),
        CHECKOUT,
        OURS | {"DB_COALESCE": "off"},
    ),
    _node_peer("bun", "Bun, its own SQL client", "node_modules/.bin/bun"),
    _node_peer("fastify", "Fastify, pg", "node"),
    _python_peer("litestar", "Litestar, asyncpg"),
    _python_peer("fastapi", "FastAPI, asyncpg"),
    _python_peer("notes", "FastAPI, SQLAlchemy, psycopg2"),
    Contender(
        "floor", "uvicorn, a constant", (sys.executable, *UVICORN, "bench.floor:app"), CHECKOUT, constant=True
    ),
)
