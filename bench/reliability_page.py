"""docs/reliability.md, where scripts keep what they found."""

from core.checkout import CHECKOUT

PAGE = CHECKOUT / "docs" / "reliability.md"


def save(name: str, found: str) -> None:
    """Puts it between the page's two comments of that name."""
    begin, end = f"<!-- {name}: begin -->", f"<!-- {name}: end -->"
    before, _, rest = PAGE.read_text("utf-8").partition(begin)
    _, _, after = rest.partition(end)
    PAGE.write_text(f"{before}{begin}\n{found}\n{end}{after}", "utf-8")
