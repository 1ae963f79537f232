"""The examples work as documented, served over loopback."""

from __future__ import annotations

import json
import re
import shlex
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType, SimpleNamespace

import anyio
import anyio.lowlevel
import pytest

from poeproto import (
    BotError,
    Data,
    Done,
    Error,
    Event,
    File,
    Json,
    Message,
    Meta,
    QueryRequest,
    ReplaceResponse,
    SettingsResponse,
    SuggestedReply,
    Text,
)
from poeproto_asgi import BotApp, load_app
from poeproto_h11 import Client

from ..support.bots import KEY
from ..support.command import SECONDS
from ..support.hypercorn_servers import serving

pytestmark = pytest.mark.anyio

Load = Callable[[str], tuple[BotApp, ModuleType]]


@pytest.fixture
def load(checkout: Path, monkeypatch: pytest.MonkeyPatch) -> Load:
    """Loads an example as the command does; its modules are removed after the test."""
    monkeypatch.setattr(sys, "path", [*sys.path])

    def load(name: str) -> tuple[BotApp, ModuleType]:
        app = load_app(f"{checkout}/docs/examples/{name}.py:bot", access_key=KEY)
        bot = app.service.routes["/"].bot
        return app, sys.modules.pop(type(bot).__module__)

    return load


async def no_sleep(seconds: float) -> None:
    await anyio.lowlevel.checkpoint()


async def ask(app: BotApp, *messages: Message) -> list[Event]:
    query = QueryRequest(list(messages))
    async with serving(app) as address, Client(access_key=KEY) as client, client.query(address, query) as reply:
        return [event async for event in reply]


async def test_echo(load: Load) -> None:
    app, _ = load("echo")
    for text in ("hello", "naïve 🐈\n\n- a\r\n", ""):
        assert await ask(app, Message("bot", "before"), Message("user", text)) == [Text(text), Done()]
    async with serving(app) as address, Client(access_key=KEY) as client:
        assert await client.settings(address) == SettingsResponse()


SUGGESTIONS = [SuggestedReply("help"), SuggestedReply("slow")]
# The cat's events between `meta` and the suggested replies; after an error there are no suggested replies.
WISHES: dict[str, list[Event]] = {
    "change": [Text("The cat wants out."), ReplaceResponse("The cat wants in.")],
    "picture": [Text("This is the cat: "), File("https://example.com/cat.png", "cat.png", "image/png")],
    "remember": [Text("The cat remembers 0 earlier answers."), Data("1")],
    "model": [Json({"choices": [{"index": 0, "delta": {"content": "meow"}}]})],
    "yarn": [Text("The cat "), Error(allow_retry=True, text="The cat is entangled. Try again.")],
    "dog": [Error(allow_retry=False, text="There are no dogs here.", error_type="user_caused_error")],
    "purr": [Text("purr ")] * 1000,
    "anything else": [Text("The cat says "), Text("*meow*.")],
}
SLOW = ["The ", "cat ", "… ", "stretches ", "… ", "and ", "… ", "goes ", "on ", "… ", "sleeping. "]


@pytest.mark.parametrize("wish", WISHES)
async def test_the_wishes_of_the_cat(load: Load, wish: str, monkeypatch: pytest.MonkeyPatch) -> None:
    app, module = load("cat")
    monkeypatch.setattr(module, "anyio", SimpleNamespace(sleep=no_sleep))
    events = await ask(app, Message("user", f"{wish.title()}, please"))
    end = [] if isinstance(WISHES[wish][-1], Error) else [*SUGGESTIONS, Done()]
    assert events == [Meta("text/markdown"), *WISHES[wish], *end]


async def test_the_cat_in_plain_text(load: Load) -> None:
    app, _ = load("cat")
    meta, text, *rest = await ask(app, Message("user", "plain"))
    assert meta == Meta("text/plain")
    assert text == Text("The cat says *meow*, and the asterisks stay.")
    assert rest == [*SUGGESTIONS, Done()]


async def test_the_slow_cat_streams(load: Load, monkeypatch: pytest.MonkeyPatch) -> None:
    app, module = load("cat")
    gate = anyio.Semaphore(0)

    async def wait(seconds: float) -> None:
        await gate.acquire()

    monkeypatch.setattr(module, "anyio", SimpleNamespace(sleep=wait))
    async with serving(app) as address, Client(access_key=KEY) as client, client.query(address, "slow") as reply:
        assert await anext(reply) == Meta()
        for number, word in enumerate(SLOW):
            assert await anext(reply) == Text(word)
            assert reply.fold.text == "".join(SLOW[: number + 1])  # the next text has not been sent yet
            gate.release()
        assert [event async for event in reply] == [*SUGGESTIONS, Done()]


async def test_the_cat_counts_in_its_metadata(load: Load) -> None:
    app, _ = load("cat")
    conversation: list[Message] = []
    async with serving(app) as address, Client(access_key=KEY) as client:
        for number in range(3):
            conversation.append(Message("user", "remember"))
            async with client.query(address, QueryRequest(conversation)) as reply:
                assert await reply.text() == f"The cat remembers {number} earlier answers."
                assert reply.fold.metadata == str(number + 1)
            conversation.append(Message("bot", reply.fold.text, metadata=reply.fold.metadata))


async def test_the_errors_of_the_cat_as_a_caller_sees_them(load: Load) -> None:
    app, _ = load("cat")
    async with serving(app) as address, Client(access_key=KEY) as client:
        for wish, partial, allow_retry in (("yarn", "The cat ", True), ("dog", "", False)):
            async with client.query(address, wish) as reply:
                with pytest.raises(BotError) as caught:
                    await reply.text()
            assert caught.value.event.allow_retry is allow_retry
            assert caught.value.partial is not None
            assert caught.value.partial.text == partial


async def test_the_help_of_the_cat_lists_its_wishes(load: Load) -> None:
    app, _ = load("cat")
    meta, text, *rest = await ask(app, Message("user", "help"))
    assert meta == Meta()
    assert isinstance(text, Text)
    listed = re.findall(r"^- \*\*(\w+)\*\*: ", text.text, re.MULTILINE)
    assert sorted(listed) == sorted({*WISHES, "plain", "slow"} - {"anything else"})
    assert rest == [*SUGGESTIONS, Done()]


async def test_the_settings_of_the_cat(load: Load) -> None:
    app, _ = load("cat")
    async with serving(app) as address, Client(access_key=KEY) as client:
        assert await client.settings(address) == SettingsResponse(
            allow_attachments=True, introduction_message="I am a cat. Say **help** to learn what I can do."
        )


def test_the_demonstration(demo_output: str) -> None:
    *lines, last, _ = demo_output.splitlines()
    runs = "\n".join(lines)
    for worker_class in ("asyncio", "trio"):
        for backend in ("asyncio", "trio"):
            run = re.compile(
                rf"^{worker_class} server at http://127\.0\.0\.1:\d+/, {backend} client\n"
                r"  you> hello\n"
                r"  cat> The cat says \*meow\*\.\n"
                r"  you> slow\n"
                rf"  cat> {''.join(SLOW)}\n"
                r"  settings: {'response_version': 2, .*'introduction_message': 'I am a cat\. .*'}$",
                re.MULTILINE,
            )
            assert len(run.findall(runs)) == 1, f"{worker_class} and {backend} are not shown"
            assert re.search(rf"[\d,]+ \({worker_class} server, {backend} client\)", last)
    assert last.startswith("events a second: ")
    assert len(lines) == 4 * 6


def test_the_demonstration_ends_with_how_to_open_the_playground(checkout: Path, demo_output: str) -> None:
    last = demo_output.splitlines()[-1]
    assert last.startswith("To talk to the bot in a browser: ")
    command = shlex.split(last.partition(": ")[2])
    assert command[1:] == ["play", "docs/examples/cat.py:bot"]
    with subprocess.Popen(
        [*command, "--bind", "127.0.0.1:0"], cwd=checkout, stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline().startswith("open http://127.0.0.1:")
            process.send_signal(signal.SIGTERM)
            assert process.wait(SECONDS) == 0
        finally:
            process.kill()


async def test_the_log_of_requests(checkout: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", "example.requests")
    app = load_app(f"{checkout}/docs/examples/logging_hooks.py:app")
    sys.modules.pop("poeproto_target_logging_hooks")
    assert await ask(app, Message("user", "hello")) == [Text("hello"), Done()]
    [record] = [record for record in caplog.records if record.name == "example.requests"]
    line = json.loads(record.getMessage())
    assert re.fullmatch(r"[0-9a-f]{16}", line.pop("id"))
    assert line.pop("milliseconds") >= 0
    assert line.pop("bytes") > 0
    assert line == {
        "path": "/",
        "bot": "EchoBot",
        "type": "query",
        "status": 200,
        "events": 1,
        "failed": False,
        "outcome": "complete",
    }
