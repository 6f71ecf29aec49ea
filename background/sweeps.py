"""The sweeps: what each process forgets or removes in the background, and how often."""

import asyncio
from functools import partial

from background import retention
from core.database.database import Database
from core.process.services import Services
from core.process.sweeping import Sweep
from sql import auditoria_late, avisos, eliminaciones, enlaces, idempotencia, intentos, sesiones


def sweeps(services: Services) -> list[Sweep]:
    db = services.db
    optional = []
    if services.settings.retention_sweep == "on":
        optional.append(Sweep("auditoria", partial(retention.sweep, services), seconds=3600))
    return [
        *optional,
        Sweep("idempotencia", partial(idempotencia.sweep, db), seconds=300),
        Sweep("sesion", partial(sesiones.sweep, db), seconds=3600),
        Sweep("eliminacion", partial(remove_accounts, db), seconds=5),
        Sweep("auditoria_late", partial(auditoria_late.anonymize, db), seconds=300),
        Sweep("enlace", partial(enlaces.sweep, db), seconds=3600),
        Sweep("aviso", partial(avisos.sweep, db), seconds=3600),
        Sweep("intento", partial(intentos.sweep, db), seconds=3600),
    ]


async def remove_accounts(db: Database) -> int:
    """Removes what is left of deleted accounts, step by step, with pauses as long as the steps; 0 at the end."""
    loop = asyncio.get_running_loop()
    done, began = await eliminaciones.step(db, None), loop.time()
    while done:
        await asyncio.sleep(loop.time() - began)
        began = loop.time()
        done = await eliminaciones.step(db, None if done.last else done)
    return 0
