"""Signatures for what the API hands out and takes back: cursors, refresh tokens."""

import hmac


class Keys:
    """HMAC-SHA-256 under keys derived from the secrets, one per purpose. `previous` only verifies."""

    def __init__(self, secret: str, previous: str = "") -> None:
        self._secrets = [key.encode() for key in (secret, previous) if key]

    def sign(self, purpose: str, data: bytes) -> bytes:
        """16 bytes that only a holder of the secret can make."""
        return _mac(self._secrets[0], purpose, data)

    def verify(self, purpose: str, data: bytes, signature: bytes) -> bool:
        return any(hmac.compare_digest(_mac(secret, purpose, data), signature) for secret in self._secrets)


def _mac(secret: bytes, purpose: str, data: bytes) -> bytes:
    key = hmac.digest(secret, f"ventas {purpose}".encode(), "sha256")
    return hmac.digest(key, data, "sha256")[:16]
