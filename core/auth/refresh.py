"""Refresh tokens: opaque text made from a session's row and a key that no database holds."""

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
        return keys.seal(PURPOSE, LAYOUT.pack(self.usuario_id, self.session, self.counter))


def read(keys: Keys, token: str) -> RefreshToken | None:
    """The refresh token, or None when it is not ours, or altered; whether it still is good, only the database knows."""
    data = keys.open(PURPOSE, token)
    return None if data is None else RefreshToken(*LAYOUT.unpack(data))
