"""Mistakes of a bot's author, each in one line for the log: the place in the bot, the value, and the expectation."""

from __future__ import annotations

import ast
import inspect
import linecache
import re
import textwrap
import traceback
from collections.abc import Awaitable, Callable, Iterator
from types import CodeType, FrameType
from typing import Any, TypeVar, cast

import attrs

from poeproto import Bot, Data, Done, File, Json, Meta, SettingsResponse
from poeproto_runtime.bot_failures import exceptions_in
from poeproto_runtime.code_origin import is_library, is_ours
from poeproto_runtime.printable import printable_line

T = TypeVar("T")

_LONGEST_LINE = 500
# Messages of Python about a coroutine in place of its result, and of trio about awaiting an object of asyncio.
_COROUTINE = re.compile("""['"]coroutine['"]|got coroutine""")
# The methods of the context, by names that bot authors know from elsewhere.
_CONTEXT_METHODS = {
    "query": "query_bot",
    "stream_request": "query_bot",
    "get_final_response": "final_text",
    "post_message_attachment": "post_attachment",
    "authorize_cost": "authorize_cost",
    "capture_cost": "capture_cost",
}
_TEXTLESS = (Data, Done, File, Json, Meta)
_FOREIGN_YIELD = "trio.run received unrecognized yield message"

# The methods that a bot may override, and the parameters that they are called with.
_METHODS = ("get_response", "get_settings", "on_feedback", "on_reaction", "on_error")
_PARAMETERS = "(self, request, context)"
_SETTINGS = frozenset(field.name for field in attrs.fields(SettingsResponse)) - {"extra"}


def failure_line(exc: BaseException, function: object, place: str | None = None) -> str:
    """A bot's failure in one line: file and line of the bot's code, the exception, and how to fix it.

    Args:
        exc: the exception.
        function: the bot's function that was called; its definition is the place if no code of the bot's raised.
        place: where the bot was, if it did not raise by itself: at the `yield` of something that cannot be sent.
    """
    leaf = next(exceptions_in(exc))
    place = place or _place_in_traceback(leaf, function) or place_of(function)
    advice = _advice(leaf)
    line = f"{place}: {type(leaf).__name__}: {leaf}" + (f"; {advice}" if advice else "")
    return one_line(line)


def one_line(text: str) -> str:
    """The text as one line that is safe to be printed, and not longer than a line of the log may be."""
    line = printable_line(" ".join(text.splitlines()))
    return line if len(line) <= _LONGEST_LINE else line[: _LONGEST_LINE - 1] + "…"


def place_of(function: object) -> str:
    """File and line of a function's definition; its name if it has no code in Python."""
    code = _code_of(function)
    return repr(function) if code is None else f"{code.co_filename}:{code.co_firstlineno}"


def place_of_yield(events: object) -> str | None:
    """File and line at which an asynchronous generator of the bot's is suspended; None for anything else."""
    frame = cast("FrameType | None", getattr(events, "ag_frame", None))
    if frame is None or is_ours(frame.f_code.co_filename):
        return None
    return f"{frame.f_code.co_filename}:{frame.f_lineno}"


def place_of_caller(depth: int = 2) -> str:
    """File and line of the function that called the caller of this one."""
    frame = inspect.currentframe()
    for _ in range(depth):
        frame = frame and frame.f_back
    return "?" if frame is None else f"{frame.f_code.co_filename}:{frame.f_lineno}"


def check_methods(bot: Bot) -> None:
    """Check that the methods of a bot can be called with a request and a context.

    Raises:
        TypeError: for the first method that cannot; the message names its file and line.
    """
    for name in _METHODS:
        method = getattr(bot, name)
        if not callable(method):
            raise TypeError(f"{type(bot).__name__}.{name} must be a method {name}{_PARAMETERS}; it is {_kind(method)}")
        try:
            signature = inspect.signature(method)
        except (TypeError, ValueError):
            continue  # a callable without a signature, in C for instance
        try:
            signature.bind(None, None)
        except TypeError:
            raise TypeError(
                f"{place_of(method)}: {type(bot).__name__}.{name} must take {_PARAMETERS}; without self it takes"
                f" {signature}"
            ) from None


def unsent_settings(bot: Bot) -> Iterator[str]:
    """The attributes of a bot that look like settings, and are not sent: it does not override `get_settings`.

    They are a `SettingsResponse`, or have the name of a setting, or are a dict of settings called `settings`.
    """
    if type(bot).get_settings is not Bot.get_settings:
        return
    own = type(bot).__mro__[: type(bot).__mro__.index(Bot)]
    attributes = {
        name: value for part in (*reversed(own), bot) for name, value in getattr(part, "__dict__", {}).items()
    }
    for name, value in attributes.items():
        is_dict = isinstance(value, dict) and not _SETTINGS.isdisjoint(cast("dict[object, object]", value))
        if isinstance(value, SettingsResponse) or name in _SETTINGS or (name == "settings" and is_dict):
            yield name


async def call_method(method: Callable[..., Awaitable[T]], *arguments: object) -> T:
    """Call a method of a bot that must be a coroutine function.

    Raises:
        TypeError: if it is another function; the message names it.
    """
    result = method(*arguments)
    if not isinstance(result, Awaitable):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise TypeError(f"{name_of(method)} must be defined with `async def`; it returned {_kind(result)}")
    return await result


def name_of(function: object) -> str:
    """The name of a function, with its class."""
    return getattr(function, "__qualname__", None) or repr(function)


def yields_after(events: object) -> str | None:
    """File and line of a `yield` that would run next in a bot's generator that has ended its reply; None without one.

    It is found in the source: the statements that follow the one at which the generator is suspended, through the
    first that leaves the block.
    """
    frame = cast("FrameType | None", getattr(events, "ag_frame", None))
    if frame is None or is_ours(frame.f_code.co_filename):
        return None
    code = frame.f_code
    lines, first = _source_of(code)
    try:
        [function] = ast.parse(textwrap.dedent("".join(lines))).body
    except (SyntaxError, ValueError):
        return None  # there is no source, or it has changed
    found = _next_yield(function, frame.f_lineno - first + 1)
    return None if found is None else f"{code.co_filename}:{found + first - 1}"


def _source_of(code: CodeType) -> tuple[list[str], int]:
    lines = linecache.getlines(code.co_filename)
    first = code.co_firstlineno
    return (inspect.getblock(lines[first - 1 :]), first) if 0 < first <= len(lines) else ([], 1)


def _next_yield(block: ast.stmt, line: int) -> int | None:
    for body in _bodies(block):
        for number, statement in enumerate(body):
            if statement.lineno <= line <= (statement.end_lineno or 0):
                inner = _next_yield(statement, line)
                if inner is not None:
                    return inner
                if _leaves(statement, line):
                    return None
                return _first_yield(body[number + 1 :])
    return None


def _bodies(block: ast.stmt) -> Iterator[list[ast.stmt]]:
    for name in ("body", "orelse", "finalbody"):
        yield getattr(block, name, [])
    for part in [*getattr(block, "handlers", []), *getattr(block, "cases", [])]:
        yield part.body


def _leaves(statement: ast.stmt, line: int) -> bool:
    """Whether the block around that line, within this statement, ends with a statement that leaves it."""
    for body in _bodies(statement):
        if body and body[0].lineno <= line <= (body[-1].end_lineno or 0):
            last = body[-1]
            return isinstance(last, ast.Return | ast.Raise | ast.Break | ast.Continue) or any(
                _leaves(inner, line) for inner in body
            )
    return False


def _first_yield(statements: list[ast.stmt]) -> int | None:
    for statement in statements:
        if isinstance(statement, ast.Return | ast.Raise | ast.Break | ast.Continue):
            return None
        for node in ast.walk(statement):
            if isinstance(node, ast.Yield):
                return node.lineno
    return None


def _place_in_traceback(exc: BaseException, function: object) -> str | None:
    code = _code_of(function)
    place = None
    for frame, line in traceback.walk_tb(exc.__traceback__):
        file = frame.f_code.co_filename
        if (code is not None and file == code.co_filename) or not (is_ours(file) or is_library(file)):
            place = f"{file}:{line}"
    return place


def _code_of(function: object) -> CodeType | None:
    unwrapped: Any = inspect.unwrap(function) if callable(function) else function
    code = getattr(unwrapped, "__code__", None)
    return code if isinstance(code, CodeType) else None


def _kind(value: object) -> str:
    return "None" if value is None else f"a value of type {type(value).__name__}"


def _is_bot_or_context(value: object) -> bool:
    return isinstance(value, Bot) or hasattr(value, "query_bot")


def _advice(exc: BaseException) -> str:
    """Advice about an exception whose own message has none."""
    text = str(exc)
    match exc:
        case AttributeError() if exc.name == "text" and isinstance(exc.obj, _TEXTLESS):
            return "only some events have a text: check isinstance(event, Text) first"
        case AttributeError() if attrs.has(type(exc.obj)) and not isinstance(exc, attrs.exceptions.FrozenError):
            return f"its fields are {', '.join(field.name for field in attrs.fields(cast('Any', type(exc.obj))))}"
        case AttributeError() if exc.name in _CONTEXT_METHODS and _is_bot_or_context(exc.obj):
            return f"write context.{_CONTEXT_METHODS[exc.name]}(...)"
        case TypeError() if "exceptions must derive from BaseException" in text:
            return "to end a reply with an error, write `yield Error(text=...)`"
        case AttributeError() | TypeError() if _COROUTINE.search(text):
            return "put `await` before the call that returned it"
        case TypeError() if "async_generator" in text:
            return "iterate over it with `async for`"
        case RuntimeError() | TypeError() if "no running event loop" in text or _FOREIGN_YIELD in text:
            return (
                "this server runs trio, on which functions of asyncio do not work: use anyio, or worker_class='asyncio'"
            )
        case RuntimeError() if "must be called from async context" in text:
            return "this server runs asyncio, on which functions of trio do not work: use anyio, or worker_class='trio'"
        case _:
            return ""
