"""Log lines: one format for all of them, on standard output, and never a secret in it."""

import atexit
import logging
import re
import sys
import time
import traceback
from collections.abc import Mapping
from contextlib import suppress
from logging.handlers import QueueHandler, QueueListener
from pathlib import Path
from queue import Full, Queue

import msgspec

from core import trace
from core.checkout import CHECKOUT
from core.process.settings import Settings

REPEATED = re.compile(r"Application startup failed|Child process \[[0-9]+\] failed to start")
BARE = re.compile(r"[^\s\"=\\]+")
MOST_REQUESTS_PER_SECOND = 100
MOST_WAITING = 10_000

encode = msgspec.json.Encoder(enc_hook=str).encode


class Formatter(logging.Formatter):
    """A record as logfmt or JSON, on one line: time, level, logger, msg, the request's id, and its own `fields`.

    An exception is told by its stack: types, files, lines and functions, and a SQLSTATE. What it says itself may
    quote data, so it is left out unless `wordy`: then the usual traceback, and a message's further lines, follow."""

    def __init__(self, *, json: bool, wordy: bool) -> None:
        super().__init__()
        self._json = json
        self._wordy = wordy

    def format(self, record: logging.LogRecord) -> str:
        moment = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created))
        message, more = record.getMessage(), ""
        if self._wordy:
            message, _, more = message.partition("\n")
        fields: dict[str, object] = {
            "time": f"{moment}.{int(record.msecs):03d}Z",
            "level": record.levelname.lower(),
            "logger": record.name,
            "msg": message,
        }
        if request := trace.current.get():
            fields["request_id"] = request["request_id"].decode()
            fields |= trace.named(request)
        fields |= getattr(record, "fields", {})
        error = record.exc_info[1] if record.exc_info else None
        if error and self._wordy:
            more += "".join(traceback.format_exception(error))
        elif error:
            fields["stack"] = stack(error)
        line = encode(fields).decode() if self._json else logfmt(fields)
        return f"{line}\n{more.rstrip()}" if more else line


def logfmt(fields: Mapping[str, object]) -> str:
    """`key=value` pairs; a value that is not one plain word is quoted as in JSON."""
    return " ".join(f"{name}={_word(str(value))}" for name, value in fields.items())


def _word(text: str) -> str:
    return text if BARE.fullmatch(text) and text.isprintable() else encode(text).decode()


def stack(error: BaseException) -> str:
    """Where an exception came from, and what it came from, innermost call last; nothing that it says itself."""
    told = []
    seen: set[int] = set()
    cause: BaseException | None = error
    while cause and id(cause) not in seen:
        seen.add(id(cause))
        kind = type(cause).__qualname__
        if state := getattr(cause, "sqlstate", None):
            kind += f" {state}"
        calls = traceback.extract_tb(cause.__traceback__)
        told.append(
            f"{kind}: " + " > ".join(f"{_place(call.filename)}:{call.lineno} {call.name}" for call in calls)
        )
        cause = cause.__cause__ or (None if cause.__suppress_context__ else cause.__context__)
    return " | from ".join(told)


def _place(filename: str) -> str:
    path = Path(filename)
    return str(path.relative_to(CHECKOUT)) if path.is_relative_to(CHECKOUT) else path.name


def announcement(text: str, log_format: str, level: str = "INFO") -> str:
    """What is said before there is a log, as the log's lines are: JSON where they are JSON."""
    if log_format != "json":
        return text
    record = logging.makeLogRecord({"name": "ventas", "levelname": level, "msg": text})
    return Formatter(json=True, wordy=False).format(record)


class Throttle(logging.Filter):
    """Lets MOST_REQUESTS_PER_SECOND lines through; the next second begins by telling how many it held back."""

    def __init__(self) -> None:
        super().__init__()
        self._second = 0
        self._count = 0

    def filter(self, record: logging.LogRecord) -> bool:
        second = int(record.created)
        if second != self._second:
            if (held := self._count - MOST_REQUESTS_PER_SECOND) > 0:
                fields = getattr(record, "fields", {})
                record.fields = fields | {"lines_held_back": held}
            self._second, self._count = second, 0
        self._count += 1
        return self._count <= MOST_REQUESTS_PER_SECOND


def says_more(record: logging.LogRecord) -> bool:
    """Whether a line of the server's is more than the end of a start whose reason has been told."""
    return not REPEATED.match(record.getMessage())


class Outlet(QueueHandler):
    """Hands formatted lines to a thread that writes them: a reader that stops reading must not stop the service.

    Past MOST_WAITING lines the newest are lost."""

    def __init__(self, formatter: Formatter) -> None:
        super().__init__(Queue(MOST_WAITING))
        self.setFormatter(formatter)
        writer = QueueListener(self.queue, logging.StreamHandler(sys.stdout))
        writer.start()
        atexit.register(writer.stop)

    def enqueue(self, record: logging.LogRecord) -> None:
        with suppress(Full):
            self.queue.put_nowait(record)


def write(settings: Settings) -> None:
    """Sends the lines of this process, its server's included, to standard output from now on."""
    logging.raiseExceptions = False  # a line that cannot be written is lost, and not worth others about it
    json = settings.log_format == "json"
    logging.getLogger().addHandler(Outlet(Formatter(json=json, wordy=not json and not settings.production)))
    ours, uvicorn = logging.getLogger("ventas"), logging.getLogger("uvicorn")
    ours.setLevel(settings.log_level.upper())
    uvicorn.setLevel(max(logging.WARNING, ours.level))
    uvicorn.handlers.clear()
    uvicorn.propagate = True
    access = logging.getLogger("uvicorn.access")  # its lines hold query strings
    access.handlers.clear()
    access.propagate = False
    server = logging.getLogger("uvicorn.error")
    server.addFilter(says_more)
    server.addFilter(Throttle())  # anybody may send what is no HTTP
    if settings.log_requests != "all":
        logging.getLogger("ventas.request").addFilter(Throttle())
