"""The records of a CSV file (RFC 4180), whatever separates their cells."""

import csv
import re
from collections.abc import Iterator
from io import StringIO

from core.files.lines import SLICE
from core.files.refusals import Refusals

DECLARED = re.compile(r'"?sep=([;,\t|])"?', re.IGNORECASE)
Record = tuple[int, list[str]]  # the line where it begins, and its cells
NOT_CSV = "no es un registro CSV (RFC 4180)"


class CsvRecords:
    """Cuts text into records. A line `sep=` or else the header says what separates their cells: `;`, tab or comma."""

    def __init__(self, refusals: Refusals) -> None:
        self.line = 1
        self._refusals = refusals
        self._separator = ""
        self._waiting = ""

    def read(self, text: str, *, last: bool) -> Iterator[list[Record]]:
        """The records that are not empty, in lists that end where something is no record.

        One that the text cuts waits for the next."""
        lines = list(StringIO(self._waiting + text, newline="\n"))
        done = self._find_separator(lines)
        while done < len(lines) and not self._refusals.hopeless:
            begin = done
            reader = csv.reader(lines[begin:], delimiter=self._separator, strict=True)
            records: list[Record] = []
            good = True
            try:
                for cells in reader:
                    if cells and (cells[0].strip() or any(cell.strip() for cell in cells)):
                        records.append((self.line + done, cells))
                    done = begin + reader.line_num
            except csv.Error:
                good = False
            yield records
            if not good:
                cut = begin + reader.line_num == len(lines) and sum(map(len, lines[done:])) < SLICE
                if cut and not last:
                    break
                self._refusals.refuse(self.line + done, NOT_CSV)
                done += 1
        self._waiting = "".join(lines[done:])
        self.line += done

    def _find_separator(self, lines: list[str]) -> int:
        """How many lines come before the header."""
        done = 0
        while not self._separator and done < len(lines):
            line = lines[done].strip(" \r\n")
            if declared := DECLARED.fullmatch(line):
                self._separator = declared[1]
                return done + 1
            if line:
                self._separator = next((mark for mark in ";\t" if mark in line), ",")
            else:
                done += 1
        return done
