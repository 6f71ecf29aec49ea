"""Who a caller is today: asked of the database once, and again after each change (core.auth.revocation)."""

from core.auth.revocation import Ask
from core.caller import Caller, Rol, Standing
from core.process.services import Services
from sql import llaves, sesiones


def asking(services: Services) -> Ask:
    """A function that asks the database for a caller; it gives None when their session or API key has ended."""
    factor_for_admins = services.settings.require_factor == "admins"
    verified_only = services.settings.require_verified == "true"

    def standing(rol: Rol, segundo_factor: bool) -> Standing:
        return "sin_factor" if factor_for_admins and rol == "admin" and not segundo_factor else rol

    async def ask(caller: Caller) -> Standing | None:
        if caller.llave is None:
            session = await sesiones.active(services.db, caller.id, caller.session)
            return standing(session.rol, session.segundo_factor) if session else None
        owner = await llaves.active(services.db, caller.id, caller.llave.id, caller.llave.huella)
        if owner is None or (verified_only and not owner.estado):
            return None
        services.api_keys.used.add((caller.id, caller.llave.id))
        return standing(owner.rol, owner.segundo_factor)

    return ask
