"""What keeps a command from its work."""


class CommandError(Exception):
    """One line for the person who gave the command, which ends with `code`."""

    def __init__(self, message: str, code: int = 1) -> None:
        super().__init__(message)
        self.code = code
