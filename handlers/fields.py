"""The fields that bodies share: what each may hold, and the Spanish sentence that says so."""

import unicodedata
from typing import Annotated

from msgspec import Meta

from core.auth.password_hashes import MAX_BYTES


def text(low: int, high: int, pattern: str, mensaje: str, example: str) -> Meta:
    """Limits of a text. `pattern` is of one line: \\Z ends it, since a Python $ lets a line feed pass."""
    return Meta(
        min_length=low,
        max_length=high,
        pattern=rf"^{pattern}\Z",
        extra={"mensaje": mensaje},
        examples=[example],
    )


WORD = r"[^\s\x00-\x1f\x7f-\x9f]"
LINE = r"[^\x00-\x1f\x7f-\x9f]"
MAIL = r'[^\s@<>()\[\]\\,;:"\x00-\x1f\x7f-\x9f]'

Username = Annotated[
    str, text(1, 50, r"[^\s@\x00-\x1f\x7f-\x9f]+", "un texto de 1 a 50 caracteres, sin espacios ni @", "ana")
]
Nombre = Annotated[
    str, text(1, 100, f"{WORD}{LINE}*", "un texto de 1 a 100 caracteres que no empiece con un espacio", "Ana")
]
Direccion = Annotated[str, text(0, 200, f"{LINE}*", "un texto de hasta 200 caracteres", "San Martín 123")]
Correo = Annotated[
    str, text(3, 254, f"{MAIL}{{1,64}}@{MAIL}+", "un correo de hasta 254 caracteres", "ana@example.com")
]
TELEFONO = "un teléfono de 3 a 20 dígitos, con + y separadores opcionales"
Telefono = (
    Annotated[int, Meta(ge=100, le=10**15 - 1, extra={"mensaje": TELEFONO})]
    | Annotated[str, text(3, 40, r"\+?([ ()./-]*[0-9]){3,20}", TELEFONO, "+54 9 260 453-8424")]
)
Password = Annotated[
    str, text(1, MAX_BYTES, r"[^\x00]+", f"un texto de hasta {MAX_BYTES} bytes en UTF-8", "una frase larga")
]


def normal(value: str) -> str:
    """One spelling (Unicode NFC) of what is compared: two that look alike are alike."""
    return unicodedata.normalize("NFC", value)
