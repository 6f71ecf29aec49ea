"""Resealing: what an older JWT_SECRET has sealed is sealed anew, so that JWT_SECRET_PREVIOUS may be forgotten."""

from core.auth.vault import of_factor
from core.process.services import Services
from sql import factores


async def reseal(services: Services) -> int:
    """Seals anew all that can be opened; 0, since that is all."""
    vault, after = services.vault, 0
    while outdated := await factores.outdated(services.db, vault.sello, after):
        for sealed in outdated:
            of = of_factor(sealed.usuario_id)
            if (secret := vault.open(of, sealed.secreto)) is not None:
                await factores.reseal(services.db, sealed, vault.seal(of, secret), vault.sello)
        after = outdated[-1].usuario_id
    return 0
