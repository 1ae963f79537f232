"""The gateway with upstream bots: bot servers by their URLs, and bots on Poe by their names."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from functools import partial
from typing import Any

import anyio
import pytest

from poeproto import (
    Context,
    Data,
    Done,
    Endpoints,
    Error,
    Event,
    File,
    Meta,
    QueryRequest,
    ReplaceResponse,
    SuggestedReply,
    Text,
    decode_request,
)
from poeproto_h11 import serve
from poeproto_openai import OpenAIGateway, UpstreamBot

from ...support.bots import KEY, FunctionBot
from ...support.canary import CANARY, all_logged, assert_hidden
from ...support.openai_gateway import CHAT, chat, chunks_of, error_of, text_of
from ...support.scripted_asgi import DISCONNECT, body_messages, http_scope, request
from ...support.scripted_peer import (
    STREAM_HEAD,
    Peer,
    Received,
    answering,
    chunk,
    reply,
    response,
    scripted,
    sent,
    starting,
)

pytestmark = pytest.mark.anyio

TEXTS = [Meta(), Text("Hel"), Text("lo"), SuggestedReply("More?"), Data("m1"), Done()]


def gateway(address: str, **more: Any) -> OpenAIGateway:
    """A gateway for a bot server at this address, and for Poe at the same."""
    bots = {"bot": UpstreamBot(address, KEY), "named": "poe:GPT-4o"}
    return OpenAIGateway(bots, endpoints=Endpoints.at(address.rstrip("/")), api_keys=KEY, **more)


def query_in(received: Received) -> QueryRequest:
    found = decode_request(received.body)
    assert isinstance(found, QueryRequest)
    return found


@pytest.mark.parametrize("stream", [False, True])
async def test_a_bot_server_by_its_url(stream: bool) -> None:
    async with scripted(answering(reply(*TEXTS))) as server:
        answer = await chat(gateway(server.address), "hi", stream=stream, size=5)
        assert (answer.status, text_of(answer)) == (200, "Hello")
        [received] = server.requests
        assert received.all("authorization") == [f"Bearer {KEY}"]
        assert query_in(received).query[-1].content == "hi"
        assert query_in(received).query[-1].parameters == {"size": 5}


async def test_a_bot_on_poe_is_called_with_the_key_of_the_caller() -> None:
    async with scripted(answering(reply(*TEXTS))) as server:
        app = gateway(server.address, poe=True)
        for model in ("named", "Any-Other"):
            assert text_of(await chat(app, model=model, key="Bearer key-of-poe")) == "Hello"
        assert [received.line.split()[1] for received in server.requests] == ["/bot/GPT-4o", "/bot/Any-Other"]
        assert {received.all("authorization")[0] for received in server.requests} == {"Bearer key-of-poe"}
        # It opens no other bot, and a key of the gateway is not sent to Poe.
        assert (await chat(app, key="Bearer key-of-poe")).status == 401
        own = await chat(app, model="named")
        assert own.status == 401
        assert "send a key of Poe" in error_of(own)["message"]
        assert (await chat(app, model="named", key=None)).status == 401


async def test_a_bot_on_poe_is_called_with_the_gateways_key() -> None:
    async with scripted(answering(reply(*TEXTS))) as server:
        app = gateway(server.address, poe_key="key-of-poe")
        assert text_of(await chat(app, model="named")) == "Hello"
        assert server.requests[0].all("authorization") == ["Bearer key-of-poe"]
        assert (await chat(app, model="named", key="Bearer key-of-another")).status == 401
        assert (await chat(app, model="Any-Other")).status == 404


@pytest.mark.parametrize("key", [b"k\xc3\xa9y", b"key\tof-poe", b"a b"])
async def test_a_key_that_poe_has_no_form_for(key: bytes) -> None:
    app = gateway("http://127.0.0.1:9/", poe=True)
    body = json.dumps({"model": "Any-Other", "messages": [{"role": "user", "content": "hi"}]}).encode()
    answer = await request(
        app, body, path=CHAT, key=None, headers=[("authorization", f"Bearer {key.decode('latin-1')}")]
    )
    assert (answer.status, error_of(answer)["code"]) == (401, "invalid_api_key")


@pytest.mark.parametrize("name", [".", "..", "\ud800", "https://example.com/"])
async def test_texts_that_are_not_names_of_bots_on_poe(name: str) -> None:
    app = gateway("http://127.0.0.1:9/", poe=True)
    answer = await chat(app, model=name, key="Bearer key-of-poe")
    assert (answer.status, error_of(answer)["code"]) == (404, "model_not_found")
    with pytest.raises(ValueError, match="names no bot on Poe"):
        OpenAIGateway({"bot": f"poe:{name}"}, api_keys=KEY)


async def test_files_of_the_request_are_uploaded_to_poe() -> None:
    uploaded = response(200, b'{"attachment_url":"https://example.com/up.png","mime_type":"image/png"}')
    upload: list[bytes] = []

    async def script(peer: Peer) -> None:
        while True:
            received = await peer.read_request()
            if "/bot/" in received.line:
                await peer.send(reply(*TEXTS))
            else:
                upload.append(received.body)
                await peer.send(uploaded)

    async with scripted(script) as server:
        parts = [
            {"type": "text", "text": "See"},
            {"type": "image_url", "image_url": {"url": "data:image/png;base64,c3dvcmRmaXNo"}},
            {"type": "image_url", "image_url": {"url": "https://example.com/own.png"}},
        ]
        body = {"model": "named", "messages": [{"role": "user", "content": parts}]}
        answer = await request(gateway(server.address), json.dumps(body).encode(), path=CHAT, key="Bearer key-of-poe")
        assert text_of(answer) == "Hello"
        urls = [attachment.url for attachment in query_in(server.requests[-1]).query[0].attachments]
        assert urls == ["https://example.com/up.png", "https://example.com/own.png"]
        assert b"swordfish" in upload[0]


@pytest.mark.parametrize(
    ("status", "becomes", "code", "retried"),
    [
        (400, 502, "upstream_refused", False),
        (401, 502, "upstream_refused", False),
        (402, 402, "insufficient_quota", False),
        (403, 502, "upstream_refused", False),
        (404, 502, "upstream_refused", False),
        (408, 504, "upstream_timeout", False),
        (413, 413, "request_too_large", False),
        (429, 429, "rate_limit_exceeded", True),
        (500, 502, "upstream_refused", False),
        (503, 503, "overloaded", True),
        (504, 504, "upstream_timeout", False),
        (529, 503, "overloaded", True),
    ],
)
async def test_a_refusal_before_the_reply_is_a_status(status: int, becomes: int, code: str, retried: bool) -> None:
    refusal = response(status, b'{"error":"full"}', "Retry-After: 9000")
    async with scripted(answering(refusal)) as server:
        for stream in (False, True):
            answer = await chat(gateway(server.address), stream=stream)
            assert (answer.status, error_of(answer)["code"]) == (becomes, code)
            assert answer.headers.get("x-should-retry") == (None if retried else "false")
            assert answer.headers.get("retry-after") == "9000"
            assert "full" in error_of(answer)["message"]


async def test_a_retry_after_that_cannot_be_one_is_not_repeated() -> None:
    refusal = response(429, b"", "Retry-After: s\xf8on")
    async with scripted(answering(refusal)) as server:
        answer = await chat(gateway(server.address))
        assert (answer.status, answer.headers.get("retry-after")) == (429, None)


@pytest.mark.parametrize(
    ("status", "code"), [(401, "invalid_api_key"), (403, "permission_denied"), (404, "model_not_found")]
)
async def test_a_refusal_of_poe_is_the_callers(status: int, code: str) -> None:
    async with scripted(answering(response(status))) as server:
        answer = await chat(gateway(server.address), model="named", key="Bearer key-of-poe")
        assert (answer.status, error_of(answer)["code"]) == (status, code)


async def test_a_bot_server_that_cannot_be_reached() -> None:
    async with scripted(starting) as server:
        address = server.address
    answer = await chat(gateway(address), stream=True)
    assert (answer.status, error_of(answer)["code"]) == (502, "upstream_unreachable")
    assert "x-should-retry" not in answer.headers


async def test_an_early_error_event_of_another_bot() -> None:
    event = Error(allow_retry=False, text="Poor.", error_type="insufficient_fund")
    async with scripted(answering(reply(Meta(), event, Done()))) as server:
        answer = await chat(gateway(server.address), stream=True)
        assert (answer.status, error_of(answer)["message"]) == (402, "Poor.")
        assert len(server.requests) == 1


WHOLE = b"".join(chunk(sent(event)) for event in [Text("Hel"), Text("lo"), Done()])


@pytest.mark.parametrize("cut", range(0, len(WHOLE) - len(chunk(sent(Done()))), 7))
async def test_a_reply_that_is_cut_anywhere_is_an_error(cut: int) -> None:
    async def script(peer: Peer) -> None:
        await peer.answer(STREAM_HEAD + WHOLE[:cut])

    async with scripted(script) as server:
        answer = await chat(gateway(server.address), stream=True)
        assert b"[DONE]" not in answer.body
        assert error_of(answer)["code"] == "upstream_incomplete"
        assert answer.status == (200 if b"content" in answer.body else 502)
        assert len(server.requests) == 1  # output may have been seen, and the query may have been charged
        whole = await chat(gateway(server.address))
        assert (whole.status, whole.headers["x-should-retry"]) == (502, "false")


async def test_a_body_that_ends_without_done_is_an_error() -> None:
    async with scripted(answering(STREAM_HEAD + chunk(sent(Text("Hello"))) + b"0\r\n\r\n")) as server:
        answer = await chat(gateway(server.address), stream=True)
        assert error_of(answer)["code"] == "upstream_incomplete"
        assert b"[DONE]" not in answer.body


async def test_all_events_are_received() -> None:
    events: list[Event] = [
        Meta(),
        Text("a"),
        ReplaceResponse("ab"),
        File("https://example.com/a.png", "a.png", "image/png"),
        Meta(),
        Done(),
    ]
    async with scripted(answering(reply(*events))) as server:
        answer = await chat(gateway(server.address), stream=True)
        assert text_of(answer) == "ab\n\n![a.png](https://example.com/a.png)"
        assert chunks_of(answer)[-1]["poe"]["files"][0]["url"] == "https://example.com/a.png"


@pytest.mark.parametrize("stream", [False, True])
async def test_a_disconnect_closes_the_call(stream: bool) -> None:
    async with scripted(starting) as server:
        body = json.dumps({"model": "bot", "messages": [{"role": "user", "content": "a"}], "stream": stream}).encode()
        messages = body_messages(body)

        async def leave() -> dict[str, Any]:
            if messages:
                return messages.pop(0)
            await server.until_asked()
            return DISCONNECT

        async def ignore(message: Any) -> None:
            await anyio.lowlevel.checkpoint()

        with anyio.fail_after(1):
            await gateway(server.address)(http_scope(path=CHAT), leave, ignore)
            await server.until_closed(1)


async def test_connections_are_kept_while_the_gateway_runs() -> None:
    async with scripted(answering(reply(*TEXTS))) as server:
        app = gateway(server.address)
        async with app.lifespan():
            for _ in range(3):
                assert (await chat(app)).status == 200
        assert (len(server.requests), server.connections) == (3, 1)


async def test_a_key_is_in_no_log_or_error(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("DEBUG")
    quoting = response(401, json.dumps({"error": f"{CANARY} is wrong"}).encode())
    async with scripted(answering(quoting)) as server:
        app = gateway(server.address, poe=True)
        answer = await chat(app, model="named", key=f"Bearer {CANARY}")
        assert answer.status == 401
        own = OpenAIGateway({"bot": UpstreamBot(server.address, CANARY)}, api_keys=KEY)
        assert_hidden(answer.body, (await chat(own)).body, *all_logged(caplog), repr(app), repr(own))
    async with scripted(answering(reply(Error(text=f"{CANARY} is wrong")))) as server:
        own = OpenAIGateway({"bot": UpstreamBot(server.address, CANARY)}, api_keys=KEY)
        assert_hidden((await chat(own)).body, *all_logged(caplog))


async def test_another_gateway_in_front_of_poeproto_bots() -> None:
    async def counting(request: QueryRequest, context: Context) -> AsyncIterator[str]:
        for number in range(5):
            yield f"{number} "
            await anyio.sleep(0.001)

    async with anyio.create_task_group() as tasks:
        start = partial(serve, FunctionBot(counting), bind="127.0.0.1:0", access_key=KEY)
        address: str = await tasks.start(start)
        answer = await chat(gateway(address), stream=True)
        assert text_of(answer) == "0 1 2 3 4 "
        assert len(chunks_of(answer)) == 6
        tasks.cancel_scope.cancel()
