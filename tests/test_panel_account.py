"""One's own account in the panel: what is kept comes as a file, and a changed correo is verified by its mail."""

import json

import pytest
from conftest import PASSWORD
from panel import go, log_in
from postbox import token_of

pytestmark = pytest.mark.slow

NEW = "beto.nuevo@example.com"


@pytest.fixture
def api(connect, postbox):
    return connect(MAIL_URL=postbox.url)


def _change(page, password):
    form = page.get_by_label("Correo", exact=True).locator("form")
    form.get_by_label("Correo nuevo").fill(NEW)
    form.get_by_label("Contraseña actual").fill(password)
    form.get_by_role("button", name="Cambiar el correo").click()
    return form


def test_what_is_kept_about_oneself_comes_as_a_file(page, beto):
    log_in(page, "beto")
    go(page, "cuenta/datos", "Mi cuenta")
    with page.expect_download() as download:
        page.get_by_role("button", name="Descargar mis datos").click()
    assert download.value.suggested_filename == "mis-datos.json"
    kept = json.loads(download.value.path().read_text("utf-8"))
    assert kept["perfil"]["username"] == "beto"
    assert [entry["accion"] for entry in kept["auditoria"]] == ["login", "login", "usuario_creado"]
    assert PASSWORD not in json.dumps(kept)


def test_a_changed_correo_asks_for_the_password_tells_both_addresses_and_is_verified(page, beto, postbox):
    old = beto.get("/user/me").json()["correo"]
    log_in(page, "beto")
    while postbox.waiting:
        postbox.mail()
    go(page, "cuenta/perfil", "Mi cuenta")
    page.get_by_role("button", name="Cambiar el correo").click()
    _change(page, "no es esta").get_by_role("alert").wait_for()
    assert beto.get("/user/me").json()["correo"] == old

    _change(page, PASSWORD)
    page.get_by_text("Correo cambiado; avisamos al anterior").wait_for()
    card = page.get_by_label("Correo", exact=True)
    card.get_by_text(NEW).wait_for()
    card.get_by_text("sin verificar").wait_for()

    mails = {mail["To"]: mail for mail in (postbox.mail(), postbox.mail())}
    assert mails.keys() == {old, NEW}
    page.goto(f"/user/verificar#{token_of(mails[NEW])}")
    page.get_by_role("button", name="Verificar").click()
    page.get_by_text("Correo verificado correctamente").wait_for()
    page.goto("/panel#/cuenta/perfil")
    page.get_by_label("Correo", exact=True).get_by_text("verificado", exact=True).wait_for()
