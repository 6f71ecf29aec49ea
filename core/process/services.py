"""What a process opens once and every request uses."""

from asyncio import Lock
from weakref import WeakValueDictionary

from msgspec import Struct

from core.auth.api_keys import ApiKeys
from core.auth.password_hashes import Passwords
from core.auth.revocation import KnownSessions
from core.auth.sealing import Keys
from core.auth.tokens import Tokens
from core.auth.vault import Vault
from core.database.database import Database
from core.database.rooms import Room
from core.files.spool import Disk
from core.process.counters import Requests, Siblings
from core.process.mail import Mail
from core.process.settings import Settings
from core.process.shutdown import Shutdown


class Services(Struct, frozen=True):
    settings: Settings
    db: Database
    read_db: Database
    tokens: Tokens
    api_keys: ApiKeys
    keys: Keys
    vault: Vault
    passwords: Passwords
    known: KnownSessions
    requests: Requests
    siblings: Siblings | None  # none when there is one process
    shutdown: Shutdown
    mail: Mail | None  # none in production without MAIL_URL
    turns: WeakValueDictionary[tuple[int, str], Lock]  # of requests that have the same Idempotency-Key
    transfers: Room  # imports and exports from their first byte to the last, one at a time of each account
    registrations: Room
    disk: Disk  # where they wait for the slower side
