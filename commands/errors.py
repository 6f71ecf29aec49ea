"""What keeps a command from its work, and how that is told."""

import sys

from core.process.logs import announcement


class CommandError(Exception):
    """One line for the person who gave the command, which ends with `code`."""

    def __init__(self, message: str, code: int = 1) -> None:
        super().__init__(message)
        self.code = code


def complain(reason: object, log_format: str = "logfmt") -> None:
    """One line on standard error. A server says it as its log does, in JSON where `log_format` is json."""
    print(announcement(f"error: {reason}", log_format, "ERROR"), file=sys.stderr)
