"""The migration guard: what may be applied or undone, decided and done by one process at a time."""

from collections.abc import Callable
from pathlib import Path

from core.migrating.lock import Say
from core.migrating.migrations import FOLDER, Migration, MigrationError, connect, plain_errors, read
from core.migrating.runner import run
from core.migrating.session import migrating
from core.migrating.steps import MigrationStep, steps


class EditedError(MigrationError):
    """Files were edited after they were applied; `diff` shows how."""

    exit_code = 4

    def __init__(self, edited: list[Migration]) -> None:
        names = " ".join(migration.name for migration in edited)
        super().__init__(
            f"edited after it was applied: {names}; undo the edit, or record it with --accept {names}"
        )
        self.diff = "\n".join(migration.diff() for migration in edited)


class AheadError(MigrationError):
    """The database has migrations that this code lacks."""

    exit_code = 5


def plan(url: str, folder: Path = FOLDER) -> list[MigrationStep]:
    """What `apply` would do now. Changes nothing, takes no lock; refuses what `apply` would refuse."""
    with plain_errors(), connect(url) as connection:
        found = read(connection, folder)
    _refuse_ahead(found)
    _refuse_edited(found)
    return _to_apply(found, folder)


def apply(
    url: str,
    folder: Path = FOLDER,
    *,
    say: Say = print,
    attempts: int = 10,
    through_pooler: bool = False,
    stop_at_edits: bool = True,
) -> list[str]:
    """Apply what is pending, in order, and return the names; `say` hears the progress, a line at a time.

    It waits while another process migrates this database. A migration whose locks are not granted in time is
    tried `attempts` times. Without `stop_at_edits`, for a server that starts, an edited file is only told.
    Raises MigrationError.
    """
    with migrating(url, say, through_pooler) as records:
        found = read(records.connection, folder)
        _refuse_ahead(found)
        try:
            _refuse_edited(found)
        except EditedError as error:
            if stop_at_edits:
                raise
            say(f"warning: {error}")
        todo = _to_apply(found, folder)
        for migration in found:
            if migration.text is not None and migration.applied_at and migration.applied_text is None:
                records.text(migration.name, migration.text)
                say(f"{migration.name}: was applied without its text, which is recorded now")
        for step in todo:
            run(step, records, say, attempts=attempts)
        return [step.name for step in todo]


def rollback(
    url: str,
    count: int = 1,
    folder: Path = FOLDER,
    *,
    confirm: Callable[[list[MigrationStep]], bool],
    say: Say = print,
    attempts: int = 10,
    through_pooler: bool = False,
) -> list[str]:
    """Undo the last `count` migrations, newest first, once `confirm` agrees, and return their names.

    Raises MigrationError: before anything is undone when a rollback file is missing or empty.
    """
    with migrating(url, say, through_pooler) as records:
        found = read(records.connection, folder)
        _refuse_ahead(found)
        applied = {migration.name for migration in found if migration.applied_at}
        todo = [step for step in reversed(steps(folder)) if step.name in applied][:count]
        if len(todo) < count:
            raise MigrationError(f"cannot undo {count}: the database has only {len(todo)}")
        for step in todo:
            if not step.undo:
                raise MigrationError(f"{step.name}.rollback.sql is missing or empty: nothing was undone")
            step.check(step.undo)
        if not confirm(todo):
            return []
        for step in todo:
            run(step, records, say, attempts=attempts, undo=True)
        return [step.name for step in todo]


def accept(
    url: str, names: list[str], folder: Path = FOLDER, *, say: Say = print, through_pooler: bool = False
) -> None:
    """Record the files of the applied migrations `names` as they are now. Raises MigrationError."""
    with migrating(url, say, through_pooler) as records:
        texts = {m.name: m.text for m in read(records.connection, folder) if m.applied_at}
        with records.connection.transaction():
            for name in names:
                if (text := texts.get(name)) is None:
                    raise MigrationError(f"{name}: no applied migration of this code has that name")
                records.text(name, text)
        for name in names:
            say(f"{name}: its text is recorded as it is now")


def _to_apply(found: list[Migration], folder: Path) -> list[MigrationStep]:
    waiting = {migration.name for migration in found if migration.state == "pending"}
    todo = [step for step in steps(folder) if step.name in waiting]
    for step in todo:
        step.check(step.statements)
    return todo


def _refuse_edited(found: list[Migration]) -> None:
    if edited := [migration for migration in found if migration.state == "edited"]:
        raise EditedError(edited)


def _refuse_ahead(found: list[Migration]) -> None:
    if ahead := [migration.name for migration in found if migration.state == "ahead"]:
        raise AheadError(
            f"the database is ahead of this code, which lacks {' '.join(ahead)}: use the newer code"
        )
