"""Mistakes of a bot's author: their places, and the log lines."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from poeproto import Bot, BotError, Context, Done, Error, QueryRequest, RequestHead
from poeproto_runtime import BotService, Hooks, Observation, Route
from poeproto_runtime.bot_mistakes import failure_line, one_line, place_of, place_of_yield, yields_after

from ...support.bots import FunctionBot
from ...support.memory_channel import MemoryChannel, answer

pytestmark = pytest.mark.anyio

HERE = str(Path(__file__))
LINES = Path(__file__).read_text(encoding="utf-8").splitlines()


# --- yields after the end of a reply


async def at_the_end(done: bool) -> AsyncIterator[Any]:
    yield "a"
    yield Done()


async def followed(done: bool) -> AsyncIterator[Any]:
    yield Done()
    if done:
        yield "more"  # here


async def returning(done: bool) -> AsyncIterator[Any]:
    if done:
        yield Done()
        return
    yield "a"


async def falling_out_of_a_block(done: bool) -> AsyncIterator[Any]:
    try:
        if done:
            yield Done()
    finally:
        pass
    yield "more"  # here


async def in_a_handler(done: bool) -> AsyncIterator[Any]:
    try:
        raise KeyError
    except KeyError:
        yield Error(
            text="no dogs",
        )
        yield "more"  # here


async def leaving_a_loop(done: bool) -> AsyncIterator[Any]:
    for _ in range(2):
        yield Done()
        break


async def raising(done: bool) -> AsyncIterator[Any]:
    match done:
        case True:
            yield Done()
            raise KeyError
        case _:
            yield "a"
    yield "b"


async def returning_before_more(done: bool) -> AsyncIterator[Any]:
    yield Done()
    if not done:
        return
    print("cleaning up")
    return
    yield "a"


ENDINGS: list[Any] = [
    at_the_end, followed, returning, falling_out_of_a_block, in_a_handler, leaving_a_loop, raising,
    returning_before_more,
]  # fmt: skip


@pytest.mark.parametrize("function", ENDINGS)
async def test_a_yield_after_the_end_is_found(function: Any) -> None:
    events = function(True)
    async for event in events:
        if isinstance(event, Done | Error):
            break
    code = function.__code__
    marked = [
        number for number, line in enumerate(LINES, 1) if line.endswith("# here") and number > code.co_firstlineno
    ]
    nexts = [other.__code__.co_firstlineno for other in ENDINGS if other.__code__.co_firstlineno > code.co_firstlineno]
    expected = [f"{HERE}:{number}" for number in marked if not nexts or number < min(nexts)]
    found = yields_after(events)
    assert ([] if found is None else [found]) == expected[:1]
    await events.aclose()


async def test_nothing_is_found_without_a_source_or_a_suspended_generator() -> None:
    namespace: dict[str, Any] = {"__name__": "elsewhere"}
    exec("async def bot():\n    yield 1\n    yield 2\n", namespace)
    events = namespace["bot"]()
    await anext(events)
    assert yields_after(events) is None
    assert place_of_yield(events) == "<string>:2"
    await events.aclose()
    assert yields_after(events) is None
    assert place_of_yield(iter(())) is None


# --- places


def raised_by(function: Any) -> Exception:
    try:
        function()
    except Exception as exc:  # noqa: BLE001 - whatever it raises
        return exc
    raise AssertionError


def test_the_place_is_the_innermost_line_of_the_bots_own_code() -> None:
    def parse() -> None:
        int("x")
        Path("/nonexistent").read_text(encoding="utf-8")

    def read() -> None:
        Path("/nonexistent").read_text(encoding="utf-8")

    for function, line in ((parse, 1), (read, 1)):
        expected = f"{HERE}:{function.__code__.co_firstlineno + line}: "
        assert failure_line(raised_by(function), function).startswith(expected)
        group = ExceptionGroup("tasks", [ExceptionGroup("more", [raised_by(function)])])
        assert failure_line(group, function).startswith(expected)


def test_without_a_line_of_the_bot_the_place_is_its_definition() -> None:
    line = failure_line(KeyError("a"), test_without_a_line_of_the_bot_the_place_is_its_definition)
    code = test_without_a_line_of_the_bot_the_place_is_its_definition.__code__
    assert line == f"{HERE}:{code.co_firstlineno}: KeyError: 'a'"
    assert place_of(len) == "<built-in function len>"
    assert place_of(5) == "5"


def test_a_line_of_the_log_cannot_be_forged_or_grow() -> None:
    assert one_line("a\nERROR b\x1b[31m") == "a ERROR b\\u001b[31m"
    assert len(one_line("a" * 1000)) == 500
    assert one_line("a" * 500) == "a" * 500


# --- methods


class OldSettings(Bot):
    get_settings = 5  # type: ignore[assignment]


class OldReaction(Bot):
    async def on_reaction(self, request: Any) -> None:  # type: ignore[override]
        pass


class Strange:
    __signature__ = "none"

    def __call__(self, *args: object) -> None: ...


def test_methods_that_cannot_be_called() -> None:
    with pytest.raises(TypeError, match=r"^OldSettings\.get_settings must be a method .*; it is a value of type int$"):
        Route(OldSettings(), allow_without_key=True)
    with pytest.raises(
        TypeError, match=r"test_bot_mistakes\.py:\d+: OldReaction\.on_reaction must take \(self, request"
    ):
        Route(OldReaction(), allow_without_key=True)


def test_a_method_without_a_signature_is_accepted() -> None:
    bot: Any = Bot()
    bot.on_error = Strange()
    Route(bot, allow_without_key=True)


async def test_an_error_of_another_bot_is_not_a_mistake(caplog: pytest.LogCaptureFixture) -> None:
    async def bot(request: QueryRequest, context: Context) -> str:
        raise BotError(Error(text="no dogs"))

    await answer(bot)
    assert HERE not in caplog.text.replace(f'File "{HERE}"', "")


async def test_on_close_accepts_a_function(caplog: pytest.LogCaptureFixture) -> None:
    async def bot(request: QueryRequest, context: Any) -> str:
        context.on_close(None)
        return "hello"

    await answer(bot)
    assert "TypeError: on_close takes an async function, to be called at the end; got None" in caplog.text


async def test_a_hook_that_is_a_coroutine_function_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    async def hook(observation: Observation) -> None:
        raise AssertionError

    async def bot(request: QueryRequest, context: Context) -> str:
        return "hello"

    service = BotService({"/": Route(FunctionBot(bot), allow_without_key=True)}, hooks=Hooks(on_end=hook))
    await service.handle(RequestHead("POST", "/"), "/", MemoryChannel())
    assert "is a coroutine function, and was not run; define it with `def`" in caplog.text
    assert f"{HERE}:{hook.__code__.co_firstlineno}: the hook test_a_hook" in caplog.text
