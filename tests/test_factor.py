"""The second factor: an app that shows codes, a login in two steps, recovery codes, and who takes it away."""

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor

import psycopg
import pyotp
import pytest
from authlib.integrations.base_client import OAuthError
from authlib.integrations.httpx_client import OAuth2Client
from conftest import NO_TLS, PASSWORD, SETTINGS, client_of, log_in, member, problem
from postbox import token_of
from second_factor import (
    GRANT,
    PASSWORD_ACTUAL,
    activate,
    code,
    delete,
    enrol,
    first_step,
    read_qr,
    second_step,
)

from background.resealing import reseal
from commands.main import main
from core.auth import totp
from core.auth.sealing import Keys
from core.auth.vault import Vault
from core.process import start

SECRET = b"12345678901234567890"  # of RFC 4226 appendix D and RFC 6238 appendix B


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [(59, "287082"), (1111111109, "081804"), (1234567890, "005924"), (20000000000, "353130")],
)
def test_a_code_is_the_one_of_the_rfc(seconds, expected):
    assert totp.code_at(SECRET, seconds // 30) == expected == pyotp.TOTP(totp.shown(SECRET)).at(seconds)


@pytest.mark.parametrize(("skew", "good"), [(-60, False), (-30, True), (0, True), (30, True), (60, False)])
def test_a_clock_may_be_30_seconds_ahead_or_behind(skew, good):
    shown = totp.code_at(SECRET, (1_000_000 + skew) // 30)
    assert (totp.step_of(SECRET, shown, now=1_000_000, after=0) is not None) is good


def test_a_code_of_the_last_used_step_or_before_is_not_good():
    [before, last, after] = [totp.code_at(SECRET, step) for step in (99, 100, 101)]
    assert totp.step_of(SECRET, before, now=3000, after=100) is None
    assert totp.step_of(SECRET, last, now=3000, after=100) is None
    assert totp.step_of(SECRET, after, now=3000, after=100) == 101


def test_a_camera_reads_the_secret_from_the_qr(beto):
    answer = beto.post("/user/me/factor", json=PASSWORD_ACTUAL)

    enrolment = answer.json()
    app = pyotp.parse_uri(read_qr(enrolment["qr"]))
    assert (app.secret, app.issuer, app.name) == (enrolment["secreto"], "Ventas", "beto")
    assert enrolment["uri"] == read_qr(enrolment["qr"])
    assert answer.headers["cache-control"] == "no-store"
    shown = beto.post("/user/me/factor/confirmar", json={"codigo": f" {app.now()[:3]} {app.now()[3:]}"})
    assert shown.json()["respuesta"] == "Segundo factor activado correctamente"


def test_a_password_is_enough_until_a_code_confirms(beto, api):
    enrol(beto)
    answer = beto.post("/user/me/factor/confirmar", json={"codigo": "000000"})

    assert problem(answer, 400, "codigo_invalido")["detail"] == (
        "El código no es válido o ya se usó; espere el siguiente"
    )
    assert beto.get("/user/me/factor").json()["activo"] is False
    assert log_in(api, "beto")


def test_a_login_takes_two_steps(beto, api):
    secret, _ = activate(beto)
    token = first_step(api, "beto")

    answer = second_step(api, token, code(secret, seconds=30))
    assert (answer.status_code, set(answer.json())) == (200, {"access_token", "token_type"})
    renewable = second_step(api, first_step(api, "beto", scope="offline_access"), code(secret, seconds=30))
    assert renewable.status_code == 400, "the code was used"
    me = api.get("/user/me", headers={"Authorization": f"Bearer {answer.json()['access_token']}"})
    assert me.json()["username"] == "beto"


def test_the_first_step_says_what_is_missing(beto, api):
    activate(beto)
    answer = api.post("/login/", data={"username": "beto", "password": PASSWORD})

    body = answer.json()
    assert (answer.status_code, body["error"], body["codigo"]) == (
        403,
        "mfa_required",
        "segundo_factor_pedido",
    )
    assert body["detail"] == "Falta el código de su segundo factor"
    assert answer.headers["cache-control"] == "no-store"
    wrong = api.post("/login/", data={"username": "beto", "password": "otra clave larga"}).json()
    assert (wrong["error"], "mfa_token" in wrong) == ("invalid_grant", False)


def test_what_was_asked_for_at_the_first_step_comes_at_the_second(beto, api):
    secret, _ = activate(beto)
    token = first_step(api, "beto", scope="offline_access")

    body = second_step(api, token, code(secret, seconds=30)).json()
    renewed = api.post(
        "/login/", data={"grant_type": "refresh_token", "refresh_token": body["refresh_token"]}
    )
    assert renewed.status_code == 200


def test_a_stock_oauth_client_does_the_two_steps(beto, api):
    secret, _ = activate(beto)
    seen: list[dict[str, str]] = []
    options = {"token_endpoint_auth_method": "none", "scope": "offline_access", "verify": NO_TLS}
    with OAuth2Client("app", token_endpoint=str(api.base_url) + "/login/", **options) as client:
        client.register_compliance_hook("access_token_response", lambda r: seen.append(r.json()) or r)
        with pytest.raises(OAuthError) as refused:
            client.fetch_token(username="beto", password=PASSWORD)
        assert refused.value.error == "mfa_required"

        otp = code(secret, seconds=30)
        client.fetch_token(grant_type=GRANT, mfa_token=seen[0]["mfa_token"], otp=otp)
        assert client.get(str(api.base_url) + "/user/me").json()["username"] == "beto"
    told = api.get("/.well-known/oauth-authorization-server").json()
    assert GRANT in told["grant_types_supported"]


def race(url: str, asked: dict[str, str]) -> list[int]:
    """The statuses of 20 clients that send the same at once."""
    barrier = threading.Barrier(20)

    def one(_: int) -> int:
        with client_of(url) as client:
            client.get("/healthz")
            barrier.wait()
            return client.post("/login/", data=asked).status_code

    with ThreadPoolExecutor(20) as pool:
        return sorted(pool.map(one, range(20)))


@pytest.mark.parametrize("kind", ["code", "recovery"])
def test_of_20_clients_with_one_code_one_gets_in(connect, kind):
    api = connect(THROTTLE="off")
    with member(api, "beto") as beto:
        secret, codes = activate(beto)
        otp = code(secret, seconds=30) if kind == "code" else codes[0]
        asked = {"grant_type": GRANT, "mfa_token": first_step(api, "beto"), "otp": otp}
        assert race(str(api.base_url), asked) == [200] + [400] * 19
        assert len(beto.get("/login/sesiones").json()) == 2


def test_a_recovery_code_does_once_however_it_is_typed(beto, api):
    _, codes = activate(beto)
    assert (len(set(codes)), beto.get("/user/me/factor").json()["codigos_restantes"]) == (10, 10)

    for typed in (codes[0], codes[1].upper(), codes[2].replace("-", ""), f" {codes[3]} "):
        assert second_step(api, first_step(api, "beto"), typed).status_code == 200
        again = second_step(api, first_step(api, "beto"), typed)
        assert (again.status_code, again.json()["codigo"]) == (400, "codigo_invalido")
    assert beto.get("/user/me/factor").json()["codigos_restantes"] == 6


def test_the_recovery_codes_of_another_do_nothing(beto, carla, api):
    _, codes = activate(beto)
    activate(carla)
    assert second_step(api, first_step(api, "carla"), codes[0]).status_code == 400


@pytest.mark.parametrize("otp", ["", "12345", "1234567", "١٢٣٤٥٦", "a" * 1000, "\x00", "-", "null"])
def test_it_refuses_what_is_no_code(beto, api, otp):
    activate(beto)
    assert second_step(api, first_step(api, "beto"), otp).status_code in (400, 422)


@pytest.mark.parametrize("changed", ["altered", "a refresh token", "a new password", "no factor", "old"])
def test_an_mfa_token_is_good_for_its_login_alone(beto, api, changed, monkeypatch):
    secret, codes = activate(beto)
    token = first_step(api, "beto")
    match changed:
        case "altered":
            token = token[:20] + ("A" if token[20] != "A" else "B") + token[21:]
        case "a refresh token":
            token = second_step(api, first_step(api, "beto"), codes[0], scope="offline_access").json()[
                "refresh_token"
            ]
        case "a new password":
            changes = PASSWORD_ACTUAL | {"password": "otra clave larga"}
            assert beto.patch("/user/me", json=changes).status_code == 200
        case "no factor":
            assert delete(beto, "/user/me/factor").status_code == 200
        case "old":
            monkeypatch.setattr("handlers.second_step.SECONDS", 0)
            token = first_step(api, "beto")

    answer = second_step(api, token, code(secret, seconds=30))
    body = answer.json()
    assert (answer.status_code, body["codigo"], body["error"]) == (400, "mfa_token_invalido", "invalid_grant")


def test_few_guesses_are_heard_from_one_address(beto, api):
    secret, _ = activate(beto)
    token = first_step(api, "beto")

    statuses = [second_step(api, token, f"{n:06}").status_code for n in range(40)]
    assert statuses.count(400) <= 20
    assert second_step(api, token, code(secret, seconds=30)).status_code == 429


@pytest.mark.slow
def test_of_1000_guesses_from_as_many_addresses_few_are_heard(connect):
    api = connect(TRUSTED_PROXIES="1")
    with member(api, "beto") as beto:
        activate(beto)
        token = first_step(api, "beto")
        asked = {"grant_type": GRANT, "mfa_token": token}
        statuses = [
            api.post(
                "/login/",
                data=asked | {"otp": f"{n:06}"},
                headers={"X-Forwarded-For": f"10.0.{n // 250}.{n % 250}"},
            ).status_code
            for n in range(1000)
        ]
    assert statuses.count(400) <= 22
    assert set(statuses) == {400, 429}


def test_a_wrong_password_with_a_key_counts_as_one_without(beto):
    """What undoes the work of a key does not undo the count."""
    wrong = {"password_actual": "no es esta clave"}
    statuses = [
        beto.post("/user/me/factor", json=wrong, headers={"Idempotency-Key": f"k{n}"}).status_code
        for n in range(30)
    ]
    assert statuses == [403] * 20 + [429] * 10
    problem(beto.post("/user/me/factor", json={}), 422, "datos_invalidos")


def test_wrong_codes_with_a_key_count_too(beto):
    enrol(beto)
    statuses = [
        beto.post(
            "/user/me/factor/confirmar", json={"codigo": f"{n:06}"}, headers={"Idempotency-Key": f"k{n}"}
        ).status_code
        for n in range(10)
    ]
    assert statuses.count(429) >= 4


def test_confirming_it_ends_the_sessions_that_needed_none(beto, api):
    other = {"Authorization": f"Bearer {log_in(api, 'beto')}"}
    activate(beto)
    problem(api.get("/user/me", headers=other), 401, "token_invalido")
    assert beto.get("/user/me").status_code == 200


def test_there_is_one_at_a_time(beto):
    secret, _ = activate(beto)
    problem(beto.post("/user/me/factor", json=PASSWORD_ACTUAL), 409, "factor_activo")
    again = beto.post("/user/me/factor/confirmar", json={"codigo": code(secret, seconds=30)})
    problem(again, 404, "factor_inexistente")
    assert delete(beto, "/user/me/factor").json() == {"respuesta": "Segundo factor quitado correctamente"}
    problem(delete(beto, "/user/me/factor"), 404, "factor_inexistente")


@pytest.mark.parametrize("by", ["owner", "admin"])
def test_one_that_waits_is_gone_with_the_password(ana, beto, by):
    secret = enrol(beto)
    new = {"password": "otra clave larga"}
    changed = (
        ana.patch("/user/2", json=new)
        if by == "admin"
        else beto.patch("/user/me", json=new | PASSWORD_ACTUAL)
    )
    assert changed.status_code == 200

    session = {"Authorization": f"Bearer {log_in(ana, 'beto', 'otra clave larga')}"}
    answer = beto.post("/user/me/factor/confirmar", json={"codigo": code(secret)}, headers=session)

    detail = problem(answer, 404, "factor_inexistente")["detail"]
    assert detail == "No hay un segundo factor que espere su código: configúrelo otra vez"


def test_a_stolen_session_takes_it_not_away(beto, api):
    activate(beto)
    problem(delete(beto, "/user/me/factor", "no es esta clave"), 403, "password_actual_incorrecto")
    assert first_step(api, "beto")


def test_an_answer_that_was_lost_comes_again_and_is_not_kept_in_clear(beto, rows):
    key = {"Idempotency-Key": "una"}
    first = beto.post("/user/me/factor", json=PASSWORD_ACTUAL, headers=key)
    again = beto.post("/user/me/factor", json=PASSWORD_ACTUAL, headers=key)
    assert (again.json(), again.headers["idempotent-replayed"]) == (first.json(), "true")

    secret = first.json()["secreto"]
    confirmation = {"codigo": code(secret)}
    codes = beto.post("/user/me/factor/confirmar", json=confirmation, headers={"Idempotency-Key": "dos"})
    assert beto.post(
        "/user/me/factor/confirmar", json=confirmation, headers={"Idempotency-Key": "dos"}
    ).json() == (codes.json())
    kept = b"".join(body for (body,) in rows("SELECT cuerpo FROM idempotencia"))
    assert not any(text.encode() in kept for text in [secret, *codes.json()["codigos"]])


def test_a_stolen_database_has_no_quick_hash_of_a_password(beto, carla, rows):
    for client, key in ((beto, "una"), (carla, "una"), (beto, "otra")):
        client.post("/user/me/factor", json=PASSWORD_ACTUAL, headers={"Idempotency-Key": key})

    assert rows("SELECT DISTINCT huella FROM idempotencia") == [(bytes(32),)]
    other = PASSWORD_ACTUAL | {"nombre": "Caja", "ambitos": ["ventas:leer"]}
    problem(
        beto.post("/user/me/llaves", json=other, headers={"Idempotency-Key": "una"}), 422, "clave_reutilizada"
    )
    sale = {"venta": 5, "ventas_productos": 1}
    problem(beto.post("/venta/", json=sale, headers={"Idempotency-Key": "una"}), 422, "clave_reutilizada")


def test_a_stolen_database_opens_no_factor(beto, carla, rows, api):
    secret, codes = activate(beto)
    activate(carla)
    [(sealed, hashes)] = rows("SELECT secreto, codigos FROM factor WHERE usuario_id = %s", beto.id)
    assert totp.shown(sealed) != secret and len(hashes) == 10
    assert Vault("another secret of 32 bytes or more, of a thief").open(f"factor {beto.id}", sealed) is None

    rows("UPDATE factor SET secreto = %s, paso = 0 WHERE usuario_id = %s", sealed, carla.id)
    assert second_step(api, first_step(api, "carla"), code(secret)).status_code == 400, "it is Beto's"
    assert second_step(api, first_step(api, "beto"), codes[0]).status_code == 200


def reseal_with(**settings: str) -> None:
    """What each process does every minute."""

    async def sweep() -> None:
        async with start.services(SETTINGS | settings) as services:
            await reseal(services)

    asyncio.run(sweep())


def test_it_outlives_two_changes_of_the_servers_secret(serve, database):
    first, second, third = (f"secret number {n} of the tests, long enough" for n in (1, 2, 3))
    with client_of(serve(JWT_SECRET=first)) as api, member(api, "beto") as beto:
        secret, codes = activate(beto)
    with client_of(serve(JWT_SECRET=second, JWT_SECRET_PREVIOUS=first)) as api:
        assert second_step(api, first_step(api, "beto"), code(secret, seconds=30)).status_code == 200
    with client_of(serve(JWT_SECRET=third)) as api:
        assert second_step(api, first_step(api, "beto"), code(secret, seconds=30)).status_code == 400
        assert second_step(api, first_step(api, "beto"), codes[0]).status_code == 200

    reseal_with(DATABASE_URL=database, JWT_SECRET=second, JWT_SECRET_PREVIOUS=first)
    reseal_with(DATABASE_URL=database, JWT_SECRET=third, JWT_SECRET_PREVIOUS=second)
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute("UPDATE factor SET paso = 0")
    with client_of(serve(JWT_SECRET=third)) as api:
        assert second_step(api, first_step(api, "beto"), code(secret)).status_code == 200


def test_an_admin_acts_as_one_only_with_it_where_that_is_asked(connect):
    api = connect(REQUIRE_FACTOR="admins")
    with member(api, "ana") as ana, member(api, "beto") as beto:
        refused = problem(ana.get("/user/"), 403, "factor_requerido")
        assert refused["detail"] == "Para actuar como admin active antes el segundo factor de su cuenta"
        problem(beto.get("/user/"), 403, "sin_permiso")
        beto.post("/venta/", json={"venta": 5, "ventas_productos": 1})
        assert ana.get("/venta/").json() == []
        assert ana.get("/user/me/factor").json()["requerido"] is True

        activate(ana)
        assert ana.get("/user/").status_code == 200
        assert len(ana.get("/venta/").json()) == 1
        assert delete(ana, "/user/me/factor").status_code == 200
        problem(ana.get("/user/"), 403, "factor_requerido")


def test_an_admin_takes_it_from_who_lost_everything(ana, beto, carla, api):
    activate(beto)
    path = f"/user/{beto.id}/factor"
    problem(delete(carla, path), 403, "sin_permiso")
    problem(delete(ana, path, "no es esta clave"), 403, "password_actual_incorrecto")
    assert delete(ana, path).json() == {"respuesta": "Segundo factor quitado correctamente"}
    assert log_in(api, "beto")
    detail = f"El usuario con el id {beto.id} no tiene un segundo factor"
    assert problem(delete(ana, path), 404, "factor_inexistente")["detail"] == detail
    problem(delete(ana, "/user/99/factor"), 404, "factor_inexistente")


def test_so_does_the_command_line(beto, api, database, monkeypatch, capsys):
    activate(beto)
    monkeypatch.setenv("DATABASE_URL", database)
    assert main(["revoke", "beto", "--factor"]) == 0
    assert capsys.readouterr().out == (
        "sessions of beto that were ended: 1; API keys: 0; the second factor is gone\n"
    )
    assert log_in(api, "beto")
    assert main(["revoke", "beto", "--factor"]) == 0
    assert capsys.readouterr().out.endswith("; there was no second factor\n")


def test_all_of_it_is_audited(ana, beto, api):
    secret, codes = activate(beto)
    second_step(api, first_step(api, "beto"), "000000")
    second_step(api, first_step(api, "beto"), code(secret, seconds=30))
    second_step(api, first_step(api, "beto"), codes[0])
    delete(beto, "/user/me/factor")

    records = ana.get("/auditoria", params={"afectado_id": beto.id}).json()
    said = [(record["accion"], (record["despues"] or {}).get("factor")) for record in records]
    assert said[:5] == [
        ("factor_quitado", None),
        ("login", "recuperacion"),
        ("login", "codigo"),
        ("login_fallido", None),
        ("factor_activado", None),
    ]
    assert records[3]["despues"] == {"motivo": "codigo_invalido"}


@pytest.fixture
def mailed(connect, postbox):
    """A client of a server that sends mail, where Beto has had his first one."""
    api = connect(MAIL_URL=postbox.url)
    with member(api, "beto") as beto:
        postbox.mail()
        yield api, beto


def test_each_change_is_told_by_mail(mailed, postbox):
    api, beto = mailed
    _, codes = activate(beto)
    assert postbox.mail()["Subject"] == "Se activó el segundo factor de su cuenta"
    second_step(api, first_step(api, "beto"), codes[0])
    assert postbox.mail()["Subject"] == "Se inició sesión con un código de recuperación"
    delete(beto, "/user/me/factor")
    assert postbox.mail()["Subject"] == "Se quitó el segundo factor de su cuenta"


def test_a_thiefs_factor_goes_when_the_owner_undoes_it(mailed, postbox):
    api, beto = mailed
    secret, _ = activate(beto)
    token = token_of(postbox.mail())

    assert api.post("/login/deshacer", json={"token": token}).status_code == 200
    recovery = {"token": token_of(postbox.mail()), "password": "una clave muy nueva"}
    assert api.post("/login/restablecer", json=recovery).status_code == 200
    assert log_in(api, "beto", "una clave muy nueva")
    assert secret


def test_an_undone_password_leaves_the_factor_that_was_there(mailed, postbox):
    """Who reads the owner's mail alone gets not past the factor."""
    api, beto = mailed
    activate(beto)
    postbox.mail()
    changes = PASSWORD_ACTUAL | {"password": "otra clave larga"}
    assert beto.patch("/user/me", json=changes).status_code == 200
    assert api.post("/login/deshacer", json={"token": token_of(postbox.mail())}).status_code == 200
    recovery = {"token": token_of(postbox.mail()), "password": "una clave muy nueva"}
    assert api.post("/login/restablecer", json=recovery).status_code == 200
    assert first_step(api, "beto", password="una clave muy nueva")


def test_a_blocked_user_gets_in_with_no_code(ana, beto, api):
    secret, _ = activate(beto)
    token = first_step(api, "beto")
    assert ana.patch(f"/user/{beto.id}", json={"bloqueado": True}).status_code == 200
    assert second_step(api, token, code(secret, seconds=30)).json()["codigo"] == "cuenta_bloqueada"


def test_a_token_of_a_first_step_is_no_session(beto, api):
    activate(beto)
    headers = {"Authorization": f"Bearer {first_step(api, 'beto')}"}
    problem(api.get("/user/me", headers=headers), 401, "token_invalido")
    assert Keys("x" * 32).open("refresh", first_step(api, "beto")) is None
