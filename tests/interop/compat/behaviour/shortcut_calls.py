"""Cases: `get_final_response` and `get_bot_response`, which call `stream_request`."""

# The arguments of both libraries, many of them wrong, in lambdas without annotations.
# pyright: basic, reportArgumentType=false, reportInvalidTypeForm=false

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from typing import Any

import httpx

from .bots import a_query
from .call_outcomes import FINAL, HELLO, LEFT_OUT, REFUSED, RETRYABLE, TEXT, of_message, queries, without_null
from .cases import Case, Side, each_case, shown
from .peer import DONE, stream
from .stream_calls import PARAMETER_DIFFERENCES, STREAM_DIFFERENCES, both_streams, raising
from .tool_calls import END, TOOL, call_chunk, one


async def final(side: Side, *responses: bytes, **options: Any) -> Any:
    base_url = side.serve(*responses)
    quiet = {"api_key": "k", "on_error": lambda exc, message: None, "retry_sleep_time": 0}
    given = {**quiet, "base_url": base_url, **options}
    given = {key: value for key, value in given.items() if value is not LEFT_OUT}
    text = await side.client.get_final_response(
        given.pop("request", None) or a_query(side), given.pop("bot_name", "Cat"), **given
    )
    return text, queries(side)


async def final_headers(side: Side, *names: str, **options: Any) -> Any:
    await final(side, HELLO, **options)
    return side.exchange.headers(*names)


def final_cases() -> Iterator[Case]:
    row = "client.get_final_response(request)"
    for given, responses in both_streams().items():
        yield Case(row, given, lambda side, r=responses: final(side, *r), FINAL_DIFFERENCES.get(given))
    inputs: dict[str, dict[str, Callable[[Side], Any]]] = {
        "bot_name": {value: lambda side, v=value: final(side, HELLO, bot_name=v) for value in ("Cat", "A Cat", "é")},
        "api_key": {"a key": lambda side: final_headers(side, "authorization", api_key="k")},
        "access_key": {"a key": lambda side: final(side, HELLO, access_key="k")},
        "session": {"httpx": final_with_session, "None": lambda side: final(side, HELLO, session=None)},
        "on_error": {
            "the default": lambda side: final(side, REFUSED, HELLO, on_error=LEFT_OUT),
            "raising": lambda side: final(side, REFUSED, HELLO, on_error=raising),
        },
        "num_tries": {
            str(n): lambda side, n=n: final(side, REFUSED, REFUSED, HELLO, num_tries=n) for n in (1, 2, 3, 0)
        },
        "retry_sleep_time": {
            str(n): lambda side, n=n: final(side, REFUSED, HELLO, retry_sleep_time=n) for n in (0, 0.01)
        },
        "base_url": {
            "no URL": lambda side: final(side, HELLO, base_url="x"),
            "nobody listens": lambda side: final(side, HELLO, base_url="http://127.0.0.1:1/"),
        },
    }
    for parameter, cases_of in inputs.items():
        yield from each_case(f"client.get_final_response({parameter})", cases_of, PARAMETER_DIFFERENCES.get(parameter))


# Differences that a text alone does not show.
FINAL_DIFFERENCES = {
    given: key for given, key in STREAM_DIFFERENCES.items() if given not in ("meta without keys", "json alone", "data")
}


async def final_with_session(side: Side) -> Any:
    async with httpx.AsyncClient() as session:
        return await final(side, HELLO, session=session), session.is_closed


async def shortcut(side: Side, name: str, *responses: bytes, **options: Any) -> Any:
    """The messages of a call, and the query that is sent."""
    base_url = side.serve(*responses)
    messages = options.pop("messages", [side.types.ProtocolMessage(role="user", content="hi")])
    given = {"messages": messages, "bot_name": "Cat", "api_key": "k", "base_url": base_url, **options}
    if name == "get_bot_response":
        found = [each async for each in side.client.get_bot_response(**given)]
    else:
        found = await asyncio.to_thread(lambda: list(side.client.get_bot_response_sync(**given)))
    bodies = [without_null(body) for body in side.exchange.bodies()]
    for body in bodies:
        for key in ("access_key", "api_key"):
            body.pop(key, None)
    return [of_message(each) for each in found], bodies, side.exchange.headers("authorization"), queries(side)


def shortcut_parameters(name: str) -> dict[str, dict[str, Callable[[Side], Any]]]:
    def run(**options: Any) -> Callable[[Side], Any]:
        return lambda side: shortcut(side, name, HELLO, **options)

    def values(parameter: str, *given: Any) -> dict[str, Callable[[Side], Any]]:
        return {shown(value): run(**{parameter: value}) for value in given}

    return {
        "messages": {
            "a message": run(),
            "none": run(messages=[]),
            "None": run(messages=None),
            "dicts": run(messages=[{"role": "user", "content": "hi"}]),
            "of all roles": run(
                messages=[{"role": role, "content": "é"} for role in ("system", "user", "bot", "tool")]
            ),
            "of a wrong role": run(messages=[{"role": "assistant", "content": "hi"}]),
            "an error": lambda side: shortcut(side, name, FINAL),
            "an error that allows a retry": lambda side: shortcut(side, name, RETRYABLE, HELLO),
            "a stream without done": lambda side: shortcut(side, name, stream(TEXT)),
        },
        "bot_name": values("bot_name", "Cat", "A Cat", "é", ""),
        "api_key": values("api_key", "k", ""),
        "temperature": values("temperature", None, 0, 0.5, "0.5", "x"),
        "skip_system_prompt": values("skip_system_prompt", None, True, False),
        "adopt_current_bot_name": values("adopt_current_bot_name", None, True, False),
        "logit_bias": values("logit_bias", None, {}, {"1": 2.5}),
        "stop_sequences": values("stop_sequences", None, [], ["x"], "x"),
        "base_url": values("base_url", "x", "http://127.0.0.1:1/"),
        "tools": {
            "a tool": lambda side: shortcut(side, name, HELLO, tools=[side.types.ToolDefinition(**TOOL)]),
            "None": run(tools=None),
        },
        "tool_executables": {
            "a function": lambda side: shortcut(
                side,
                name,
                stream(call_chunk(), END, DONE),
                HELLO,
                tools=[side.types.ToolDefinition(**TOOL)],
                tool_executables=[one],
            ),
        },
        "session": {"None": run(session=None), "httpx": lambda side: shortcut_with_session(side, name)},
    }


SHORTCUT_DIFFERENCES: dict[str, dict[str, str]] = {
    "messages": {"a stream without done": "incomplete"},
    "api_key": {"''": "accepted"},
}


async def shortcut_with_session(side: Side, name: str) -> Any:
    session = httpx.AsyncClient(headers={"x-session": "1"})
    result = await shortcut(side, name, HELLO, session=session)
    seen = side.exchange.headers("x-session"), session.is_closed
    if name == "get_bot_response":
        await session.aclose()
    return result, seen
