"""What a process opens once and every request uses."""

from msgspec import Struct

from core.database import Database
from core.keys import Keys
from core.passwords import Passwords
from core.settings import Settings
from core.tokens import Tokens


class Services(Struct, frozen=True):
    settings: Settings
    db: Database
    read_db: Database
    tokens: Tokens
    keys: Keys
    passwords: Passwords
