"""Throttling: guesses are few, from wherever they come, and nobody is locked out by others for long."""

import re
import threading
from collections.abc import Callable, Iterable

import httpx
import pytest
from conftest import PASSWORD, SETTINGS, new_user, problem

from core.auth.sealing import Keys
from handlers import throttle
from sql import intentos

WRONG = "no es la clave"
OLDER = "UPDATE intento SET ultimo = ultimo - interval '1 day', espera = espera - interval '1 day'"


@pytest.fixture
def site(connect) -> httpx.Client:
    """A client of a server behind one proxy, where Ana and Beto have registered."""
    api = connect(TRUSTED_PROXIES="1")
    for username in ("ana", "beto"):
        assert api.post("/user/", json=new_user(username)).status_code == 201
    return api


def _log_in(
    site: httpx.Client, address: str, username: str = "beto", password: str = WRONG
) -> httpx.Response:
    """A login whose `address` the proxy tells; what stands before its last entry, the client wrote."""
    form = {"username": username, "password": password}
    return site.post("/login/", data=form, headers={"X-Forwarded-For": address})


def _statuses(answers: Iterable[httpx.Response]) -> dict[int, int]:
    codes = [answer.status_code for answer in answers]
    return {code: codes.count(code) for code in sorted(set(codes))}


def _at_once(asks: list[Callable[[], httpx.Response]], threads: int = 20) -> list[httpx.Response]:
    answers: list[httpx.Response] = []

    def work(part: int) -> None:
        answers.extend(ask() for ask in asks[part::threads])

    workers = [threading.Thread(target=work, args=(part,)) for part in range(threads)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    return answers


@pytest.mark.parametrize("spelling", ["IRIS", "İris", "iri\u017f", "I\u0307ris"])
def test_a_wait_is_for_every_spelling_of_a_name(site, spelling):
    assert site.post("/user/", json=new_user("iris")).status_code == 201
    assert _statuses(_log_in(site, "10.0.0.1", "iris") for _ in range(20)) == {400: 20}

    reached = _log_in(site, "10.0.0.2", spelling, PASSWORD).status_code == 200

    assert _log_in(site, "10.0.0.1", spelling).status_code == (429 if reached else 400)


def test_an_answer_says_how_many_attempts_are_left(site):
    policy = '"login";q=20;w=18000, "cuenta";q=50;w=3000, "direccion";q=150;w=4500'
    first, *_, last = [_log_in(site, "10.0.0.1") for _ in range(20)]
    refused = _log_in(site, "10.0.0.1")

    assert {answer.headers["ratelimit-policy"] for answer in (first, last, refused)} == {policy}
    assert first.headers["ratelimit"] == '"login";r=19;t=900'
    assert re.fullmatch(r'"login";r=0;t=1[78]\d{3}', last.headers["ratelimit"])
    assert refused.headers["ratelimit"] == f'"login";r=0;t={refused.headers["retry-after"]}'


def test_what_is_left_tells_nobody_that_a_name_has_an_account(site):
    _log_in(site, "10.0.0.1", password=PASSWORD)
    told = [_log_in(site, "10.0.0.1", name).headers["ratelimit"] for name in ("beto", "nadie")]
    assert told[0] == told[1]


def test_where_an_account_is_known_none_left_is_no_refusal(site):
    _log_in(site, "10.0.0.1", password=PASSWORD)
    *_, last = [_log_in(site, "10.0.0.1") for _ in range(21)]
    assert last.status_code == 400
    assert last.headers["ratelimit"].startswith('"login";r=0;')


def test_every_throttled_call_says_it(ana, api):
    registered = api.post("/user/", json=new_user("eva")).headers["ratelimit"]
    assert re.fullmatch(r'"registro";r=29[89];t=[234]', registered)
    tried = ana.patch("/user/me", json={"password": "otra clave", "password_actual": "no es"})
    assert tried.headers["ratelimit"] == '"password_actual";r=19;t=900'


def test_a_right_password_is_refused_during_the_wait(site):
    assert _statuses(_log_in(site, "10.0.0.1") for _ in range(20)) == {400: 20}

    answer = _log_in(site, "10.0.0.1", password=PASSWORD)

    problem(answer, 429, "demasiados_intentos")
    assert 0 < int(answer.headers["retry-after"]) <= 5


def test_waits_grow_up_to_a_quarter_of_an_hour(site, rows):
    for _ in range(19):
        _log_in(site, "10.0.0.1")
    waits = []
    for _ in range(10):
        _log_in(site, "10.0.0.1")
        [(seconds,)] = rows(
            "SELECT round(max(extract(epoch FROM espera - ultimo)))::int FROM intento WHERE espera > now()"
        )
        waits.append(seconds)
        rows("UPDATE intento SET espera = now()")

    assert waits == [5, 10, 20, 40, 80, 160, 320, 640, 900, 900]


def test_the_wait_ends(site, rows):
    for _ in range(21):
        _log_in(site, "10.0.0.1")

    rows("UPDATE intento SET espera = espera - interval '5 s'")
    assert _log_in(site, "10.0.0.1", password=PASSWORD).status_code == 200


def test_success_ends_the_count(site):
    for _ in range(3):
        assert _statuses(_log_in(site, "10.0.0.1") for _ in range(19)) == {400: 19}
        assert _log_in(site, "10.0.0.1", password=PASSWORD).status_code == 200


def test_attempts_are_forgotten(site, rows):
    assert _statuses(_log_in(site, "10.0.0.1") for _ in range(21)) == {400: 20, 429: 1}
    rows(OLDER)
    assert _statuses(_log_in(site, "10.0.0.1") for _ in range(21)) == {400: 20, 429: 1}


def test_of_many_guesses_at_once_no_more_are_heard(site, connect):
    other = connect(TRUSTED_PROXIES="1")
    asks = [lambda api=api: _log_in(api, "10.0.0.1") for api in (site, other)] * 100

    assert _statuses(_at_once(asks)) == {400: 20, 429: 180}


def test_an_address_locks_nobody_out_elsewhere(site):
    asks = [lambda: _log_in(site, "10.0.0.1")] * 100
    _at_once(asks)

    assert _log_in(site, "10.0.0.2", password=PASSWORD).status_code == 200


@pytest.mark.parametrize("guesses", [300, pytest.param(1000, marks=pytest.mark.slow)])
def test_many_guesses_on_one_account_from_as_many_addresses(site, guesses):
    assert _log_in(site, "10.9.9.9", password=PASSWORD).status_code == 200
    asks = [lambda n=n: _log_in(site, f"10.1.{n // 250}.{n % 250}") for n in range(guesses)]

    heard = _statuses(_at_once(asks))

    assert 50 <= heard[400] <= 60
    assert heard[429] == guesses - heard[400]
    stranger = _log_in(site, "10.2.0.1", password=PASSWORD)
    assert stranger.status_code == 429
    assert int(stranger.headers["retry-after"]) <= 60
    assert _log_in(site, "10.9.9.9", password=PASSWORD).status_code == 200


@pytest.mark.parametrize("guesses", [300, pytest.param(1000, marks=pytest.mark.slow)])
def test_many_guesses_on_as_many_accounts_from_one_address(site, guesses):
    asks = [lambda n=n: _log_in(site, "10.0.0.1", f"user{n}") for n in range(guesses)]

    heard = _statuses(_at_once(asks))

    assert 150 <= heard[400] <= 170
    assert _log_in(site, "10.0.0.2", password=PASSWORD).status_code == 200


def test_a_forged_address_is_not_believed(site):
    answers = [_log_in(site, f"10.3.0.{n}, 10.0.0.1") for n in range(21)]

    assert _statuses(answers) == {400: 20, 429: 1}


def test_without_a_proxy_no_address_is_believed(connect):
    api = connect()
    assert _statuses(_log_in(api, f"10.0.0.{n}") for n in range(21)) == {400: 20, 429: 1}


def test_of_ipv6_a_client_has_a_whole_64(site):
    assert _statuses(_log_in(site, f"2001:db8::{n:x}") for n in range(21)) == {400: 20, 429: 1}
    assert _log_in(site, "2001:db8:0:1::1").status_code == 400


def test_an_ipv4_address_is_the_same_when_written_as_ipv6(site):
    for _ in range(20):
        _log_in(site, "::ffff:10.0.0.1")

    assert _log_in(site, "10.0.0.1").status_code == 429


def test_unknown_accounts_have_the_same_limits(site):
    for username in ("beto", "nadie"):
        assert _statuses(_log_in(site, "10.0.0.1", username) for _ in range(21)) == {400: 20, 429: 1}


def test_other_letters_give_no_more_guesses(site):
    names = ["beto", "BETO", "Beto"] * 7
    assert _statuses(_log_in(site, "10.0.0.1", name) for name in names) == {400: 20, 429: 1}


def test_a_name_that_looks_like_an_address_is_not_one(site):
    for _ in range(21):
        _log_in(site, "10.0.0.1", "10.0.0.2")

    assert _log_in(site, "10.0.0.2", password=PASSWORD).status_code == 200


def test_those_who_know_their_password_log_in_together(site):
    assert _log_in(site, "10.0.0.1", password=PASSWORD).status_code == 200
    asks = [lambda: _log_in(site, "10.0.0.1", password=PASSWORD)] * 60

    assert _statuses(_at_once(asks, threads=60)) == {200: 60}


def test_nobody_guesses_the_password_with_a_stolen_session(ana):
    def guess(password: str) -> httpx.Response:
        return ana.patch("/user/me", json={"password": "otra clave larga", "password_actual": password})

    assert _statuses(guess(WRONG) for _ in range(20)) == {403: 20}
    problem(guess(PASSWORD), 429, "demasiados_intentos")


def test_a_stolen_session_elsewhere_does_not_keep_the_owner_from_changing_the_password(site):
    token = _log_in(site, "10.0.0.1", password=PASSWORD).json()["access_token"]

    def change(address: str, stated: str) -> httpx.Response:
        body = {"password": "otra clave larga", "password_actual": stated}
        headers = {"Authorization": f"Bearer {token}", "X-Forwarded-For": address}
        return site.patch("/user/me", json=body, headers=headers)

    guesses = [change(f"10.7.{n // 250}.{n % 250}", WRONG) for n in range(60)]
    assert set(_statuses(guesses)) == {403, 429}
    assert change("10.8.0.1", PASSWORD).status_code == 429
    assert change("10.0.0.1", PASSWORD).status_code == 200


@pytest.mark.parametrize("name", ["beto", "beto@example.com"])
def test_an_owner_at_a_known_address_logs_in_by_either_name_however_many_guess(site, name):
    assert _log_in(site, "10.0.0.1", password=PASSWORD).status_code == 200
    for attacked in ("beto", "beto@example.com"):
        _at_once([lambda n=n, a=attacked: _log_in(site, f"10.1.{n // 250}.{n % 250}", a) for n in range(70)])
    _at_once([lambda n=n: _log_in(site, "10.0.0.1", f"user{n}") for n in range(170)])

    assert _log_in(site, "10.0.0.1", name, PASSWORD).status_code == 200


def test_an_owner_recovers_from_a_known_address_or_with_a_session_whatever_strangers_spend(connect, postbox):
    site = connect(TRUSTED_PROXIES="1", MAIL_URL=postbox.url)
    site.post("/user/", json=new_user("beto"))
    token = _log_in(site, "10.0.0.1", password=PASSWORD).json()["access_token"]

    def recover(address: str, **headers: str) -> int:
        headers["X-Forwarded-For"] = address
        return site.post("/login/recuperar", json={"correo": "beto@example.com"}, headers=headers).status_code

    assert [recover(f"10.1.0.{n}") for n in range(5)] == [202] * 3 + [429] * 2
    assert recover("10.2.0.1") == 429
    assert recover("10.0.0.1") == 202
    assert recover("10.2.0.1", Authorization=f"Bearer {token}") == 202


def test_who_sets_a_password_by_mail_is_known_where_they_are(connect, postbox):
    site = connect(TRUSTED_PROXIES="1", MAIL_URL=postbox.url)
    site.post("/user/", json=new_user("beto"))
    postbox.mail()
    site.post(
        "/login/recuperar", json={"correo": "beto@example.com"}, headers={"X-Forwarded-For": "10.3.0.1"}
    )
    reset = {"token": postbox.token(), "password": "otra clave larga"}
    assert (
        site.post("/login/restablecer", json=reset, headers={"X-Forwarded-For": "10.3.0.1"}).status_code
        == 200
    )
    _at_once([lambda n=n: _log_in(site, f"10.1.0.{n}") for n in range(70)])

    assert _log_in(site, "10.4.0.1", password="otra clave larga").status_code == 429
    assert _log_in(site, "10.3.0.1", password="otra clave larga").status_code == 200


def test_registrations_have_a_limit_by_address(site, monkeypatch):
    monkeypatch.setattr(throttle, "REGISTRATIONS", throttle.Limit(free=3, first=30, longest=60, forget=60))

    def register(number: int, address: str) -> httpx.Response:
        return site.post("/user/", json=new_user(f"user{number}"), headers={"X-Forwarded-For": address})

    assert _statuses(register(number, "10.0.0.1") for number in range(4)) == {201: 3, 429: 1}
    assert register(9, "10.0.0.2").status_code == 201


def test_reading_writes_nothing_here(ana, rows):
    before = rows("SELECT intento::text FROM intento ORDER BY clave")
    for path in ("/user/me", "/user/", "/venta/"):
        assert ana.get(path).status_code == 200

    assert rows("SELECT intento::text FROM intento ORDER BY clave") == before


def test_it_keeps_neither_names_nor_addresses(site, rows):
    _log_in(site, "10.0.0.1")

    kept = {bytes(clave) for (clave,) in rows("SELECT clave FROM intento")}
    assert Keys(SETTINGS["JWT_SECRET"]).sign("intento", b"login of beto") in kept
    assert Keys("a stolen database has no secret").sign("intento", b"login of beto") not in kept


def test_it_can_be_off_where_it_does_not_matter(connect):
    api = connect(THROTTLE="off")
    assert _statuses(_log_in(api, "10.0.0.1") for _ in range(25)) == {400: 25}


def test_what_is_old_is_swept(site, rows):
    _log_in(site, "10.0.0.1", password=PASSWORD)
    _log_in(site, "10.0.0.2")
    rows("UPDATE intento SET ultimo = now() - interval '2 days'")

    rows(intentos.SWEEP)
    assert rows("SELECT conocida FROM intento") == [(True,), (True,)]  # by username and correo
    rows("UPDATE intento SET ultimo = now() - interval '31 days'")
    rows(intentos.SWEEP)
    assert rows("SELECT count(*) FROM intento") == [(0,)]


def test_one_address_asks_for_few_verification_mails(site, monkeypatch):
    monkeypatch.setattr(
        throttle, "MAILS_FROM_ADDRESS", throttle.Limit(free=2, first=30, longest=60, forget=60)
    )
    statuses = []
    for username in ("ana", "beto", "ana"):
        token = _log_in(site, "10.0.0.9", username, PASSWORD).json()["access_token"]
        headers = {"Authorization": f"Bearer {token}", "X-Forwarded-For": "10.0.0.1"}
        statuses.append(site.post("/user/verificar/enviar", headers=headers).status_code)

    assert statuses == [202, 202, 429]
