"""What is asked of every contender: random ids, pages and bodies, each request with a real bearer token."""

import random
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import jwt

from bench.database import ADMINS, PASSWORD, SALES, USERS
from bench.server import SECRET, ContenderServer

ADMIN_IDS, USER_IDS = range(1, ADMINS + 1), range(ADMINS + 1, ADMINS + 129)
REQUESTS = 8192  # different ones per case, sent in turn
PAGE = 100


@dataclass(frozen=True)
class Callers:
    """The tokens of some admins and users, and the pages of the list of users as this server spells them."""

    tokens: Mapping[int, str]
    pages: list[str]

    @classmethod
    def of(cls, server: ContenderServer) -> "Callers":
        token = log_in if server.contender.ours else _sign
        tokens = {id: token(server, id) for id in [*ADMIN_IDS, *USER_IDS]}
        return cls(tokens, _pages(server, tokens[1]))

    def admin(self) -> str:
        return self.tokens[random.choice(ADMIN_IDS)]


@dataclass(frozen=True)
class LoadCase:
    """One kind of request; each line of it is `METHOD PATH TOKEN BODY`."""

    name: str
    title: str
    connections: tuple[int, ...]
    line: Callable[[Callers], str]
    writes: bool = False

    def lines(self, callers: Callers) -> list[str]:
        return [self.line(callers) for _ in range(REQUESTS)]


def _get_user(callers: Callers) -> str:
    return f"GET /user/{random.randint(1, USERS)} {callers.admin()}"


def _list_users(callers: Callers) -> str:
    return f"GET {random.choice(callers.pages)} {callers.admin()}"


def _post_sale(callers: Callers) -> str:
    body = f'{{"venta":{random.randint(0, 10**7)},"ventas_productos":{random.randint(1, 20)}}}'
    return f"POST /venta/ {callers.tokens[random.choice(USER_IDS)]} {body}"


def _get_sale(callers: Callers) -> str:
    owner = random.choice(USER_IDS)
    return f"GET /venta/{sale_of(owner, random.randrange(1, SALES // USERS))} {callers.tokens[owner]}"


def sale_of(owner: int, nth: int) -> int:
    """The id of a user's nth sale, as the seed deals them out."""
    return nth * USERS + owner - 1


CASES = (
    LoadCase("get-user", "GET one user", (1, 32, 128), _get_user),
    LoadCase("list-users", f"GET {PAGE} users, any page", (32, 128), _list_users),
    LoadCase("post-sale", "POST a sale", (32, 128), _post_sale, writes=True),
    LoadCase("get-sale", "GET one sale", (32,), _get_sale),
)


def _sign(server: ContenderServer, id: int) -> str:
    now = int(time.time())
    claims = {"sub": str(id), "rol": "admin" if id in ADMIN_IDS else "usuario", "iat": now, "exp": now + 3600}
    return jwt.encode(claims, SECRET, "HS256")


def log_in(server: ContenderServer, id: int) -> str:
    """A token for a user, who comes from an address of their own: logins are throttled by address."""
    form, address = {"username": f"u{id:06}", "password": PASSWORD}, {"X-Forwarded-For": f"10.0.0.{id}"}
    with server.client() as client:
        answer = client.post("/login/", data=form, headers=address).raise_for_status()
    return str(answer.json()["access_token"])


def _pages(server: ContenderServer, admin: str) -> list[str]:
    """Every page: peers take the last id as the cursor; ours is opaque, so its own links are followed."""
    path = f"/user/?limit={PAGE}"
    if not server.contender.ours:
        return [f"{path}&despues={id}" for id in range(0, USERS, PAGE)]
    pages = []
    with server.client(admin) as client:
        while path:
            pages.append(path)
            path = client.get(path).raise_for_status().links.get("next", {}).get("url", "")
            path = path.removeprefix(server.url)
    return pages
