"""Passwords in turns: who registers many accounts at once waits for themselves, and makes nobody else wait."""

import re
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait

import bcrypt
import httpx
import pytest
from conftest import PASSWORD, new_user, problem
from fleets import until

from core.auth.password_hashes import THREADS
from core.database.rooms import WAITING_OF_ONE

AT_ONCE = THREADS + WAITING_OF_ONE  # registrations of one address
OFFENDER, OTHER = "192.0.2.7", "192.0.2.8"


@pytest.fixture
def site(connect: Callable[..., httpx.Client]) -> httpx.Client:
    """A client of a server behind one proxy, where Ana has registered."""
    api = connect(TRUSTED_PROXIES="1")
    assert api.post("/user/", json=new_user("ana")).status_code == 201
    return api


@pytest.fixture
def gate(site: httpx.Client, monkeypatch: pytest.MonkeyPatch) -> Iterator[threading.Semaphore]:
    """Each release of it lets one new password be hashed; those that are verified do not wait for it."""
    gate, hashpw = threading.Semaphore(0), bcrypt.hashpw

    def gated(password: bytes, salt: bytes) -> bytes:
        gate.acquire()
        return hashpw(password, salt)

    monkeypatch.setattr(bcrypt, "hashpw", gated)
    yield gate
    gate.release(100)


@pytest.fixture
def crowd(site: httpx.Client, gate: threading.Semaphore) -> Iterator[list[Future[httpx.Response]]]:
    """As many registrations of the offender as one address may have: all hash, or wait."""
    with ThreadPoolExecutor(AT_ONCE) as people:
        crowd = [people.submit(register, site, f"nuevo{n}", OFFENDER) for n in range(AT_ONCE)]
        await_room(site, "registrations", inside=THREADS, waiting=WAITING_OF_ONE)
        await_room(site, "passwords", inside=THREADS, waiting=0)
        yield crowd
        gate.release(100)


def register(site: httpx.Client, name: str, address: str, **fields: object) -> httpx.Response:
    return site.post("/user/", json=new_user(name) | fields, headers={"X-Forwarded-For": address})


def log_in(site: httpx.Client, address: str) -> httpx.Response:
    form = {"username": "ana", "password": PASSWORD}
    return site.post("/login/", data=form, headers={"X-Forwarded-For": address})


def await_room(site: httpx.Client, kind: str, **levels: int) -> None:
    """Returns when as many are inside and wait."""
    while True:
        text = site.get("/metrics").text
        if all(
            re.search(rf'ventas_room_{level}\{{[^}}]*kind="{kind}"[^}}]*\}} {count}(\.0)?\n', text)
            for level, count in levels.items()
        ):
            return


def test_a_login_is_not_behind_the_registrations_of_another_address(site, gate, crowd):
    with ThreadPoolExecutor(1) as other:
        login = other.submit(log_in, site, OTHER)
        await_room(site, "passwords", inside=THREADS, waiting=1)
        gate.release()
        answer = login.result()

    assert answer.status_code == 200
    assert len([one for one in crowd if one.done()]) <= 1


def test_of_one_address_few_registrations_wait(site, gate, crowd):
    refused = register(site, "otra", OFFENDER)

    assert "tantas peticiones de esta clase" in problem(refused, 429, "demasiado_a_la_vez")["detail"]
    assert refused.headers["retry-after"] == "1"
    assert "ratelimit" not in refused.headers
    gate.release(100)
    assert {one.result().status_code for one in crowd} == {201}
    assert register(site, "otra", OFFENDER).status_code == 201


def test_another_address_registers_meanwhile(site, gate, crowd):
    with ThreadPoolExecutor(1) as other:
        registered = other.submit(register, site, "eva", OTHER)
        await_room(site, "passwords", inside=THREADS, waiting=1)
        while not registered.done():  # one hash after the other: of two at once either thread may come first
            answered = sum(one.done() for one in [*crowd, registered])
            gate.release()
            until(lambda before=answered: sum(one.done() for one in [*crowd, registered]) > before)
        assert registered.result().status_code == 201

    assert len([one for one in crowd if not one.done()]) >= WAITING_OF_ONE - 1


def test_of_ipv6_a_whole_64_is_one_address(site, gate):
    with ThreadPoolExecutor(AT_ONCE) as people:
        crowd = [people.submit(register, site, f"nuevo{n}", f"2001:db8::{n + 1}") for n in range(AT_ONCE)]
        await_room(site, "registrations", inside=THREADS, waiting=WAITING_OF_ONE)
        problem(register(site, "otra", "2001:db8::ffff"), 429, "demasiado_a_la_vez")
        gate.release(100)

    assert {one.result().status_code for one in crowd} == {201}


@pytest.mark.parametrize(
    ("fields", "detail"),
    [
        ({"username": "ANA"}, "el username ya está en uso"),
        ({"correo": "Ana@Example.com"}, "el correo ya está en uso"),
        ({"username": "ana", "correo": "ana@example.com"}, "el username ya está en uso"),
    ],
)
def test_what_is_taken_is_told_before_a_password_is_hashed(site, gate, fields, detail):
    refused = register(site, "otra", OTHER, **fields)

    assert problem(refused, 409, "usuario_repetido")["detail"] == f"Error creando usuario: {detail}"


def test_of_those_who_register_one_name_at_once_the_constraint_lets_one(site, gate):
    with ThreadPoolExecutor(THREADS) as people:
        both = [people.submit(register, site, "eva", address) for address in (OFFENDER, OTHER)]
        await_room(site, "passwords", inside=THREADS, waiting=0)
        gate.release(THREADS)
        wait(both)

    assert sorted(one.result().status_code for one in both) == [201, 409]
