"""The map: every route of the API, what wraps them, how a process starts, and its command line."""

import os
import signal
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

if (
    __name__ == "__main__"
):  # Ctrl-C during the imports below ends the process quietly; main() heeds it after them
    signal.signal(signal.SIGINT, signal.SIG_DFL)

from starlette.routing import Mount, Route
from starlette.types import ASGIApp, Receive, Scope, Send

from background import budget, outbox, retention
from background.listening import listening
from background.sweeps import sweeps
from core.auth.middleware import BearerAuth
from core.http.cors import Cors
from core.http.html_pages import assets
from core.http.https_only import HttpsOnly
from core.http.outermost import Edge
from core.http.routing import Map, Methods, at
from core.problems import NO_ROUTE, Problem
from core.process import start
from core.process.application import Api
from core.process.services import Services
from core.process.sweeping import sweeping
from handlers import (
    auditoria,
    callers,
    datos,
    docs,
    factor,
    health,
    llaves,
    login,
    metrics,
    oauth,
    panel,
    recovery,
    sesiones,
    sistema,
    undoing,
    usuarios,
    usuarios_list,
    ventas,
    ventas_bulk,
    ventas_sums,
    verification,
)

routes = [
    at("/user/", GET=usuarios_list.index, POST=usuarios.create),
    at("/user/crear-usuario", POST=usuarios.create),
    at("/user/me", GET=usuarios.show_me, PATCH=usuarios.update_me, DELETE=usuarios.remove_me),
    at("/user/me/datos", GET=datos.show),
    at("/user/me/factor", GET=factor.show, POST=factor.begin, DELETE=factor.remove),
    at("/user/me/factor/confirmar", POST=factor.confirm),
    at("/user/me/llaves", GET=llaves.index, POST=llaves.create),
    at("/user/me/llaves/{id}", DELETE=llaves.remove),
    at("/user/verificar", GET=verification.show, POST=verification.verify),
    at("/user/verificar/enviar", POST=verification.send),
    at("/user/{id}", GET=usuarios.show, PATCH=usuarios.update, PUT=usuarios.replace, DELETE=usuarios.remove),
    at("/user/{id}/factor", DELETE=factor.remove_of),
    at("/user/{id}/venta", GET=ventas.of_user),
    at("/venta/", GET=ventas.index, POST=ventas.create),
    at("/venta/lote", POST=ventas_bulk.create_many),
    at("/venta/importar", POST=ventas_bulk.load),
    at("/venta/exportar", GET=ventas_bulk.export),
    at("/venta/resumen", GET=ventas_sums.show),
    at("/venta/{id}", GET=ventas.show, PATCH=ventas.update, DELETE=ventas.remove),
    at("/login/", POST=login.token),
    at("/login/revocar", POST=oauth.revoke),
    at("/login/sesiones", GET=sesiones.index, DELETE=sesiones.remove_all),
    at("/login/sesiones/{id}", DELETE=sesiones.remove),
    at("/login/recuperar", POST=recovery.recover),
    at("/login/restablecer", GET=recovery.show, POST=recovery.reset),
    at("/login/deshacer", GET=undoing.show, POST=undoing.undo),
    at("/auditoria", GET=auditoria.index),
    at("/sistema", GET=sistema.show),
    at("/", GET=docs.root),
    at("/docs", GET=docs.docs),
    at("/openapi.json", GET=docs.description),
    at("/panel", GET=panel.show),
    at("/problemas", GET=docs.problems),
    Mount("/assets", assets),
    at("/.well-known/oauth-authorization-server", GET=oauth.metadata),
    at("/healthz", GET=health.alive),
    at("/readyz", GET=health.ready),
    at("/metrics", GET=metrics.show),
]


async def no_route(scope: Scope, receive: Receive, send: Send) -> None:
    raise Problem(NO_ROUTE, "No existe esta ruta")


def stack(services: Services) -> ASGIApp:
    """The middleware, outermost last."""
    app: ASGIApp = Map(routes, default=no_route)
    app = BearerAuth(app, services.tokens, services.api_keys, services.known, callers.asking(services))
    if origins := services.settings.cors_origins:
        app = Cors(app, [origin.strip() for origin in origins.split(",")])
    if services.settings.https_only == "on":
        app = HttpsOnly(app, services.settings.public_url)
    ours = {
        route.path: route.app
        for route in routes
        if isinstance(route, Route) and isinstance(route.app, Methods)
    }
    for path, methods in ours.items():
        for method in methods.endpoints:
            services.requests.expect(path, method, 500)
            services.requests.expect(path, method, 503)
    return Edge(app, services, oauth={path for path, methods in ours.items() if methods.oauth})


def application(environ: Mapping[str, str]) -> Api:
    @asynccontextmanager
    async def serving() -> AsyncIterator[ASGIApp]:
        async with (
            start.services(environ) as services,
            listening(services),
            sweeping(sweeps(services)),
            outbox.sending(services),
            metrics.telling(services),
            budget.watching(services),
            retention.watching(services),
        ):
            yield stack(services)

    return Api(serving)


app = application(os.environ)


if __name__ == "__main__":
    from commands.main import main

    sys.exit(main())
