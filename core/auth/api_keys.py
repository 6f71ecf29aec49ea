"""API keys: what a till or a script sends as its bearer token (RFC 6750) instead of logging in.

A key says whose it is, which one, what it may do and until when, and holds a secret. The database holds the SHA-256 of
all but the first two, so nobody alters a key, and nobody makes one from what the database holds."""

import re
import secrets
import struct
import time
from datetime import datetime
from hashlib import sha256
from typing import Literal, get_args
from zlib import crc32

from msgspec import Struct

from core.caller import Caller, KeyOfCaller

Ambito = Literal["ventas:leer", "ventas:crear"]

PREFIX = "ven_"
AMBITOS: tuple[Ambito, ...] = get_args(Ambito)
ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
OWNER = struct.Struct(">qq")  # user, id
RIGHTS = struct.Struct(">qB16s")  # end in seconds since 1970, scopes as bits, secret
BODY_LETTERS = 56  # 41 bytes in base 62
CHECKSUM_LETTERS = 6  # 4 bytes
KEY = re.compile(f"{PREFIX}[0-9A-Za-z]{{{BODY_LETTERS + CHECKSUM_LETTERS}}}", re.ASCII)
CACHED_KEYS = 10_000
ASK_AGAIN_SECONDS = 300


class ApiKey(Struct, frozen=True):
    """A key; `rights` are its end, its scopes and its secret."""

    usuario_id: int
    id: int
    rights: bytes

    @property
    def huella(self) -> bytes:
        """SHA-256 of the end, the scopes and the secret: what the database keeps of the key."""
        return sha256(self.rights).digest()

    def encode(self) -> str:
        """`ven_`, 56 letters and digits, and the six of a CRC-32 of all before, by which scanners know a key."""
        number = int.from_bytes(OWNER.pack(self.usuario_id, self.id) + self.rights, "big")
        text = PREFIX + _letters(number, BODY_LETTERS)
        return text + _checksum(text)


def new_rights(expires: datetime, ambitos: list[Ambito]) -> bytes:
    """The end, the scopes and a new secret of 128 bits."""
    bits = sum(1 << place for place, ambito in enumerate(AMBITOS) if ambito in ambitos)
    return RIGHTS.pack(int(expires.timestamp()), bits, secrets.token_bytes(16))


def read(text: str) -> ApiKey | None:
    """The key of a text; None when it is none, or miscopied. Whether it is good, the database knows."""
    if not KEY.fullmatch(text) or _checksum(text[:-CHECKSUM_LETTERS]) != text[-CHECKSUM_LETTERS:]:
        return None
    number = 0
    for letter in text[len(PREFIX) : -CHECKSUM_LETTERS]:
        number = number * len(ALPHABET) + ALPHABET.index(letter)
    if number >> 8 * (OWNER.size + RIGHTS.size):
        return None
    packed = number.to_bytes(OWNER.size + RIGHTS.size, "big")
    usuario_id, id = OWNER.unpack_from(packed)
    return ApiKey(usuario_id, id, packed[OWNER.size :]) if usuario_id >= 0 <= id else None


class ApiKeys:
    """Reads keys as Tokens reads tokens: a text once, its end every time.

    `used` are the user and id of those that the database was asked about, until that is written down."""

    def __init__(self) -> None:
        self.used: set[tuple[int, int]] = set()
        self._read: dict[str, Caller] = {}

    def read(self, text: str) -> Caller | None:
        """The key's caller, or None when it is miscopied or has ended; the database knows if it is good.

        Every five minutes it is another caller, about whom the database is asked anew: so its use is seen."""
        caller = self._read.get(text)
        if caller is not None and caller.expires > time.time():
            return caller
        return self._meet(text)

    def _meet(self, text: str) -> Caller | None:
        now = time.time()
        caller = _caller(text, now)
        if caller is None or caller.expires <= now:
            return None
        if len(self._read) >= CACHED_KEYS:
            self._read.clear()
        self._read[text] = caller
        return caller


def _caller(text: str, now: float) -> Caller | None:
    key = read(text)
    if key is None:
        return None
    expires, bits, _ = RIGHTS.unpack(key.rights)
    ambitos = tuple(ambito for place, ambito in enumerate(AMBITOS) if bits >> place & 1)
    huella = key.huella
    return Caller(
        key.usuario_id,
        "usuario",
        -int.from_bytes(huella[:16], "big"),  # no session has it, nor another key
        min(expires, int(now) + ASK_AGAIN_SECONDS),
        KeyOfCaller(key.id, huella, ambitos),
    )


def _checksum(text: str) -> str:
    return _letters(crc32(text.encode()), CHECKSUM_LETTERS)


def _letters(number: int, length: int) -> str:
    """A number in base 62, of so many digits."""
    text = ""
    for _ in range(length):
        number, digit = divmod(number, len(ALPHABET))
        text = ALPHABET[digit] + text
    return text
