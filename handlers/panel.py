"""The page for people: their sales, their account and, for admins, everyone's (web/panel)."""

from string import Template

from starlette.responses import HTMLResponse, Response

from core.checkout import CHECKOUT
from core.http.endpoint import Request, endpoint
from handlers.docs import STRICT

PAGE = Template((CHECKOUT / "web" / "panel" / "index.html").read_text("utf-8"))
POLICY = f"{STRICT}; require-trusted-types-for 'script'; trusted-types 'none'"


@endpoint(public=True, database=False, produces=["text/html"])
async def show(request: Request) -> Response:
    """Show the panel."""
    return HTMLResponse(
        PAGE.substitute(base="", assets="/assets", least=request.services.settings.password_min_length),
        headers={
            "cache-control": "no-cache",
            "content-security-policy": POLICY,
            "cross-origin-opener-policy": "same-origin",
            "referrer-policy": "no-referrer",
            "x-content-type-options": "nosniff",
        },
    )
