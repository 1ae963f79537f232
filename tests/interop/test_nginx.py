"""nginx with the configuration of docs/deployment.md, in front of `poeproto serve`."""

from __future__ import annotations

import re
import shutil
import socket
import subprocess
import time
from collections.abc import Generator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from ..support.bots import query_body
from ..support.command import SECONDS, serving

NGINX = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin")
pytestmark = pytest.mark.skipif(NGINX is None, reason="nginx is not installed")

BOT = """
from poeproto import Bot

class Echo(Bot):
    async def get_response(self, request, context):
        yield request.query[-1].content

bot = Echo()
"""
BODY = query_body("hello")
HEAD = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
LENGTH = b"Content-Length: %d\r\n" % len(BODY)


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Generator[tuple[str, int]]:
    folder = tmp_path_factory.mktemp("nginx")
    (folder / "echo.py").write_text(BOT)
    with serving(f"{folder / 'echo.py'}:bot", "--allow-without-key") as server:
        upstream = server.address.removeprefix("http://").rstrip("/")
        with _nginx(folder, upstream) as port:
            yield "127.0.0.1", port


@contextmanager
def _nginx(folder: Path, upstream: str) -> Generator[int]:
    page = (Path(__file__).parents[2] / "docs/deployment.md").read_text(encoding="utf-8")
    [block] = re.findall(r"^```nginx\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    block = block.replace("server 127.0.0.1:8080;", f"server {upstream};")
    block = block.replace("listen 443 ssl;", f"listen 127.0.0.1:{port};")
    temporary = "".join(
        f"{name}_temp_path {folder}/{name};\n" for name in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    (folder / "nginx.conf").write_text(
        f"daemon off; master_process off; pid {folder}/pid; error_log {folder}/log;\n"
        f"events {{}}\nhttp {{ access_log off;\n{temporary}{block}}}\n"
    )
    assert NGINX is not None
    command = [NGINX, "-p", str(folder), "-c", str(folder / "nginx.conf")]
    with subprocess.Popen(command, stderr=subprocess.DEVNULL) as process:
        try:
            end = time.monotonic() + SECONDS
            with closing(socket.socket()) as client:
                while client.connect_ex(("127.0.0.1", port)):
                    assert process.poll() is None, (folder / "log").read_text()
                    assert time.monotonic() < end, "nginx does not listen"
                    time.sleep(0.01)
            yield port
        finally:
            process.kill()


def response_to(address: tuple[str, int], request: bytes) -> bytes:
    with socket.create_connection(address, SECONDS) as connection:
        connection.sendall(request)
        return b"".join(iter(lambda: connection.recv(65536), b""))


def test_an_empty_line_behind_the_body_costs_no_answer(address: tuple[str, int]) -> None:
    """Hypercorn alone answers 400: it takes the line for more input, which must not follow `Connection: close`."""
    response = response_to(address, HEAD + LENGTH + b"Connection: close\r\n\r\n" + BODY + b"\r\n")
    assert response.startswith(b"HTTP/1.1 200 ")
    assert b"hello" in response
    assert b"event: done" in response


def test_two_framings_are_refused(address: tuple[str, int]) -> None:
    chunked = b"Transfer-Encoding: chunked\r\n\r\n%x\r\n%b\r\n0\r\n\r\n" % (len(BODY), BODY)
    response = response_to(address, HEAD + LENGTH + chunked + b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
    assert response.startswith(b"HTTP/1.1 400 ")
    assert response.count(b"HTTP/1.1 ") == 1
