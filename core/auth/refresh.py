"""Refresh tokens: opaque text made from a session's row and a key that no database holds."""

import base64
import binascii
import struct

from msgspec import Struct

from core.auth.sealing import Keys

PURPOSE = "refresh"
LAYOUT = struct.Struct(">qqq")


class RefreshToken(Struct, frozen=True):
    """The refresh token number `counter` of a session."""

    usuario_id: int
    session: int
    counter: int

    def encode(self, keys: Keys) -> str:
        """54 characters of base64url (RFC 4648 section 5)."""
        data = LAYOUT.pack(self.usuario_id, self.session, self.counter)
        return base64.urlsafe_b64encode(data + keys.sign(PURPOSE, data)).rstrip(b"=").decode()


def read(keys: Keys, token: str) -> RefreshToken | None:
    """The refresh token, or None when it is not ours, or altered; whether it still is good, only the database knows."""
    try:
        signed = base64.b64decode(token + "=" * (-len(token) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        return None
    data, signature = signed[: LAYOUT.size], signed[LAYOUT.size :]
    if not keys.verify(PURPOSE, data, signature):
        return None
    return RefreshToken(*LAYOUT.unpack(data))
