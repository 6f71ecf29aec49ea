"""What a login asks before its password is checked."""

from core.addresses import spellings
from core.database.database import Database
from sql import intentos, usuarios
from sql.intentos import AttemptVerdict, Tried
from sql.usuarios import Credenciales


async def begin(db: Database, tried: Tried, name: str) -> tuple[AttemptVerdict | None, Credenciales | None]:
    """Counts the attempt, if there is something to count, and finds the user, in one round trip."""
    asked = [(usuarios.CREDENTIALS, {"name": spelling}) for spelling in spellings(name)]
    counted = [(intentos.ATTEMPT, tried.parameters())] if tried.counts else []
    answers = await db.together(*asked, *counted)
    verdict = AttemptVerdict(*answers.pop()[0]) if counted else None
    found = [Credenciales(*row) for rows in answers for row in rows]
    return verdict, found[0] if found else None
