"""The panel from a phone to a very wide screen and on paper: every figure is whole, and nothing stands askew."""

from datetime import UTC, datetime, timedelta

import browsers
import pytest
from panel import go, log_in

pytestmark = pytest.mark.slow

WIDE = {"width": 2560, "height": 1300}
PAPER = {"width": 718, "height": 1040}  # what A4 has between its margins
LARGE = 58_206_920_00  # cents, of each of two sales in a period

# The figures that do not stand whole, on one line, inside their tile.
CUT = """() => [...document.querySelectorAll(".sums dd.strong")].filter((figure) => {
    const text = document.createRange();
    text.selectNodeContents(figure);
    const tile = figure.parentElement.getBoundingClientRect();
    return text.getBoundingClientRect().right > tile.right || text.getClientRects().length > 1;
}).map((figure) => figure.textContent)"""


@pytest.mark.parametrize("size", [browsers.PHONE, browsers.DESK, WIDE, PAPER])
def test_a_large_amount_stands_whole(page, ana, size):
    now = datetime.now(UTC)
    lines = [
        f"{LARGE},7074,{moment:%Y-%m-%dT%H:%M:%SZ}"
        for moment in (now, now - timedelta(days=31))
        for _ in range(2)
    ]
    csv = "\n".join(["venta,ventas_productos,creacion", *lines])
    answer = ana.post("/venta/importar", content=csv, headers={"Content-Type": "text/csv"})
    assert answer.json()["filas"] == len(lines)
    page.set_viewport_size(size)
    log_in(page, "ana")
    go(page, "ventas?periodo=d30", "Ventas")
    page.emulate_media(media="print" if size is PAPER else "screen")
    page.locator(".sums").get_by_text("$ 116.413.840,00", exact=True).first.wait_for()
    page.get_by_role("cell", name="$ 58.206.920,00").first.wait_for()
    assert page.evaluate(CUT) == []
    assert page.evaluate("document.documentElement.scrollWidth") == size["width"]


def test_a_very_wide_screen_has_its_work_in_the_middle(page, ana):
    page.set_viewport_size(WIDE)
    log_in(page, "ana")
    work, side = page.locator("main").bounding_box(), page.locator(".side").bounding_box()
    left = work["x"] - side["width"]
    right = WIDE["width"] - work["x"] - work["width"]
    assert abs(left - right) <= 1


def test_paper_has_the_colours_of_the_legend_and_nothing_to_press(page, ana):
    log_in(page, "ana")
    page.emulate_media(media="print")
    legend = page.locator(".legend .now")
    assert legend.evaluate("(it) => getComputedStyle(it).printColorAdjust") == "exact"
    assert not page.get_by_role("button", name="Nueva venta").is_visible()
