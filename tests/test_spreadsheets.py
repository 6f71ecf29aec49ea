"""A shop's own files over HTTP: out of a spreadsheet, into sums of the shop's days, and back into a spreadsheet."""

import shutil
import subprocess
from pathlib import Path

import pytest
from conftest import problem

FILES = Path(__file__).parent / "files"
SHOP = "zona=America/Argentina/Buenos_Aires"
ES = f"{SHOP}&decimal=coma&fecha=dma"
HEAD = b"venta,ventas_productos\n"
SALES = [
    (150000, 3, "2026-02-01T01:15:00.000000Z"),
    (99950, 1, "2026-02-01T03:05:00.000000Z"),
    (5, 2, "2026-02-01T13:00:00.000000Z"),
]
SPANISH_OFFICE = """<?xml version="1.0" encoding="UTF-8"?>
<oor:items xmlns:oor="http://openoffice.org/2001/registry">
<item oor:path="/org.openoffice.Setup/L10N">
<prop oor:name="ooSetupSystemLocale" oor:op="fuse"><value>es-AR</value></prop></item>
</oor:items>
"""


def send(client, content, media="text/csv", query=ES, **headers):
    headers = {"Content-Type": media} | {name.replace("_", "-"): value for name, value in headers.items()}
    return client.post(f"/venta/importar?{query}", content=content, headers=headers)


def upload(client, content, name="ventas.csv", field="archivo", media="text/csv", query=ES, **more):
    return client.post(f"/venta/importar?{query}", files={field: (name, content, media)} | more)


def errors(answer):
    return [
        (error.get("linea"), error["campo"]) for error in problem(answer, 422, "datos_invalidos")["errores"]
    ]


def listed(client):
    sales = client.get("/venta/?orden=creacion").json()
    return [(sale["venta"], sale["ventas_productos"], sale["creacion"]) for sale in sales]


@pytest.mark.parametrize(
    "media",
    [
        "text/csv",
        "application/vnd.ms-excel",
        "text/tab-separated-values",
        "application/octet-stream",
        "Text/CSV; Charset=utf-8",
    ],
)
def test_a_file_of_a_shop_is_summed_by_its_own_days(beto, media):
    assert send(beto, (FILES / "excel_es.csv").read_bytes(), media).json()["filas"] == 3

    assert listed(beto) == SALES
    assert beto.get(f"/venta/resumen?{SHOP}&desde=2026-01-31&hasta=2026-02-01").json() == [
        {"periodo": "2026-01-31", "ventas": 1, "productos": 3, "importe": 150000},
        {"periodo": "2026-02-01", "ventas": 2, "productos": 3, "importe": 99955},
    ]


def test_a_charset_is_what_the_request_names(beto):
    data = (FILES / "excel_1252.csv").read_bytes()

    said = problem(send(beto, data), 422, "datos_invalidos")["errores"][0]
    assert said == {
        "linea": 2,
        "campo": "cuerpo",
        "mensaje": "no está en UTF-8; ¿es windows-1252? Se lee con charset=windows-1252 en el Content-Type",
    }
    body = problem(send(beto, data, "text/csv; charset=koi8-r"), 415, "tipo_de_contenido")
    assert body["detail"].startswith("El charset debe ser uno de: utf-8, ")
    assert send(beto, data, "text/csv; charset=windows-1252").json()["filas"] == 3
    assert upload(beto, data, media='application/vnd.ms-excel; charset="ISO-8859-1"').json()["filas"] == 3


def test_a_form_has_the_file_in_archivo(beto):
    assert upload(beto, (FILES / "excel_unicode_text.txt").read_bytes()).json()["filas"] == 3
    assert upload(beto, b'{"venta":1,"ventas_productos":1}', "a.ndjson", query="").json()["filas"] == 1
    assert len(listed(beto)) == 4


@pytest.mark.parametrize(
    ("body", "campo"),
    [
        (b"--x--\r\n", "archivo"),
        (b"nothing of a form", "cuerpo"),
        (b'--x\r\nContent-Disposition: form-data; name="otro"\r\n\r\n1\r\n--x--\r\n', "otro"),
        (b'--x\r\nContent-Disposition: form-data; name="archivo"\r\n\r\n' + HEAD + b"1,1\r\n", "cuerpo"),
        (b"--x\r\n" + b"x" * 10_000 + b": y\r\n", "cuerpo"),
        (b"", "archivo"),
    ],
)
def test_another_form_is_refused(beto_of_all, body, campo):
    assert errors(send(beto_of_all, body, "multipart/form-data; boundary=x"))[0][1] == campo
    assert listed(beto_of_all) == []


def test_a_second_file_or_field_is_refused(beto):
    assert errors(upload(beto, HEAD + b"1,1\n", query="", otro=("b.csv", HEAD, "text/csv")))[0][1] == "cuerpo"
    assert errors(send(beto, b"x", "multipart/form-data")) == [(None, "cuerpo")]
    assert listed(beto) == []


def test_a_form_that_is_sent_again_is_the_same_request(beto):
    def again(boundary, content=HEAD + b"1,1\n"):
        part = b'Content-Disposition: form-data; name="archivo"; filename="a.csv"\r\n\r\n' + content
        body = b"--%b\r\n%b\r\n--%b--\r\n" % (boundary, part, boundary)
        media = f"multipart/form-data; boundary={boundary.decode()}"
        return send(beto, body, media, "", Idempotency_Key="archivo-1")

    first, second = again(b"one"), again(b"two")

    assert (first.status_code, second.headers["idempotent-replayed"]) == (201, "true")
    assert first.json() == second.json()
    problem(again(b"three", HEAD + b"2,1\n"), 422, "clave_reutilizada")
    assert len(listed(beto)) == 1


def test_ndjson_needs_no_dialect(beto):
    sale = b'{"venta":1,"ventas_productos":1,"creacion":"2026-01-31T22:15"}'
    assert errors(send(beto, sale, "application/x-ndjson")) == [(None, "decimal"), (None, "fecha")]
    assert errors(beto.get("/venta/exportar?formato=ndjson&bom=si")) == [(None, "bom")]
    assert send(beto, sale, "application/x-ndjson", SHOP).status_code == 201
    assert listed(beto) == [(1, 1, "2026-02-01T01:15:00.000000Z")]


def test_an_export_is_in_the_dialect_that_was_asked_for(beto):
    send(beto, (FILES / "excel_es.csv").read_bytes())

    answer = beto.get(f"/venta/exportar?{ES}&separador=puntoycoma&bom=si")

    head, first, *_ = answer.content.decode("utf-8").splitlines()
    assert head == "\ufeffid;usuario_id;venta;ventas_productos;creacion"
    assert first.split(";")[1:] == [str(beto.id), "1500,00", "3", "31/01/2026 22:15:00"]
    american = beto.get(f"/venta/exportar?{SHOP}&decimal=punto&fecha=mda&separador=tab").text
    assert american.splitlines()[3].split("\t")[2:] == ["0.05", "2", "02/01/2026 10:00:00"]
    assert beto.get("/venta/exportar").text.splitlines()[1].endswith(",150000,3,2026-02-01T01:15:00.000000Z")


@pytest.mark.parametrize("separador", ["coma", "puntoycoma", "tab"])
@pytest.mark.parametrize(
    "dialect", ["", "decimal=coma", f"{SHOP}&fecha=dma", f"{SHOP}&decimal=punto&fecha=mda"]
)
def test_what_was_exported_imports_again(beto, rows, separador, dialect):
    send(beto, (FILES / "excel_es.csv").read_bytes())
    exported = beto.get(f"/venta/exportar?{dialect}&separador={separador}&bom=si")
    rows("DELETE FROM venta")

    assert send(beto, exported.content, query=dialect).json()["filas"] == 3
    assert listed(beto) == SALES


@pytest.mark.skipif(not shutil.which("soffice"), reason="LibreOffice is not installed: see scripts/programs")
def test_libreoffice_in_spanish_opens_an_export_and_saves_what_imports_unchanged(beto, rows, tmp_path):
    send(beto, (FILES / "excel_es.csv").read_bytes())
    file = tmp_path / "ventas.csv"
    file.write_bytes(beto.get(f"/venta/exportar?{ES}&separador=puntoycoma&bom=si").content)
    profile = tmp_path / "profile" / "user" / "registrymodifications.xcu"
    profile.parent.mkdir(parents=True)
    profile.write_text(SPANISH_OFFICE, "utf-8")
    spanish = "59,34,76,1,,11274,false,true"  # ; " UTF-8, from line 1, es-AR, cells as they look

    command = ["soffice", f"-env:UserInstallation={(tmp_path / 'profile').as_uri()}", "--headless"]
    command += [
        f"--infilter=CSV:{spanish}",
        "--convert-to",
        f"csv:Text - txt - csv (StarCalc):{spanish},false",
    ]
    subprocess.run(
        [*command, "--outdir", tmp_path / "saved", file], check=True, capture_output=True, timeout=120
    )

    saved = (tmp_path / "saved" / "ventas.csv").read_bytes()
    assert saved != file.read_bytes()
    answer = send(beto, saved, query=f"{ES}&simular=true")
    assert answer.json() == {"respuesta": "El archivo es válido; no se guardó nada", "filas": 3}
    rows("DELETE FROM venta")
    assert send(beto, saved).status_code == 201
    assert listed(beto) == SALES
