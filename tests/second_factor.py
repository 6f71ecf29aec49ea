"""What a person with an authenticator app does: sets it up, reads its codes, logs in with them."""

import re
import time

import httpx
import pyotp
import zxingcpp
from conftest import PASSWORD

GRANT = "urn:ventas:params:oauth:grant-type:mfa-otp"
PASSWORD_ACTUAL = {"password_actual": PASSWORD}
PIXELS = 4  # of a module of a QR code


def code(secret: str, *, seconds: int = 0) -> str:
    """What an app shows whose clock is so many seconds ahead."""
    return pyotp.TOTP(secret).at(int(time.time()) + seconds)


def enrol(client: httpx.Client) -> str:
    """A secret that is not confirmed yet."""
    answer = client.post("/user/me/factor", json=PASSWORD_ACTUAL)
    assert answer.status_code == 200, answer.text
    return answer.json()["secreto"]


def activate(client: httpx.Client) -> tuple[str, list[str]]:
    """A confirmed secret, and the recovery codes. The code of the next 30 seconds is good for a login."""
    secret = enrol(client)
    answer = client.post("/user/me/factor/confirmar", json={"codigo": code(secret)})
    assert answer.status_code == 200, answer.text
    return secret, answer.json()["codigos"]


def first_step(api: httpx.Client, username: str, **fields: str) -> str:
    """The mfa_token of a right password."""
    answer = api.post("/login/", data={"username": username, "password": PASSWORD} | fields)
    assert answer.status_code == 403, answer.text
    assert answer.json()["error"] == "mfa_required"
    return answer.json()["mfa_token"]


def second_step(api: httpx.Client, mfa_token: str, otp: str, **fields: str) -> httpx.Response:
    return api.post("/login/", data={"grant_type": GRANT, "mfa_token": mfa_token, "otp": otp} | fields)


def delete(client: httpx.Client, path: str, password: str = PASSWORD, **options: object) -> httpx.Response:
    """A DELETE with the password, which httpx sends no body with of itself."""
    return client.request("DELETE", path, json={"password_actual": password}, **options)  # type: ignore[arg-type]


def read_qr(svg: str) -> str:
    """What a camera reads: the picture is drawn, module by module, and decoded."""
    [side] = re.findall(r'viewBox="0 0 (\d+) \1"', svg)
    width = int(side) * PIXELS
    pixels = bytearray(b"\xff" * width * width)
    [path] = re.findall(r'stroke="#000" d="([^"]+)"', svg)
    x = y = 0.0
    for command, numbers in re.findall(r"([MmhH])([-\d. ]+)", path):
        steps = [float(number) for number in re.findall(r"-?[\d.]+", numbers)]
        if command == "h":
            for row in range(int(y) * PIXELS, (int(y) + 1) * PIXELS):
                begin = row * width + int(x) * PIXELS
                pixels[begin : begin + int(steps[0]) * PIXELS] = bytes(int(steps[0]) * PIXELS)
            x += steps[0]
        else:
            x, y = (steps[0], steps[1]) if command == "M" else (x + steps[0], y + steps[1])
    [found] = zxingcpp.read_barcodes(memoryview(bytes(pixels)).cast("B", (width, width)))  # type: ignore[arg-type]
    return found.text
