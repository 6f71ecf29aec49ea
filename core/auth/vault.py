"""Secrets that the database keeps and cannot read: sealed with a key that it does not hold."""

import hmac
import secrets

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

NONCE_BYTES = 12


def of_factor(usuario_id: int) -> str:
    """The `of` of the secret of a user's second factor."""
    return f"factor {usuario_id}"


class Vault:
    """AES-256-GCM (NIST SP 800-38D) under keys derived from the server's secrets. `previous` only opens.

    What a text is `of`, such as the user whose secret it is, must be told again to open it."""

    def __init__(self, secret: str, previous: str = "") -> None:
        keys = [hmac.digest(text.encode(), b"ventas vault", "sha256") for text in (secret, previous) if text]
        self._ciphers = [AESGCM(key) for key in keys]
        # Names the key that seals, in 63 bits.
        self.sello = int.from_bytes(hmac.digest(keys[0], b"sello", "sha256")[:8], "big") >> 1

    def seal(self, of: str, secret: bytes) -> bytes:
        """The sealed secret, 28 bytes longer."""
        nonce = secrets.token_bytes(NONCE_BYTES)
        return nonce + self._ciphers[0].encrypt(nonce, secret, of.encode())

    def open(self, of: str, sealed: bytes) -> bytes | None:
        """The secret; None when it was altered, is of something else, or was sealed by a server with other secrets."""
        for cipher in self._ciphers:
            try:
                return cipher.decrypt(sealed[:NONCE_BYTES], sealed[NONCE_BYTES:], of.encode())
            except (InvalidTag, ValueError):
                continue
        return None
