"""By keyboard, in the panel: nobody loses their place, nor what they typed."""

import pytest
from panel import amount, go, log_in

pytestmark = pytest.mark.slow

FOCUSED = "document.activeElement.getAttribute('aria-label').replace('\\xa0', ' ')"


def _sell(person, *amounts: int) -> None:
    for venta in amounts:
        assert person.post("/venta/", json={"venta": venta, "ventas_productos": 1}).status_code == 201


def _press(page, button: str, key: str = "Enter") -> None:
    page.get_by_role("button", name=button).focus()
    page.keyboard.press(key)


def test_a_dialog_begins_in_its_first_field_and_what_is_there_is_typed_over(page, beto):
    _sell(beto, 100000)
    log_in(page, "beto")
    _press(page, "Editar la venta de $ 1.000,00")
    page.locator("input[name=venta]:focus").wait_for()
    page.keyboard.type("1.400,50")
    page.keyboard.press("Enter")
    amount(page, "$ 1.400,50")


OPENED_AND_LEFT = """async () => {
    const field = () => document.querySelector("dialog [name=ventas_productos]");
    const changes = { childList: true, subtree: true };
    const there = new Promise((seen) => new MutationObserver(() => field() && seen()).observe(document.body, changes));
    [...document.querySelectorAll("button")].find((each) => each.textContent.includes("Nueva venta")).click();
    await there;
    field().focus();
    for (let frame = 0; frame < 3; frame += 1) {
        await new Promise(requestAnimationFrame);
        await new Promise((resolve) => setTimeout(resolve));
    }
    return document.activeElement.name;
}"""


def test_the_focus_stays_with_who_is_quicker_than_the_page(page, beto):
    """Else what they type next replaces another field's text: 10 became 1."""
    log_in(page, "beto")
    assert page.evaluate(OPENED_AND_LEFT) == "ventas_productos"


def test_what_was_typed_stays_when_it_is_refused(page, beto):
    _sell(beto, 100000)
    log_in(page, "beto")
    page.get_by_role("button", name="Editar la venta de $ 1.000,00").click()
    form = page.get_by_role("dialog")
    form.get_by_label("Importe").fill("1400.50")
    form.get_by_role("button", name="Guardar los cambios").click()
    form.get_by_text("Escriba el importe así: 1.500,50").wait_for()
    assert form.get_by_label("Importe").input_value() == "1400.50"


def test_after_a_deletion_the_next_sale_has_the_focus_and_control_z_undoes_it(page, beto):
    _sell(beto, 100000, 200000, 300000)
    log_in(page, "beto")
    _press(page, "Eliminar la venta de $ 2.000,00")
    page.get_by_text("Venta de $ 2.000,00 eliminada").wait_for()
    assert page.evaluate(FOCUSED).startswith("Eliminar la venta de $ 1.000,00")
    page.keyboard.press("Control+z")
    amount(page, "$ 2.000,00")
    assert len(beto.get("/venta/").json()) == 3


def test_after_the_last_row_the_heading_has_the_focus(page, beto):
    log_in(page, "beto")
    go(page, "cuenta/sesiones", "Mi cuenta")
    _press(page, "Terminar la sesión")
    page.get_by_text("Sesión terminada").wait_for()
    page.locator("h1:focus").wait_for()
