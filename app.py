"""The map: every route of the API, what wraps them, how a process starts, and its command line."""

import os
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from functools import partial

from starlette.routing import Mount
from starlette.types import ASGIApp, Receive, Scope, Send

from commands.main import main
from core.auth.middleware import BearerAuth
from core.http.cors import Cors
from core.http.endpoint import at
from core.http.https_only import HttpsOnly
from core.http.outermost import Edge
from core.http.routing import Files, Map
from core.problems import NO_ROUTE, Problem
from core.process import start
from core.process.application import Api
from core.process.services import Services
from core.process.sweeps import Sweep, sweeping
from handlers import (
    audit,
    budget,
    bulk,
    docs,
    health,
    links,
    login,
    metrics,
    oauth,
    once,
    outbox,
    recovery,
    resumen,
    sessions,
    throttle,
    users,
    ventas,
    verification,
)
from sql import sesiones

routes = [
    at("/user/", GET=users.index, POST=users.create),
    at("/user/crear-usuario", POST=users.create),
    at("/user/me", GET=users.show_me, PATCH=users.update_me, DELETE=users.remove_me),
    at("/user/verificar", GET=verification.show, POST=verification.verify),
    at("/user/verificar/enviar", POST=verification.send),
    at("/user/{id}", GET=users.show, PATCH=users.update, PUT=users.replace, DELETE=users.remove),
    at("/user/{id}/venta", GET=ventas.of_user),
    at("/venta/", GET=ventas.index, POST=ventas.create),
    at("/venta/lote", POST=bulk.create_many),
    at("/venta/importar", POST=bulk.load),
    at("/venta/exportar", GET=bulk.export),
    at("/venta/resumen", GET=resumen.show),
    at("/venta/{id}", GET=ventas.show, PATCH=ventas.update, DELETE=ventas.remove),
    at("/login/", POST=login.token),
    at("/login/revocar", POST=oauth.revoke),
    at("/login/sesiones", GET=sessions.index, DELETE=sessions.remove_all),
    at("/login/sesiones/{id}", DELETE=sessions.remove),
    at("/login/recuperar", POST=recovery.recover),
    at("/login/restablecer", GET=recovery.show, POST=recovery.reset),
    at("/auditoria", GET=audit.index),
    at("/", GET=docs.root),
    at("/docs", GET=docs.docs),
    at("/openapi.json", GET=docs.description),
    at("/problemas", GET=docs.problems),
    Mount("/assets", Files(docs.assets)),
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
    app = BearerAuth(app, services.tokens, services.known, partial(sesiones.active, services.db))
    if origins := services.settings.cors_origins:
        app = Cors(
            app,
            allow_origins=[origin.strip() for origin in origins.split(",")],
            allow_methods=["*"],
            allow_headers=["*"],
            expose_headers=[
                "Content-Disposition",
                "ETag",
                "Idempotent-Replayed",
                "Link",
                "Location",
                "Retry-After",
                "X-Request-ID",
                "X-Total-Count",
            ],
        )
    if services.settings.https_only == "on":
        app = HttpsOnly(app, services.settings.public_url)
    return Edge(app, services)


def sweeps(services: Services) -> list[Sweep]:
    """What each process does in the background, and how often."""
    return [
        Sweep("idempotencia", partial(once.sweep, services), seconds=300),
        Sweep("sesion", partial(sessions.sweep, services), seconds=3600),
        Sweep("enlace", partial(links.sweep, services), seconds=3600),
        Sweep("intento", partial(throttle.sweep, services), seconds=3600),
    ]


def application(environ: Mapping[str, str]) -> Api:
    @asynccontextmanager
    async def serving() -> AsyncIterator[ASGIApp]:
        async with (
            start.services(environ) as services,
            sessions.listening(services),
            sweeping(sweeps(services)),
            outbox.sending(services),
            metrics.telling(services),
            budget.watching(services),
        ):
            yield stack(services)

    return Api(serving)


app = application(os.environ)


if __name__ == "__main__":
    sys.exit(main())
