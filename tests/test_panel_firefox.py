"""The panel in another engine: a short story in Firefox, where it is installed."""

import json
import shutil
import subprocess

import npm
import pytest
from conftest import PASSWORD

from core.checkout import CHECKOUT

FIREFOX = shutil.which("firefox-esr") or shutil.which("firefox")

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(FIREFOX is None, reason="Firefox is not installed"),
]


def test_a_sale_is_made_and_read_and_the_console_is_silent(pytestconfig, beto, api):
    modules = npm.installed(pytestconfig, "puppeteer", ["puppeteer-core@24.43.1"]) / "node_modules"
    told = subprocess.run(
        ["node", CHECKOUT / "tests" / "firefox.mjs", str(api.base_url), FIREFOX, "beto", PASSWORD, modules],
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert (json.loads(told.stdout or "null"), told.stderr) == ([], "")
    assert [sale["venta"] for sale in beto.get("/venta/").json()] == [150050]
