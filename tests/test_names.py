"""What people type: names that look the same are one or refused, and what is forgiven."""

import re
import unicodedata

import bcrypt
import httpx
import pytest
from conftest import PASSWORD, SETTINGS, log_in, new_user, problem

from commands.main import main
from core.addresses import ascii_form, one_form, same_mailbox, spellings
from handlers.fields import CONTROL, INVISIBLE

IDN = "beto@münchen.example"
ALIKE = [
    "\u200b",
    "\u00ad",
    "\u202e",
    "\u3164",
    "\uffa0",
    "\u2060",
    "\ufe0f",
    "\U000e0061",
    "\u2800",
    "\U00016fe4",
    "\U0001d159",
]


def _register(api: httpx.Client, username: str, /, **fields: object) -> httpx.Response:
    return api.post("/user/", json=new_user("x") | {"correo": "x@example.com", "username": username} | fields)


def _log_in(api: httpx.Client, username: str, password: str = PASSWORD) -> int:
    return api.post("/login/", data={"username": username, "password": password}).status_code


def _plant(rows, username: str, correo: str, password: str = PASSWORD) -> None:
    """A user of before, as the database still takes them."""
    hashed = bcrypt.hashpw(password.encode(), bcrypt.gensalt(4)).decode()
    rows(
        "INSERT INTO usuario (username, password, nombre, apellido, telefono, correo) "
        "VALUES (%s, %s, 'X', 'Y', '123', %s)",
        username,
        hashed,
        correo,
    )


@pytest.mark.parametrize("mark", ALIKE, ids=ascii)
def test_it_refuses_a_name_with_what_nobody_sees(api_of_all, mark):
    for field, value in (
        ("username", f"an{mark}a"),
        ("correo", f"an{mark}a@x.com"),
        ("correo", f"a@x{mark}.com"),
    ):
        body = problem(_register(api_of_all, "ana", **{field: value}), 422, "datos_invalidos")
        assert [error["campo"] for error in body["errores"]] == [field]
        assert "caracteres invisibles" in body["errores"][0]["mensaje"]


def test_nothing_of_unicode_that_is_invisible_is_left_out():
    unseen = re.compile(f"[{CONTROL}{INVISIBLE}]")
    hidden = {"Cf", "Cc", "Zs", "Zl", "Zp"}
    everything = map(chr, range(0x110000))
    assert [c for c in everything if unicodedata.category(c) in hidden and not unseen.match(c)] == []


@pytest.mark.parametrize(
    "correo",
    [
        "a@example..com",
        "a@-",
        "a@example.com.",
        ".a@example.com",
        "a.@example.com",
        "a..b@example.com",
        "a@b_c.com",
        "a@xn--zzzzzz99999.com",
        "=?utf-8?q?=0D=0A1?=@p.test",
        "a@" + "b" * 64,
        "a" * 65 + "@example.com",
        "a@" + ".".join(["b" * 60] * 5),
    ],
)
def test_it_refuses_what_is_no_address(api_of_all, correo):
    body = problem(_register(api_of_all, "ana", correo=correo), 422, "datos_invalidos")

    assert body["errores"] == [
        {
            "campo": "correo",
            "mensaje": "debe ser un correo de hasta 254 caracteres, sin espacios ni caracteres invisibles",
        }
    ]


def test_a_domain_is_one_however_it_is_written(api):
    assert _register(api, "beto", correo=IDN).status_code == 201

    for written in (
        "beto@xn--mnchen-3ya.example",
        "beto@MU\u0308NCHEN.example",
        "BETO@XN--MNCHEN-3YA.EXAMPLE",
    ):
        assert problem(_register(api, "otro", correo=written), 409, "usuario_repetido")["detail"].startswith(
            "Error creando usuario"
        )
        assert _log_in(api, written) == 200


@pytest.mark.parametrize(
    "name", [" ana", "ana\t", "\u00a0Ana\u00a0", "ANA@EXAMPLE.COM ", "\u3000ana@example.com"]
)
def test_spaces_and_capitals_are_forgiven_at_login(api, name):
    _register(api, "ana", correo="ana@example.com")

    assert _log_in(api, name) == 200


def test_spaces_are_forgiven_at_registration(api, rows):
    assert _register(api, " ana\u00a0", correo="\tana@example.com ").status_code == 201

    assert rows("SELECT username, correo FROM usuario") == [("ana", "ana@example.com")]
    assert problem(_register(api, "ana ", correo="b@example.com"), 409, "usuario_repetido")


def test_spaces_are_forgiven_at_recovery(connect, postbox):
    api = connect(MAIL_URL=postbox.url)
    _register(api, "beto", correo=IDN)
    postbox.mail()

    api.post("/login/recuperar", json={"correo": "\u00a0beto@xn--mnchen-3ya.example\t"})

    assert postbox.mail()["Subject"] == "Elija una contraseña nueva"


def test_rows_of_before_keep_working(connect, rows, postbox):
    api = connect(MAIL_URL=postbox.url)
    for number, (username, correo) in enumerate(
        [
            ("an\u200ba", "ana@example..com"),
            ("beto", "beto@xn--mnchen-3ya.example"),
            ("carla\u3164", "c@Ü.example"),
        ]
    ):
        _plant(rows, username, correo)
        assert (_log_in(api, username), _log_in(api, correo)) == (200, 200), number

    api.post("/login/recuperar", json={"correo": "beto@xn--mnchen-3ya.example"})
    assert postbox.mail()["To"] == "beto@xn--mnchen-3ya.example"


@pytest.mark.parametrize("kept", ["beto@xn--mnchen-3ya.example", "beto@XN--MNCHEN-3YA.example"])
def test_a_correo_of_before_is_taken_in_each_spelling(api, rows, kept):
    _plant(rows, "beto", kept)
    _register(api, "otro", correo="otro@example.com")
    otro = {"Authorization": f"Bearer {log_in(api, 'otro')}"}

    for written in (IDN, "BETO@xn--mnchen-3ya.example"):
        told = problem(_register(api, "nuevo", correo=written), 409, "usuario_repetido")["detail"]
        assert told == "Error creando usuario: el correo ya está en uso"
        change = {"correo": written, "password_actual": PASSWORD}
        problem(api.patch("/user/me", json=change, headers=otro), 409, "usuario_repetido")


@pytest.mark.parametrize("written", [IDN, "beto@xn--mnchen-3ya.example", "beto@XN--MNCHEN-3YA.example"])
def test_a_correo_of_before_that_is_written_anew_is_no_new_one(connect, rows, postbox, written):
    api = connect(MAIL_URL=postbox.url)
    _plant(rows, "beto", "beto@xn--mnchen-3ya.example")
    rows("UPDATE usuario SET estado = true")
    other, beto = ({"Authorization": f"Bearer {log_in(api, 'beto')}"} for _ in range(2))
    profile = api.get("/user/me", headers=beto).json()
    fields = ("username", "nombre", "apellido", "telefono")
    whole = {field: profile[field] for field in fields} | {"correo": written}

    assert api.patch("/user/me", json=whole, headers=beto).status_code == 200

    assert rows("SELECT correo, estado FROM usuario") == [(IDN, True)]
    assert api.get("/user/me", headers=other).status_code == 200
    assert rows("SELECT 1 FROM aviso UNION ALL SELECT 1 FROM enlace") == []


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        (IDN, "beto@xn--mnchen-3ya.example", True),
        ("beto@Example.com", "beto@example.com", True),
        ("beto@example..com", "beto@example..com", True),
        ("Beto@example.com", "beto@example.com", False),
        ("be\u0301to@example.com", "b\u00e9to@example.com", False),
        (IDN, "beto@munchen.example", False),
    ],
)
def test_two_addresses_are_one_mailbox_when_only_the_spelling_of_the_domain_differs(one, other, same):
    assert same_mailbox(one, other) is same


def test_who_may_take_a_correo_of_before_back_keeps_it_in_each_spelling(connect, rows, postbox):
    api = connect(MAIL_URL=postbox.url)
    _plant(rows, "beto", "beto@xn--mnchen-3ya.example")
    beto = {"Authorization": f"Bearer {log_in(api, 'beto')}"}
    change = {"correo": "malo@example.com", "password_actual": PASSWORD}
    assert api.patch("/user/me", json=change, headers=beto).status_code == 200

    problem(_register(api, "otro", correo=IDN), 409, "usuario_repetido")


def test_spaces_give_nobody_more_guesses(connect):
    api = connect()
    _register(api, "ana", correo=IDN)
    for number in range(20):
        assert _log_in(api, " " * number + IDN, "no es la clave") == 400

    assert _log_in(api, "\tbeto@xn--mnchen-3ya.example", "no es la clave") == 429


@pytest.mark.parametrize(
    ("chosen", "typed"),
    [
        (unicodedata.normalize("NFC", "contraseña larga"), unicodedata.normalize("NFD", "contraseña larga")),
        (unicodedata.normalize("NFD", "contraseña larga"), unicodedata.normalize("NFC", "contraseña larga")),
        ("contraseña\u00a0larga", "contraseña larga"),
        ("❤\ufe0f y más ❤\ufe0f", "❤\ufe0f y ma\u0301s ❤\ufe0f"),
    ],
    ids=["NFC, NFD", "NFD, NFC", "another space", "emoji"],
)
def test_a_password_is_one_however_it_is_typed(api, chosen, typed):
    assert _register(api, "ana", password=chosen).status_code == 201

    assert _log_in(api, "ana", typed) == 200
    assert _log_in(api, "ana", typed.replace("a", "b")) == 400


def test_a_password_is_one_when_it_is_changed_and_reset(api):
    old, new = "contraseña larga", "otra contraseña"
    _register(api, "ana", password=old)
    token = api.post("/login/", data={"username": "ana", "password": old}).json()["access_token"]
    changes = {
        "password": unicodedata.normalize("NFD", new),
        "password_actual": unicodedata.normalize("NFD", old),
    }

    assert (
        api.patch("/user/me", json=changes, headers={"Authorization": f"Bearer {token}"}).status_code == 200
    )
    assert _log_in(api, "ana", new) == 200


@pytest.mark.parametrize("form", ["NFC", "NFD"])
def test_a_hash_of_before_verifies_and_is_made_anew(api, rows, form):
    _plant(rows, "ana", "ana@example.com", unicodedata.normalize("NFD", "contraseña larga"))
    [(before,)] = rows("SELECT password FROM usuario")

    assert _log_in(api, "ana", unicodedata.normalize(form, "contraseña larga")) == 200
    [(after,)] = rows("SELECT password FROM usuario")
    assert after != before
    assert bcrypt.checkpw("contraseña larga".encode(), after.encode())
    assert _log_in(api, "ana", unicodedata.normalize(form, "contraseña larga")) == 200
    assert rows("SELECT password FROM usuario") == [(after,)]


def test_72_bytes_are_counted_in_the_form_that_is_hashed(api):
    longest = "ñ" * 36
    assert _register(api, "ana", password=unicodedata.normalize("NFD", longest)).status_code == 201
    assert _log_in(api, "ana", longest) == 200
    body = problem(_register(api, "beto", password=longest + "ñ"), 422, "datos_invalidos")
    assert body["errores"] == [{"campo": "password", "mensaje": "debe tener como máximo 72 bytes en UTF-8"}]


@pytest.mark.parametrize(
    ("typed", "kept", "sent"),
    [
        ("Ana@Example.COM", "Ana@example.com", "Ana@Example.COM"),
        ("a@STRASSE.example", "a@strasse.example", "a@STRASSE.example"),
        ("a@straße.example", "a@straße.example", "a@xn--strae-oqa.example"),
        ("a@ｘ。example", "a@x.example", "a@x.example"),
    ],
)
def test_an_address_has_one_form(typed, kept, sent):
    assert (one_form(typed), ascii_form(typed)) == (kept, sent)
    assert spellings(f" {typed} ")[0].lower() == kept.lower()


def test_a_username_is_no_address():
    assert spellings(" ñandú\t") == ["ñandú"]


def test_what_is_too_long_for_an_address_is_none():
    assert spellings("a@" + "ü" * 900) == ["a@" + "ü" * 900]


def test_a_command_lists_the_users_of_before_whose_names_are_odd(database, rows, capsys, monkeypatch):
    _plant(rows, "Ana", "ana@EXAMPLE.com")
    _plant(rows, "an\u200ba", "ana@example..com")
    _plant(rows, "beto", "beto@xn--mnchen-3ya.example")
    for name, value in (SETTINGS | {"DATABASE_URL": database}).items():
        monkeypatch.setenv(name, value)

    assert main(["odd-names"]) == 3
    [(odd,), (beto,)] = rows("SELECT id FROM usuario WHERE username <> 'Ana' ORDER BY id")
    assert capsys.readouterr().out.splitlines() == [
        f"{odd} username 'an\\u200ba'",
        f"{odd} correo 'ana@example..com'",
        f"{beto} correo 'beto@xn--mnchen-3ya.example'",
    ]
    rows("DELETE FROM usuario WHERE username <> 'Ana'")
    assert main(["odd-names"]) == 0
