"""What people do in the panel, by what they read on it."""

from conftest import PASSWORD
from playwright.sync_api import Page


def log_in(page: Page, username: str, password: str = PASSWORD, *, keep: bool = False) -> None:
    page.goto("/panel")
    page.get_by_label("Usuario o correo").fill(username)
    page.get_by_label("Contraseña", exact=True).fill(password)
    if keep:
        page.get_by_label("Seguir conectado en este equipo").check()
    page.get_by_role("button", name="Entrar").click()
    page.get_by_role("heading", name="Ventas").wait_for()


def sell(page: Page, amount: str, products: str = "1") -> None:
    page.get_by_role("button", name="Nueva venta").click()
    form = page.get_by_role("dialog")
    form.get_by_label("Importe").fill(amount)
    form.get_by_label("Productos").fill(products)
    form.get_by_role("button", name="Guardar la venta").click()
    form.wait_for(state="detached")


def go(page: Page, place: str, heading: str) -> None:
    """To a place of the panel, without loading it anew."""
    page.evaluate("(place) => { location.hash = `#/${place}` }", place)
    page.get_by_role("heading", name=heading, level=1).wait_for()


def amount(page: Page, text: str) -> None:
    """Waits for a row of the list of sales with that amount."""
    page.get_by_role("cell", name=text, exact=True).wait_for()
