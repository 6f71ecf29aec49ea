"""Mails: what they look like, how they leave, and what happens when they cannot."""

import secrets
import ssl
import subprocess
import threading

import pytest
from conftest import new_user, problem
from postbox import Postbox, token_of

from core.process.environment import load
from core.process.settings import SettingsError

STATE = (
    "SELECT correo, intentos, enviado IS NOT NULL, proximo IS NOT NULL, error FROM enlace ORDER BY usuario_id"
)
AGAIN = "UPDATE enlace SET proximo = now() WHERE proximo IS NOT NULL"


@pytest.fixture(autouse=True)
def _look_often(monkeypatch):
    monkeypatch.setattr("background.outbox.LOOK_SECONDS", 0.2)
    monkeypatch.setattr("background.outbox.AWAY_SECONDS", 0.2)


@pytest.fixture(scope="module")
def certificate(tmp_path_factory) -> ssl.SSLContext:
    """A self-signed certificate of 127.0.0.1, as a server's context; `path` is what clients must trust."""
    folder = tmp_path_factory.mktemp("tls")
    names = ["-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1"]
    files = ["-keyout", folder / "key.pem", "-out", folder / "cert.pem"]
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", *names, *files]
    subprocess.run(command, check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "cert.pem", folder / "key.pem")
    context.path = str(folder / "cert.pem")  # type: ignore[attr-defined]
    return context


def _wait(rows, wanted, statement=STATE):
    """Until the database tells what is wanted."""
    found = None
    for _ in range(200):
        found = rows(statement)
        if wanted(found):
            return found
        threading.Event().wait(0.05)
    raise AssertionError(found)


def _queue(rows, name, mails, tipo="verificacion"):
    """Users name1, name2 … and a mail that waits for each."""
    rows(
        """WITH created AS (
               INSERT INTO usuario (username, password, nombre, apellido, telefono, correo)
               SELECT %s || n, %s, 'X', 'Y', '123', %s || n || '@example.com' FROM generate_series(1, %s) AS n
               RETURNING id, correo)
           INSERT INTO enlace (usuario_id, tipo, correo, clave, expira)
           SELECT id, %s, correo, sha256(''), now() + interval '1 hour' FROM created""",
        name,
        "$2b$04$" + "." * 53,
        name,
        mails,
        tipo,
    )


def test_a_mail_is_plain_text_and_html_with_the_link(connect, postbox):
    api = connect(
        MAIL_URL=postbox.url,
        MAIL_FROM="Ventas <ventas@example.org>",
        PUBLIC_URL="https://api.example.org/v1/",
    )
    api.post("/user/", json=new_user("ana"))

    mail = postbox.mail()
    link = f"https://api.example.org/v1/user/verificar#{token_of(mail)}"
    assert (mail["From"], mail["To"]) == ("Ventas <ventas@example.org>", "ana@example.com")
    assert mail["Subject"] == "Verifique su correo"
    assert mail["Auto-Submitted"] == "auto-generated"
    assert mail["Message-ID"].endswith("@example.org>")
    assert mail["Date"]
    assert f"\n{link}\n" in mail.get_body(("plain",)).get_content()
    assert f'<a href="{link}">' in mail.get_body(("html",)).get_content()
    assert "24 horas" in mail.get_body(("html",)).get_content()


def test_without_public_url_it_carries_the_token_alone(connect, postbox):
    connect(MAIL_URL=postbox.url).post("/user/", json=new_user("ana"))

    text = postbox.mail().get_body(("plain",)).get_content()
    assert "envíe este código a POST /user/verificar" in text
    assert "http" not in text


def test_nothing_that_a_user_chose_is_in_a_mail(connect, postbox):
    evil = "http://malo.example/<b>gratis</b>"
    connect(MAIL_URL=postbox.url).post(
        "/user/", json=new_user("x", nombre=evil, apellido=evil) | {"username": evil}
    )

    assert "malo" not in postbox.mail().as_string()


@pytest.mark.parametrize(
    "correo",
    [
        "a\r\nBcc: todos@example.com@x.com",
        "a\nb@x.com",
        "a@x.com\r\nSubject: hola",
        "a@x.com\x00",
        "a@b@c.com",
        "<a@x.com>",
    ],
)
def test_a_correo_cannot_add_headers(connect, postbox, correo):
    answer = connect(MAIL_URL=postbox.url).post("/user/", json=new_user("ana", correo=correo))

    assert problem(answer, 422, "datos_invalidos")["errores"][0]["campo"] == "correo"


@pytest.mark.parametrize(
    "correo",
    ["ñandú@correo.example", "%s@x", "{}=''@x", "a.b+c@1.2"],
)
def test_an_odd_correo_gets_its_mail_all_the_same(connect, postbox, correo):
    connect(MAIL_URL=postbox.url).post("/user/", json=new_user("ana", correo=correo))

    postbox.mail()
    assert postbox.recipients == [correo]


def test_a_server_without_smtputf8_gets_the_domain_in_ascii(connect, rows):
    with Postbox(smtputf8=False).open() as postbox:
        api = connect(MAIL_URL=postbox.url)
        api.post("/user/", json=new_user("ana", correo="ñ@münchen.example"))
        api.post("/user/", json=new_user("beto", correo="beto@MÜNCHEN.example"))

        assert postbox.mail()["To"] == "beto@xn--mnchen-3ya.example"
        assert postbox.recipients == ["beto@xn--mnchen-3ya.example"]
        assert _wait(rows, lambda found: found[0][4])[0][3:] == (
            False,
            "the server takes only ASCII addresses",
        )


def test_the_database_never_holds_the_token(connect, postbox, rows):
    connect(MAIL_URL=postbox.url).post("/user/", json=new_user("ana"))

    token = postbox.token()
    [(row,)] = rows("SELECT enlace::text FROM enlace")
    assert token not in row


def test_mail_waits_until_the_server_is_back(connect, rows):
    postbox = Postbox()
    connect(MAIL_URL=postbox.url).post("/user/", json=new_user("ana"))
    [(_, _, sent, waits, error)] = _wait(rows, lambda found: found[0][4])
    assert (sent, waits) == (False, True)
    assert "ConnectionRefused" in error

    with postbox.open():
        rows(AGAIN)
        assert postbox.mail()["To"] == "ana@example.com"
        _wait(rows, lambda found: found == [("ana@example.com", 1, True, False, None)])


def test_a_mail_loses_no_try_while_the_server_is_away(connect, rows):
    connect(MAIL_URL=Postbox().url).post("/user/", json=new_user("ana"))
    for _ in range(15):
        _wait(rows, lambda found: found[0][4] and found[0][1] == 0)
        rows("UPDATE enlace SET error = NULL, proximo = now()")

    assert _wait(rows, lambda found: found[0][4])[0][3]


def test_waits_grow_and_end(connect, postbox, rows):
    postbox.refused["ana@example.com"] = "451 4.7.1 Later"
    connect(MAIL_URL=postbox.url).post("/user/", json=new_user("ana"))
    waits = []
    for tries in range(1, 11):
        _wait(rows, lambda found, tries=tries: found[0][1] == tries and found[0][4])
        waits += rows("SELECT round(extract(epoch FROM proximo - now()) / 5)::int FROM enlace")
        rows("UPDATE enlace SET error = NULL, proximo = now() WHERE proximo IS NOT NULL")

    assert [wait for (wait,) in waits] == [1, 4, 16, 64, 180, 180, 180, 180, 180, None]


def test_who_does_not_exist_is_not_tried_again_and_holds_up_nobody(connect, postbox, rows):
    postbox.refused["ana@example.com"] = "550 5.1.1 No such user"
    api = connect(MAIL_URL=postbox.url)
    api.post("/user/", json=new_user("ana"))
    api.post("/user/", json=new_user("beto"))

    assert postbox.mail()["To"] == "beto@example.com"
    assert _wait(rows, lambda found: found[0][4] and found[1][2])[0] == (
        "ana@example.com",
        1,
        False,
        False,
        "550 5.1.1 No such user",
    )


def test_the_log_names_nobody_by_the_correo_that_a_mail_server_repeats(connect, postbox, rows, caplog):
    postbox.refused["ana@example.com"] = "550 5.1.1 <Ana@example.com>: Recipient address rejected"
    connect(MAIL_URL=postbox.url).post("/user/", json=new_user("ana"))

    assert "<Ana@example.com>" in _wait(rows, lambda found: found[0][4])[0][4]
    assert "mail to user 1 did not leave: 550 5.1.1 … Recipient address rejected" in caplog.text
    assert "example.com" not in caplog.text


def test_who_is_refused_for_now_is_tried_again(connect, postbox, rows):
    postbox.refused["ana@example.com"] = "451 4.7.1 Later"
    connect(MAIL_URL=postbox.url).post("/user/", json=new_user("ana"))
    _wait(rows, lambda found: found[0][4])

    postbox.refused.clear()
    rows(AGAIN)
    assert postbox.mail()["To"] == "ana@example.com"


@pytest.mark.parametrize("reply", ["451 4.7.1 Later", "550 5.1.1 No such user"])
def test_a_recovery_leaves_before_all_that_is_refused(connect, postbox, rows, reply):
    postbox.refuses = lambda address: reply if address.startswith("malo") else None
    _queue(rows, "malo", 300)
    _queue(rows, "ana", 1, tipo="recuperacion")

    connect(MAIL_URL=postbox.url)

    assert postbox.mail()["Subject"] == "Elija una contraseña nueva"
    assert postbox.asked.index("ana1@example.com") < 3  # as many as are on their way at once


def test_what_is_refused_for_now_holds_up_nobody(connect, postbox, rows):
    postbox.refuses = lambda address: "451 4.7.1 Later" if address.startswith("malo") else None
    _queue(rows, "malo", 20)
    _queue(rows, "ana", 1)

    connect(MAIL_URL=postbox.url)

    assert postbox.mail()["To"] == "ana1@example.com"
    _wait(rows, lambda found: [bool(error) for *_, error in found] == [True] * 20 + [False])
    assert {f"malo{number}@example.com" for number in range(1, 21)} <= set(postbox.asked)


def test_what_cannot_be_composed_ends_with_its_reason_and_holds_up_nobody(connect, postbox, rows):
    _queue(rows, "malo", 1)
    rows("UPDATE enlace SET correo = '=?utf-8?q?=0D=0A1?=@p.test'")
    _queue(rows, "ana", 1)

    connect(MAIL_URL=postbox.url)

    assert postbox.mail()["To"] == "ana1@example.com"
    [(_, tries, sent, waits, error), _] = _wait(rows, lambda found: found[0][4] and found[1][2])
    assert (tries, sent, waits) == (1, False, False)
    assert error.startswith("it cannot be composed: ")


def test_a_slow_recipient_holds_up_no_recovery(connect, postbox, rows):
    released = threading.Event()
    postbox.slow = lambda address: None if address.startswith("ana") else released
    _queue(rows, "lento", 10)
    api = connect(MAIL_URL=postbox.url)
    _wait(rows, lambda found: sum(tries for _, tries, _, _, _ in found) == 2)

    _queue(rows, "ana", 1, tipo="recuperacion")
    api.post("/login/recuperar", json={"correo": "nadie@example.com"})

    assert postbox.mail()["To"] == "ana1@example.com"
    released.set()


def test_the_hours_of_a_link_count_from_its_sending(connect, postbox, rows):
    _queue(rows, "ana", 1, tipo="recuperacion")
    rows("UPDATE enlace SET creacion = now() - interval '59 minutes', expira = now() + interval '1 minute'")

    connect(MAIL_URL=postbox.url)

    postbox.mail()
    hour = "SELECT 1, 2, enviado IS NOT NULL, expira - enviado = interval '1 hour' FROM enlace"
    _wait(rows, lambda found: found[0][3], hour)


def test_a_repeated_mail_has_the_same_message_id(connect, postbox, rows):
    connect(MAIL_URL=postbox.url).post("/user/", json=new_user("ana"))
    first = postbox.mail()
    _wait(rows, lambda found: found[0][2])

    rows("UPDATE enlace SET proximo = now()")
    assert postbox.mail()["Message-ID"] == first["Message-ID"]


def test_two_processes_send_each_mail_once(connect, postbox, rows):
    one, two = (connect(MAIL_URL=postbox.url) for _ in range(2))
    for number in range(30):
        (one, two)[number % 2].post("/user/", json=new_user(f"user{number}"))

    _wait(rows, lambda found: sum(sent for _, _, sent, _, _ in found) == 30)
    assert sorted(postbox.recipients) == sorted(f"user{number}@example.com" for number in range(30))


def test_the_password_goes_over_starttls(connect, certificate, monkeypatch):
    monkeypatch.setenv("SSL_CERT_FILE", certificate.path)
    postbox = Postbox({"ventas@x": "s/ecreto"})
    with postbox.open(starttls=certificate):
        url = f"smtp://ventas%40x:s%2Fecreto@127.0.0.1:{postbox.port}"
        connect(MAIL_URL=url).post("/user/", json=new_user("ana", correo="ñ@example.com"))

        assert postbox.mail()
        assert postbox.logins == [("ventas@x", True)]


def test_mail_goes_over_tls_from_the_first_byte(connect, certificate, monkeypatch):
    monkeypatch.setenv("SSL_CERT_FILE", certificate.path)
    postbox = Postbox()
    with postbox.open(tls=certificate):
        connect(MAIL_URL=f"smtps://127.0.0.1:{postbox.port}").post("/user/", json=new_user("ana"))

        assert postbox.mail()


def test_the_password_does_not_go_to_a_server_without_tls(connect, postbox, rows):
    url = f"smtp://ventas:secreto@127.0.0.1:{postbox.port}"
    connect(MAIL_URL=url).post("/user/", json=new_user("ana"))

    [(_, _, sent, _, error)] = _wait(rows, lambda found: found[0][4])
    assert not sent
    assert "STARTTLS" in error
    assert postbox.logins == []


def test_a_certificate_that_nobody_vouches_for_is_refused(connect, certificate, rows):
    postbox = Postbox()
    with postbox.open(tls=certificate):
        connect(MAIL_URL=f"smtps://127.0.0.1:{postbox.port}").post("/user/", json=new_user("ana"))

        [(_, _, sent, _, error)] = _wait(rows, lambda found: found[0][4])
    assert not sent
    assert "CERTIFICATE_VERIFY_FAILED" in error


def test_without_mail_url_mails_go_to_the_log(api, caplog):
    caplog.set_level("INFO", "ventas.mail")
    api.post("/user/", json=new_user("ana"))

    for _ in range(200):
        if "ana@example.com" in caplog.text:
            break
        threading.Event().wait(0.05)
    assert "MAIL_URL is unset" in caplog.text
    assert "Verifique su correo" in caplog.text


def test_in_production_without_mail_url_only_mail_is_missing(connect, rows):
    api = connect(APP_ENV="production", BCRYPT_ROUNDS="10")

    assert api.post("/user/", json=new_user("ana")).status_code == 201
    answer = api.post("/login/recuperar", json={"correo": "ana@example.com"})
    body = problem(answer, 503, "correo_no_configurado")
    assert body["detail"] == "Este servicio no tiene configurado el envío de correo"
    assert rows("SELECT count(*) FROM enlace") == [(0,)]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("MAIL_URL", "mail.example.com"),
        ("MAIL_URL", "http://mail.example.com"),
        ("MAIL_URL", "smtp://mail.example.com:correo"),
        ("MAIL_FROM", "ventas"),
        ("MAIL_FROM", "Ventas <ventas@example.org>\r\nBcc: x@y.z"),
        ("PUBLIC_URL", "api.example.org"),
        ("PUBLIC_URL", "javascript:alert(1)"),
    ],
)
def test_a_setting_that_cannot_work_stops_the_start(name, value):
    with pytest.raises(SettingsError, match=f"^{name}: (.* cannot be used; )?set it to"):
        load({name: value})


def test_production_needs_to_say_who_mails_come_from():
    environ = {"APP_ENV": "production", "DATABASE_URL": "postgresql://x", "JWT_SECRET": secrets.token_hex(32)}
    with pytest.raises(SettingsError, match=r"^MAIL_FROM"):
        load(environ | {"MAIL_URL": "smtp://x"})
