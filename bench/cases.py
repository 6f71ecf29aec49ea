"""What is asked of every contender: random ids, pages and bodies, each request with a real bearer token."""

import random
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import jwt

from bench.contenders import Contender
from bench.database import ADMINS, PASSWORD, SALES, USERS, BenchDatabase
from bench.server import SECRET, ContenderServer
from core.auth.refresh import RefreshToken
from core.auth.sealing import Keys

ADMIN_IDS, USER_IDS = range(1, ADMINS + 1), range(ADMINS + 1, ADMINS + 129)
REQUESTS = 8192  # different ones per case, sent in turn
PAGE, SALES_PAGE = 100, 20


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
    """One kind of request; each line of it is `METHOD PATH TOKEN BODY`, where KEYED is a POST with a key of its own.

    What `renews` sends refresh tokens instead, each the one that came for the one before."""

    name: str
    title: str
    connections: tuple[int, ...]
    line: Callable[[Callers], str]
    writes: bool = False
    renews: bool = False

    def lines(self, callers: Callers) -> list[str]:
        return [self.line(callers) for _ in range(REQUESTS)]


def _get_user(callers: Callers) -> str:
    return f"GET /user/{random.randint(1, USERS)} {callers.admin()}"


def _list_users(callers: Callers) -> str:
    return f"GET {random.choice(callers.pages)} {callers.admin()}"


def _post_sale(callers: Callers) -> str:
    body = f'{{"venta":{random.randint(0, 10**7)},"ventas_productos":{random.randint(1, 20)}}}'
    return f"POST /venta/ {callers.tokens[random.choice(USER_IDS)]} {body}"


def _post_keyed_sale(callers: Callers) -> str:
    return _post_sale(callers).replace("POST", "KEYED", 1)


def _list_sales(callers: Callers) -> str:
    return f"GET /venta/?limit={SALES_PAGE} {callers.tokens[random.choice(USER_IDS)]}"


def _renew(callers: Callers) -> str:
    return "POST /login/ -"


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
    LoadCase("post-keyed", "POST a sale with an Idempotency-Key", (32, 128), _post_keyed_sale, writes=True),
    LoadCase("list-sales", f"GET {SALES_PAGE} sales of one user", (32, 128), _list_sales),
    LoadCase("renew", "refresh a token", (32,), _renew, renews=True),
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


def api_key(server: ContenderServer, token: str) -> str:
    """An API key of ours for the user of a token, for sales alone."""
    key = {"nombre": "bench", "ambitos": ["ventas:leer", "ventas:crear"], "password_actual": PASSWORD}
    with server.client(token) as client:
        return str(client.post("/user/me/llaves", json=key).raise_for_status().json()["llave"])


def refresh_tokens(contender: Contender, database: BenchDatabase) -> list[str]:
    """A refresh token, never used, of each session: ours are sealed, the peers' are tokens of their own kind."""
    keys, now = Keys(SECRET), int(time.time())
    claims = {"n": 0, "typ": "refresh", "iat": now, "exp": now + 3600}
    return [
        RefreshToken(user, session, 0).encode(keys)
        if contender.ours
        else jwt.encode({"sub": str(user), "sid": session, **claims}, SECRET, "HS256")
        for user, session in database.sessions()
    ]


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
