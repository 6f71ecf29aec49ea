"""Clients that people have, each with its own way of speaking HTTP/1.1: all sell, and read what they sold."""

import asyncio
import http.client
import json
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest
from conftest import member, running
from proxies import program
from raw import answers

SALE = '{"venta": 150000, "ventas_productos": 3}'

JAVA = """
import java.net.URI;
import java.net.http.*;

public class Client {
    public static void main(String[] given) throws Exception {
        HttpClient client = HttpClient.newHttpClient();  // offers h2c with its first request
        HttpRequest.Builder sale = HttpRequest.newBuilder(URI.create(given[0] + "/venta/"))
            .header("Authorization", given[1]).header("Content-Type", "application/json");
        var made = client.send(sale.POST(HttpRequest.BodyPublishers.ofString(given[2])).build(),
            HttpResponse.BodyHandlers.ofString());
        var list = HttpRequest.newBuilder(URI.create(given[0] + "/venta/")).header("Authorization", given[1]);
        var read = client.send(list.build(), HttpResponse.BodyHandlers.ofString());
        System.out.println(made.statusCode() + " " + read.statusCode());
        System.out.println(read.body());
    }
}
"""
PHP = """<?php
[, $url, $token, $sale] = $argv;
$headers = "Authorization: $token\\r\\nContent-Type: application/json\\r\\n";
$post = ["method" => "POST", "header" => $headers, "content" => $sale, "protocol_version" => 1.1];
file_get_contents("$url/venta/", false, stream_context_create(["http" => $post]));
$made = explode(" ", $http_response_header[0])[1];
$read = file_get_contents("$url/venta/", false, stream_context_create(["http" => ["header" => $headers]]));
echo "$made ", explode(" ", $http_response_header[0])[1], "\\n$read\\n";
"""
NODE = """
const [url, Authorization, body] = process.argv.slice(2);
const stream = new ReadableStream({
    start(sink) { sink.enqueue(new TextEncoder().encode(body)); sink.close(); },
});
const headers = { Authorization, "Content-Type": "application/json" };
const made = await fetch(url + "/venta/", { method: "POST", headers, body: stream, duplex: "half" });
await made.text();
const read = await fetch(url + "/venta/", { headers });
console.log(made.status, read.status);
console.log(await read.text());
"""


@pytest.fixture(scope="module")
def api(database_of_all: str) -> Iterator[httpx.Client]:
    with (
        running({"DATABASE_URL": database_of_all}) as url,
        httpx.Client(base_url=url, timeout=30) as api,
        member(api, "ana") as ana,
    ):
        yield ana


@pytest.fixture
def given(api: httpx.Client) -> list[str]:
    """What each program is told: the URL, the token, and what to sell."""
    return [str(api.base_url).rstrip("/"), api.headers["authorization"], SALE]


@pytest.fixture
def sold(api: httpx.Client) -> Iterator[Callable[[str], None]]:
    """Checks what a program says: that it sold, and what it read; and that one sale was made."""
    before = len(api.get("/venta/").json())

    def check(said: str) -> None:
        statuses, _, body = said.partition("\n")
        assert statuses == "201 200"
        assert json.loads(body)[0]["venta"] == 150000
        assert len(api.get("/venta/").json()) == before + 1

    yield check


def output(*command: str | Path) -> str:
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout


@pytest.mark.parametrize(
    "option", ["-s", "--http2", "--http1.0", "-HTransfer-Encoding: chunked", "-HExpect: 100-continue"]
)
def test_curl(option, given, sold):
    url, token, sale = given
    curl = [program("curl"), "-s", "-H", f"Authorization: {token}", option]
    made = output(
        *curl, "-w", "%{http_code}", "-H", "Content-Type: application/json", "-d", sale, f"{url}/venta/"
    )
    sold(f"{made[-3:]} " + output(*curl[:4], "-w", "", f"{url}/venta/").join(["200\n", ""]))


@pytest.mark.slow
def test_java(given, sold, tmp_path):
    (tmp_path / "Client.java").write_text(JAVA)
    program("javac")
    sold(output(program("java"), tmp_path / "Client.java", *given))


@pytest.mark.slow
def test_php(given, sold, tmp_path):
    (tmp_path / "client.php").write_text(PHP)
    sold(output(program("php"), tmp_path / "client.php", *given))


def test_node_fetch(given, sold, tmp_path):
    (tmp_path / "client.mjs").write_text(NODE)
    sold(output(program("node"), tmp_path / "client.mjs", *given))


def test_http_client(given, sold):
    url, token, sale = given
    headers = {"Authorization": token, "Content-Type": "application/json"}
    connection = http.client.HTTPConnection(url.removeprefix("http://"), timeout=30)
    connection.request(
        "POST", "/venta/", iter([sale[:5].encode(), sale[5:].encode()]), headers, encode_chunked=True
    )
    with connection.getresponse() as made:
        made.read()
    connection.request("GET", "/venta/", headers=headers)
    with connection.getresponse() as read:
        sold(f"{made.status} {read.status}\n{read.read().decode()}")
    connection.close()


def test_requests(given, sold):
    requests = pytest.importorskip("requests")
    url, token, sale = given
    with requests.Session() as session:
        session.headers.update({"Authorization": token, "Content-Type": "application/json"})
        made, read = session.post(f"{url}/venta/", data=sale), session.get(f"{url}/venta/")
    sold(f"{made.status_code} {read.status_code}\n{read.text}")


def test_httpx(api, sold):
    made = api.post("/venta/", content=SALE, headers={"Content-Type": "application/json"})
    read = api.get("/venta/")
    sold(f"{made.status_code} {read.status_code}\n{read.text}")


def test_aiohttp(given, sold):
    aiohttp = pytest.importorskip("aiohttp")
    url, token, sale = given

    async def sell() -> str:
        headers = {"Authorization": token, "Content-Type": "application/json"}
        async with aiohttp.ClientSession(headers=headers) as session:
            async with session.post(f"{url}/venta/", data=sale, expect100=True) as made:
                await made.read()
            async with session.get(f"{url}/venta/") as read:
                return f"{made.status} {read.status}\n{await read.text()}"

    sold(asyncio.run(sell()))


def test_netcat(given, sold):
    """It sends no more once its input ends, and waits for the answer."""
    url, token, sale = given
    head = f"POST /venta/ HTTP/1.1\r\nHost: x\r\nAuthorization: {token}\r\nContent-Type: application/json\r\n"
    host, port = url.removeprefix("http://").split(":")
    request = f"{head}Content-Length: {len(sale)}\r\n\r\n{sale}GET /venta/ HTTP/1.0\r\nAuthorization: {token}\r\n\r\n"
    done = subprocess.run(
        [program("nc"), "-N", host, port], input=request.encode(), capture_output=True, timeout=30
    )
    made, read = answers(done.stdout)
    sold(f"{made.status} {read.status}\n{read.body.decode()}")
