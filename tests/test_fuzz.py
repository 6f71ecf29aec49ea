"""Requests made from the description, good and bad, find no answer that it does not promise."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from core.checkout import CHECKOUT

pytestmark = pytest.mark.slow

SECONDS = os.environ.get("FUZZ_SECONDS", "90")
SEED = os.environ.get("FUZZ_SEED", "1")
EXAMPLES = os.environ.get("FUZZ_EXAMPLES", "30")


def test_schemathesis_finds_nothing(serve, database, monkeypatch):
    monkeypatch.setattr("handlers.recovery.ANSWER_SECONDS", 0)
    address = serve(THROTTLE="off")
    environ = {"FUZZ_URL": address, "FUZZ_DATABASE_URL": database}
    uncovered = {name: value for name, value in os.environ.items() if not name.startswith("COVERAGE")}
    program = Path(sys.executable).parent / "schemathesis"
    options = ["--max-time", SECONDS, "--seed", SEED, "--max-examples", EXAMPLES, "--no-color"]

    done = subprocess.run(
        [program, "run", f"{address}/openapi.json", *options],
        cwd=CHECKOUT,
        env=uncovered | environ,
    )

    assert done.returncode == 0
