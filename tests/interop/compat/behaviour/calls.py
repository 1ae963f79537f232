"""Cases: calls of other bots, answered by a script."""

# The arguments of both libraries, many of them wrong, in lambdas without annotations.
# pyright: basic, reportArgumentType=false, reportInvalidTypeForm=false

from __future__ import annotations

from collections.abc import Iterator

from .call_outcomes import streamed
from .cases import Case, each_case
from .shortcut_calls import SHORTCUT_DIFFERENCES, final_cases, shortcut_parameters
from .stream_calls import PARAMETER_DIFFERENCES, STREAM_DIFFERENCES, both_streams, parameters
from .tool_calls import TOOL_CALLS, TOOL_DIFFERENCES, TOOLS, TOOLS_SENT


def cases() -> Iterator[Case]:
    for name in ("stream_request", "stream_request_base"):
        for given, responses in both_streams().items():
            yield Case(
                f"a reply to client.{name}",
                given,
                lambda side, n=name, r=responses: streamed(side, *r, name=n),
                STREAM_DIFFERENCES.get(given),
            )
        for parameter, inputs in parameters(name).items():
            yield from each_case(f"client.{name}({parameter})", inputs, PARAMETER_DIFFERENCES.get(parameter))
    yield from each_case("client.stream_request_base(tool_calls)", TOOLS_SENT)
    yield from each_case("client.stream_request_base(tool_results)", TOOLS_SENT)
    yield from each_case("client.stream_request(tool_executables)", TOOLS, TOOL_DIFFERENCES)
    yield from each_case("client.stream_request(tools)", TOOL_CALLS, TOOL_DIFFERENCES)
    yield from final_cases()
    for name in ("get_bot_response", "get_bot_response_sync"):
        for parameter, inputs in shortcut_parameters(name).items():
            yield from each_case(f"client.{name}({parameter})", inputs, SHORTCUT_DIFFERENCES.get(parameter))
