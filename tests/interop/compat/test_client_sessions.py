"""Calls through a session of the caller: an AsyncClient of httpx or httpx2, with its transport, hooks and timeouts."""

from __future__ import annotations

import gzip
import json
from collections.abc import AsyncIterator
from contextlib import aclosing, closing
from typing import Any

import anyio
import pytest

from poeproto import Done, SuggestedReply, Text, encode_event
from poeproto.testing import TEST_ACCESS_KEY as KEY
from poeproto_compat.client import BotError, get_final_response, stream_request, upload_file
from poeproto_compat.types import ProtocolMessage, QueryRequest
from poeproto_httpx import HttpxClient

from ...support.reserved_port import ReservedPort
from ...support.scripted_peer import HELLO, STREAM_HEAD, Peer, answering, response, scripted, sent, starting

pytestmark = pytest.mark.anyio

URL = "https://bots.invalid/"
STREAM = {"content-type": "text/event-stream"}
BODY = b"".join(map(encode_event, [Text("hel"), SuggestedReply("x"), Text("lo"), Done()]))


@pytest.fixture(params=["httpx", "httpx2"])
def httpx(request: pytest.FixtureRequest) -> Any:
    """The library, where it is installed."""
    return pytest.importorskip(request.param)


def a_query() -> QueryRequest:
    query = [ProtocolMessage(role="user", content="hello")]
    return QueryRequest(version="1.2", type="query", query=query, user_id="u", conversation_id="c", message_id="m")


def ignore(exc: Exception, message: str) -> None:
    """An error handler; the default one prints."""


async def text_of(session: Any, base_url: str = URL, **options: Any) -> str:
    options = {"on_error": ignore, "retry_sleep_time": 0, **options}
    return await get_final_response(a_query(), "Cat", KEY, session=session, base_url=base_url, **options)


def in_pieces(httpx: Any, body: bytes, failure: Exception | None = None) -> Any:
    """A body that arrives byte by byte."""

    class InPieces(httpx.AsyncByteStream):
        closed = False

        async def __aiter__(self) -> AsyncIterator[bytes]:
            for byte in body:
                yield bytes([byte])
            if failure is not None:
                raise failure

        async def aclose(self) -> None:
            self.closed = True

    return InPieces()


async def test_a_transport_headers_and_hooks_of_the_session(httpx: Any) -> None:
    seen: list[Any] = []
    hooked: list[str] = []

    async def hook(request: Any) -> None:
        hooked.append(str(request.url))

    def handle(request: Any) -> Any:
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
async def test_a_body_in_pieces_is_read_and_closed(httpx: Any, compressed: bool) -> None:
    stream = in_pieces(httpx, gzip.compress(BODY) if compressed else BODY)
    headers = {**STREAM, **({"content-encoding": "gzip"} if compressed else {})}

    def handle(_: Any) -> Any:
        return httpx.Response(200, headers=headers, stream=stream)

    transport = httpx.MockTransport(handle)
    async with httpx.AsyncClient(transport=transport) as session:
        assert await text_of(session) == "hello"
    assert stream.closed


@pytest.mark.parametrize("name", ["ConnectError", "ReadTimeout", "RemoteProtocolError", "UnsupportedProtocol", ""])
async def test_a_failure_before_the_reply_is_repeated_and_wrapped(httpx: Any, name: str) -> None:
    failure: Exception = getattr(httpx, name)("late") if name else LookupError("of a hook")
    made = 0

    def handle(_: Any) -> Any:
        nonlocal made
        made += 1
        raise failure

    async with httpx.AsyncClient(transport=httpx.MockTransport(handle)) as session:
        with pytest.raises(BotError, match="Error communicating with bot Cat") as caught:
            await text_of(session, num_tries=3)
    assert made == 3
    cause = caught.value.__cause__
    assert failure in (cause, cause and cause.__cause__)


async def test_a_failure_within_the_reply_is_not_repeated(httpx: Any) -> None:
    made: list[Any] = []

    def handle(_: Any) -> Any:
        made.append(in_pieces(httpx, encode_event(Text("a")), httpx.ReadError("cut")))
        return httpx.Response(200, headers=STREAM, stream=made[-1])

    async with httpx.AsyncClient(transport=httpx.MockTransport(handle)) as session:
        with pytest.raises(BotError, match="ReadError: cut"):
            await text_of(session)
    [stream] = made
    assert stream.closed


async def test_over_sockets_a_connection_is_used_again_and_left_early(httpx: Any) -> None:
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


async def test_a_cut_connection(httpx: Any) -> None:
    async def cut(peer: Any) -> None:
        await peer.answer(STREAM_HEAD + sent(Text("a")))

    async with scripted(cut) as server, httpx.AsyncClient() as session:
        with pytest.raises(BotError, match="closed the connection within the response"):
            await text_of(session, server.address)


async def test_a_closed_session(httpx: Any) -> None:
    async with httpx.AsyncClient() as session:
        pass
    with pytest.raises(BotError, match="the session is closed"):
        await text_of(session)


async def test_other_objects_are_not_sessions(httpx: Any) -> None:
    with httpx.Client() as blocking:
        for session, message in ((blocking, "is synchronous"), (object(), "expected an httpx.AsyncClient")):
            with pytest.raises(BotError, match=message):
                await text_of(session, num_tries=1)


async def test_uploads_through_the_session(httpx: Any) -> None:
    seen: list[Any] = []

    def handle(request: Any) -> Any:
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


async def test_a_response_of_an_error_is_explained(httpx: Any) -> None:
    async with scripted(answering(response(402, b"no funds"))) as server, httpx.AsyncClient() as session:
        with pytest.raises(BotError, match="402"):
            await text_of(session, server.address)


async def test_through_a_proxy(httpx: Any) -> None:
    async with scripted(answering(HELLO)) as proxy, httpx.AsyncClient(proxy=proxy.address) as session:
        assert await text_of(session, "http://bots.invalid/") == "hello"
        assert proxy.requests[0].line == "POST http://bots.invalid/Cat HTTP/1.1"


async def test_a_proxy_that_cannot_be_reached(httpx: Any) -> None:
    with closing(ReservedPort()) as port:
        async with httpx.AsyncClient(proxy=f"http://127.0.0.1:{port.number}") as session:
            with pytest.raises(BotError, match="httpx: ConnectError"):
                await text_of(session)


async def test_the_timeouts_of_the_session(httpx: Any) -> None:
    async def silent(peer: Peer) -> None:
        await peer.read_request()
        await peer.until_left()

    timeout = httpx.Timeout(20, read=0.05)
    async with httpx.AsyncClient(timeout=timeout) as session:
        for script in (silent, starting):  # before the head, and within the reply
            async with scripted(script) as server:
                with pytest.raises(BotError, match="httpx: ReadTimeout"):
                    await text_of(session, server.address, num_tries=1)
                await server.until_closed(1)


async def test_a_reply_that_is_cancelled(httpx: Any) -> None:
    async with httpx.AsyncClient() as session, scripted(starting) as server:
        with anyio.CancelScope() as scope:
            async with aclosing(stream_request(a_query(), "", KEY, session=session, base_url=server.address)) as reply:
                async for message in reply:
                    assert message.text == "a"
                    scope.cancel()
        assert scope.cancelled_caught
        await server.until_closed(1)
        async with scripted(answering(HELLO)) as other:  # the session can still be used
            assert await text_of(session, other.address) == "hello"


async def test_a_client_of_poeproto_through_the_session(httpx: Any) -> None:
    async with httpx.AsyncClient() as session, scripted(answering(HELLO)) as server:
        client = HttpxClient(session, access_key=KEY)
        async with client.query(server.address, "hello") as reply:
            assert [event async for event in reply] == [Text("hello"), Done()]
        assert not session.is_closed
