"""Proxies in front of the API, each a process of its own on a free port."""

import shutil
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from fleets import until

HAPROXY = """
defaults
    mode http
    timeout connect 5s
    timeout client 30s
    timeout server 30s
    option forwardfor
frontend door
    bind 127.0.0.1:{port}
    default_backend ventas
backend ventas
    server ventas 127.0.0.1:{upstream}
"""
NGINX = """
daemon off;
pid {folder}/nginx.pid;
error_log stderr;
events {{}}
http {{
    access_log off;
    client_body_temp_path {folder};
    proxy_temp_path {folder};
    fastcgi_temp_path {folder};
    uwsgi_temp_path {folder};
    scgi_temp_path {folder};
    upstream ventas {{
        server 127.0.0.1:{upstream};
        keepalive 4;
    }}
    server {{
        listen 127.0.0.1:{port};
        client_max_body_size 0;
        proxy_request_buffering off;
        location / {{
            proxy_pass http://ventas;
            proxy_http_version 1.1;
            proxy_set_header Connection "";
            proxy_set_header Host $host;
            proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
        }}
    }}
}}
"""
CADDY = """
{{
    admin off
    auto_https off
}}
http://:{port} {{
    bind 127.0.0.1
    reverse_proxy 127.0.0.1:{upstream}
}}
"""
NODE = """
const http = require("http");
const agent = new http.Agent({{ keepAlive: true }});
http.createServer((request, answer) => {{
    const headers = {{ ...request.headers, "x-forwarded-for": request.socket.remoteAddress }};
    const options = {{ port: {upstream}, agent, method: request.method, path: request.url, headers }};
    const upstream = http.request(options, (got) => {{
        answer.writeHead(got.statusCode, got.headers);
        got.pipe(answer);
    }});
    upstream.on("error", () => answer.destroy());
    request.pipe(upstream);
}}).listen({port}, "127.0.0.1");
"""

# name → its configuration, and the command that reads it
PROXIES: dict[str, tuple[str, Callable[[Path], list[str]]]] = {
    "haproxy": (HAPROXY, lambda file: ["-f", str(file)]),
    "nginx": (NGINX, lambda file: ["-e", "stderr", "-c", str(file)]),
    "caddy": (CADDY, lambda file: ["run", "--adapter", "caddyfile", "--config", str(file)]),
    "node": (NODE, lambda file: [str(file)]),
}


def program(name: str) -> str:
    """Where a program is; the test is skipped on a machine that has none."""
    path = shutil.which(name) or shutil.which(name, path="/usr/sbin:/sbin")
    if path is None:
        pytest.skip(f"{name} is not on this machine: scripts/programs installs it")
    return path


@contextmanager
def proxy(name: str, folder: Path, upstream: int) -> Iterator[tuple[str, int]]:
    """The address of a proxy in front of a port of this machine."""
    port = free_port()
    configuration, arguments = PROXIES[name]
    file = folder / f"{name}.conf"
    file.write_text(configuration.format(port=port, upstream=upstream, folder=folder))
    environ = {"HOME": str(folder), "PATH": "/usr/bin:/bin"}
    command = [program(name), *arguments(file)]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=sys.stderr, env=environ) as process:
        try:
            until(lambda: listens(port))
            yield "127.0.0.1", port
        finally:
            process.terminate()


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


def listens(port: int) -> bool:
    with socket.socket() as visitor:
        return visitor.connect_ex(("127.0.0.1", port)) == 0
