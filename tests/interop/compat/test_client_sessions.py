"""Calls through a session of the caller's: an httpx.AsyncClient, with its transport, headers and event hooks."""

from __future__ import annotations

import gzip
import json
from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Any

import httpx
import pytest

from poeproto import Done, SuggestedReply, Text, encode_event
from poeproto.testing import TEST_ACCESS_KEY as KEY
from poeproto_compat.client import BotError, get_final_response, stream_request, upload_file
from poeproto_compat.types import ProtocolMessage, QueryRequest

from ...support.scripted_peer import HELLO, STREAM_HEAD, answering, response, scripted, sent, starting

pytestmark = pytest.mark.anyio

URL = "https://bots.invalid/"
STREAM = {"content-type": "text/event-stream"}
BODY = b"".join(map(encode_event, [Text("hel"), SuggestedReply("x"), Text("lo"), Done()]))


def a_query() -> QueryRequest:
    query = [ProtocolMessage(role="user", content="hello")]
    return QueryRequest(version="1.2", type="query", query=query, user_id="u", conversation_id="c", message_id="m")


def ignore(exc: Exception, message: str) -> None:
    """An error handler; the default one prints."""


async def text_of(session: Any, base_url: str = URL, **options: Any) -> str:
    options = {"on_error": ignore, "retry_sleep_time": 0, **options}
    return await get_final_response(a_query(), "Cat", KEY, session=session, base_url=base_url, **options)


class InPieces(httpx.AsyncByteStream):
    """A body that arrives byte by byte."""

    def __init__(self, body: bytes, failure: Exception | None = None) -> None:
        self.closed = False
        self._body = body
        self._failure = failure

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for byte in self._body:
            yield bytes([byte])
        if self._failure is not None:
            raise self._failure

    async def aclose(self) -> None:
        self.closed = True


async def test_a_transport_headers_and_hooks_of_the_session() -> None:
    seen: list[httpx.Request] = []
    hooked: list[str] = []

    async def hook(request: httpx.Request) -> None:
        hooked.append(str(request.url))

    def handle(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        return httpx.Response(200, headers=STREAM, content=BODY)

    headers = {"X-Team": "cats", "Authorization": "Basic of-the-session"}
    transport = httpx.MockTransport(handle)
    async with httpx.AsyncClient(transport=transport, headers=headers, event_hooks={"request": [hook]}) as session:
        assert await text_of(session) == "hello"
        assert await text_of(session) == "hello"
        assert not session.is_closed
    request = seen[0]
    assert hooked == [URL + "Cat"] * 2
    assert request.headers["x-team"] == "cats"
    assert request.headers["authorization"] == f"Bearer {KEY}"
    assert request.headers["accept"] == "text/event-stream"
    assert json.loads(request.content)["query"][0]["content"] == "hello"


@pytest.mark.parametrize("compressed", [False, True])
async def test_a_body_in_pieces_is_read_and_closed(compressed: bool) -> None:
    stream = InPieces(gzip.compress(BODY) if compressed else BODY)
    headers = {**STREAM, **({"content-encoding": "gzip"} if compressed else {})}
    transport = httpx.MockTransport(lambda _: httpx.Response(200, headers=headers, stream=stream))
    async with httpx.AsyncClient(transport=transport) as session:
        assert await text_of(session) == "hello"
    assert stream.closed


FAILURES: list[tuple[Exception, int]] = [
    (httpx.ConnectError("refused"), 3),
    (httpx.ReadTimeout("late"), 3),
    (httpx.RemoteProtocolError("odd"), 3),
    (httpx.UnsupportedProtocol("ftp"), 3),
    (LookupError("of a hook"), 3),
]


@pytest.mark.parametrize(("failure", "attempts"), FAILURES)
async def test_a_failure_before_the_reply_is_repeated_and_wrapped(failure: Exception, attempts: int) -> None:
    made = 0

    def handle(_: httpx.Request) -> httpx.Response:
        nonlocal made
        made += 1
        raise failure

    async with httpx.AsyncClient(transport=httpx.MockTransport(handle)) as session:
        with pytest.raises(BotError, match="Error communicating with bot Cat") as caught:
            await text_of(session, num_tries=attempts)
    assert made == attempts
    cause = caught.value.__cause__
    assert failure in (cause, cause and cause.__cause__)


async def test_a_failure_within_the_reply_is_not_repeated() -> None:
    made: list[InPieces] = []

    def handle(_: httpx.Request) -> httpx.Response:
        made.append(InPieces(encode_event(Text("a")), httpx.ReadError("cut")))
        return httpx.Response(200, headers=STREAM, stream=made[-1])

    async with httpx.AsyncClient(transport=httpx.MockTransport(handle)) as session:
        with pytest.raises(BotError, match="ReadError: cut"):
            await text_of(session)
    [stream] = made
    assert stream.closed


async def test_over_sockets_a_connection_is_used_again_and_left_early() -> None:
    async with httpx.AsyncClient() as session:
        async with scripted(answering(HELLO)) as server:
            for _ in range(3):
                assert await text_of(session, server.address) == "hello"
            assert server.connections == 1
        async with scripted(starting) as server:
            messages = stream_request(a_query(), "", KEY, session=session, base_url=server.address)
            async with aclosing(messages):
                assert (await anext(messages)).text == "a"
            await server.until_closed(1)


async def test_a_cut_connection() -> None:
    async def cut(peer: Any) -> None:
        await peer.answer(STREAM_HEAD + sent(Text("a")))

    async with scripted(cut) as server, httpx.AsyncClient() as session:
        with pytest.raises(BotError, match="closed the connection within the response"):
            await text_of(session, server.address)


async def test_a_closed_session() -> None:
    async with httpx.AsyncClient() as session:
        pass
    with pytest.raises(BotError, match="the session is closed"):
        await text_of(session)


async def test_other_objects_are_no_sessions() -> None:
    with httpx.Client() as blocking:
        for session, message in ((blocking, "blocks"), (object(), "expected an httpx.AsyncClient")):
            with pytest.raises(BotError, match=message):
                await text_of(session, num_tries=1)


async def test_uploads_through_the_session() -> None:
    seen: list[httpx.Request] = []

    def handle(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        return httpx.Response(200, json={"attachment_url": "https://files.invalid/a", "mime_type": "text/plain"})

    async with httpx.AsyncClient(transport=httpx.MockTransport(handle)) as session:
        options: dict[str, Any] = {"api_key": "k", "session": session, "extra_headers": {"X-Test": "1"}}
        attachment = await upload_file(b"hello", file_name="a.txt", **options)
        await upload_file(file_url="https://files.invalid/b", **options)
        assert not session.is_closed
    assert (attachment.url, attachment.name) == ("https://files.invalid/a", "a.txt")
    first, second = seen
    assert first.headers["x-test"] == second.headers["x-test"] == "1"
    assert first.headers["authorization"] == "k"
    assert b"hello" in first.content
    assert int(first.headers["content-length"]) == len(first.content)
    assert "transfer-encoding" not in first.headers
    assert second.content == b"download_url=https%3A%2F%2Ffiles.invalid%2Fb"


async def test_a_response_of_an_error_is_explained() -> None:
    async with scripted(answering(response(402, b"no funds"))) as server, httpx.AsyncClient() as session:
        with pytest.raises(BotError, match="402"):
            await text_of(session, server.address)
