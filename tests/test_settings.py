"""A setting that cannot work stops the start with one line that names it; a start that fails serves nothing."""

import os
import subprocess
import sys
from pathlib import Path

from conftest import SETTINGS

from core.asgi import Api

CHECKOUT = Path(__file__).parent.parent


def uvicorn(target: str, **settings: str) -> subprocess.CompletedProcess[str]:
    """What the Procfile's server does with an application that does not start."""
    command = [sys.executable, "-m", "uvicorn", target, "--port", "0", "--log-level", "warning"]
    environ = {"PATH": os.defpath, "HOME": "/", "PYTHONPATH": "tests"} | SETTINGS | settings
    return subprocess.run(command, cwd=CHECKOUT, env=environ, capture_output=True, text=True, timeout=30)


def broken() -> None:
    raise ZeroDivisionError


defective = Api(broken)  # type: ignore[arg-type,return-value,func-returns-value]


def test_a_defect_at_the_start_ends_the_process():
    done = uvicorn("test_settings:defective")
    assert done.returncode == 3
    assert "ZeroDivisionError" in done.stderr
