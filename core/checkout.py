"""Where the project's files are."""

from pathlib import Path

CHECKOUT = Path(__file__).parent.parent
