"""What schemathesis cannot know: how tables are sent, and how to stay an admin whatever it does to its users."""

import os
import uuid

import httpx
import psycopg
import schemathesis

for media in ("application/x-ndjson", "application/vnd.ms-excel", "text/tab-separated-values"):
    schemathesis.serializer.alias(media, "text/plain")


class NewAdmin:
    """A token of an admin of its own: asked for first, and again whenever one is refused with a 401.

    The API is at FUZZ_URL, on the database at FUZZ_DATABASE_URL."""

    def get(self, case: schemathesis.Case, context: object) -> str:
        login = {"username": f"fuzz-{uuid.uuid4()}", "password": "una clave larga"}
        name = login["username"]
        person = {
            "nombre": "Ana",
            "apellido": "Paz",
            "telefono": "2604538424",
            "correo": f"{name}@example.com",
        }
        with httpx.Client(base_url=os.environ["FUZZ_URL"]) as api:
            api.post("/user/", json=login | person).raise_for_status()
            with psycopg.connect(os.environ["FUZZ_DATABASE_URL"]) as connection:
                connection.execute("UPDATE usuario SET rol = 'admin' WHERE username = %s", [name])
            return api.post("/login/", data=login).raise_for_status().json()["access_token"]

    def set(self, case: schemathesis.Case, token: str, context: object) -> None:
        case.headers = {**(case.headers or {}), "Authorization": f"Bearer {token}"}


if "FUZZ_URL" in os.environ:
    schemathesis.auth()(NewAdmin)
