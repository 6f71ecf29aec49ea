"""Pictures of every page and state, for people to look at; scripts/screenshots takes them."""

import os
import random
from datetime import UTC, datetime, timedelta
from pathlib import Path

import browsers
import pytest
from panel import go, log_in

FOLDER = Path(os.environ.get("SCREENSHOTS", "screenshots"))
DEVICES = {
    f"{name}-{scheme}": {"viewport": size, "color_scheme": scheme}
    for name, size in {"phone": browsers.PHONE, "desk": browsers.DESK}.items()
    for scheme in ("light", "dark")
}
OPEN = [
    "",
    "docs",
    "docs#/users/users_create",
    "problemas",
    "nada",
    "login/restablecer#x",
    "user/verificar#x",
]
PLACES = {
    "ventas": "Ventas",
    "ventas?periodo=anio&por=mes": "Ventas",
    "ventas?periodo=hoy": "Ventas",
    "importar": "Importar ventas",
    "cuenta/perfil": "Mi cuenta",
    "cuenta/seguridad": "Mi cuenta",
    "cuenta/sesiones": "Mi cuenta",
    "cuenta/llaves": "Mi cuenta",
    "cuenta/datos": "Mi cuenta",
    "vendedores": "Vendedores",
    "usuarios": "Usuarios",
    "auditoria": "Auditoría",
    "sistema": "Sistema",
}


def _sales(person) -> None:
    """Thirteen months of sales, the same each time."""
    dice = random.Random(person.get("/user/me").json()["username"])
    now = datetime.now(UTC)
    lines = ["creacion,venta,ventas_productos"]
    for days in range(1, 400):
        for _ in range(dice.randint(0, 5)):
            moment = now - timedelta(days=days, minutes=dice.randint(0, 500))
            lines.append(f"{moment:%Y-%m-%dT%H:%M:%SZ},{dice.randint(500, 90_000) * 10},{dice.randint(1, 9)}")
    csv = {"Content-Type": "text/csv"}
    assert person.post("/venta/importar", content="\n".join(lines), headers=csv).status_code == 201


@pytest.mark.parametrize("device", DEVICES)
def test_take(chromium, api, ana, beto, carla, device):
    for person in (ana, beto, carla):
        _sales(person)
    carla.patch(
        "/user/me", json={"nombre": "María de los Ángeles", "apellido": "Fernández-Montenegro y Aguirre"}
    )
    FOLDER.mkdir(exist_ok=True)
    with browsers.person(chromium, str(api.base_url).rstrip("/"), **DEVICES[device]) as person:
        page = person.new_page()

        def take(name: str) -> None:
            page.locator(".skeleton, [aria-busy=true]").first.wait_for(state="detached")
            page.screenshot(path=FOLDER / f"{device}-{name or 'inicio'}.png")

        for path in OPEN:
            page.goto(f"/{path}")
            page.get_by_role("heading", level=1).wait_for()
            take(path.replace("/", "_").partition("#")[0] + ("-abierta" if "users" in path else ""))
        for place in ("entrar", "registro", "olvide"):
            page.goto(f"/panel#/{place}")
            page.get_by_role("heading", level=1).wait_for()
            take(place)
        log_in(page, "ana")
        for place, heading in PLACES.items():
            go(page, place, heading)
            take(place.replace("/", "-").replace("?", "-"))
        go(page, "ventas", "Ventas")
        for name, button in {
            "nueva": "Nueva venta",
            "editar": "Editar la venta",
            "exportar": "Exportar",
        }.items():
            page.get_by_role("button", name=button).first.click()
            page.get_by_role("dialog").locator("form").wait_for()
            take(f"ventas-{name}")
            page.keyboard.press("Escape")
        page.locator(".chart .frame").hover()
        take("ventas-grafico")
        page.get_by_role("button", name="Eliminar la venta").first.click()
        page.get_by_role("button", name="Deshacer").wait_for()
        take("ventas-deshacer")
        page.get_by_role("button", name="Deshacer").click()
        go(page, "importar", "Importar ventas")
        sheet = b"Venta;Ventas_Productos;Creacion\n1.500,50;3;26/11/2026 10:15\nmucho;1;27/11/2026\n"
        page.locator("input[type=file]").set_input_files(
            {"name": "noviembre.csv", "mimeType": "text/csv", "buffer": sheet}
        )
        page.get_by_text("no se entiende").first.wait_for()
        take("importar-vista")
        page.get_by_role("button", name="Importar", exact=True).click()
        page.locator(".alert").first.wait_for()
        take("importar-errores")
        go(page, "usuarios", "Usuarios")
        page.get_by_role("button", name="Abrir a Beto").click()
        page.get_by_text("¿Puede entrar?").wait_for()
        take("usuarios-uno")
