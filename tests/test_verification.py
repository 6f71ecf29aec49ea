"""Verifying a correo: the mail, its token, and what ends it."""

import base64

import httpx
import pytest
from conftest import PASSWORD, log_in, member, new_user, problem
from fleets import until

VERIFIED = {"respuesta": "Correo verificado correctamente"}


@pytest.fixture
def site(connect, postbox) -> httpx.Client:
    """A client of a server that sends mail; whose first user, who is the admin, is not of the story."""
    api = connect(MAIL_URL=postbox.url)
    api.post("/user/", json=new_user("ana"))
    postbox.mail()
    return api


@pytest.fixture
def beto(site):
    with member(site, "beto") as client:
        yield client


def _change_correo(client: httpx.Client, correo: str) -> httpx.Response:
    return client.patch("/user/me", json={"correo": correo, "password_actual": PASSWORD})


def _verify(client: httpx.Client, token: str) -> httpx.Response:
    return client.post("/user/verificar", json={"token": token})


def _refused(answer: httpx.Response) -> None:
    body = problem(answer, 422, "enlace_invalido")
    assert body["errores"] == [{"campo": "token", "mensaje": "no es un código vigente"}]


def test_who_registers_is_sent_a_token_that_verifies_once(beto, site, postbox):
    token = postbox.token()
    assert beto.get("/user/me").json()["estado"] is False

    assert _verify(site, token).json() == VERIFIED
    assert beto.get("/user/me").json()["estado"] is True
    _refused(_verify(site, token))


def test_a_newer_mail_ends_the_older_one(beto, site, postbox):
    older = postbox.token()

    answer = beto.post("/user/verificar/enviar")

    assert (answer.status_code, answer.json()) == (
        202,
        {"respuesta": "Le enviamos un correo con un enlace que vence en 24 horas"},
    )
    _refused(_verify(site, older))
    assert _verify(site, postbox.token()).json() == VERIFIED


def test_a_repeated_request_sends_one_mail(beto, postbox, rows):
    postbox.mail()
    key = {"Idempotency-Key": "uno"}
    answers = [beto.post("/user/verificar/enviar", headers=key) for _ in range(2)]

    assert answers[1].headers["idempotent-replayed"] == "true"
    postbox.mail()
    beto.post("/user/verificar/enviar")
    postbox.mail()
    assert postbox.waiting == 0


def test_what_is_verified_needs_no_mail(beto, site, postbox):
    _verify(site, postbox.token())

    answer = beto.post("/user/verificar/enviar")

    assert (answer.status_code, answer.json()) == (200, {"respuesta": "El correo ya está verificado"})


def test_mails_are_few(beto):
    answers = [beto.post("/user/verificar/enviar") for _ in range(4)]

    assert [answer.status_code for answer in answers] == [202, 202, 202, 429]
    problem(answers[3], 429, "demasiados_intentos")
    assert 0 < int(answers[3].headers["retry-after"]) <= 60


def test_a_new_correo_has_to_be_verified_anew(beto, site, postbox):
    _verify(site, postbox.token())

    _change_correo(beto, "otro@example.com")

    assert beto.get("/user/me").json()["estado"] is False
    assert {postbox.mail()["To"] for _ in range(2)} == {"beto@example.com", "otro@example.com"}


@pytest.mark.parametrize("change", [{"correo": "BETO@example.com"}, {"nombre": "Norberto"}])
def test_what_is_no_new_correo_stays_verified(beto, site, postbox, change):
    _verify(site, postbox.token())

    assert beto.patch("/user/me", json=change | {"password_actual": PASSWORD}).status_code == 200
    assert beto.get("/user/me").json()["estado"] is True


def test_what_an_admin_changes_stays_as_the_admin_says(beto, site, postbox):
    _verify(site, postbox.token())

    admin = {"Authorization": f"Bearer {log_in(site, 'ana')}"}
    site.patch(f"/user/{beto.id}", json={"correo": "otro@example.com"}, headers=admin)

    again = {"Authorization": f"Bearer {log_in(site, 'beto')}"}
    assert site.get("/user/me", headers=again).json()["estado"] is True


def test_a_new_correo_cannot_be_verified_with_the_old_ones_token(beto, site, postbox):
    token = postbox.token()
    assert _change_correo(beto, "ajeno@example.com").status_code == 200

    _refused(_verify(site, token))


def test_new_correos_are_few_because_each_is_sent_a_mail(beto):
    answers = [_change_correo(beto, f"otro{n}@example.com") for n in range(4)]

    problem(answers[3], 429, "demasiados_intentos")
    assert beto.get("/user/me").json()["correo"] == "otro2@example.com"


def test_a_new_password_ends_the_token(beto, site, postbox):
    token = postbox.token()
    beto.patch("/user/me", json={"password": "otra clave larga", "password_actual": PASSWORD})

    _refused(_verify(site, token))


def test_it_ends_after_a_day(beto, site, postbox, rows):
    token = postbox.token()
    until(lambda: rows("SELECT 1 FROM enlace WHERE usuario_id > 1 AND enviado IS NOT NULL"))
    [(hours,)] = rows(
        "SELECT round(extract(epoch FROM expira - creacion) / 3600)::int FROM enlace WHERE usuario_id > 1"
    )
    assert hours == 24

    rows("UPDATE enlace SET creacion = now() - interval '25 h', expira = now() - interval '1 s'")
    _refused(_verify(site, token))


def test_it_ends_with_the_user(beto, site, postbox):
    token = postbox.token()
    beto.delete("/user/me")
    site.post("/user/", json=new_user("beto"))

    _refused(_verify(site, token))


def test_nobody_makes_one(beto, site, postbox):
    token = postbox.token()
    raw = base64.urlsafe_b64decode(token + "==")
    for place in (0, 7, 8, 23, 24, 39):
        forged = raw[:place] + bytes([raw[place] ^ 1]) + raw[place + 1 :]
        _refused(_verify(site, base64.urlsafe_b64encode(forged).rstrip(b"=").decode()))
    for forged in (
        token[:-1],
        token[:-2] + ("BA" if token.endswith("AA") else "AA"),
        token + "AAAA",
        "A",
        "A" * 54,
        beto.headers["authorization"][7:100],
    ):
        answer = _verify(site, forged)
        assert answer.status_code == 422, forged


def test_another_servers_secret_makes_none(beto, site, postbox, connect):
    token = postbox.token()
    other = connect(JWT_SECRET="another secret, also of 32 bytes or more")
    _refused(_verify(other, token))


def test_a_changed_secret_still_takes_what_was_mailed_before(beto, site, postbox, connect):
    token = postbox.token()
    changed = connect(
        JWT_SECRET="another secret, also of 32 bytes or more",
        JWT_SECRET_PREVIOUS="a secret of the tests, of 32 bytes or more",
    )
    assert _verify(changed, token).json() == VERIFIED


def test_the_link_leads_to_a_page_that_consumes_nothing(site, postbox, beto):
    page = site.get("/user/verificar")

    assert page.status_code == 200
    assert page.headers["content-type"].startswith("text/html")
    assert "default-src 'none'" in page.headers["content-security-policy"]
    assert page.headers["referrer-policy"] == "no-referrer"
    assert site.get("/assets/link.js").status_code == 200
    assert _verify(site, postbox.token()).json() == VERIFIED
