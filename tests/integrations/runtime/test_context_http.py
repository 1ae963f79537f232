"""The HTTP request as a bot sees it, behind both kinds of server."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator

import anyio
import anyio.abc
import pytest

from poeproto import Context, QueryRequest, Text
from poeproto_asgi import BotApp
from poeproto_h11 import serve as serve_h11

from ...support.bots import KEY, FunctionBot, query_body
from ...support.hypercorn_servers import serving
from ...support.raw_http import Connection, http_request
from ...support.scripted_asgi import body_messages, converse, http_scope

pytestmark = pytest.mark.anyio


async def tells(request: QueryRequest, context: Context) -> AsyncIterator[str]:
    head = context.http_request
    yield json.dumps(
        {
            "method": head.method,
            "path": head.path,
            "query_string": head.query_string,
            "query": head.query,
            "agent": head.get("User-Agent"),
            "client": head.client,
        }
    )


async def told(address: str) -> tuple[dict[str, object], int]:
    """The bot's answer, and the client's port."""
    host, _, port = address.removeprefix("http://").rstrip("/").rpartition(":")
    async with await anyio.connect_tcp(host, int(port)) as stream:
        own_port = stream.extra(anyio.abc.SocketAttribute.local_port)
        connection = Connection(stream)
        await connection.send(http_request(path="/?a=1&b=%20x&a=2", headers=["User-Agent: Poe"]))
        text = (await connection.read_response()).events[0]
    assert isinstance(text, Text)
    return json.loads(text.text), own_port


EXPECTED = {
    "method": "POST",
    "path": "/",
    "query_string": "a=1&b=%20x&a=2",
    "query": {"a": ["1", "2"], "b": [" x"]},
    "agent": "Poe",
}


async def test_behind_hypercorn() -> None:
    async with serving(BotApp(FunctionBot(tells), access_key=KEY)) as address:
        seen, port = await told(address)
    assert seen == {**EXPECTED, "client": ["127.0.0.1", port]}


async def test_behind_the_embedded_server() -> None:
    async with anyio.create_task_group() as tasks:

        async def run(*, task_status: anyio.abc.TaskStatus[str]) -> None:
            await serve_h11(FunctionBot(tells), bind="127.0.0.1:0", access_key=KEY, task_status=task_status)

        seen, port = await told(await tasks.start(run))
        assert seen == {**EXPECTED, "client": ["127.0.0.1", port]}
        tasks.cancel_scope.cancel()


@pytest.mark.parametrize("client", [None, ["", None], ["192.0.2.7", 4711], ("/run/bot.sock", None)])
async def test_clients_as_asgi_servers_have_them(client: object) -> None:
    seen: list[object] = []

    async def bot(request: QueryRequest, context: Context) -> str:
        seen.append(context.http_request.client)
        return "hello"

    app = BotApp(FunctionBot(bot), access_key=KEY)
    await converse(app, http_scope(client=client), body_messages(query_body()))
    scope = http_scope()
    del scope["client"]
    await converse(app, scope, body_messages(query_body()))
    expected = {"192.0.2.7": ("192.0.2.7", 4711), "/run/bot.sock": ("/run/bot.sock", 0)}
    assert seen == [expected.get(client[0]) if isinstance(client, list | tuple) else None, None]
