"""Every error that the API can answer: a module per topic, and one import for them all."""

# ruff: noqa: F403 - the names of the errors are the same everywhere

from core.problems.access import *
from core.problems.database import *
from core.problems.http import *
from core.problems.input import *
from core.problems.kinds import *
from core.problems.load import *
from core.problems.resources import *
