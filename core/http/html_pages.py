"""Pages of HTML out of web/, with what a browser is to be told about them."""

from string import Template

from core.checkout import CHECKOUT
from core.http.answers import Answer
from core.http.assets import Assets
from core.http.request import Request
from core.http.stored import Stored

WEB = CHECKOUT / "web"
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; "
    "connect-src 'self'; manifest-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
HEADERS = (
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"permissions-policy", b"camera=(), geolocation=(), microphone=(), payment=(), usb=()"),
    (b"referrer-policy", b"no-referrer"),
)

assets = Assets(WEB)


def page_text(name: str) -> str:
    """A file of web/: `$head` is how every page begins, `$top` the links that stand above a page."""
    head, top, text = (
        (WEB / file).read_text("utf-8").rstrip("\n") for file in ("head.html", "top.html", name)
    )
    return Template(text).safe_substitute(head=head, top=top)


class Page:
    """A file of web/, with `parts` in place of their `$names`; `policy` is added to what all pages may do.

    `$base` is what stands before every path, as in /api/docs, and `$assets` where the other files of web/ are."""

    def __init__(self, name: str, *, policy: str = "", **parts: str) -> None:
        self._text = Template(page_text(name)).safe_substitute(parts)
        self._headers = ((b"content-security-policy", f"{POLICY}{policy}".encode()), *HEADERS)
        self._stored: dict[tuple[str, ...], Stored] = {}

    async def answer(self, request: Request, **parts: str) -> Answer:
        """The page, or 304 when the browser has it; `parts` are those that settings decide."""
        base = request.prefix
        key = base, *parts.values()
        if key not in self._stored:
            text = Template(self._text).substitute(parts, base=base, assets=assets.address(base))
            self._stored[key] = Stored(text.encode(), "text/html; charset=utf-8", self._headers)
        return await self._stored[key].answer(request.scope)
