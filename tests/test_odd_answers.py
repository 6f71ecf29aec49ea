"""Requests with something odd in one place, and which answers to them are at fault."""

import pytest

from bench.odd_answers import fault
from bench.odd_requests import HEADERS, OddPlace, OddRequest, odd, places

PLACE = OddPlace("GET", "/user/{id}", "header", "If-Match")
REQUEST = OddRequest(PLACE, b"*", b"", unending=False)
PROBLEM = b"HTTP/1.1 422 Unprocessable Entity\r\nContent-Type: application/problem+json\r\n\r\n{}"
REFUSAL = PROBLEM.replace(b"problem+", b"").replace(b"{}", b'{"error":"invalid_request"}')


def test_every_place_of_the_description_is_there(api):
    description = api.get("/openapi.json").json()

    found = places(description)

    of_one = [str(place) for place in found if (place.method, place.path) == ("GET", "/user/{id}")]
    assert {(place.method, place.path) for place in found} == {
        (method.upper(), path) for path, operations in description["paths"].items() for method in operations
    }
    assert {f"GET /user/{{id}} {kind}" for kind in ("line", "path", "name", "query")} <= set(of_one)
    assert {f"GET /user/{{id}} header {name}" for name in HEADERS} <= set(of_one)
    assert OddPlace("GET", "/venta/", "query", "minimo") in found


@pytest.mark.parametrize(
    ("place", "part"),
    [
        (PLACE, b"\r\nIf-Match: RARO"),
        (OddPlace("GET", "/user/{id}", "path"), b"GET /user/RARO HTTP/1.1\r\n"),
        (OddPlace("GET", "/user/{id}/venta", "path"), b"GET /user/RARO/venta HTTP/1.1\r\n"),
        (OddPlace("GET", "/venta/", "path"), b"GET /venta/RARO HTTP/1.1\r\n"),
        (OddPlace("GET", "/venta/", "query", "minimo"), b"GET /venta/?minimo=RARO HTTP/1.1\r\n"),
        (OddPlace("GET", "/venta/", "query"), b"GET /venta/?RARO HTTP/1.1\r\n"),
        (OddPlace("GET", "/venta/", "name"), b"\r\nRARO: 1"),
        (OddPlace("GET", "/venta/", "line"), b"RARO"),
    ],
)
def test_what_is_odd_stands_in_its_place(place, part, monkeypatch):
    monkeypatch.setattr("bench.odd_requests.ODD", [b"RARO"])
    monkeypatch.setattr("bench.odd_requests.RANDOM", 0)

    assert part in odd(place, "token").sent


@pytest.mark.parametrize(
    ("answer", "found"),
    [
        (PROBLEM, ""),
        (b"HTTP/1.1 100 Continue\r\n\r\n" + PROBLEM, ""),
        (b"HTTP/1.1 200 OK\r\n\r\n", ""),
        (PROBLEM.replace(b"422", b"500"), "500"),
        (PROBLEM.replace(b"422", b"503"), "503"),
        (PROBLEM.replace(b"problem+", b""), "422"),
        (REFUSAL, "422"),
        (b"", "b''"),
        (b"HTTP/1.1 200 OK\r\n", "b'HTTP/1.1 200 OK\\r\\n'"),
        (b"Traceback", "b'Traceback'"),
    ],
)
def test_an_answer_at_fault_is_told(answer, found):
    assert fault(REQUEST, answer) == found


@pytest.mark.parametrize("answer", [PROBLEM, REFUSAL])
def test_oauths_own_refusals_are_right_where_its_clients_ask(answer):
    place = OddPlace("POST", "/login/revocar", "header", "Accept")
    assert fault(OddRequest(place, b"*", b"", unending=False), answer) == ""


def test_the_server_may_wait_where_a_request_does_not_end():
    assert fault(OddRequest(PLACE, b"*", b"", unending=True), b"") == ""
