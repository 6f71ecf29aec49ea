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


def _send(page, text: str, button: str = "Importar") -> None:
    _choose(page, text, "utf-8")
    page.get_by_role("button", name=button, exact=True).click()


WIDE = "debe tener 3 columnas, como la cabecera; tiene 4"
QUOTE = 'tiene una comilla (") sin su par'
EMPTY = "está vacía; complétela, o elija «La de ahora» para todas"


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("Fecha,Total,Cantidad\n\n31/01/2026,1500,50,2\n", ["3", "La fila", WIDE]),
        ("sep=,\nFecha,Nota,Total\n1/2/2026,x,5\n31/01/2026,x,1500,50\n", ["4", "La fila", WIDE]),
        ('Fecha;Total;Nota\n31/01/2026;5,00;"x\n01/02/2026;6,00;y\n', ["2", "La fila", QUOTE]),
        ('Fecha;Total\n31/01/2026;"1"5\n', ["2", "La fila", QUOTE]),
        ("Fecha;Nota;Total\n31/01/2026;x;5,00\n;Total;5,00\n", ["3", "Fecha", EMPTY]),
    ],
    ids=["decimal commas", "after sep=", "open quote", "after a quote", "totals"],
)
def test_what_its_own_columns_alone_would_hide_is_refused_by_line(page, beto, text, error):
    _choose(page, text, "utf-8")
    page.get_by_label("Primeras filas").get_by_text(error[2]).wait_for()
    page.get_by_role("button", name="Importar", exact=True).click()
    errors = page.get_by_label("Errores por línea").get_by_role("cell")
    errors.first.wait_for()
    assert errors.all_inner_texts() == error
    assert beto.get("/venta/").json() == []


def test_a_quote_inside_a_cell_and_a_quoted_separator_are_text(page, beto):
    _send(page, 'Fecha,"Nota; larga",Total\n31/01/2026,"1/2"" y; 3,\nmás",800\n01/02/2026,caño 3",900\n')
    page.get_by_text("Ventas importadas correctamente: 2.").wait_for()
    assert [sale["venta"] for sale in beto.get("/venta/").json()] == [90000, 80000]


@pytest.mark.parametrize(
    ("header", "chosen"),
    [
        ("Fecha;Precio;Cantidad", "Elija cuál"),
        ("Fecha;Total;Total", "Elija cuál"),
        ("Fecha;Importe unitario;Cantidad", "Elija cuál"),
        ("Total de unidades;Precio", "Precio"),
        ("Precio;Cantidad;Total", "Total"),
    ],
)
def test_an_amount_that_could_be_another_column_is_asked_for(page, header, chosen):
    _choose(page, f"{header}\n1;2;3\n", "utf-8")
    assert page.locator("select[name=venta] option:checked").inner_text() == chosen


def test_columns_of_one_name_are_told_apart(page):
    _choose(page, "Total;Total;Fecha\n1;2;31/01/2026\n", "utf-8")
    page.get_by_label("Sus columnas").get_by_label("Importe").select_option("Total (columna 2)")
    page.get_by_role("cell", name="$ 2,00").wait_for()


def test_the_first_rows_are_shown_as_they_are_read(page, beto):
    _choose(
        page,
        "Total;Cantidad;Fecha\nS/ 1.500,00;1.000;31/01/26 10:15 p. m.\nGs. 800;2,00;1-2-2026\n0.500;2;1/2/2026\n",
        "utf-8",
    )
    cells = page.get_by_label("Primeras filas").get_by_role("cell")
    cells.last.wait_for()
    assert cells.all_inner_texts() == [
        *("$ 1.500,00", "1.000", "31 ene 2026 10:15 p. m."),
        *("$ 800,00", "2", "1 feb 2026"),
        *("«0.500»\nno se entiende", "2", "1 feb 2026"),
    ]


def test_a_second_file_of_the_same_name_and_time_begins_anew(page):
    page.evaluate(
        """() => { window.drop = (text) => {
            const data = new DataTransfer();
            data.items.add(new File([text], "ventas.csv", { lastModified: 1 }));
            document.querySelector(".drop").dispatchEvent(new DragEvent("drop", { dataTransfer: data, bubbles: true }));
        } }"""
    )
    page.evaluate("drop('Precio;Cantidad\\n5,00;2\\n')")
    page.get_by_label("Sus columnas").get_by_label("Importe").select_option("Precio")
    page.evaluate("drop('Nota;Total\\nx;7,00\\n')")
    page.get_by_role("cell", name="$ 7,00").wait_for()


def test_who_cancels_when_all_was_sent_is_told_that_it_may_be_kept(page, beto, rows):
    rows("BEGIN")
    rows("LOCK TABLE venta IN EXCLUSIVE MODE")
    _send(page, "Total\n5,00\n")
    page.get_by_text("Enviado; el servicio termina de leerlas").wait_for()
    page.get_by_role("button", name="Cancelar").click()
    page.get_by_text("quizá ya se guardó").wait_for()
    rows("ROLLBACK")
    page.get_by_role("button", name="Importar", exact=True).click()
    page.get_by_text("Ventas importadas correctamente: 1.").wait_for()
    assert len(beto.get("/venta/").json()) == 1


def test_a_file_of_one_column_may_have_decimal_commas(page, beto):
    _send(page, "Total\n1.500,50\n800\n")
    page.get_by_text("Ventas importadas correctamente: 2.").wait_for()
    assert [sale["venta"] for sale in beto.get("/venta/").json()] == [80000, 150050]


def test_an_empty_file_is_told(page):
    _choose(page, "\n\n", "utf-8")
    page.get_by_text("El archivo no tiene filas.").wait_for()
