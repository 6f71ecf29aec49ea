"""Servers as processes of their own, which may be killed; and commands that need no process of their own."""

import io
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from typing import TextIO

import pytest
from conftest import SETTINGS

from commands.main import main
from core.checkout import CHECKOUT


class ServerProcess:
    """`python app.py` on a free port; `url` once it listens."""

    def __init__(self, **settings: str) -> None:
        environ = {"PATH": os.defpath, "HOME": os.environ.get("HOME", "/"), "PORT": "0"} | SETTINGS | settings
        self.process = subprocess.Popen(
            [sys.executable, "app.py"], cwd=CHECKOUT, env=environ, stdout=subprocess.PIPE, text=True
        )
        assert self.process.stdout
        self.url = listening(self.process.stdout)

    @property
    def pid(self) -> int:
        return self.process.pid

    def kill(self) -> None:
        """At once, with no chance to clean up: kill -9."""
        self.process.kill()
        self.wait()

    def stop(self) -> int:
        """As an operator does; returns the exit code."""
        self.process.terminate()
        return self.wait()

    def wait(self) -> int:
        """Returns the exit code once it has ended."""
        code = self.process.wait(30)
        assert self.process.stdout
        self.process.stdout.close()
        return code


def listening(output: TextIO) -> str:
    """The URL of a server, once it says where it listens."""
    for line in output:
        if said := re.search(r"Listening on (http://[^\s\"]+)", line):
            return said[1]
    raise AssertionError("the server did not start")


@contextmanager
def server_process(**settings: str) -> Iterator[ServerProcess]:
    server = ServerProcess(**settings)
    try:
        yield server
    finally:
        if server.process.returncode is None:
            server.stop()


def run_command(
    environ: dict[str, str], *arguments: str, stdin: str = ""
) -> subprocess.CompletedProcess[str]:
    """`python app.py` with arguments, far from a terminal, in this process: one of its own takes a second to start."""
    out, errors = io.StringIO(), io.StringIO()
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(out), redirect_stderr(errors):
        patch.setattr(os, "environ", environ)
        patch.setattr(sys, "stdin", io.StringIO(stdin))
        try:
            code: object = main(arguments)
        except SystemExit as wrong_usage:
            code = wrong_usage.code
    assert isinstance(code, int)
    return subprocess.CompletedProcess(arguments, code, out.getvalue(), errors.getvalue())
