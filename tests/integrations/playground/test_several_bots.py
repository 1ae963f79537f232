"""Several bots in one playground: queried by @-mention, called by each other, distinguished by name."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from poeproto_playground import PlayedBot

from ...support.playground_page import PlaygroundPage, playing

pytestmark = [pytest.mark.anyio, pytest.mark.slow]

BOTS = """
import json
from poeproto import Bot, CostItem, SettingsResponse

class Cat(Bot):
    async def get_settings(self, request, context):
        return SettingsResponse(server_bot_dependencies={"Dog": 2})

    async def get_response(self, request, context):
        print("cat")
        yield "Dog says: " + await context.final_text("Dog", request.query[-1].content)

class Dog(Bot):
    async def get_settings(self, request, context):
        return SettingsResponse(enable_multi_entity_prompting=MULTI, introduction_message="wuff")

    async def get_response(self, request, context):
        print("dog")
        await context.capture_cost(CostItem(7, "a bone"))
        seen = [[each.role, each.content, each.sender.name if each.sender else None] for each in request.query]
        yield json.dumps({"seen": seen, "key": context.access_key})
"""


@asynccontextmanager
async def two_bots(
    folder: Path, *, access_key: str | None = None, multi: bool = False
) -> AsyncGenerator[PlaygroundPage]:
    file = folder / "bots.py"
    file.write_text(BOTS.replace("MULTI", str(multi)))
    played = [PlayedBot(target=f"{file}:{name}", access_key=access_key) for name in ("Cat", "Dog")]
    async with playing(*played) as page:
        await page.until(lambda: page.bot("Cat").get("settings") and page.bot("Dog").get("settings"))
        yield page


COMPAT = """
import poeproto_compat as fp

class Cat(fp.PoeBot):
    async def get_settings(self, setting):
        return fp.SettingsResponse(server_bot_dependencies={"Dog": 2})

    async def get_response(self, request):
        said = await fp.get_final_response(request, bot_name="Dog", api_key=request.access_key)
        yield fp.PartialResponse(text="Dog says: " + said)

app = fp.make_app(Cat(), allow_without_key=True)
"""


async def test_calls_under_fastapi_poes_names_stay_in_the_playground(tmp_path: Path) -> None:
    (tmp_path / "bots.py").write_text(BOTS.replace("MULTI", "False"))
    (tmp_path / "cat.py").write_text(COMPAT)
    played = [PlayedBot(target=f"{tmp_path}/cat.py:app", name="Cat"), PlayedBot(target=f"{tmp_path}/bots.py:Dog")]
    async with playing(*played) as page:
        await page.until(lambda: page.bot("Cat").get("settings") and page.bot("Dog").get("settings"))
        reply = await page.ask("hello", bot="Cat")
        assert reply["status"] == "complete", reply
        assert [each[:2] for each in seen_by_dog(reply)] == [["user", "hello"]]
        asked, called = await exchanges(page, "query")
        assert (asked["bot"], called["bot"]) == ("Cat", "Dog")


def seen_by_dog(reply: dict[str, Any]) -> list[list[str | None]]:
    return json.loads(reply["texts"][0]["text"].removeprefix("Dog says: "))["seen"]


async def exchanges(page: PlaygroundPage, kind: str) -> list[dict[str, Any]]:
    return [each for each in (await page.get("state"))["exchanges"] if each["kind"] == kind]


def printed(page: PlaygroundPage) -> list[dict[str, Any]]:
    """What the bots have printed. On a busy machine, warnings of slow steps may be logged beside it."""
    return [each for each in page.state["logs"] if each["logger"] == "stdout"]


@pytest.mark.parametrize("access_key", [None, "k" * 32], ids=["own keys", "one key"])
async def test_a_bot_that_another_calls(tmp_path: Path, access_key: str | None) -> None:
    async with two_bots(tmp_path, access_key=access_key) as page:
        reply = await page.ask("hello")
        assert reply["status"] == "complete", reply
        assert [each[:2] for each in seen_by_dog(reply)] == [["user", "hello"]]
        asked, called = await exchanges(page, "query")
        [call] = await exchanges(page, "call")
        [cost] = await exchanges(page, "cost")
        # Each belongs to what caused it, and the reply's exchange is that of the bot which the user has asked.
        assert (asked["bot"], asked["parent"], reply["exchange"]) == ("Cat", None, asked["id"])
        assert (call["bot"], call["parent"]) == ("Cat", asked["id"])
        assert (called["bot"], called["parent"]) == ("Dog", call["id"])
        assert (cost["bot"], cost["parent"]) == ("Dog", called["id"])
        assert {each["message"] for each in (asked, call, called, cost)} == {reply["id"]}
        await page.until(lambda: len(printed(page)) == 2)
        # Each bot is a process with a pipe of its own, so they come in either order.
        lines = sorted((each["text"], each["bot"], each["exchange"]) for each in printed(page))
        assert lines == [("cat", "Cat", asked["id"]), ("dog", "Dog", called["id"])]


@pytest.mark.parametrize(
    ("fault", "outcome"),
    [
        ({"kind": "status", "status": 503}, (503, "eof")),
        ({"kind": "rate_limited", "retry_after": 1}, (429, "eof")),
        ({"kind": "truncate_events", "events": 1}, (200, "reset")),
        ({"kind": "truncate", "size": 20}, (200, "reset")),
        ({"kind": "reset"}, (200, "reset")),
        ({"kind": "garbage"}, (200, None)),  # the bot may disconnect before the end
        ({"kind": "slow", "seconds": 0.01}, (200, "eof")),
    ],
    ids=["status", "rate limit", "truncated events", "truncated", "reset", "garbage", "slow"],
)
async def test_each_fault_applies_to_the_next_call(
    tmp_path: Path, fault: dict[str, Any], outcome: tuple[int, str | None]
) -> None:
    async with two_bots(tmp_path) as page:
        await page.post("faults", where="Dog", **fault)
        await page.until(lambda: page.state["faults"])
        reply = await page.ask("hello")
        await page.until(lambda: not page.state["faults"])
        call = (await exchanges(page, "call"))[0]
        status, ending = outcome
        assert call["status"] == status
        assert ending in (None, call["outcome"]), call
        assert reply["status"] == ("complete" if fault["kind"] in ("slow", "status", "rate_limited") else "failed"), (
            reply
        )


async def test_a_silent_fault_lasts_until_the_reply_is_stopped(tmp_path: Path) -> None:
    async with two_bots(tmp_path) as page:
        await page.post("faults", where="Dog", kind="silent")
        conversation = (await page.post("conversations"))["id"]
        sent = await page.post(f"conversations/{conversation}/messages", text="hello")
        await page.until(lambda: [each for each in page.state["exchanges"] if each["kind"] == "call"])
        await page.post(f"conversations/{conversation}/stop")
        assert (await page.ended(sent["reply"]))["status"] == "stopped"
        await page.until(lambda: all(each["outcome"] for each in page.state["exchanges"]))


async def test_a_mention_queries_the_other_bot_in_the_same_conversation(tmp_path: Path) -> None:
    async with two_bots(tmp_path) as page:
        first = await page.ask("hello")
        second = await page.ask("@Dog and you?", first["conversation"])
        assert second["bot"] == "Dog"
        answer = first["texts"][0]["text"]
        assert [[role, text] for role, text, _ in seen_by_dog(second)] == [
            ["user", "hello"],
            ["bot", answer],
            ["user", "@Dog and you?"],
        ]
        assert seen_by_dog(second)[1][2] == "Cat"
        # The conversation stays Cat's.
        assert (await page.ask("again", first["conversation"]))["bot"] == "Cat"
        assert (await page.ask("@Doggy hello", first["conversation"]))["bot"] == "Cat"


async def test_an_edit_without_the_mention_queries_the_bot_of_the_conversation(tmp_path: Path) -> None:
    async with two_bots(tmp_path) as page:
        first = await page.ask("@Dog hello", parameters={"bone": 1})
        conversation = first["conversation"]
        edited = await page.post(f"conversations/{conversation}/edit", message=first["asked"], text="hello")
        assert (await page.ended(edited["reply"]))["bot"] == "Cat"


async def test_parameters_of_a_mentioned_bot_are_not_those_of_the_conversation(tmp_path: Path) -> None:
    async with two_bots(tmp_path) as page:
        first = await page.ask("hello", parameters={"breed": "manx"})
        await page.ask("@Dog hello", first["conversation"], parameters={"bone": 1})
        state = await page.get(f"conversations/{first['conversation']}")
        assert state["conversation"]["parameters"] == {"breed": "manx"}


async def test_a_mentioned_bot_that_wants_several_authors_in_one_message(tmp_path: Path) -> None:
    async with two_bots(tmp_path, multi=True) as page:
        first = await page.ask("hello")
        [before, last] = seen_by_dog(await page.ask("@Dog and you?", first["conversation"]))
        assert "Cat: Dog says" in str(before[1])
        assert last[1] == "@Dog and you?"


async def test_bots_of_one_class_have_names_of_their_own(tmp_path: Path) -> None:
    file = tmp_path / "bots.py"
    file.write_text(BOTS.replace("MULTI", "False"))
    target = f"{file}:Dog"
    async with playing(
        PlayedBot(target=target), PlayedBot(target=target), PlayedBot(target=target, name="Rex")
    ) as page:
        await page.until(lambda: all(page.bot(name).get("settings") for name in ("Dog", "Dog-2", "Rex")))
        for name in ("Dog", "Dog-2", "Rex"):
            assert (await page.ask(f"@{name} hello"))["bot"] == name
        await page.post("bots/Rex/reload")
        await page.until(lambda: page.bot("Rex")["generation"] == 2)
        assert [each["name"] for each in (await page.get("state"))["bots"]][-1] == "Rex"
        assert {each["generation"] for each in page.state["bots"] if each["name"] != "Rex"} == {1}


async def test_the_first_bot_is_queried_by_default(tmp_path: Path) -> None:
    async with two_bots(tmp_path) as page:
        url = page.playground.engine.bots["Dog"].url
    assert url is not None
    file = tmp_path / "bots.py"
    async with playing(PlayedBot(target=f"{file}:Cat"), PlayedBot(url=url, name="Remote")) as page:
        await page.until(lambda: page.bot("Cat").get("settings") and page.bot("Remote").get("settings_error"))
        assert (await page.get("state"))["default_bot"] == "Cat"
