"""What production is given and one's own machine has: a PostgreSQL and a secret, kept with the local data."""

import os
import secrets
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from core.checkout import CHECKOUT
from core.local.embedded import EmbeddedPostgresError, data_home, embedded_postgres
from core.process.application import StartError


@contextmanager
def postgres() -> Iterator[str]:
    """The URL of the embedded PostgreSQL, which runs as long as the context. Raises StartError."""
    try:
        with embedded_postgres(data_home(CHECKOUT) / "postgres") as url:
            yield url
    except EmbeddedPostgresError as error:
        raise StartError(str(error)) from None


def jwt_secret() -> str:
    """A random one, made once. Raises StartError."""
    try:
        file = data_home(CHECKOUT) / "jwt_secret"
    except EmbeddedPostgresError as error:
        raise StartError(str(error)) from None
    if not file.exists():
        _write_once(file, secrets.token_hex(32))
    return file.read_text()


def _write_once(file: Path, text: str) -> None:
    """Writes the file whole or not at all, and not if another process was first."""
    with tempfile.NamedTemporaryFile("w", dir=file.parent) as draft:
        draft.write(text)
        draft.flush()
        with suppress(FileExistsError):
            os.link(draft.name, file)
