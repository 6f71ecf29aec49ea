"""Sealed texts: what the API hands out and takes back unchanged, such as cursors, refresh tokens and mailed links."""

import base64
import binascii
import hmac

MAC_BYTES = 16


class Keys:
    """HMAC-SHA-256 under keys derived from the secrets, one per purpose. `previous` only verifies."""

    def __init__(self, secret: str, previous: str = "") -> None:
        self._secrets = [key.encode() for key in (secret, previous) if key]
        self._keys: dict[str, list[hmac.HMAC]] = {}

    def sign(self, purpose: str, data: bytes) -> bytes:
        """MAC_BYTES that only a holder of the secret can make."""
        return _mac(self._derived(purpose)[0], data)

    def verify(self, purpose: str, data: bytes, signature: bytes) -> bool:
        return any(hmac.compare_digest(_mac(key, data), signature) for key in self._derived(purpose))

    def seal(self, purpose: str, data: bytes) -> str:
        """The data and its signature, in base64url (RFC 4648 section 5) without padding. It is signed, not secret."""
        return base64.urlsafe_b64encode(data + self.sign(purpose, data)).rstrip(b"=").decode()

    def open(self, purpose: str, text: str) -> bytes | None:
        """The data of a sealed text; None when it was altered, or sealed by somebody else or for another purpose."""
        try:
            signed = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
        except (binascii.Error, ValueError):
            return None
        data, signature = signed[:-MAC_BYTES], signed[-MAC_BYTES:]
        return data if self.verify(purpose, data, signature) else None

    def _derived(self, purpose: str) -> list[hmac.HMAC]:
        if purpose not in self._keys:
            about = f"ventas {purpose}".encode()
            derived = (hmac.digest(secret, about, "sha256") for secret in self._secrets)
            self._keys[purpose] = [hmac.new(key, digestmod="sha256") for key in derived]
        return self._keys[purpose]


def _mac(keyed: hmac.HMAC, data: bytes) -> bytes:
    mac = keyed.copy()
    mac.update(data)
    return mac.digest()[:MAC_BYTES]
