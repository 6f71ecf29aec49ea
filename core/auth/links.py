"""The tokens of mailed links: made from a link's row and a key that no database holds."""

import struct
from uuid import UUID

from msgspec import Struct

from core.auth.sealing import Keys

LAYOUT = struct.Struct(">q16s")


class Link(Struct, frozen=True):
    """A link: its user, and its id."""

    usuario_id: int
    id: UUID

    def encode(self, keys: Keys, tipo: str) -> str:
        """The link's token, good for its `tipo` alone: 54 characters of base64url (RFC 4648 section 5)."""
        return keys.seal(tipo, LAYOUT.pack(self.usuario_id, self.id.bytes))


def read(keys: Keys, tipo: str, token: str) -> Link | None:
    """The link of a token; None when the token is altered, or of another `tipo`. The database knows if it is spent."""
    data = keys.open(tipo, token)
    if data is None:
        return None
    usuario_id, id = LAYOUT.unpack(data)
    return Link(usuario_id, UUID(bytes=id))
