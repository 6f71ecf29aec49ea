"""A problem as a page, for a person who opened an address in a browser."""

from html import escape
from string import Template

from starlette.types import Scope

from core.http.answers import Answer
from core.http.html_pages import HEADERS, POLICY, assets, page_text
from core.http.negotiation import media
from core.problems import NO_ROUTE, Problem

PROBLEM = "application/problem+json"
HTML = "text/html"
VARY = (b"vary", b"Accept")
NO_PAGE = ("No existe esta página", "La dirección está mal escrita, o lo que había aquí ya no está", "")

PAGE = Template(page_text("error.html"))


def error_page(scope: Scope, problem: Problem, request_id: str, base: str) -> Answer | None:
    """The page, or None where the client did not ask to read HTML rather than problem details."""
    if scope["method"] not in ("GET", "HEAD") or media(scope, [PROBLEM, HTML]) != HTML:
        return None
    title, detail, solucion = problem.kind.title, problem.detail, problem.kind.solucion.replace("`", "")
    if problem.kind is NO_ROUTE:
        title, detail, solucion = NO_PAGE
    text = PAGE.substitute(
        base=base,
        assets=assets.address(base),
        title=escape(title),
        detail=escape(detail),
        solucion=escape(solucion),
        status=problem.kind.status,
        codigo=problem.kind.codigo,
        request_id=escape(request_id),
    )
    content = (b"content-type", b"text/html; charset=utf-8")
    policy = (b"content-security-policy", POLICY.encode())
    return Answer(problem.kind.status, (content, policy, *HEADERS, VARY), text.encode())
