"""`.env`, line by line: a line that is not NAME=value of a known setting is told with its number."""

from collections.abc import Collection
from difflib import get_close_matches
from io import StringIO
from pathlib import Path

from dotenv import dotenv_values
from dotenv.parser import Binding, parse_stream


class DotenvError(Exception):
    """A line of the file that cannot stand: one line that gives its number and says what to do."""


def read(file: Path, known: Collection[str]) -> tuple[dict[str, str], dict[str, int]]:
    """The values that the file sets, empty ones left out, and the number of each one's line.

    Raises DotenvError at the first line that is no UTF-8, no NAME=value, or whose name is not `known`."""
    data = file.read_bytes()
    try:
        text = data.decode()
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise DotenvError(
            f"{file.name}, line {line}: a character is not UTF-8; save the file as UTF-8"
        ) from None
    lines: dict[str, int] = {}
    for binding in parse_stream(StringIO(text)):
        if wrong := _wrong(binding, known, lines):
            raise DotenvError(f"{file.name}, line {_line(binding)}: {wrong}")
        if binding.key:
            lines[binding.key] = _line(binding)
    values = dotenv_values(stream=StringIO(text))
    return {name: value for name, value in values.items() if value}, lines


def _wrong(binding: Binding, known: Collection[str], before: dict[str, int]) -> str:
    """What is wrong with it, and what to do; or nothing."""
    if binding.error or "\n" in (binding.value or ""):
        quoted = binding.original.string.partition("=")[2].lstrip()[:1] in ("'", '"')
        return "the quote is not closed" if quoted else "this is not NAME=value; begin a comment with #"
    if binding.key is None:
        return ""
    if binding.key not in known:
        near = get_close_matches(binding.key.upper(), known, n=1)
        return f"there is no setting {binding.key}" + (f"; {near[0]} is one" if near else "")
    if binding.value is None:
        return f"{binding.key} has no value; write {binding.key}=value"
    return (
        f"{binding.key} stands on line {before[binding.key]} already; set it there"
        if binding.key in before
        else ""
    )


def _line(binding: Binding) -> int:
    """The number of the line where NAME stands; the parser's number is that of the empty lines before it."""
    string = binding.original.string
    return binding.original.line + string[: len(string) - len(string.lstrip())].count("\n")
