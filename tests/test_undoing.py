"""A changed correo or password: who is told, and how the account is taken back."""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import httpx
import psycopg
import pytest
from conftest import PASSWORD, log_in, member, new_user, problem
from fleets import until
from postbox import TOKEN, token_of
from second_factor import code
from test_refresh import bearer, offline, refused, renew

from core.auth.password_hashes import Passwords
from core.database.database import Runner
from sql import usuarios
from sql.idempotencia import turn_of
from sql.usuarios import Credenciales

UNDONE = {
    "respuesta": "La cuenta vuelve a tener este correo; le enviamos un enlace para elegir otra contraseña"
}
NEW = "una clave distinta"
STOLEN = {"correo": "malo@example.com", "password_actual": PASSWORD}


@pytest.fixture
def site(connect, postbox) -> httpx.Client:
    """A client of a server that sends mail, where Ana and Beto have theirs already."""
    api = connect(MAIL_URL=postbox.url)
    for username in ("ana", "beto"):
        api.post("/user/", json=new_user(username))
        postbox.mail()
    return api


@pytest.fixture
def beto(site) -> dict[str, str]:
    return {"Authorization": f"Bearer {log_in(site, 'beto')}"}


def mails(postbox, count: int) -> dict[str, object]:
    """The next mails, by their subject and recipient."""
    found = [postbox.mail() for _ in range(count)]
    return {f"{mail['Subject']} → {mail['To']}": mail for mail in found}


def undo(client: httpx.Client, token: str) -> httpx.Response:
    return client.post("/login/deshacer", json={"token": token})


def stolen(site: httpx.Client, beto: dict[str, str], postbox) -> str:
    """Beto's correo is changed by who has his password; the token that his old correo gets."""
    assert site.patch("/user/me", json=STOLEN, headers=beto).status_code == 200
    return token_of(mails(postbox, 2)["Cambió el correo de su cuenta → beto@example.com"])


@pytest.mark.parametrize("stated", [{}, {"password_actual": "otra cosa"}])
@pytest.mark.parametrize("method", ["PATCH", "PUT"])
def test_a_stolen_token_changes_no_correo(site, beto, stated, method):
    body = {"correo": "malo@example.com"} | stated
    if method == "PUT":
        body = new_user("beto", correo="malo@example.com") | stated
    answer = site.request(method, "/user/2", json=body, headers=beto)

    detail = problem(answer, 403, "password_actual_incorrecto")["detail"]
    assert detail == "password_actual falta o no es la contraseña actual"
    assert site.get("/user/me", headers=beto).json()["correo"] == "beto@example.com"


def test_an_admins_own_correo_needs_the_password_too(site):
    ana = {"Authorization": f"Bearer {log_in(site, 'ana')}"}
    answer = site.patch("/user/1", json={"correo": "malo@example.com"}, headers=ana)
    problem(answer, 403, "password_actual_incorrecto")


def test_what_stays_as_it_is_needs_no_password(site, beto):
    change = {"correo": "beto@example.com", "nombre": "Norberto"}
    assert site.patch("/user/me", json=change, headers=beto).status_code == 200


def test_a_new_correo_ends_the_other_sessions_and_keeps_this_one(site, beto):
    other = offline(site, "beto")

    assert site.patch("/user/me", json=STOLEN, headers=beto).status_code == 200

    assert site.get("/user/me", headers=beto).status_code == 200
    problem(site.get("/user/me", headers=bearer(other)), 401, "token_invalido")
    refused(renew(site, other["refresh_token"]))


def test_the_old_address_is_told_what_when_and_from_where(site, beto, postbox):
    site.patch("/user/me", json=STOLEN | {"username": "malo"}, headers=beto)

    told = mails(postbox, 2)["Cambió el correo de su cuenta → beto@example.com"]
    text = told.get_body(("plain",)).get_content()
    assert text.startswith("Cambió el correo de su cuenta (20")
    assert "desde la dirección 127.0.0.1" in text
    assert "durante 72 horas" in text
    assert "malo" not in told.as_string()


def test_a_mail_without_a_link_speaks_of_none(site, beto, postbox):
    site.patch("/user/me", json=STOLEN, headers=beto)
    for mail in mails(postbox, 2).values():
        for kind in ("plain", "html"):
            assert "enlace" not in mail.get_body((kind,)).get_content()


def test_it_puts_the_correo_back_ends_every_session_and_opens_a_recovery(site, beto, postbox, rows):
    token = stolen(site, beto, postbox)
    thief = offline(site, "beto")

    assert undo(site, token).json() == UNDONE

    assert rows("SELECT correo, estado FROM usuario WHERE id = 2") == [("beto@example.com", True)]
    for headers in (beto, bearer(thief)):
        problem(site.get("/user/me", headers=headers), 401, "token_invalido")
    refused(renew(site, thief["refresh_token"]))
    assert site.post("/login/", data={"username": "beto", "password": PASSWORD}).status_code == 400
    recovery = postbox.mail()
    assert (recovery["To"], recovery["Subject"]) == ("beto@example.com", "Elija una contraseña nueva")
    reset = {"token": token_of(recovery), "password": NEW}
    assert site.post("/login/restablecer", json=reset).status_code == 200
    log_in(site, "beto", NEW)


def test_a_changed_password_is_told_and_undone_as_well(site, beto, postbox, rows):
    site.patch("/user/me", json={"password": NEW, "password_actual": PASSWORD}, headers=beto)
    told = mails(postbox, 1)["Cambió la contraseña de su cuenta → beto@example.com"]

    assert undo(site, token_of(told)).json() == UNDONE

    assert site.post("/login/", data={"username": "beto", "password": NEW}).status_code == 400


def test_the_oldest_link_wins_over_those_that_the_thief_was_sent(site, beto, postbox, rows):
    first = stolen(site, beto, postbox)
    again = {"correo": "otro@example.com", "password_actual": PASSWORD}
    site.patch("/user/me", json=again, headers=beto)
    thiefs = token_of(mails(postbox, 2)["Cambió el correo de su cuenta → malo@example.com"])

    assert undo(site, thiefs).status_code == 200
    assert rows("SELECT correo FROM usuario WHERE id = 2") == [("malo@example.com",)]
    assert undo(site, first).status_code == 200

    assert rows("SELECT correo FROM usuario WHERE id = 2") == [("beto@example.com",)]
    problem(undo(site, thiefs), 422, "enlace_invalido")


def test_once_undone_the_thiefs_links_are_void(site, beto, postbox):
    first = stolen(site, beto, postbox)
    site.patch("/user/me", json={"correo": "otro@example.com", "password_actual": PASSWORD}, headers=beto)
    thiefs = token_of(mails(postbox, 2)["Cambió el correo de su cuenta → malo@example.com"])

    assert undo(site, first).status_code == 200

    problem(undo(site, thiefs), 422, "enlace_invalido")
    problem(undo(site, first), 422, "enlace_invalido")


@contextmanager
def delayed(database: str, rows, send) -> Iterator[None]:
    """What `send` does with the Idempotency-Key X has begun, waits for a turn during the block, and then goes on."""
    with psycopg.connect(database, autocommit=True) as held, ThreadPoolExecutor(1) as pool:
        turn = turn_of(2, "X")
        held.execute("SELECT pg_advisory_lock(%s)", [turn])
        answer = pool.submit(send)
        until(lambda: rows("SELECT 1 FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"))
        yield
        held.execute("SELECT pg_advisory_unlock(%s)", [turn])
        assert answer.result().is_success, answer.result().text


def test_a_key_that_was_asked_for_before_the_change_and_made_after_it_goes_too(
    site, beto, postbox, rows, database
):
    new = {"nombre": "Caja", "ambitos": ["ventas:leer"], "password_actual": PASSWORD}
    headers = beto | {"Idempotency-Key": "X"}
    with delayed(database, rows, lambda: site.post("/user/me/llaves", json=new, headers=headers)):
        token = stolen(site, beto, postbox)
    thiefs = token_of(mails(postbox, 1)["Se creó una llave de API de su cuenta → malo@example.com"])

    assert undo(site, token).json() == UNDONE

    assert rows("SELECT * FROM llave") == []
    problem(undo(site, thiefs), 422, "enlace_invalido")


def test_so_does_a_factor(site, beto, postbox, rows, database):
    asked = site.post("/user/me/factor", json={"password_actual": PASSWORD}, headers=beto).json()
    body, headers = {"codigo": code(asked["secreto"])}, beto | {"Idempotency-Key": "X"}
    with delayed(database, rows, lambda: site.post("/user/me/factor/confirmar", json=body, headers=headers)):
        token = stolen(site, beto, postbox)

    assert undo(site, token).json() == UNDONE

    assert rows("SELECT * FROM factor") == []
    assert rows("SELECT segundo_factor FROM usuario WHERE id = 2") == [(False,)]


def test_a_change_that_is_under_way_is_undone_as_well(site, beto, postbox, rows, database):
    token = stolen(site, beto, postbox)
    again = """
        WITH changed AS (UPDATE usuario SET correo = 'otro@example.com' WHERE id = 2)
        INSERT INTO aviso (usuario_id, tipo, correo, reversible, direccion, expira)
        VALUES (2, 'correo', 'malo@example.com', true, '', now() + interval '72 hours')
    """
    with psycopg.connect(database) as thief, ThreadPoolExecutor(1) as pool:
        thief.execute(again)
        answer = pool.submit(undo, site, token)
        until(lambda: rows("SELECT 1 FROM pg_locks WHERE NOT granted"))
        thief.commit()
        assert answer.result().json() == UNDONE

    assert rows("SELECT * FROM aviso") == []


def test_of_two_links_at_once_the_older_one_wins(site, beto, postbox, rows):
    tokens = [stolen(site, beto, postbox)]
    site.patch("/user/me", json={"correo": "otro@example.com", "password_actual": PASSWORD}, headers=beto)
    tokens.append(token_of(mails(postbox, 2)["Cambió el correo de su cuenta → malo@example.com"]))
    threads = [threading.Thread(target=undo, args=(site, token)) for token in tokens * 4]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert rows("SELECT correo FROM usuario WHERE id = 2") == [("beto@example.com",)]


def test_it_is_good_for_72_hours_from_its_leaving(site, beto, postbox, rows):
    token = stolen(site, beto, postbox)
    until(lambda: rows("SELECT expira - enviado = interval '72 hours' FROM aviso") == [(True,)])

    rows("UPDATE aviso SET creacion = now() - interval '73 h', expira = now() - interval '1 s'")

    problem(undo(site, token), 422, "enlace_invalido")
    assert rows("SELECT correo FROM usuario WHERE id = 2") == [("malo@example.com",)]


def test_meanwhile_nobody_else_takes_the_correo(site, beto, postbox, rows):
    token = stolen(site, beto, postbox)
    squatter = new_user("malo", correo="BETO@example.com")

    detail = problem(site.post("/user/", json=squatter), 409, "usuario_repetido")["detail"]
    assert detail == "Error creando usuario: el correo ya está en uso"
    with member(site, "carla") as carla:
        grab = {"correo": "beto@example.com", "password_actual": PASSWORD}
        problem(carla.patch("/user/me", json=grab), 409, "usuario_repetido")
    assert undo(site, token).status_code == 200

    rows("UPDATE usuario SET correo = 'libre@example.com' WHERE id = 2")
    assert site.post("/user/", json=squatter).status_code == 201


def test_it_changes_nothing_where_another_has_the_correo(site, beto, postbox, rows):
    """As after a DBA has moved it by hand."""
    token = stolen(site, beto, postbox)
    site.post("/user/", json=new_user("carla"))
    rows("UPDATE usuario SET correo = 'beto@example.com' WHERE username = 'carla'")

    detail = problem(undo(site, token), 409, "usuario_repetido")["detail"]
    assert detail == "el correo ya está en uso"
    assert site.get("/user/me", headers=beto).json()["correo"] == "malo@example.com"
    rows("UPDATE usuario SET correo = 'carla@example.com' WHERE username = 'carla'")
    assert undo(site, token).status_code == 200


def test_its_owner_may_go_back_by_themself(site, beto, postbox):
    stolen(site, beto, postbox)
    back = {"correo": "beto@example.com", "password_actual": PASSWORD}
    assert site.patch("/user/me", json=back, headers=beto).status_code == 200


def restored(site: httpx.Client, postbox) -> dict[str, object]:
    """Beto puts his correo back by hand, with a new password; the mails about the theft and about that."""
    owner = {"Authorization": f"Bearer {log_in(site, 'beto')}"}
    back = {"correo": "beto@example.com", "password": NEW, "password_actual": PASSWORD}
    assert site.patch("/user/me", json=back, headers=owner).status_code == 200
    return mails(postbox, 3)


def test_once_its_owner_is_back_by_themself_no_link_leads_to_the_thief(site, beto, postbox, rows):
    stolen(site, beto, postbox)
    new = {"nombre": "Caja", "ambitos": ["ventas:leer"], "password_actual": PASSWORD}
    assert site.post("/user/me/llaves", json=new, headers=beto).status_code == 201
    thiefs = token_of(mails(postbox, 1)["Se creó una llave de API de su cuenta → malo@example.com"])

    told = restored(site, postbox)

    for what in ("el correo", "la contraseña"):
        text = told[f"Cambió {what} de su cuenta → malo@example.com"].get_body(("plain",)).get_content()
        assert "la cuenta volvió al correo que tenía antes de este" in text
        assert "enlace" not in text
    problem(undo(site, thiefs), 422, "enlace_invalido")
    assert rows("SELECT correo FROM usuario WHERE id = 2") == [("beto@example.com",)]


def test_the_owners_own_link_stays_good_then(site, beto, postbox):
    first = stolen(site, beto, postbox)
    restored(site, postbox)
    assert undo(site, first).json() == UNDONE


def test_a_correo_that_comes_back_when_its_link_has_ended_is_a_change_as_any(site, beto, postbox, database):
    stolen(site, beto, postbox)
    with psycopg.connect(database) as clock:
        clock.execute("UPDATE aviso SET creacion = creacion - interval '73 hours', expira = now()")

    told = restored(site, postbox)["Cambió el correo de su cuenta → malo@example.com"]

    assert undo(site, token_of(told)).json() == UNDONE


def test_recoveries_asked_for_before_are_void_even_when_the_correo_comes_back(site, beto, postbox):
    site.post("/login/recuperar", json={"correo": "beto@example.com"})
    recovery = postbox.token()
    stolen(site, beto, postbox)
    site.patch("/user/me", json={"correo": "beto@example.com", "password_actual": PASSWORD}, headers=beto)

    answer = site.post("/login/restablecer", json={"token": recovery, "password": NEW})

    problem(answer, 422, "enlace_invalido")


def test_tokens_of_another_kind_are_none(site, beto, postbox):
    token = stolen(site, beto, postbox)
    site.post("/login/recuperar", json={"correo": "ana@example.com"})
    recovery = postbox.token()
    site.post("/user/", json=new_user("carla"))
    verification = postbox.token()
    tokens = offline(site, "ana")

    for other in (
        recovery,
        verification,
        tokens["refresh_token"],
        tokens["access_token"][:99],
        "A" * 54,
        "ñ",
    ):
        assert undo(site, str(other)).status_code == 422
    for path, more in (("/user/verificar", {}), ("/login/restablecer", {"password": NEW})):
        problem(site.post(path, json={"token": token} | more), 422, "enlace_invalido")
    refused(renew(site, token))
    problem(site.get("/user/me", headers={"Authorization": f"Bearer {token}"}), 401, "token_invalido")
    assert undo(site, token).json() == UNDONE


def test_an_admins_change_is_told_without_a_link(site, beto, postbox, rows):
    ana = {"Authorization": f"Bearer {log_in(site, 'ana')}"}
    change = {"correo": "nuevo@example.com", "password": NEW}
    assert site.patch("/user/2", json=change, headers=ana).status_code == 200

    for told in mails(postbox, 2).values():
        text = told.get_body(("plain",)).get_content()
        assert told["To"] == "beto@example.com"
        assert "lo hizo un admin del servicio" in text
        assert "127.0.0.1" not in text
        assert not TOKEN.search(text)
    assert rows("SELECT reversible FROM aviso") == [(False,), (False,)]


def test_whom_an_admin_let_go_comes_not_back_by_an_older_link(site, beto, postbox, rows):
    token = stolen(site, beto, postbox)
    ana = {"Authorization": f"Bearer {log_in(site, 'ana')}"}
    handed_over = {"correo": "sucesora@example.com", "password": NEW}
    assert site.patch("/user/2", json=handed_over, headers=ana).status_code == 200

    problem(undo(site, token), 422, "enlace_invalido")
    assert rows("SELECT correo FROM usuario WHERE id = 2") == [("sucesora@example.com",)]
    log_in(site, "beto", NEW)


def test_a_link_to_the_correo_that_an_admin_put_back_stays_good(site, beto, postbox):
    token = stolen(site, beto, postbox)
    ana = {"Authorization": f"Bearer {log_in(site, 'ana')}"}
    assert site.patch("/user/2", json={"correo": "beto@example.com"}, headers=ana).status_code == 200

    assert undo(site, token).json() == UNDONE


def test_a_correo_that_stays_undoes_no_change_of_a_moment_ago(site, beto, rows, monkeypatch):
    read = usuarios.credentials_by_id

    async def overtaken(db: Runner, id: int) -> Credenciales | None:
        known = await read(db, id)
        rows("UPDATE usuario SET correo = 'nuevo@example.com' WHERE id = 2")
        return known

    monkeypatch.setattr(usuarios, "credentials_by_id", overtaken)
    change = {"correo": "beto@example.com", "nombre": "Norberto"}
    problem(site.patch("/user/me", json=change, headers=beto), 403, "password_actual_incorrecto")
    assert rows("SELECT correo FROM usuario WHERE id = 2") == [("nuevo@example.com",)]


def test_a_change_is_refused_when_its_verified_password_is_not_the_users_any_more(
    site, beto, rows, monkeypatch
):
    verify, of_nobody = Passwords.verify, Passwords(4).of_nobody()

    async def overtaken(self: Passwords, password: str, hashed: str | None, address: str | None) -> bool:
        rows("UPDATE usuario SET password = %s WHERE id = 2", of_nobody)
        return await verify(self, password, hashed, address)

    monkeypatch.setattr(Passwords, "verify", overtaken)
    problem(site.patch("/user/me", json=STOLEN, headers=beto), 403, "password_actual_incorrecto")


def test_mails_about_passwords_are_few(site, beto, rows):
    for n in range(7):
        old, new = (PASSWORD, NEW) if n % 2 == 0 else (NEW, PASSWORD)
        change = {"password": new, "password_actual": old}
        assert site.patch("/user/me", json=change, headers=beto).status_code == 200

    assert rows("SELECT count(*) FROM aviso") == [(5,)]


def test_the_link_leads_to_a_page_that_consumes_nothing(site, beto, postbox):
    token = stolen(site, beto, postbox)

    page = site.get("/login/deshacer")

    assert page.status_code == 200
    assert "No fui yo: deshacer" in page.text
    assert undo(site, token).json() == UNDONE


def test_the_audit_has_it(site, beto, postbox, rows):
    undo(site, stolen(site, beto, postbox))

    [(actor, after)] = rows("SELECT usuario_id, despues FROM auditoria WHERE accion = 'cambio_deshecho'")
    assert (actor, after) == (0, {"correo": "beto@example.com", "estado": True, "password": "***"})
