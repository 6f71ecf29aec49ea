"""The option `--fresh` of the server: it deletes the data of one's own machine, after a question."""

import sys

from commands.errors import complain
from core.checkout import CHECKOUT
from core.local.embedded import data_home, forget
from core.process.settings import Settings


def run(settings: Settings, *, yes: bool) -> int:
    """Deletes the embedded PostgreSQL's data and the local JWT_SECRET, after a question; returns the exit code.

    Raises EmbeddedPostgresError where a server or a command still uses them."""
    if settings.database_url or settings.production:
        complain("--fresh is for the PostgreSQL of one's own machine: DATABASE_URL names another")
        return 2
    home = data_home(CHECKOUT)
    if not (yes or sys.stdin.isatty()):
        complain("--fresh asks first: run it at a terminal, or add --yes")
        return 2
    if not (yes or input(f"Delete every user and sale in {home}? [y/N] ").strip().lower() in ("y", "yes")):
        print("nothing was deleted", file=sys.stderr)
        return 2
    forget(home / "postgres")
    (home / "jwt_secret").unlink(missing_ok=True)
    return 0
