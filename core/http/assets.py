"""The files that pages are made of, at addresses that hold their hash: a browser keeps them for a year."""

import re
from functools import cached_property
from hashlib import sha256
from pathlib import Path

from starlette.types import Receive, Scope, Send

from core.http.messages import respond
from core.http.stored import NEW_EACH_TIME, Stored
from core.problems import NO_ROUTE, WRONG_METHOD, Problem

MOUNTED = "/assets"
MEDIA = {
    ".css": "text/css; charset=utf-8",
    ".ico": "image/x-icon",
    ".js": "text/javascript; charset=utf-8",
    ".json": "application/json",
    ".png": "image/png",
    ".svg": "image/svg+xml",
    ".txt": "text/plain; charset=utf-8",
    ".webmanifest": "application/manifest+json",
    ".woff2": "font/woff2",
}
FOR_A_YEAR = (b"cache-control", b"public, max-age=31536000, immutable")
VERSION = re.compile(r"[0-9a-f]{16}/")


class Assets:
    """An application that serves the files of a folder whose type is in MEDIA, read once.

    /assets/0123456789abcdef/page.css is page.css: the hash is of all files, so that those that name each other by
    relative addresses need no change. Under another hash, which a page of another release has, or under none, a file
    is what it is now, and is not kept."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    @cached_property
    def _files(self) -> dict[str, Stored]:
        return {name: Stored(body, MEDIA[Path(name).suffix]) for name, body in self._contents.items()}

    @cached_property
    def _contents(self) -> dict[str, bytes]:
        files = sorted(file for file in self._folder.rglob("*") if file.suffix in MEDIA)
        return {file.relative_to(self._folder).as_posix(): file.read_bytes() for file in files}

    @cached_property
    def version(self) -> str:
        """The hash of all files, 16 hexadecimal digits."""
        whole = sha256()
        for name, body in self._contents.items():
            whole.update(b"%b\0%d\0%b" % (name.encode(), len(body), body))
        return whole.hexdigest()[:16]

    def address(self, prefix: str) -> str:
        """Where the files are, without a last slash; `prefix` is what a proxy puts before every path."""
        return f"{prefix}{MOUNTED}/{self.version}"

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["method"] not in ("GET", "HEAD"):
            detail = "Esta ruta admite: GET, HEAD"
            raise Problem(WRONG_METHOD, detail, headers=[(b"allow", b"GET, HEAD")])
        path = scope["path"].partition(f"{MOUNTED}/")[2]
        version = VERSION.match(path)
        file = self._files.get(path[version.end() :] if version else path)
        if file is None:
            raise Problem(NO_ROUTE, "No existe esta ruta")
        current = version is not None and version[0] == f"{self.version}/"
        answer = await file.answer(scope, cache=FOR_A_YEAR if current else NEW_EACH_TIME)
        await respond(send, answer.status, answer.body, answer.headers)
