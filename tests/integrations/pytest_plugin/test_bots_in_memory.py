"""The fixtures `poe_bot` and `poe_simulator`: a bot in memory on the whole real path, behind a simulated Poe."""

from __future__ import annotations

import anyio
import anyio.lowlevel
import anyio.to_thread
import pytest

from poeproto import (
    Bot,
    BotError,
    ConnectFailed,
    ConnectionLost,
    Context,
    CostItem,
    Done,
    Endpoints,
    Error,
    Message,
    QueryRequest,
    ReportErrorRequest,
    ReportReactionRequest,
    RequestRefused,
    SettingsRequest,
    SettingsResponse,
    Text,
)
from poeproto_h11 import BlockingClient, Client
from poeproto_pytest import (
    BotFactory,
    MemoryClient,
    MemoryNetwork,
    MemoryPoe,
    assert_calls,
    assert_charged,
    assert_events,
    assert_failed,
    assert_no_findings,
    assert_text,
)
from poeproto_simulator import Canned, Fault, HTTPError, Scripted

pytestmark = pytest.mark.anyio


class Asking(Bot):
    """Asks another bot, charges for it, and attaches a file."""

    def __init__(self) -> None:
        self.closed = False
        self.reports: list[object] = []

    async def get_settings(self, request: SettingsRequest, context: Context) -> SettingsResponse:
        return SettingsResponse(server_bot_dependencies={"Dog": 2}, introduction_message="Ask me.")

    async def get_response(self, request: QueryRequest, context: Context):
        async def close() -> None:
            await anyio.lowlevel.checkpoint()
            self.closed = True

        context.on_close(close)
        cost = CostItem(amount_usd_milli_cents=50, description="a question")
        await context.authorize_cost(cost)
        yield "The dog says "
        async for event in context.query_bot("Dog", request):
            yield event
        await context.capture_cost(cost)
        await context.post_attachment("hello", name="a.txt")

    async def on_reaction(self, request: ReportReactionRequest, context: Context) -> None:
        self.reports.append(request)

    async def on_error(self, request: ReportErrorRequest, context: Context) -> None:
        self.reports.append(request)


async def test_a_bot_calls_another_charges_and_attaches_a_file(poe_bot: BotFactory, poe_simulator: MemoryPoe) -> None:
    asking = Asking()
    bot = poe_bot(asking, bots={"Dog": Canned(["wo", "of"])})
    reply = await bot.say("hello")
    assert_text(reply, "The dog says woof")
    assert_charged(reply, 50, times=1)
    assert_calls(reply, {"Dog": 1})
    assert reply.calls[0].reply.text == "woof"
    assert reply.calls[0].request is not None
    assert reply.calls[0].request.query[-1].content == "hello"
    assert_no_findings(reply)
    assert reply.received is not None
    assert reply.received.files[0].data == b"hello"
    assert asking.closed  # a test need not wait for acts after a reply
    assert poe_simulator.balance == 1_000_000 - 50


async def test_a_conversation_continues(poe_bot: BotFactory) -> None:
    scripted = Scripted(lambda request: f"{len(request.query)} messages")
    bot = poe_bot(scripted)
    first = await bot.say("one")
    second = await bot.say("two", conversation=first)
    assert_text(second, "3 messages")
    assert second.conversation is first.conversation


async def test_a_query_is_sent_as_it_is(poe_bot: BotFactory) -> None:
    scripted = Scripted(lambda request: "yes")
    bot = poe_bot(scripted)
    request = QueryRequest([Message("system", "Be brief."), Message("user", "so?")], temperature=0.5)
    reply = await bot.query(request)
    assert_events(reply, ["yes", Done()])
    assert scripted.requests[0].query == request.query
    assert scripted.requests[0].temperature == 0.5
    assert scripted.requests[0].bot_query_id


async def test_settings_and_reports_reach_the_bot(poe_bot: BotFactory) -> None:
    asking = Asking()
    bot = poe_bot(asking)
    assert (await bot.settings()).introduction_message == "Ask me."
    await bot.report(ReportErrorRequest("too long", {}))
    assert isinstance(asking.reports[0], ReportErrorRequest)


async def test_an_undeclared_bot_is_not_called(poe_bot: BotFactory) -> None:
    async def ask(request: QueryRequest, context: Context):
        yield await context.final_text("Cat", request)

    reply = await poe_bot(Scripted(ask), bots={"Cat": Canned("meow")}).say("hello")
    failure = assert_failed(reply, BotError)
    assert "error" in str(failure).lower()
    assert_calls(reply, {})


async def test_a_failing_bot_is_logged_and_fails_the_reply(
    poe_bot: BotFactory, caplog: pytest.LogCaptureFixture
) -> None:
    async def fail(request: QueryRequest):
        yield "so far"
        raise KeyError("lost")

    reply = await poe_bot(Scripted(fail)).say("hello")
    assert_failed(reply, BotError)
    assert reply.text == "so far"
    assert "KeyError" in caplog.text


async def test_an_error_event_has_its_type(poe_bot: BotFactory) -> None:
    reply = await poe_bot(Canned([Error(text="no", error_type="user_message_too_long")])).say("x")
    assert_failed(reply, BotError, error_type="user_message_too_long", text="no")


async def test_a_wrong_key_is_refused(poe_bot: BotFactory) -> None:
    bot = poe_bot(Canned("meow"))
    client = bot.client(access_key="wrong" + "0" * 27)
    with pytest.raises(RequestRefused) as refused:
        await client.query(bot.url, "hello").text()
    assert refused.value.status == 401
    assert await bot.client().query(bot.url, "hello").text() == "meow"


async def test_a_client_of_a_user_calls_bots_by_name(poe_bot: BotFactory, poe_simulator: MemoryPoe) -> None:
    poe_bot(Canned("meow"), name="Cat")
    async with poe_simulator.user_client() as client:
        assert await client.query("Cat", "hello").text() == "meow"
        uploaded = await client.upload(iter([b"some ", b"bytes"]), name="a.txt")
    assert uploaded.size == 10
    with pytest.raises(RequestRefused):
        await poe_simulator.user_client().query("Nobody", "hello").text()


async def test_a_reply_that_is_left_early_disconnects_the_bot(poe_bot: BotFactory) -> None:
    ended: list[str] = []

    async def endless(request: QueryRequest):
        try:
            while True:
                yield "again "
                await anyio.lowlevel.checkpoint()
        finally:
            ended.append("yes")

    bot = poe_bot(Scripted(endless))
    async with bot.client().query(bot.url, "hello") as reply:
        async for event in reply:
            assert event == Text("again ")
            break
    assert ended == ["yes"]
    exchange = bot.poe.network.exchanges[-1]
    assert exchange.end is not None
    assert exchange.end.outcome.value == "client-gone"


async def test_a_bot_waits_for_a_slow_reader(poe_bot: BotFactory) -> None:
    sent = 0

    async def flood(request: QueryRequest):
        nonlocal sent
        for _ in range(40):
            sent += 1
            yield "x" * 10_000

    bot = poe_bot(Scripted(flood))
    async with bot.client().query(bot.url, "hello") as reply:
        await anext(aiter(reply))
        for _ in range(100):
            await anyio.lowlevel.checkpoint()
        assert sent < 30  # the capacity of a connection's buffers
        assert len(await reply.text()) == 400_000


async def test_faults_reach_clients(poe_bot: BotFactory, poe_simulator: MemoryPoe) -> None:
    poe_bot(Canned(["a", "b", "c"]), name="Cat")
    client = poe_simulator.user_client()
    poe_simulator.faults.add("Cat", Fault.status(503), times=2)
    with pytest.raises(RequestRefused):
        await client.query("Cat", "hello").text()
    poe_simulator.faults.add("Cat", Fault.truncate_events(2))
    with pytest.raises(ConnectionLost):
        await client.query("Cat", "hello").text()


async def test_another_host_is_named(poe_bot: BotFactory, caplog: pytest.LogCaptureFixture) -> None:
    async def fetch(request: QueryRequest, context: Context):
        yield (await context.fetch_attachment("https://files.example/a.txt")).decode()

    reply = await poe_bot(Scripted(fetch)).say("x")
    assert_failed(reply)
    assert "https://files.example: the test's network is in memory and has no such host" in caplog.text
    with pytest.raises(ConnectFailed, match=r"It has http://poe\.test, http://bot-1\.test"):
        await poe_bot(Canned("x")).client().query("http://elsewhere.test/", "x").text()


@pytest.mark.poe_simulator(strict=False, balance=7)
async def test_the_simulator_has_options(poe_bot: BotFactory, poe_simulator: MemoryPoe) -> None:
    assert poe_simulator.balance == 7
    assert (await poe_simulator.say("Nobody", "hello")).text == "hello"


async def test_the_simulator_is_strict_by_default(poe_simulator: MemoryPoe) -> None:
    with pytest.raises(HTTPError):
        await poe_simulator.say("Nobody", "hello")


async def test_the_simulator_is_served_on_a_socket_too(poe_bot: BotFactory, poe_simulator: MemoryPoe) -> None:
    asking = Asking()
    bot = poe_bot(asking, name="Asking", bots={"Dog": Canned("woof")})
    async with poe_simulator.serving() as address:
        assert address.startswith("http://127.0.0.1:")
        async with Client(poe_simulator.api_key, endpoints=Endpoints.at(address)) as client:
            assert await client.query("Asking", "hello").text() == "The dog says woof"
        assert_text(await bot.say("hello"), "The dog says woof")
    assert_text(await bot.say("hello"), "The dog says woof")


async def test_a_bot_on_a_socket_is_called_over_it(poe_bot: BotFactory) -> None:
    bot = poe_bot(Asking(), bots={"Dog": Canned("woof")})
    async with bot.serving() as url:
        assert url.startswith("http://127.0.0.1:")
        reply = await bot.say("hello")
        assert reply.exchange.request.url == url
        assert_text(reply, "The dog says woof")
        assert_charged(reply, 50)
        assert_no_findings(reply)
    assert_text(await bot.say("hello"), "The dog says woof")


async def test_a_client_that_blocks_calls_a_bot_on_a_socket(poe_bot: BotFactory) -> None:
    bot = poe_bot(Canned("meow"))

    def ask() -> str:
        with BlockingClient(access_key=bot.access_key) as client, client.query(bot.url, "hello") as reply:
            return reply.text()

    async with bot.serving():
        assert await anyio.to_thread.run_sync(ask) == "meow"


async def test_the_end_of_an_application_is_the_end_of_its_response() -> None:
    async def fails(scope: object, receive: object, send: object) -> None:
        raise ValueError("no such thing")

    async def ends(scope: object, receive: object, send: object) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})  # type: ignore[operator]

    network = MemoryNetwork()
    network.serve("http://fails.test", fails)
    network.serve("http://ends.test", ends)
    client = MemoryClient(network)
    with pytest.raises(Exception, match="no such thing"):
        await client.query("http://fails.test/", "x").text()
    with pytest.raises(RequestRefused):
        await client.query("http://ends.test/", "x").text()
