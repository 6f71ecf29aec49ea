"""An ordinary account for whoever sends anything at all, and may thereby end it."""

import itertools
import secrets
import time

import httpx

from bench.api import PASSWORD, person


class Member:
    """Not an admin: whatever is sent in its name must leave everybody else's sales alone."""

    def __init__(self, url: str) -> None:
        self._api = httpx.Client(base_url=url, timeout=30)
        self._prefix = secrets.token_hex(4)
        self._numbers = itertools.count(1)
        self._token = ""

    def __enter__(self) -> "Member":
        return self

    def __exit__(self, *_: object) -> None:
        self._api.close()

    def token(self) -> str:
        """An access token that is accepted: the one before, or that of a new account."""
        headers = {"Authorization": f"Bearer {self._token}"}
        if not self._token or self._api.get("/user/me", headers=headers).status_code == 401:
            username = f"{self._prefix}-{next(self._numbers)}"
            form = {"username": username, "password": PASSWORD}
            self._register(username)
            self._token = self._api.post("/login/", data=form).raise_for_status().json()["access_token"]
        return self._token

    def _register(self, username: str) -> None:
        """Waits as long as it is told to: an address may register so many."""
        while (answer := self._api.post("/user/", json=person(username))).status_code == 429:
            time.sleep(int(answer.headers["Retry-After"]))
        answer.raise_for_status()
