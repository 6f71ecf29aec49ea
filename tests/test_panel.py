"""The panel in a real browser, shortly: a sale's life, what its files weigh, and what may run there."""

import gzip
import hashlib
import json

from panel import amount, log_in, sell

from core.checkout import CHECKOUT

WEB = CHECKOUT / "web"
MOST_BYTES = 150_000


def test_a_sale_is_added_corrected_and_its_deletion_undone(browser, beto):
    page = browser.new_page()
    log_in(page, "beto")
    page.get_by_text("No hay ventas en este período").wait_for()

    sell(page, "1.500,50", "3")
    amount(page, "$ 1.500,50")
    assert beto.get("/venta/").json()[0]["venta"] == 150050

    page.get_by_role("button", name="Editar la venta de $ 1.500,50").click()
    page.get_by_role("dialog").get_by_label("Importe").fill("1.400")
    page.get_by_role("button", name="Guardar los cambios").click()
    amount(page, "$ 1.400,00")

    page.get_by_role("button", name="Eliminar la venta de $ 1.400,00").click()
    page.get_by_role("button", name="Deshacer").click()
    amount(page, "$ 1.400,00")
    assert len(beto.get("/venta/").json()) == 1


def test_its_policy_lets_only_its_own_files_run(api):
    policy = api.get("/panel").headers["content-security-policy"]
    for rule in ("default-src 'none'", "script-src 'self'", "frame-ancestors 'none'", "trusted-types 'none'"):
        assert rule in policy.split("; ")


def test_it_weighs_little():
    files = [*(WEB / "panel").iterdir(), *(WEB / "vendor").glob("*.js")]
    assert sum(len(gzip.compress(file.read_bytes())) for file in files) < MOST_BYTES


def test_its_page_names_every_module_so_that_none_waits_for_another():
    page = (WEB / "panel" / "index.html").read_text()
    modules = [f"panel/{file.name}" for file in (WEB / "panel").glob("*.js")]
    for module in [*modules, *(f"vendor/{file.name}" for file in (WEB / "vendor").glob("*.js"))]:
        assert f'"$assets/{module}"' in page, module


def test_vendored_libraries_are_what_the_manifest_says():
    manifest = json.loads((WEB / "vendor" / "manifest.json").read_text())
    assert {file.name for file in (WEB / "vendor").glob("*.js")} == manifest.keys()
    for name, facts in manifest.items():
        assert hashlib.sha256((WEB / "vendor" / name).read_bytes()).hexdigest() == facts["sha256"], name
        assert (WEB / "vendor" / f"{facts['package']}.LICENSE").read_text(), name
