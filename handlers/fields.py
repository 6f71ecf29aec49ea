"""The fields that bodies share: what each may hold, and the Spanish sentence that says so."""

import re
import unicodedata
from typing import Annotated

from msgspec import Meta

from core import addresses
from core.auth.password_hashes import MAX_BYTES
from core.problems import invalid


def text(low: int, high: int, pattern: str, mensaje: str, example: str) -> Meta:
    """Limits of a text. `pattern` is of one line: \\Z ends it, since a Python $ lets a line feed pass."""
    return Meta(
        min_length=low,
        max_length=high,
        pattern=rf"^{pattern}\Z",
        extra={"mensaje": mensaje},
        examples=[example],
    )


SPACES = r"\u0020\u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000"
MARKS = r"\u00ad\u061c\u200b-\u200f\u202a-\u202e\u2060-\u2064\u2066-\u206f\ufeff"  # of direction and of width none
DASHES = r"\u2010-\u2015\u2212\ufe58\ufe63\uff0d"
WORD = r"[^\s\x00-\x1f\x7f-\x9f]"
LINE = r"[^\x00-\x1f\x7f-\x9f]"

# What nobody sees, beside spaces and controls: Unicode's category Cf, its Default_Ignorable_Code_Point, among them the
# Hangul fillers, and what is blank by its meaning: the empty Braille cell, the Khitan filler, the musical null
# notehead. Two names that differ in these alone look the same.
INVISIBLE = (
    r"\u00ad\u034f\u0600-\u0605\u061c\u06dd\u070f\u0890\u0891\u08e2\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f"
    r"\u202a-\u202e\u2060-\u206f\u2800\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufffb"
    "\U000110bd\U000110cd\U00013430-\U0001343f\U00016fe4\U0001bca0-\U0001bca3\U0001d159\U0001d173-\U0001d17a"
    "\U000e0000-\U000e0fff"
)
SEEN = rf"(?![\s\S]*[{INVISIBLE}])"
AROUND = rf"[\t{SPACES}]*"
CONTROL = r"\s\x00-\x1f\x7f-\x9f"
ATOM = rf'[^@?<>()\[\]\\,;:."{CONTROL}]+'  # RFC 5321 and 6531, without the ? that makes an encoded word (RFC 2047)
LETTER = rf"[^!-/:-@\[-`{{-~{CONTROL}]"
LABEL = rf"{LETTER}([^!-,./:-@\[-`{{-~{CONTROL}]{{0,61}}{LETTER})?"

USERNAME = "un texto de 1 a 50 caracteres, sin espacios, @ ni caracteres invisibles"
Username = Annotated[str, text(1, 100, rf"{SEEN}{AROUND}[^@{CONTROL}]{{1,50}}{AROUND}", USERNAME, "ana")]
# Spaces around a name are not kept.
Nombre = Annotated[
    str, text(1, 100, f"[{SPACES}]*{WORD}{LINE}*", "un texto de 1 a 100 caracteres, no solo espacios", "Ana")
]
Direccion = Annotated[str, text(0, 200, f"{LINE}*", "un texto de hasta 200 caracteres", "San Martín 123")]
CORREO = "un correo de hasta 254 caracteres, sin espacios ni caracteres invisibles"
Correo = Annotated[
    str,
    text(
        3,
        300,
        rf"{SEEN}{AROUND}{ATOM}(\.{ATOM})*@{LABEL}(\.{LABEL})*{AROUND}",
        CORREO,
        "ana@example.com",
    ),
]
TypedCorreo = Annotated[str, text(3, 300, r"[^\x00]+@[^\x00]+", CORREO, "ana@example.com")]
TELEFONO = "un teléfono de 1 a 20 dígitos, con + y separadores opcionales"
PASTED = f"[{MARKS}{SPACES}]*"
Telefono = (
    Annotated[int, Meta(ge=0, le=2**63 - 1, extra={"mensaje": TELEFONO})]
    | Annotated[
        str,
        text(
            1,
            40,
            rf"{PASTED}\+?([{MARKS}{SPACES}{DASHES}()./-]*[0-9]){{1,20}}{PASTED}",
            TELEFONO,
            "+54 9 260 453-8424",
        ),
    ]
)
Password = Annotated[
    str,
    text(1, 2 * MAX_BYTES, r"[^\x00]+", f"un texto de hasta {MAX_BYTES} bytes en UTF-8", "una frase larga"),
]


def trimmed(value: str) -> str:
    """A name without the spaces around it, in one spelling."""
    return normal(re.sub(f"^[{SPACES}]+|[{SPACES}]+$", "", value))


def plain_telephone(value: int | str) -> str:
    """A telephone number as it is kept: what phones paste, without invisible marks and with plain spaces and dashes."""
    text = re.sub(f"[{MARKS}]", "", str(value))
    return re.sub(f"[{DASHES}]", "-", re.sub(f"[{SPACES}]", " ", text)).strip()


def normal(value: str) -> str:
    """One spelling (Unicode NFC) of what is compared: two that look alike are alike."""
    return unicodedata.normalize("NFC", value)


def kept_username(typed: str) -> str:
    return normal(typed.strip())


def kept_correo(typed: str) -> str:
    """Raises Problem 422 when the address is too long (RFC 5321 section 4.5.3.1), or IDNA knows no such domain."""
    try:
        correo = addresses.one_form(typed.strip())
    except ValueError:
        raise invalid("correo", f"debe ser {CORREO}") from None
    if len(correo) > addresses.LONGEST or correo.index("@") > 64:
        raise invalid("correo", f"debe ser {CORREO}")
    return correo
