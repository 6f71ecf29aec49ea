"""Where a request comes from, as the records of what it did tell it."""

from msgspec import Struct
from starlette.types import Scope

from core.auth.tokens import Caller
from core.http.messages import client_address, values

AGENT_LENGTH = 200
NOBODY = 0


class Origin(Struct, frozen=True):
    """Who asks (`actor`, a user's id, or NOBODY), and from where. The fields are the statements' parameters."""

    actor: int
    address: str
    agent: str
    request_id: str


def origin_of(scope: Scope, trusted_proxies: int) -> Origin:
    caller = scope["caller"]
    agents = values(scope, b"user-agent")
    return Origin(
        actor=caller.id if isinstance(caller, Caller) else NOBODY,
        address=client_address(scope, trusted_proxies),
        agent=agents[0].decode("latin-1")[:AGENT_LENGTH] if agents else "",
        request_id=scope["request_id"].decode(),
    )
