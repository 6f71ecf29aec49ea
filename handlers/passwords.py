"""What a new password must be, beyond its type."""

from core.passwords import MAX_BYTES
from core.problems import invalid
from core.settings import Settings


def check_password(settings: Settings, password: str) -> None:
    """Raises Problem 422 when the password is too short, too long for bcrypt, or blank."""
    if len(password) < settings.password_min_length:
        raise invalid("password", f"debe tener al menos {settings.password_min_length} caracteres")
    if len(password.encode()) > MAX_BYTES:
        raise invalid("password", f"debe tener como máximo {MAX_BYTES} bytes en UTF-8")
    if password.isspace():
        raise invalid("password", "no puede ser solo espacios")
