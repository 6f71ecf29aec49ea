"""Tools from npm, kept between runs; tests that need them skip themselves where they cannot be had."""

import shutil
import subprocess
from pathlib import Path

import pytest

INSTALL_SECONDS = 300


def installed(config: pytest.Config, name: str, packages: list[str]) -> Path:
    """The folder that has these packages in its node_modules."""
    if shutil.which("npm") is None:
        pytest.skip("npm is not installed")
    folder = config.cache.mkdir(name)
    done = folder / "installed"
    if not done.exists() or done.read_text() != str(packages):
        install = [
            "npm",
            "install",
            "--no-audit",
            "--no-fund",
            "--loglevel=error",
            "--prefix",
            folder,
            *packages,
        ]
        try:
            subprocess.run(install, check=True, timeout=INSTALL_SECONDS)
        except (subprocess.CalledProcessError, subprocess.TimeoutExpired):
            pytest.skip("npm could not install the tools")
        done.write_text(str(packages))
    return folder
