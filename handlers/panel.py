"""The page for people: their sales, their account and, for admins, everyone's (web/panel)."""

from core.http.answers import Answer
from core.http.endpoint import endpoint
from core.http.html_pages import Page
from core.http.request import Request

PAGE = Page("panel/index.html", policy="; require-trusted-types-for 'script'; trusted-types 'none'")


@endpoint(public=True, database=False, etag=True, any_query=True, produces=["text/html"])
async def show(request: Request) -> Answer:
    """Show the panel."""
    return await PAGE.answer(request, least=str(request.services.settings.password_min_length))
