"""The simulator on other people's servers, mounted in other people's applications, and called with curl."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import anyio
import httpx
import pytest
from starlette.applications import Starlette
from starlette.routing import Mount

from poeproto import CostItem, Endpoints, RequestRefused
from poeproto_h11 import Client
from poeproto_simulator import Canned, Simulator

from ..support.bots import KEY
from ..support.uvicorn_server import on_uvicorn

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    """Uvicorn knows asyncio only."""
    return "asyncio"


def a_simulator() -> Simulator:
    simulator = Simulator(strict=True, api_key="mine")
    simulator.register("Cat", Canned("Meow"), access_key=KEY)
    return simulator


async def test_mounted_in_another_application() -> None:
    simulator = a_simulator()
    app = Starlette(routes=[Mount("/poe", simulator)], lifespan=simulator.lifespan)
    async with on_uvicorn(app) as address:
        root = f"{address.rstrip('/')}/poe"
        async with Client("mine", access_key=KEY, endpoints=Endpoints.at(root)) as client, httpx.AsyncClient() as http:
            async with client.query("Cat", "hello") as reply:
                assert await reply.text() == "Meow"
            uploaded = await client.upload(b"warm", name="weather.txt")
            assert uploaded.url.startswith(f"{root}/files/")
            assert (await http.get(uploaded.url)).content == b"warm"
            reply = await simulator.say("Cat", "hello")
            await client.capture_cost(CostItem(5), reply.query.request.bot_query_id)
            assert (await client.sync_settings("Cat")) is not None
            with pytest.raises(RequestRefused, match="404"):
                async with client.query("Dog", "hello"):
                    pass


async def curl(*arguments: str) -> tuple[int, Any]:
    done = await anyio.run_process(["curl", "--silent", "--show-error", "--write-out", "\n%{http_code}", *arguments])
    body, _, status = done.stdout.rpartition(b"\n")
    return int(status), json.loads(body)


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
async def test_curl(tmp_path: Path) -> None:
    file = tmp_path / "weather.txt"
    file.write_bytes(b"x" * 100_000)
    upload = ["--form", f"file=@{file}", "--header"]
    simulator = a_simulator()
    async with simulator.serving() as address:
        assert await curl(f"{address}/nowhere") == (404, {"error": "the simulator has no such path"})
        query = ["--data", '{"type": "query", "query": []}', f"{address}/bot/Cat"]
        assert await curl(*query) == (401, {"error": "the key is unknown"})
        path = f"{address}/poe_api/file_upload_3RD_PARTY_POST"
        status, uploaded = await curl(*upload, "Authorization: mine", path)
        assert (status, uploaded["mime_type"], uploaded["size"]) == (200, "text/plain", 100_000)
        stored = simulator.files.find(uploaded["attachment_url"])
        assert stored is not None
        assert await simulator.files.read(stored) == file.read_bytes()
        assert (await curl(*upload, "Authorization: wrong", path))[0] == 401
        again = await curl(
            "--header", "Authorization: mine", "--data-urlencode", f"download_url={stored.url(address)}", path
        )
        assert (again[0], again[1]["size"]) == (200, 100_000)
