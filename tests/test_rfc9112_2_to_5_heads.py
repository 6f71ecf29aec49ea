"""RFC 9112 sections 2 to 5, as bytes: request lines, targets, hosts and fields, and what is none of them."""

from collections.abc import Iterator

import pytest
import uvicorn
from raw import HEAD, LAST, answers, connect, exchange, one, rest, serving, statuses

from core.http.request_head import FEW_FIELDS, KNOWN, MOST_FIELDS, MOST_HEAD, MOST_KNOWN, MOST_LINE


@pytest.fixture(scope="module")
def server(database_of_all: str) -> Iterator[uvicorn.Server]:
    with serving(database_of_all, CORS_ORIGINS="https://tienda.example") as server:
        yield server


def get(line: bytes = b"GET /healthz HTTP/1.1", *fields: bytes, host: bytes = b"host: x") -> bytes:
    return b"\r\n".join([line, host, *fields, b"connection: close", b"", b""])


# 2.2 Message parsing


def test_it_ignores_empty_lines_before_a_request(server):
    assert statuses(server, b"\r\n\r\n", b"\r", b"\n" + LAST) == [200]


@pytest.mark.parametrize(
    "request_",
    [
        LAST.replace(b"\r\n", b"\n"),
        LAST.replace(b"1.1\r\n", b"1.1\n"),
        LAST.replace(b"1.1\r\n", b"1.1\r"),
        LAST.replace(b"host: x", b"host: x\ny: z"),
        LAST.replace(b"host: x", b"host: x\ry: z"),
        LAST.replace(b"host: x", b"host: x\r\r"),
    ],
)
def test_it_refuses_a_line_that_does_not_end_in_crlf(server, request_):
    assert statuses(server, request_) == [400]


@pytest.mark.parametrize("byte", [b"\0", b"\x01", b"\x0b", b"\x1b", b"\x7f"])
def test_it_refuses_a_control_character(server, byte):
    assert statuses(server, get(b"GET /healthz HTTP/1.1", b"a: b" + byte + b"c")) == [400]
    assert statuses(server, get(b"GET /health" + byte + b"z HTTP/1.1")) == [400]


def test_it_refuses_what_cannot_become_a_head_before_it_ends(server):
    for begun in (b"\x16\x03\x01", b"GET / HTTP/1.1\nhost", b"GET /\r\n", b"GET / HTTP/9.1\r\n", b"hola\r\n"):
        assert statuses(server, begun)[0] in (400, 505)


# 2.3 HTTP version


@pytest.mark.parametrize("version", [b"HTTP/1.2", b"HTTP/1.9"])
def test_it_reads_a_later_minor_version_as_1_1(server, version):
    (answer,) = exchange(server, get(b"GET /healthz " + version))
    assert answer.status == 200


@pytest.mark.parametrize("version", [b"HTTP/2.0", b"HTTP/0.9", b"HTTP/3.0", b"HTTP/9.9"])
def test_it_does_not_support_another_major_version(server, version):
    (answer,) = exchange(server, get(b"GET /healthz " + version))
    assert (answer.status, answer.problem["codigo"]) == (505, "version_desconocida")


def test_it_refuses_the_preface_of_http_2(server):
    assert statuses(server, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n") == [505]


@pytest.mark.parametrize(
    "version", [b"HTTP/1", b"HTTP/1.1.1", b"HTTP/01.1", b"http/1.1", b"HTTP/ 1.1", b"HTCPCP/1.0"]
)
def test_it_refuses_what_is_no_version(server, version):
    assert statuses(server, get(b"GET /healthz " + version)) == [400]


# 3 Request line


@pytest.mark.parametrize(
    "line",
    [
        b"GET  /healthz HTTP/1.1",
        b" GET /healthz HTTP/1.1",
        b"GET /healthz HTTP/1.1 ",
        b"GET\t/healthz HTTP/1.1",
        b"GET /health z HTTP/1.1",
        b"GET HTTP/1.1",
        b"GET /healthz",
        b"G(T /healthz HTTP/1.1",
        b"hola",
        b"",
    ],
)
def test_it_refuses_a_line_of_another_form(server, line):
    assert exchange(server, get(line))[0].problem["codigo"] == "http_invalido"


@pytest.mark.parametrize("method", [b"BREW", b"get", b"CONNECT", b"PROPFIND"])
def test_it_does_not_implement_a_method_that_nobody_knows(server, method):
    (answer,) = exchange(server, get(method + b" /healthz HTTP/1.1"))
    assert (answer.status, answer.problem["codigo"]) == (501, "metodo_desconocido")


def test_it_refuses_a_method_that_the_resource_does_not_have(server):
    (answer,) = exchange(server, get(b"TRACE /healthz HTTP/1.1"))
    assert (answer.status, answer.headers["allow"]) == (405, "GET, HEAD")


def test_it_takes_targets_of_8000_bytes_and_more(server):
    assert statuses(server, get(b"GET /" + b"a" * 8000 + b" HTTP/1.1")) == [404]


@pytest.mark.parametrize("ending", [b"", b" HTTP/1.1\r\nhost: x\r\n\r\n"])
def test_it_refuses_a_target_that_is_too_long(server, ending):
    (answer,) = exchange(server, b"GET /" + b"a" * MOST_LINE + ending)
    assert (answer.status, answer.problem["codigo"]) == (414, "direccion_demasiado_larga")


@pytest.mark.parametrize("ending", [b"", b" / HTTP/1.1\r\nhost: x\r\n\r\n"])
def test_it_does_not_implement_a_method_of_great_length(server, ending):
    (answer,) = exchange(server, b"A" * (MOST_LINE + 1) + ending)
    assert (answer.status, answer.problem["codigo"]) == (501, "metodo_desconocido")
    assert answer.problem["detail"] == f"Este servicio no conoce el método {'A' * 50}"


# 3.2 Request target


@pytest.mark.parametrize(
    "target",
    [
        b"/healthz#a",
        b"/healthz?a#b",
        b"\\healthz",
        b"/docs\\..\\healthz",
        b"/\xc3\xb1",
        b"healthz",
        b"*",
        b"x:443",
        b"ftp://x/healthz",
        b"http:///healthz",
    ],
)
def test_it_refuses_a_target_that_is_none(server, target):
    assert statuses(server, get(b"GET " + target + b" HTTP/1.1")) == [400]


def test_it_takes_a_query_as_browsers_write_it(server):
    assert statuses(server, get(b"GET /healthz?a=\\^`{|}[]'\"<> HTTP/1.1")) == [200]


@pytest.mark.parametrize(
    "target", [b"http://x/healthz", b"HTTP://x:80/healthz", b"https://[::1]:8443/healthz/"]
)
def test_it_takes_a_whole_uri(server, target):
    assert statuses(server, get(b"GET " + target + b" HTTP/1.1")) == [200]


def test_it_takes_a_whole_uri_without_a_path(server):
    assert statuses(server, get(b"GET http://x?a=b HTTP/1.1", b"accept: application/json"))[0] != 400


def test_it_answers_options_for_the_whole_server(server):
    (answer,) = exchange(server, get(b"OPTIONS * HTTP/1.1"))
    assert (answer.status, answer.body) == (204, b"")
    assert "PATCH" in answer.headers["allow"]


@pytest.mark.parametrize("host", [b"x: y", b"host: x\r\nhost: x", b"host: x\r\nHost: y"])
def test_it_wants_one_host(server, host):
    assert statuses(server, get(host=host)) == [400]


@pytest.mark.parametrize(
    "name",
    [
        b"",
        b"a b",
        b"a,b",
        b"user@x",
        b"x/y",
        b"x?y",
        b"x:y",
        b"x:80:80",
        b"[::1",
        b"[x]",
        b"[:::::]",
        b"[1.2.3.4]",
        b"a%zz",
        b"h\xc3\xb1",
        b"a" * 300,
    ],
)
def test_it_refuses_a_host_that_is_none(server, name):
    assert statuses(server, get(host=b"host: " + name)) == [400]


@pytest.mark.parametrize(
    "name",
    [
        b"x",
        b"x.example.",
        b"x:80",
        b"x:",
        b"127.0.0.1:8000",
        b"[::1]:8000",
        b"[::ffff:1.2.3.4]",
        b"a%20b",
        b"a_b-c",
        b"xn--bcher-kva.example",
    ],
)
def test_it_takes_a_host_of_any_good_form(server, name):
    assert statuses(server, get(host=b"host: " + name)) == [200]


def test_it_refuses_a_bad_host_beside_a_whole_uri(server):
    assert statuses(server, get(b"GET http://x/healthz HTTP/1.1", host=b"y: z")) == [400]


def test_it_needs_no_host_of_http_1_0(server):
    assert statuses(server, b"GET /healthz HTTP/1.0\r\n\r\n") == [200]
    assert statuses(server, b"GET /healthz HTTP/1.0\r\nhost: a b\r\n\r\n") == [400]


# 5 Field syntax


@pytest.mark.parametrize(
    "line", [b"a : b", b"a\t: b", b": b", b"a", b"a(b): c", b"\xc3\xb1: b", b" a: b", b"a b: c", b'"a": b']
)
def test_it_refuses_a_field_that_is_none(server, line):
    assert statuses(server, get(b"GET /healthz HTTP/1.1", line)) == [400]


def test_it_refuses_a_line_that_goes_on_in_the_next(server):
    assert statuses(server, get(b"GET /healthz HTTP/1.1", b"a: b\r\n c")) == [400]
    assert statuses(server, get(host=b" x: y\r\nhost: x")) == [400]


def test_it_takes_blanks_around_a_value_and_bytes_beyond_ascii(server):
    (answer,) = exchange(
        server, get(b"GET /nada HTTP/1.1", b"X-Request-ID: \t abc \t", b"a:", b"b: \xc3\xb1\xff")
    )
    assert (answer.status, answer.headers["x-request-id"]) == (404, "abc")


@pytest.mark.parametrize(
    "begun", [b"GET / HTTP/1.1\r\nhost: x\r\na: ", b"GET / HTTP/1.1\r\n" + b"a: b\r\n" * 20_000]
)
@pytest.mark.parametrize("ending", [b"", b"\r\n\r\n"])
def test_it_refuses_a_head_that_is_too_large(server, begun, ending):
    (answer,) = exchange(server, begun + b"b" * MOST_HEAD + ending)
    assert (answer.status, answer.problem["codigo"]) == (431, "cabeceras_demasiado_largas")


@pytest.mark.parametrize("value", [b" ", b"\t", b"b "])
def test_a_long_field_with_a_bad_end_is_refused_at_once(server, value):
    """Trying every way in which its blanks could be read took minutes."""
    blanks = value * (60_000 // len(value))
    assert statuses(server, get(b"GET /healthz HTTP/1.1", b"a:" + blanks + b"\x01")) == [400]


def test_it_takes_many_fields_and_no_more(server):
    line = b"GET /healthz HTTP/1.1"
    assert statuses(server, get(line, *[b"a:"] * (MOST_FIELDS - 2))) == [200]
    (answer,) = exchange(server, get(line, *[b"a:"] * (MOST_FIELDS - 1)))
    assert (answer.status, answer.problem["detail"]) == (431, "La petición tiene más de 1000 cabeceras")


def test_heads_of_many_fields_are_not_remembered(server):
    fields = [b"%x:" % n for n in range(FEW_FIELDS)]
    assert statuses(server, get(b"GET /healthz HTTP/1.1", *fields)) == [200]
    assert not [lines for lines in KNOWN if fields[-1] in lines]


def test_the_heads_that_are_remembered_have_a_bound(server):
    heads = b"".join(HEAD.replace(b"host", b"a: %d\r\nhost" % n) for n in range(MOST_KNOWN + 1))
    assert statuses(server, heads + LAST) == [200] * (MOST_KNOWN + 2)
    assert len(KNOWN) == MOST_KNOWN


@pytest.mark.parametrize("cut", range(-4, 0))
@pytest.mark.parametrize(("more", "after", "status"), [(0, b"", 200), (1, b"\0 a body", 431)])
def test_the_bound_of_a_head_is_the_same_wherever_its_end_is_cut(server, cut, more, after, status):
    begun = b"GET /healthz HTTP/1.1\r\nhost: x\r\nconnection: close\r\na: "
    head = begun.ljust(MOST_HEAD + more - 4, b"b") + b"\r\n\r\n"
    end = head[cut:] + after
    assert statuses(server, head[:cut], end) == statuses(server, head + after) == [status]


@pytest.mark.parametrize("cut", [0, 1, 2])
@pytest.mark.parametrize(("more", "status"), [(0, 404), (1, 414)])
def test_the_bound_of_a_line_is_the_same_wherever_its_end_is_cut(server, cut, more, status):
    line = b"GET /" + b"a" * (MOST_LINE + more - len(b"GET / HTTP/1.1")) + b" HTTP/1.1"
    whole, request = len(line) + cut, get(line, b"connection: close")
    assert statuses(server, request[:whole], request[whole:]) == statuses(server, request) == [status]


def test_the_bound_of_a_head_does_not_depend_on_how_it_is_cut(server):
    head = get(b"GET /healthz HTTP/1.1", b"a: " + b"b" * (MOST_HEAD - 100))
    assert len(head) < MOST_HEAD
    assert (
        statuses(server, head)
        == statuses(server, *(head[n : n + 999] for n in range(0, len(head), 999)))
        == [200]
    )


def test_a_head_may_come_byte_by_byte(server):
    assert statuses(server, *(LAST[n : n + 1] for n in range(len(LAST)))) == [200]


@pytest.mark.parametrize(
    "begun", [b":\n", b"\r\r", b"\rG", b"G\n", b"GE\n", b"GET\n", b"GET / HTTP/1.1\r\na\n"]
)
def test_what_is_no_head_is_refused_however_it_is_cut(server, begun):
    assert (
        statuses(server, begun) == statuses(server, *(begun[n : n + 1] for n in range(len(begun)))) == [400]
    )


# Refusals are answers like any other


@pytest.mark.parametrize(
    "request_",
    [
        b"BREW / HTTP/1.1\r\norigin: https://tienda.example\r\nhost: x\r\nx-request-id: abc\r\n\r\n",
        b"OPTIONS / HTTP/1.1\r\norigin: https://tienda.example\r\naccess-control-request-method: GET\r\n"
        b"x-request-id: abc\r\n\r\n",
        b"GET / HTTP/1.1\r\norigin: https://tienda.example\r\nx-request-id: abc\r\nhost: x\r\nno field\r\n\r\n",
    ],
)
def test_a_refusal_has_what_every_answer_has(server, request_):
    (answer,) = exchange(server, request_)
    assert answer.status in (400, 501)
    assert answer.problem["request_id"] == "abc"
    assert answer.headers["access-control-allow-origin"] == "https://tienda.example"
    assert answer.headers["date"]
    assert answer.headers["connection"] == "close"


def test_a_refused_head_has_no_body_for_head(server):
    received = b""
    with connect(server) as client:
        client.sendall(b"HEAD / HTTP/1.1\r\nhost: a b\r\n\r\n")
        received = rest(client)
    (answer,) = answers(received, heads=True)
    assert answer.status == 400
    assert received.endswith(b"\r\n\r\n")


def test_requests_before_a_broken_one_get_their_answers_and_it_gets_its_own(server):
    assert statuses(server, HEAD + HEAD + b"\0hola\r\n\r\n") == [200, 200, 400]
    with connect(server) as client:
        client.sendall(HEAD)
        assert one(client).status == 200
