"""Rows that PostgreSQL wrote as CSV, in the dialect of the spreadsheet that will open them."""

import csv
from codecs import BOM_UTF8
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from io import StringIO

from msgspec import Struct

from core.files.cells import columns, writer
from core.files.dialect import SEPARATORS, Dialect


async def dressed(
    blocks: AsyncGenerator[bytes, None], row: type[Struct], dialect: Dialect
) -> AsyncGenerator[bytes, None]:
    """The same file in `dialect`. Each block has whole lines; the columns are those of `row`.

    Closes `blocks` at once when it is closed."""
    write = None if dialect.plain else _writer(row, dialect)
    mark = BOM_UTF8 if dialect.bom else b""
    async with aclosing(blocks):
        async for block in blocks:
            yield mark + (write(block) if write else block)
            mark = b""


def _writer(row: type[Struct], dialect: Dialect) -> Callable[[bytes], bytes]:
    kinds = columns(row)
    rewritten: list[tuple[int, Callable[[str], str]]] | None = None

    def write(block: bytes) -> bytes:
        nonlocal rewritten
        rows = list(csv.reader(StringIO(block.decode(), newline="\n")))
        if rewritten is None:
            named = [(n, writer(kinds[name].kind, dialect)) for n, name in enumerate(rows[0])]
            rewritten = [(n, change) for n, change in named if change]
            data = rows[1:]
        else:
            data = rows
        for cells in data:
            for n, change in rewritten:
                cells[n] = change(cells[n])
        text = StringIO()
        csv.writer(text, delimiter=SEPARATORS[dialect.separador], lineterminator="\n").writerows(rows)
        return text.getvalue().encode()

    return write
