"""A progress bar for a person at a terminal."""

import sys
import time

WIDTH, PAUSE_SECONDS = 24, 0.1


class Bar:
    """One line of standard error that tells rows, rate and time left; nothing where that is not a terminal.

    `total` is what `done` comes to in the end, 0 when nobody knows; `then` is what goes on after that, unmeasured."""

    def __init__(self, total: int, then: str = "") -> None:
        self._total = total
        self._then = then
        self._began = self._shown = time.monotonic()
        self._terminal = sys.stderr.isatty()

    def __enter__(self) -> "Bar":
        return self

    def __exit__(self, *_: object) -> None:
        self._write("")

    def show(self, done: int, rows: int) -> None:
        now = time.monotonic()
        if self._then and 0 < self._total <= done:
            self._write(f"{rows:,} rows read, {self._then} …")
        elif now - self._shown > PAUSE_SECONDS:
            self._shown = now
            rate = rows / (now - self._began)
            self._write(f"{self._share(done, now)}{rows:,} rows  {rate:,.0f} rows/s")

    def finish(self, text: str) -> None:
        """Replaces the bar by a last word."""
        self._write(f"{text}\n")

    def _share(self, done: int, now: float) -> str:
        if not self._total or not done:
            return ""
        share = min(done / self._total, 1)
        minutes, seconds = divmod(round((now - self._began) * (1 / share - 1)), 60)
        bar = "#" * round(share * WIDTH)
        return f"[{bar:.<{WIDTH}}] {share:4.0%}  {minutes}:{seconds:02} left  "

    def _write(self, text: str) -> None:
        if self._terminal:
            print(f"\r\x1b[K{text}", end="", file=sys.stderr, flush=True)
