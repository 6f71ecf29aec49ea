"""Signatures for what the API hands out and takes back: cursors, refresh tokens."""

import hmac


class Keys:
    """HMAC-SHA-256 under keys derived from the secrets, one per purpose. `previous` only verifies."""

    def __init__(self, secret: str, previous: str = "") -> None:
        self._secrets = [key.encode() for key in (secret, previous) if key]
        self._keys: dict[str, list[hmac.HMAC]] = {}

    def sign(self, purpose: str, data: bytes) -> bytes:
        """16 bytes that only a holder of the secret can make."""
        return _mac(self._derived(purpose)[0], data)

    def verify(self, purpose: str, data: bytes, signature: bytes) -> bool:
        return any(hmac.compare_digest(_mac(key, data), signature) for key in self._derived(purpose))

    def _derived(self, purpose: str) -> list[hmac.HMAC]:
        if purpose not in self._keys:
            about = f"ventas {purpose}".encode()
            derived = (hmac.digest(secret, about, "sha256") for secret in self._secrets)
            self._keys[purpose] = [hmac.new(key, digestmod="sha256") for key in derived]
        return self._keys[purpose]


def _mac(keyed: hmac.HMAC, data: bytes) -> bytes:
    mac = keyed.copy()
    mac.update(data)
    return mac.digest()[:16]
