"""A migration as it will run: its statements, those that undo it, and whether they are safe to run."""

import glob
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from yoyo.migrations import read_migrations, read_sql_migration, topological_sort

from core.migrating.migrations import NAME, MigrationError

COMMENTS = re.compile(r"(?:\s|--[^\n]*(?:\n|$)|/\*.*?\*/)*", re.DOTALL)
TRANSACTION_CONTROL = re.compile(
    r"(?:BEGIN|START|COMMIT|END|ROLLBACK|ABORT|SAVEPOINT|RELEASE|PREPARE TRANSACTION)\b", re.IGNORECASE
)
REPEATABLE = re.compile(
    r"(?:SET|RESET|ANALYZE|VACUUM|REINDEX|COMMENT|CREATE .*\bIF NOT EXISTS|DROP .*\bIF EXISTS"
    r"|ALTER .*\b(?:VALIDATE CONSTRAINT|ADD \w+ IF NOT EXISTS|DROP \w+ IF EXISTS))\b",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class MigrationStep:
    """One migration as it will run. `undo` is empty when there is no rollback file."""

    migration: Any  # yoyo's, for its records
    text: str
    statements: list[str]
    undo: list[str]

    @property
    def name(self) -> str:
        return str(self.migration.id)

    @property
    def transactional(self) -> bool:
        return bool(self.migration.use_transactions)

    def check(self, statements: list[str]) -> None:
        """Refuse what could not be recorded together with its effect, or not be run again after a crash."""
        for number, statement in enumerate(statements, 1):
            words = " ".join(COMMENTS.sub("", statement, count=1).split())
            if TRANSACTION_CONTROL.match(words):
                raise MigrationError(
                    f"{self.name}: statement {number} begins or ends a transaction: leave it out"
                )
            if not self.transactional and not REPEATABLE.match(words):
                raise MigrationError(
                    f"{self.name}: statement {number} cannot be run again after a crash:"
                    " say IF [NOT] EXISTS, or move it to a transactional migration"
                )


def steps(folder: Path) -> list[MigrationStep]:
    """The folder's migrations in the order in which they apply: by name, what one `-- depends:` on first."""
    return [
        MigrationStep(
            migration,
            Path(migration.path).read_text("utf-8"),
            _statements(Path(migration.path)),
            _statements(Path(migration.path).with_suffix(".rollback.sql")),
        )
        for migration in topological_sort(read_migrations(glob.escape(str(folder))))
        if NAME.fullmatch(migration.id)
    ]


def _statements(path: Path) -> list[str]:
    _directives, _comment, statements = read_sql_migration(str(path))
    return list(statements)
