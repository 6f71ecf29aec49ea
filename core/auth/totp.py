"""One-time codes of an authenticator app (RFC 6238), and the recovery codes for who has lost it."""

import base64
import hmac
import re
import secrets
import struct
from hashlib import sha256
from urllib.parse import quote, urlencode

STEP_SECONDS = 30
DIGITS = 6
SECRET_BYTES = 20  # as long as SHA-1's hash (RFC 4226 section 4)
SKEW_STEPS = 1  # a clock may be so many steps ahead or behind
RECOVERY_CODES = 10
RECOVERY_BYTES = 10

CODE = re.compile(rf"[0-9]{{{DIGITS}}}", re.ASCII)


def new_secret() -> bytes:
    return secrets.token_bytes(SECRET_BYTES)


def shown(secret: bytes) -> str:
    """The secret as authenticator apps take it: base32 (RFC 4648 section 6)."""
    return base64.b32encode(secret).decode()


def uri(secret: bytes, *, issuer: str, account: str) -> str:
    """The otpauth:// address that a QR code carries."""
    label = f"{quote(issuer, safe='')}:{quote(account, safe='')}"
    return f"otpauth://totp/{label}?{urlencode({'secret': shown(secret), 'issuer': issuer}, quote_via=quote)}"


def code_at(secret: bytes, step: int) -> str:
    """The code of a step, which is the count of 30 seconds since 1970 (RFC 4226 section 5.3)."""
    digest = hmac.digest(secret, struct.pack(">q", step), "sha1")
    offset = digest[-1] & 0xF
    (number,) = struct.unpack_from(">I", digest, offset)
    return f"{(number & 0x7FFFFFFF) % 10**DIGITS:0{DIGITS}}"


def step_of(secret: bytes, code: str, *, now: float, after: int) -> int | None:
    """The step whose code this is, if it is near `now` (seconds since 1970) and later than the step `after`."""
    current = int(now) // STEP_SECONDS
    for step in range(current - SKEW_STEPS, current + SKEW_STEPS + 1):
        if step > after and hmac.compare_digest(code_at(secret, step), code):
            return step
    return None


def new_recovery_codes() -> list[str]:
    """Ten codes of 80 bits, as xxxx-xxxx-xxxx-xxxx in base32."""
    texts = (
        base64.b32encode(secrets.token_bytes(RECOVERY_BYTES)).decode().lower() for _ in range(RECOVERY_CODES)
    )
    return ["-".join(text[n : n + 4] for n in range(0, len(text), 4)) for text in texts]


def recovery_hash(usuario_id: int, typed: str) -> bytes:
    """What is kept of a recovery code, however it is typed: in capitals, with or without its dashes."""
    plain = re.sub(r"[\s-]", "", typed).lower()
    return sha256(f"{usuario_id} {plain}".encode()).digest()
