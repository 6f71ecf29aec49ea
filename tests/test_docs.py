"""What is written down is so: the README's story, links, settings, options of the command line."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import client_of, log_in, new_user

from core.checkout import CHECKOUT
from core.process.settings import meanings

PAGES = [
    CHECKOUT / "README.md",
    *sorted((CHECKOUT / "docs").glob("*.md")),
    CHECKOUT / "scripts" / "README.md",
]


def told(page: Path) -> tuple[list[str], list[str]]:
    """The commands of a page's console blocks, and the lines that they print."""
    lines = "".join(re.findall(r"```console\n(.*?)```", page.read_text(), re.DOTALL)).splitlines()
    commands = [line[2:] for line in lines if line.startswith("$ ")]
    return commands, [line for line in lines if not line.startswith("$ ")]


def printed(commands: list[str], address: str, **environ: str) -> list[str]:
    script = "; echo\n".join(commands).replace("http://127.0.0.1:8000", address)
    done = subprocess.run(
        ["bash", "-c", script], env=os.environ | environ, capture_output=True, text=True, timeout=60
    )
    return [line for line in done.stdout.splitlines() if line]


def test_the_readmes_story_is_real(serve):
    commands, expected = told(CHECKOUT / "README.md")
    assert printed(commands, serve(PASSWORD_MIN_LENGTH="3")) == expected


def test_the_client_guides_commands_are_real(serve):
    address = serve(PASSWORD_MIN_LENGTH="3")
    with client_of(address) as api:
        api.post("/user/", json=new_user("ana", password="123"))
        token = log_in(api, "ana", "123")
        for _ in range(3):
            sale = {"venta": 1000, "ventas_productos": 1}
            api.post("/venta/", json=sale, headers={"Authorization": f"Bearer {token}"})

    commands, expected = told(CHECKOUT / "docs" / "clients.md")
    for line, pattern in zip(printed(commands, address, TOKEN=token), expected, strict=True):
        assert re.fullmatch(re.escape(pattern).replace("…", ".+"), line), line


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page):
    for target in re.findall(r"\]\((?!https?:|#)([^)#]+)", page.read_text()):
        assert (page.parent / target).exists(), target


def test_the_readmes_tree_is_the_tree():
    told = set(
        re.findall(r"^((?:core/)?[a-z]+(?:/|\.py)) {2,}", (CHECKOUT / "README.md").read_text(), re.MULTILINE)
    )
    folders = [*CHECKOUT.iterdir(), *(CHECKOUT / "core").iterdir()]
    rooms = {
        f"{path.relative_to(CHECKOUT)}/"
        for path in folders
        if re.fullmatch("[a-z]+", path.name) and path.is_dir()
    }
    assert told == rooms - {"core/"} | {"app.py"}


def test_the_readme_is_short():
    assert len((CHECKOUT / "README.md").read_text().splitlines()) < 150


def test_the_dotenv_lists_every_setting_and_no_other():
    listed = set(re.findall(r"^([A-Z_]+)=", (CHECKOUT / ".env").read_text(), re.MULTILINE))
    parts = {f"POSTGRES_{part}" for part in ("USER", "PASSWORD", "SERVER", "PORT", "DB")}
    assert listed == meanings().keys() | parts


def test_the_dotenv_holds_no_secret():
    values = dict(re.findall(r"^([A-Z_]+)=(.+)$", (CHECKOUT / ".env").read_text(), re.MULTILINE))
    assert values == {"PASSWORD_MIN_LENGTH": "3"}


def test_every_script_is_listed_and_explains_itself():
    listing = (CHECKOUT / "scripts" / "README.md").read_text()
    for script in (CHECKOUT / "scripts").iterdir():
        if script.name != "README.md":
            assert f"`{script.name}`" in listing
            done = subprocess.run([script, "--help"], capture_output=True, text=True, timeout=60)
            assert done.returncode == 0
            assert script.name in done.stdout


def test_every_command_explains_itself():
    done = subprocess.run([sys.executable, "app.py", "--help"], cwd=CHECKOUT, capture_output=True, text=True)
    commands = re.findall(r"^    ([a-z-]+)(?:  |$)", done.stdout, re.MULTILINE)
    assert {"migrate", "import", "export", "queries", "create-admin", "revoke"} <= set(commands)
    for command in commands:
        asked = subprocess.run(
            [sys.executable, "app.py", command, "--help"], cwd=CHECKOUT, capture_output=True, text=True
        )
        assert asked.returncode == 0
        assert command in asked.stdout
