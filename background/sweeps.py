"""The sweeps: what each process forgets or removes in the background, and how often."""

import asyncio
from functools import partial

from background import retention
from background.resealing import reseal
from core.database.database import Database
from core.process.services import Services
from core.process.sweeping import Sweep
from sql import auditoria_late, avisos, eliminaciones, enlaces, idempotencia, intentos, llaves, sesiones

PAUSE = 4  # times as long as a step of a removal, so that it takes a fifth of the database's time


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
        Sweep("factor", partial(reseal, services), seconds=60),
        Sweep("llave", partial(llaves.sweep, db), seconds=3600),
        Sweep("llave_uso", partial(note_used, services), seconds=1),
        Sweep("intento", partial(intentos.sweep, db), seconds=3600),
    ]


async def note_used(services: Services) -> int:
    """Writes down which API keys were used since the last time; 0, since that is all."""
    used, services.api_keys.used = services.api_keys.used, set()
    if used:
        await llaves.used(services.db, used)
    return 0


async def remove_accounts(db: Database) -> int:
    """Removes what is left of deleted accounts, step by step, with a pause after each; 0 at the end."""
    loop = asyncio.get_running_loop()
    done, began = await eliminaciones.step(db, None), loop.time()
    while done:
        await asyncio.sleep(PAUSE * (loop.time() - began))
        began = loop.time()
        done = await eliminaciones.step(db, None if done.last else done)
    return 0
