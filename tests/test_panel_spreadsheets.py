"""A shop's own spreadsheets in the panel: as Excel in Spanish wrote them, with the columns that they have."""

import os
from pathlib import Path

import pytest
from panel import go, log_in

pytestmark = pytest.mark.slow

OWN = 'Fecha;Descripción;Cantidad;Total\r\n01/09/2026;"Piñata\r\nazul";2;1.500,50\r\n02/09/2026;Jamón;{};$ 800\r\n'


def _choose(page, text: str, charset: str = "windows-1252", name: str = "ventas.csv") -> None:
    file = {"name": name, "mimeType": "text/csv", "buffer": text.encode(charset)}
    page.locator("input[type=file]").set_input_files(file)


@pytest.fixture
def page(page, beto):
    log_in(page, "beto")
    go(page, "importar", "Importar ventas")
    return page


@pytest.mark.parametrize("charset", ["windows-1252", "utf-8-sig", "utf-16"])
def test_its_own_columns_are_recognized(page, beto, charset):
    _choose(page, OWN.format(3), charset)
    page.get_by_text("2 filas en total.", exact=True).wait_for()
    assert page.get_by_label("Sus columnas").get_by_text("Descripción").count() == 3
    page.get_by_role("button", name="Importar", exact=True).click()
    page.get_by_text("Ventas importadas correctamente: 2.").wait_for()
    assert [(sale["venta"], sale["ventas_productos"]) for sale in beto.get("/venta/").json()] == [
        (80000, 3),
        (150050, 2),
    ]
    assert beto.get("/venta/").json()[1]["creacion"].startswith("2026-09-01T03:00:00")


def test_an_error_names_the_line_and_the_column_of_the_persons_own_file(page, beto):
    _choose(page, OWN.format("dos"))
    page.get_by_text("«dos» no se entiende").wait_for()
    page.get_by_role("button", name="Importar", exact=True).click()
    errors = page.get_by_label("Errores por línea").get_by_role("cell")
    errors.first.wait_for()
    assert errors.all_inner_texts()[:2] == ["4", "Productos"]
    assert beto.get("/venta/").json() == []


def test_a_column_that_nobody_guesses_is_asked_for_and_one_product_is_a_sales_least(page, beto):
    _choose(page, "Cobrado;Cliente\n1.500,50;Núñez\n")
    page.get_by_text("Falta saber qué columna es el importe: elíjala arriba.").wait_for()
    page.get_by_label("Sus columnas").get_by_label("Importe").select_option("Cobrado")
    page.get_by_role("button", name="Importar", exact=True).click()
    page.get_by_text("Ventas importadas correctamente: 1.").wait_for()
    [sale] = beto.get("/venta/").json()
    assert (sale["venta"], sale["ventas_productos"]) == (150050, 1)


def test_what_to_choose_is_said_in_the_words_of_the_page(page):
    _choose(page, "venta;ventas_productos\n1500.50;1\n")
    page.get_by_role("button", name="Importar", exact=True).click()
    page.get_by_text("arriba, elija «1,500.50 con punto»").wait_for()


def test_a_workbook_is_told_how_to_become_a_file_of_text(page):
    page.locator("input[type=file]").set_input_files(
        {"name": "ventas.xlsx", "mimeType": "application/octet-stream", "buffer": b"PK\x03\x04\x14\x00"}
    )
    page.get_by_text("Es un libro de Excel.").wait_for()
    assert page.get_by_role("button", name="Importar", exact=True).count() == 0


def test_a_file_that_changed_after_it_was_chosen_is_told_and_not_called_a_lost_connection(page, tmp_path):
    sheet: Path = tmp_path / "ventas.csv"
    sheet.write_text("venta;ventas_productos\n100;1\n")
    page.locator("input[type=file]").set_input_files(sheet)
    page.get_by_text("1 fila en total.").wait_for()
    sheet.write_text("venta;ventas_productos\n100;1\n200;1\n")
    os.utime(sheet, (0, 0))  # browsers look at the size and at whole seconds
    page.get_by_role("button", name="Importar", exact=True).click()
    page.get_by_text("El archivo cambió después de elegirlo; elíjalo otra vez.").wait_for()


def test_a_zone_stands_once_by_its_country(page):
    _choose(page, OWN.format(3))
    zone = page.get_by_label("Hora de")
    assert zone.locator("option:checked").inner_text() == "Argentina"
    assert zone.locator("option", has_text="Buenos Aires").count() == 0
