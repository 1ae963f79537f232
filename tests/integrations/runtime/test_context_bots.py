"""The context's calls of other bots."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator

import anyio
import attrs
import pytest
from anyio.streams.memory import MemoryObjectSendStream

from poeproto import (
    BotError,
    ConnectFailed,
    Context,
    Data,
    Done,
    Error,
    Event,
    File,
    InvalidValue,
    Json,
    LocalProtocolError,
    Message,
    Meta,
    PoeprotoError,
    QueryRequest,
    ReplaceResponse,
    RequestRefused,
    SuggestedReply,
    Text,
    decode_request,
    encode_request,
)

from ...support.bots import KEY
from ...support.calling_bots import QUERY, CallingBot, calling, failing_with, forwards
from ...support.memory_channel import MemoryChannel, answer
from ...support.scripted_peer import HELLO, LAST_CHUNK, STREAM_HEAD, Peer, answering, chunk, reply, response, sent

pytestmark = pytest.mark.anyio


async def test_the_answer_of_another_bot_is_forwarded() -> None:
    events: list[Event] = [
        Meta("text/plain"),
        Text("a"),
        ReplaceResponse("b"),
        File("https://files.invalid/a", "a", "text/plain"),
        Json({"a": 1}),
        Data("d"),
        SuggestedReply("more?"),
    ]
    async with calling(CallingBot(forwards, Cat=1), answering(reply(*events))) as served:
        assert await served.answer() == [*events, Done()]
        (request,) = served.poe.requests
        assert request.line == "POST /bot/Cat HTTP/1.1"
        assert request.all("authorization") == [f"Bearer {KEY}"]
        assert KEY.encode() not in request.body
        assert decode_request(request.body) == QUERY


async def test_the_whole_text_of_another_bot() -> None:
    async def bot(request: QueryRequest, context: Context) -> str:
        return (await context.final_text("Cat", "and you?")).upper()

    async with calling(
        CallingBot(bot, Cat=1), answering(reply(Meta(), Text("mew"), ReplaceResponse("meow")))
    ) as served:
        assert await served.answer() == [Text("MEOW"), Done()]
        (request,) = served.poe.requests
        # Empty identifiers are those of the request; the rest is up to the bot.
        assert decode_request(request.body) == attrs.evolve(QUERY, query=[Message("user", "and you?")], bot_query_id="")


async def test_values_in_a_query_are_kept() -> None:
    own = QueryRequest([Message("user", "a")], user_id="u-2", extra={"access_key": KEY, "later": 1})

    async def bot(request: QueryRequest, context: Context) -> str:
        return await context.final_text("Cat", own)

    async with calling(CallingBot(bot, Cat=1), answering(HELLO)) as served:
        await served.answer()
        sent_on = json.loads(served.poe.requests[0].body)
    assert (sent_on["user_id"], sent_on["conversation_id"], sent_on["later"]) == ("u-2", "c-1", 1)
    assert "access_key" not in sent_on


async def test_a_call_accepts_headers() -> None:
    headers = {"X-Trace": "t-1"}

    async def bot(request: QueryRequest, context: Context) -> str:
        async with context.query_bot("Cat", request, headers=headers) as answer:
            await answer.text()
        await context.run_tools("Cat", request, [], [], headers=headers).text()
        with pytest.raises(InvalidValue, match="the client sets it itself"):
            context.query_bot("Cat", request, headers={"Authorization": "Bearer x"})
        await context.final_text("Cat", request)
        return await context.final_text("Cat", request, headers=headers)

    async with calling(CallingBot(bot, Cat=4), answering(HELLO)) as served:
        assert await served.answer() == [Text("hello"), Done()]
        assert [each.all("x-trace") for each in served.poe.requests] == [["t-1"], ["t-1"], [], ["t-1"]]


async def test_two_answers_become_one() -> None:
    async def bot(request: QueryRequest, context: Context) -> AsyncIterator[Event | str]:
        async for event in context.query_bot("Cat", request):
            yield event
        yield " and "
        async for event in context.query_bot("Dog", request):
            yield event

    async def both(peer: Peer) -> None:
        await peer.answer(reply(Meta("text/plain"), Text("meow")))
        await peer.answer(reply(Meta(), Text("woof")))

    async with calling(CallingBot(bot, Cat=1, Dog=1), both) as served:
        # The second `meta` comes too late to be forwarded.
        assert await served.answer() == [Meta("text/plain"), Text("meow"), Text(" and "), Text("woof"), Done()]
        assert served.opened == 1


async def test_answers_that_are_merged_as_they_arrive() -> None:
    async def bot(request: QueryRequest, context: Context) -> AsyncIterator[Event]:
        sending, events = anyio.create_memory_object_stream[Event](10)

        async def forward(name: str, stream: MemoryObjectSendStream[Event]) -> None:
            async with stream:
                async for event in context.query_bot(name, request):
                    await stream.send(event)

        async with events, anyio.create_task_group() as tasks:
            async with sending:
                for name in ("Plain", "Meta"):
                    tasks.start_soon(forward, name, sending.clone())
            async for event in events:
                yield event

    async def poe(peer: Peer) -> None:
        plain = "/Plain " in (await peer.read_request()).line
        await peer.send(reply(Text("plain")) if plain else reply(Meta(), Text("meta")))

    async with calling(CallingBot(bot, Plain=1, Meta=1), poe, poe) as served:
        events = [event for event in await served.answer() if event != Meta()]
        assert sorted(event.text for event in events if isinstance(event, Text)) == ["meta", "plain"]
        assert events[-1] == Done()


async def test_a_stale_forwarded_meta_is_left_out() -> None:
    async def bot(request: QueryRequest, context: Context) -> AsyncIterator[Event]:
        async with context.query_bot("Cat", request) as answer:
            first = await anext(aiter(answer))
            assert first == Meta("text/plain")
            yield Text("faster")
            yield first
            async for event in answer:
                yield event

    async with calling(CallingBot(bot, Cat=1), answering(reply(Meta("text/plain"), Text("meow")))) as served:
        assert await served.answer() == [Text("faster"), Text("meow"), Done()]


@pytest.mark.parametrize("before", [[], [Text("faster")]])
async def test_a_late_forwarded_meta_is_dropped_once(before: list[Event], caplog: pytest.LogCaptureFixture) -> None:
    async def bot(request: QueryRequest, context: Context) -> AsyncIterator[Event]:
        first = await anext(aiter(context.query_bot("Cat", request)))
        for event in (*before, first, first):
            yield event

    async with calling(CallingBot(bot, Cat=1), answering(reply(Meta(), Text("meow")))) as served:
        *_, error, done = await served.answer()
    assert isinstance(error, Error)
    assert done == Done()
    assert "Meta is out of order" in caplog.text


async def test_events_of_a_later_version_are_not_forwarded() -> None:
    data = STREAM_HEAD + chunk(b"event: hologram\ndata: {}\n\n") + sent(Text("a"), Done()) + LAST_CHUNK
    async with calling(CallingBot(forwards, Cat=1), answering(data)) as served:
        assert await served.answer() == [Text("a"), Done()]


async def test_an_error_that_a_bot_does_not_catch_ends_its_reply(caplog: pytest.LogCaptureFixture) -> None:
    error = Error(allow_retry=False, text="Too long.", error_type="user_message_too_long")
    async with calling(CallingBot(forwards, Cat=1), answering(reply(Text("a"), error))) as served:
        assert await served.answer() == [Text("a"), error, Done()]
    assert not [record for record in caplog.records if record.levelname == "ERROR"]


async def test_an_error_in_a_task_of_the_bot_ends_its_reply() -> None:
    async def bot(request: QueryRequest, context: Context) -> AsyncIterator[str]:
        yield "a"
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(context.final_text, "Cat", request)
            tasks.start_soon(anyio.sleep_forever)

    error = Error(text="No.")
    async with calling(CallingBot(bot, Cat=1), answering(reply(error))) as served:
        assert await served.answer() == [Text("a"), error, Done()]


async def test_a_bot_may_catch_the_error() -> None:
    async def bot(request: QueryRequest, context: Context) -> AsyncIterator[str]:
        async with context.query_bot("Cat", request) as answer:
            with pytest.raises(BotError) as caught:
                async for event in answer:
                    assert isinstance(event, Text)
            assert caught.value.partial is answer.fold
            with pytest.raises(BotError):
                await answer.text()
        yield f"{answer.fold.text}, but {caught.value.event.text}"

    async with calling(CallingBot(bot, Cat=1), answering(reply(Text("a"), Error(text="no")))) as served:
        assert await served.answer() == [Text("a, but no"), Done()]


@pytest.mark.parametrize("name", ["http://127.0.0.1:1/", "../x", "cost/q/capture"])
async def test_a_name_is_never_a_place(name: str) -> None:
    seen: list[PoeprotoError] = []
    bot = CallingBot(failing_with(LocalProtocolError, seen, name), **{name: 1})
    async with calling(bot, answering(HELLO)) as served:
        assert await served.answer() == [Text("hello"), Done()]
        (request,) = served.poe.requests
        assert request.line.count("/") == 3  # those of "/bot/" and "HTTP/1.1"
    assert seen == []


async def test_a_key_that_poe_does_not_accept() -> None:
    seen: list[PoeprotoError] = []
    refusal = response(401, f'{{"error": "wrong key {KEY}"}}'.encode())
    async with calling(CallingBot(failing_with(RequestRefused, seen), Cat=1), answering(refusal)) as served:
        assert isinstance((await served.answer())[0], Error)
    (error,) = seen
    assert isinstance(error, RequestRefused)
    assert error.status == 401
    assert KEY not in f"{error!r}{error.body_start!r}"


async def test_a_poe_that_cannot_be_reached() -> None:
    seen: list[PoeprotoError] = []
    bot = CallingBot(failing_with(ConnectFailed, seen), Cat=1)
    async with calling(bot, answering(HELLO)) as served:
        service = served.service
        service.routes["/"].endpoints = type(service.outbound.endpoints).at("http://127.0.0.1:1")  # pyright: ignore
        assert isinstance((await served.answer())[0], Error)
    assert isinstance(seen[0], ConnectFailed)


async def test_a_server_without_a_key_sends_none() -> None:
    async with calling(CallingBot(forwards, Cat=1), answering(HELLO), access_key=None) as served:
        assert await served.answer() == [Text("hello"), Done()]
        assert served.poe.requests[0].all("authorization") == []


async def test_many_conversations_at_once_share_the_connections() -> None:
    async def bot(request: QueryRequest, context: Context) -> AsyncIterator[str]:
        yield await context.final_text("Cat", request)
        yield await context.final_text("Dog", request)

    async def poe(peer: Peer) -> None:
        while True:
            request = await peer.read_request()
            asked = decode_request(request.body)
            assert isinstance(asked, QueryRequest)
            name = request.line.split()[1].rpartition("/")[2]
            await peer.send(reply(Text(f"{name} heard {asked.query[0].content}. ")))

    answers: dict[str, list[Event]] = {}
    async with calling(CallingBot(bot, Cat=1, Dog=1), poe) as served:

        async def converse(text: str) -> None:
            query = attrs.evolve(QUERY, query=[Message("user", text)])
            answers[text] = await served.answer(query, MemoryChannel(encode_request(query)))

        for _ in range(2):
            async with anyio.create_task_group() as tasks:
                for number in range(50):
                    tasks.start_soon(converse, str(number))
        assert len(served.poe.requests) == 200
        assert served.opened <= 50
    assert answers == {
        text: [Text(f"Cat heard {text}. "), Text(f"Dog heard {text}. "), Done()] for text in map(str, range(50))
    }


async def test_a_server_that_offers_no_calls(caplog: pytest.LogCaptureFixture) -> None:
    async def bot(request: QueryRequest, context: Context) -> AsyncIterator[str]:
        for call in (context.final_text("Cat", "hello"), context.post_attachment(b"x", name="a")):
            with pytest.raises(LocalProtocolError, match="was not configured for calls of its bots"):
                await call
        yield "alone"

    assert (await answer(bot)).events == [Text("alone"), Done()]


async def test_a_reply_may_be_read_on_after_its_end() -> None:
    async def bot(request: QueryRequest, context: Context) -> AsyncIterator[str]:
        async with context.query_bot("Cat", request) as answer:
            async for event in answer:
                assert event == Text("hello")
        assert [event async for event in answer] == []
        yield await answer.text()

    async with calling(CallingBot(bot, Cat=1), answering(HELLO)) as served:
        assert await served.answer() == [Text("hello"), Done()]


async def test_two_tasks_do_not_read_one_reply() -> None:
    async def bot(request: QueryRequest, context: Context) -> AsyncIterator[str]:
        shared = context.query_bot("Cat", request)
        refused: list[LocalProtocolError] = []

        async def read() -> None:
            try:
                await shared.text()
            except LocalProtocolError as exc:
                refused.append(exc)

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(read)
            tasks.start_soon(read)
        yield f"{len(refused)} refused, {shared.fold.text}"

    async with calling(CallingBot(bot, Cat=1), answering(HELLO)) as served:
        assert await served.answer() == [Text("1 refused, hello"), Done()]
