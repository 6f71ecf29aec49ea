"""docs/add-a-resource.md is true: whoever follows it, file by file, has a resource that works and breaks no rule."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from core.checkout import CHECKOUT
from core.migrating.migrations import names

PAGE = (CHECKOUT / "docs" / "add-a-resource.md").read_text("utf-8")
NEW = re.compile(r"^`(?P<path>[\w/.]+)`\n\n```\w+\n(?P<text>.*?)^```$", re.DOTALL | re.MULTILINE)
CHANGED = re.compile(r"^```diff\n--- (?P<path>[\w/.-]+)\n(?P<lines>.*?)^```$", re.DOTALL | re.MULTILINE)
RULES = ["test_rooms.py", "test_statements.py", "test_migrations.py", "test_scale_out.py", "test_roles.py"]


def follow(checkout: Path) -> None:
    """Does what the page says, in a copy of the checkout; its 0099 is the next number of a migration."""
    page = PAGE.replace("0099", f"{len(names()) + 1:04}")
    for new in NEW.finditer(page):
        (checkout / new["path"]).write_text(new["text"], "utf-8")
    for change in CHANGED.finditer(page):
        file = checkout / change["path"]
        lines = change["lines"].splitlines(keepends=True)
        before = "".join(line[1:] or "\n" for line in lines if line[0] != "+")
        after = "".join(line[1:] or "\n" for line in lines)
        text = file.read_text("utf-8")
        assert text.count(before) == 1, f"{change['path']} does not have once:\n{before}"
        file.write_text(text.replace(before, after), "utf-8")


@pytest.mark.slow
def test_following_the_page_makes_a_resource_that_breaks_no_rule(tmp_path: Path) -> None:
    files = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=CHECKOUT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split("\0")
    for name in filter(None, files):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(CHECKOUT / name, tmp_path / name)
    follow(tmp_path)
    environ = {
        name: value for name, value in os.environ.items() if not name.startswith(("COVERAGE_", "PYTEST_"))
    }

    def run(*command: str) -> None:
        done = subprocess.run(
            [sys.executable, *command], cwd=tmp_path, env=environ, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stdout[-5000:] + done.stderr[-2000:]

    run("app.py", "queries", "--markdown")
    run("-m", "ruff", "check")
    run(
        "-m",
        "pytest",
        "-q",
        "-p",
        "no:cacheprovider",
        "-m",
        "not slow",
        "tests/test_productos.py",
        *(f"tests/{f}" for f in RULES),
    )
