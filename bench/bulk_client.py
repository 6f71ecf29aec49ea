"""A client that sends and takes files of any size without holding them in memory."""

import json
from http.client import HTTPConnection
from pathlib import Path
from urllib.parse import urlsplit

from bench.database import PASSWORD
from bench.server import ContenderServer

MEDIA = {".csv": "text/csv", ".ndjson": "application/x-ndjson"}


class Client:
    """One kept connection with an admin's token."""

    def __init__(self, server: ContenderServer, token: str = "") -> None:
        self.connection = HTTPConnection(urlsplit(server.url).netloc, blocksize=1 << 16)
        self.token = token or self._log_in()

    def request(self, method: str, path: str, **how: object) -> tuple[int, dict[str, str], bytes]:
        headers = {"Authorization": f"Bearer {self.token}", **how.pop("headers", {})}
        self.connection.request(method, path, headers=headers, **how)
        answer = self.connection.getresponse()
        return answer.status, dict(answer.getheaders()), answer.read()

    def upload(self, file: Path, query: str = "", media: str = "") -> tuple[int, dict[str, object]]:
        with file.open("rb") as body:
            headers = {
                "Content-Type": media or MEDIA[file.suffix],
                "Content-Length": str(file.stat().st_size),
            }
            status, _, answer = self.request("POST", f"/venta/importar?{query}", body=body, headers=headers)
        return status, json.loads(answer)

    def download(self, formato: str, file: Path) -> None:
        path = f"/venta/exportar?formato={formato}"
        self.connection.request("GET", path, headers={"Authorization": f"Bearer {self.token}"})
        answer, buffer = self.connection.getresponse(), bytearray(1 << 16)
        with file.open("wb") as target:
            while size := answer.readinto(buffer):
                target.write(memoryview(buffer)[:size])

    def _log_in(self) -> str:
        form = f"username=u000001&password={PASSWORD}"
        headers = {"Content-Type": "application/x-www-form-urlencoded"}
        self.connection.request("POST", "/login/", form, headers)
        return str(json.load(self.connection.getresponse())["access_token"])
