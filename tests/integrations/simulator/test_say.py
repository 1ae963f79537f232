"""`Simulator.say`: the queries that bots get, and the replies."""

from __future__ import annotations

from collections.abc import AsyncIterator

import anyio
import pytest

from poeproto import (
    Attachment,
    BotError,
    ConnectFailed,
    Context,
    Data,
    DeadlineExceeded,
    Done,
    Error,
    Event,
    File,
    Limits,
    Meta,
    QueryRequest,
    RemoteProtocolError,
    ReplaceResponse,
    ReportErrorRequest,
    RequestRefused,
    SettingsResponse,
    SuggestedReply,
    Text,
)
from poeproto.identifiers import is_identifier
from poeproto_asgi import BotApp
from poeproto_simulator import Canned, Echo, Fault, HTTPError, Scripted, Simulator

from ...support.bots import KEY, FunctionBot
from ...support.hypercorn_servers import app_of, serving

pytestmark = pytest.mark.anyio


async def test_a_bot_in_this_process() -> None:
    seen: list[Event] = []
    async with Simulator() as simulator:
        simulator.register("Cat", Canned([Text("Meow"), ReplaceResponse("Purr"), SuggestedReply("Pet"), Data("fed")]))
        reply = await simulator.say("Cat", "hello", on_event=seen.append)
    assert reply.final_text() == reply.text == "Purr"
    assert reply.suggested_replies == ["Pet"]
    assert reply.metadata == "fed"
    assert reply.failure is reply.error is None
    assert repr(reply) == "<ReceivedReply of Cat: 'Purr', 0 files>"
    assert reply.events == seen == [Text("Meow"), ReplaceResponse("Purr"), SuggestedReply("Pet"), Data("fed"), Done()]
    assert [message.content for message in reply.conversation.messages] == ["hello", "Purr"]


@pytest.mark.parametrize("last", [False, True], ids=["an event", "the last event"])
@pytest.mark.parametrize("remote", [False, True], ids=["in this process", "at a URL"])
async def test_exceptions_of_on_event_are_raised(remote: bool, last: bool) -> None:
    bot_ended = anyio.Event()

    async def reply(request: QueryRequest, context: Context) -> AsyncIterator[Event]:
        try:
            yield Text("Meow")
            if not last:
                await anyio.sleep_forever()
        finally:
            bot_ended.set()

    def on_event(event: Event) -> None:
        if isinstance(event, Done if last else Text):
            raise LookupError("not drawn")

    bot = FunctionBot(reply)
    async with serving(BotApp(bot, access_key=KEY)) as url, Simulator() as simulator:
        simulator.register("Cat", url if remote else bot, access_key=KEY)
        with pytest.raises(LookupError, match="not drawn"):
            await simulator.say("Cat", "hello", on_event=on_event)
        await bot_ended.wait()


async def test_a_bot_at_a_url() -> None:
    bot = Scripted(lambda request: f"You said {request.query[-1].content}")
    async with serving(BotApp(bot, access_key=KEY)) as url, Simulator() as simulator:
        simulator.register("Remote", url, access_key=KEY)
        assert (await simulator.say("Remote", "hello")).final_text() == "You said hello"
    (request,) = bot.requests
    assert is_identifier(request.user_id, "u")
    assert is_identifier(request.conversation_id, "c")
    assert is_identifier(request.message_id, "m")
    assert is_identifier(request.metadata, "d")
    assert is_identifier(request.bot_query_id, "b")
    assert request.users is not None
    assert [(user.id, user.name) for user in request.users] == [(request.user_id, "user")]
    (message,) = request.query
    assert (message.role, message.sender and message.sender.id) == ("user", request.user_id)
    assert message.timestamp > 0


async def test_an_unknown_bot_is_an_echo_unless_strict() -> None:
    async with Simulator() as lenient, Simulator(strict=True) as strict:
        assert (await lenient.say("Whoever", "hello")).text == "hello"
        with pytest.raises(HTTPError, match="there is no bot called 'Whoever'") as caught:
            await strict.say("Whoever", "hello")
    assert caught.value.status == 404


async def test_a_conversation_continues() -> None:
    bot = Scripted(lambda request: [f"answer {len(request.query)}", Data(f"stored {len(request.query)}")])
    async with Simulator() as simulator:
        simulator.register("Cat", bot)
        first = await simulator.say("Cat", "one")
        second = await simulator.say("Cat", "two", conversation=first)
        await simulator.say("Cat", "three", conversation=second.conversation.id)
        other = await simulator.say("Cat", "elsewhere")
    assert [(m.role, m.content, m.metadata) for m in bot.requests[2].query] == [
        ("user", "one", None),
        ("bot", "answer 1", "stored 1"),
        ("user", "two", None),
        ("bot", "answer 3", "stored 3"),
        ("user", "three", None),
    ]
    assert bot.requests[2].query[1].message_id == first.message_id
    assert len({request.conversation_id for request in bot.requests[:3]}) == 1
    assert [message.content for message in other.query.request.query] == ["elsewhere"]


async def test_metadata_is_private_to_its_bot() -> None:
    cat, dog = Scripted(lambda _: ["Meow", Data("the cat's")]), Scripted(lambda _: "Woof")
    async with Simulator() as simulator:
        simulator.register("Cat", cat)
        simulator.register("Dog", dog)
        reply = await simulator.say("Cat", "hello")
        await simulator.say("Dog", "and you?", conversation=reply)
        await simulator.say("Cat", "again", conversation=reply)
    assert [message.metadata for message in dog.requests[0].query] == [None, None, None]
    assert [message.metadata for message in cat.requests[1].query] == [None, "the cat's", None, None, None]
    assert cat.requests[0].user_id != dog.requests[0].user_id, "each bot knows a user by a different identifier"
    assert cat.requests[0].user_id == cat.requests[1].user_id


async def test_a_query_is_cut_at_a_thousand_messages() -> None:
    bot = Scripted(lambda _: "yes")
    async with Simulator() as simulator:
        simulator.register("Cat", bot)
        reply = await simulator.say("Cat", "first")
        reply.conversation.messages[:] = [reply.conversation.messages[0]] * 1500
        await simulator.say("Cat", "last", conversation=reply)
    assert len(bot.requests[1].query) == 1000
    assert bot.requests[1].query[-1].content == "last"


async def test_options_parameters_and_references() -> None:
    bot = Scripted(lambda _: "yes", SettingsResponse(enforce_author_role_alternation=True, allow_attachments=True))
    async with Simulator() as simulator:
        simulator.register("Cat", bot, settings=bot.settings)
        ann = simulator.engine.add_user("Ann")
        first = await simulator.say("Cat", "hello", user=ann, options={"language_code": "de", "temperature": 0.5})
        first.conversation.messages.pop()  # as after a failed reply
        await simulator.say(
            "Cat",
            "again",
            conversation=first,
            parameters={"size": "big"},
            reply_to=first.conversation.messages[0].message_id,
        )
        with pytest.raises(HTTPError, match="there is no message 'm-1'"):
            await simulator.say("Cat", "again", reply_to="m-1")
        with pytest.raises(TypeError, match="conversation_id"):
            await simulator.say("Cat", "again", options={"conversation_id": "c-1"})
    assert (bot.requests[0].language_code, bot.requests[0].temperature) == ("de", 0.5)
    assert bot.requests[0].users is not None
    assert [user.name for user in bot.requests[0].users] == ["Ann"]
    (message,) = bot.requests[1].query
    assert message.content == "hello\n\nagain"
    assert message.parameters == {"size": "big"}
    assert message.referenced_message is not None
    assert message.referenced_message.content == "hello"


async def test_attachments_with_parsed_content() -> None:
    bot = Scripted(lambda _: "yes", SettingsResponse(allow_attachments=True, enable_image_comprehension=True))
    async with Simulator(strict=True) as simulator:
        simulator.register("Reader", bot)
        text = await simulator.store_file(b"it is warm", "weather.txt")
        image = await simulator.store_file(b"\x89PNG", "cat.png")
        assert (text.content_type, image.content_type) == ("text/plain", "image/png")
        await simulator.say("Reader", "what is this?", attachments=[text, image])
        simulator.register("Deaf", Canned("no"))
        with pytest.raises(HTTPError, match="the settings of Deaf do not allow attachments"):
            await simulator.say("Deaf", "what is this?", attachments=[text])
    first, second = bot.requests[0].query[-1].attachments
    assert (first.name, first.url, first.parsed_content) == ("weather.txt", text.url, "it is warm")
    assert second.parsed_content is not None
    assert second.parsed_content.startswith("cat.png***")


async def test_files_of_a_reply_with_their_content() -> None:
    async with Simulator() as simulator:
        stored = await simulator.store_file(b"warm", "weather.txt")
        elsewhere = File("https://files.example/x.png", "x.png", "image/png", "x")
        simulator.register("Cat", Canned([stored.event(), elsewhere]))
        reply = await simulator.say("Cat", "hello")
        again = await simulator.say("Cat", "thanks", conversation=reply)
        simulator.files.expire(stored.url)
        expired = await simulator.say("Cat", "hello")
    first, second = reply.files
    assert (first.name, first.content_type, first.url, first.data) == ("weather.txt", "text/plain", stored.url, b"warm")
    assert (second.inline_ref, second.data) == ("x", None)
    assert [each.name for each in again.query.request.query[1].attachments] == ["weather.txt", "x.png"]
    assert expired.files[0].data is None


async def test_files_with_invalid_urls() -> None:
    bad = File("http://[bad", "x.png", "image/png", "x")
    async with Simulator() as simulator:
        simulator.register("Cat", Canned([bad]))
        reply = await simulator.say("Cat", "hello", attachments=[Attachment("http://[bad", "text/plain", "x")])
    assert [(file.url, file.data) for file in reply.files] == [("http://[bad", None)]


async def test_an_error_of_the_bot() -> None:
    async with Simulator() as simulator:
        simulator.register("Cat", Canned([Text("Me"), Error(text="no milk", error_type="user_caused_error")]))
        reply = await simulator.say("Cat", "hello")
    assert reply.error == Error(text="no milk", error_type="user_caused_error")
    assert isinstance(reply.failure, BotError)
    assert reply.text == "Me"
    assert repr(reply) == "<ReceivedReply of Cat: 'Me', failed: the bot reported an error (user_caused_error): no milk>"
    with pytest.raises(BotError, match="no milk"):
        reply.final_text()
    assert [message.role for message in reply.conversation.messages] == ["user"], "a failed reply is not added"


async def test_a_bot_that_exceeds_the_deadline() -> None:
    async def slow(request: QueryRequest, context: Context) -> AsyncIterator[Event | str]:
        await anyio.sleep_forever()
        yield "too late"

    limits = Limits(first_answer_seconds=0.05)
    async with serving(app_of(slow)) as url, Simulator(limits=limits) as simulator:
        simulator.register("Slow", url, access_key=KEY)
        reply = await simulator.say("Slow", "hello")
    assert isinstance(reply.failure, DeadlineExceeded)
    assert str(reply.failure) == "the first answer did not come within 0.05 s"


async def test_a_server_that_refuses_the_key_and_one_that_is_down() -> None:
    async with serving(BotApp(Echo(), access_key="other")) as url, Simulator() as simulator:
        simulator.register("Locked", url, access_key=KEY)
        simulator.register("Down", "http://127.0.0.1:9/")
        unauthorised = await simulator.say("Locked", "hello")
        down = await simulator.say("Down", "hello")
    assert isinstance(unauthorised.failure, RequestRefused)
    assert unauthorised.failure.status == 401
    assert isinstance(down.failure, ConnectFailed)


async def test_a_reply_that_breaks_the_protocol_is_reported_to_the_bot() -> None:
    reported: list[ReportErrorRequest] = []

    class Sorry(Echo):
        async def on_error(self, request: ReportErrorRequest, context: Context) -> None:
            reported.append(request)

    # Another simulator plays a bot server that breaks the protocol.
    elsewhere = Simulator()
    elsewhere.register("Cat", Sorry())
    elsewhere.faults.add("Cat", Fault.garbage("event: text\ndata: {}\n\n"))
    async with elsewhere.serving() as url, Simulator() as simulator:
        simulator.register("Cat", f"{url}/bot/Cat")
        reply = await simulator.say("Cat", "hello")
    assert isinstance(reply.failure, RemoteProtocolError)
    assert [report.metadata for report in reported] == [{"message_id": reply.message_id}]
    assert reported[0].message == str(reply.failure)
    assert [(report["bot"], report["type"]) for report in simulator.reports] == [("Cat", "report_error")]


@pytest.mark.parametrize(
    ("limits", "events", "limit"),
    [
        (Limits(text_length=5), [Text("123"), Text("456")], "text_length"),
        (Limits(files=1), [File("https://x.example/", "x", "text/plain")] * 2, "files"),
        (Limits(events=2), [Text("1"), Text("2"), Text("3"), Text("4"), Text("5")], "events"),
    ],
)
async def test_a_bot_is_kept_to_the_limits(limits: Limits, events: list[Event], limit: str) -> None:
    async with serving(BotApp(Canned(events), allow_without_key=True)) as url, Simulator(limits=limits) as simulator:
        simulator.register("Remote", url)
        reply = await simulator.say("Remote", "hello")
    assert reply.failure is not None
    assert getattr(reply.failure, "limit", None) == limit


async def test_a_bot_that_raises() -> None:
    async def failing(request: QueryRequest, context: Context) -> AsyncIterator[Event | str]:
        yield "so far"
        raise RuntimeError("a secret")

    async with Simulator() as simulator:
        simulator.register("Cat", FunctionBot(failing))
        reply = await simulator.say("Cat", "hello")
    assert isinstance(reply.failure, BotError)
    assert "secret" not in str(reply.failure)
    assert reply.text == "so far"


async def test_a_reply_that_asks_to_refetch_settings() -> None:
    bot = Canned([Meta(refetch_settings=True), Text("yes")], SettingsResponse(introduction_message="hi"))
    async with Simulator() as simulator:
        simulator.register("Cat", bot)
        assert simulator.settings_of("Cat") is None
        await simulator.say("Cat", "hello")
        settings = simulator.settings_of("Cat")
    assert settings is not None
    assert settings.introduction_message == "hi"


async def test_settings_that_cannot_be_fetched_do_not_fail_the_reply() -> None:
    elsewhere = Simulator()
    elsewhere.register("Cat", Canned([Meta(refetch_settings=True), Text("yes")]))
    async with elsewhere.serving() as url, Simulator() as simulator:
        simulator.register("Cat", f"{url}/bot/Cat")
        elsewhere.faults.add("Cat", Fault.slow(0))  # the query's
        elsewhere.faults.add("Cat", Fault.status(500))
        assert (await simulator.say("Cat", "hello")).final_text() == "yes"
        assert simulator.settings_of("Cat") is None


async def test_scripts() -> None:
    async def waiting(request: QueryRequest, context: Context) -> list[Event | str]:
        return [f"{context.bot_name} ", request.query[-1].content]

    async def streaming(request: QueryRequest) -> AsyncIterator[Event | str]:
        yield request.query[-1].content

    async with Simulator() as simulator:
        simulator.register("Cat", Scripted(waiting))
        simulator.register("Dog", Scripted(streaming))
        assert (await simulator.say("Cat", "hello")).final_text() == "Cat hello"
        assert (await simulator.say("Dog", "hello")).final_text() == "hello"


async def test_many_at_once() -> None:
    async with Simulator() as simulator:
        simulator.register("Cat", Echo())
        texts: dict[str, str] = {}

        async def talk(number: int) -> None:
            reply = await simulator.say("Cat", f"number {number}")
            texts[f"number {number}"] = reply.final_text()

        async with anyio.create_task_group() as tasks:
            for number in range(50):
                tasks.start_soon(talk, number)
    assert len(texts) == 50
    assert all(said == heard for said, heard in texts.items())


async def test_several_people_and_bots_in_a_conversation() -> None:
    settings = SettingsResponse(enable_multi_entity_prompting=True)
    cat, group = Scripted(lambda _: ["Meow", Data("the cat's")]), Scripted(lambda _: "I see.", settings)
    async with Simulator() as simulator:
        simulator.register("Cat", cat)
        simulator.register("Group", group, settings=settings)
        bob = simulator.engine.add_user("Bob", balance=7)
        ann = simulator.engine.add_user("Ann")
        alone = await simulator.say("Group", "hello", user=ann)
        await simulator.say("Group", "once more", conversation=alone)
        first = await simulator.say("Cat", "hello", user=ann)
        again = await simulator.say("Cat", "and me?", conversation=first, user=bob)
        await simulator.say("Group", "what was that?", conversation=first)
    assert again.query.user_id == bob.id
    assert first.conversation.user_id == ann.id
    first_request, second_request = cat.requests
    assert [user.name for user in first_request.users or []] == ["Ann"]
    assert [user.name for user in second_request.users or []] == ["Ann", "Bob"]
    assert second_request.user_id == (second_request.users or [])[1].id != first_request.user_id
    senders = [message.sender and (message.sender.id, message.sender.name) for message in second_request.query]
    assert senders == [(first_request.user_id, "Ann"), (None, "Cat"), (second_request.user_id, "Bob")]
    # One user and the bot itself: the messages are not merged.
    assert [message.content for message in group.requests[1].query] == ["hello", "I see.", "once more"]
    before, last = group.requests[2].query
    assert before.content.splitlines()[1:] == ["", "Ann: hello", "", "Cat: Meow", "", "Bob: and me?", "", "Cat: Meow"]
    assert (before.role, before.metadata, before.sender) == ("user", None, None)
    assert (last.role, last.content, last.sender and last.sender.name) == ("user", "what was that?", "Ann")
