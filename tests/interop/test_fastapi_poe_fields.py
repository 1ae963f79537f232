"""Optional fields set and unset in every combination, as a server of fastapi_poe reads them: it answers each query.

A missing key that its models require makes it answer with status 500, for every user of the bot.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterable, Generator, Iterable, Iterator
from itertools import chain, combinations, product
from typing import Any

import attrs
import fastapi_poe
import pytest

from poeproto import (
    Attachment,
    Feedback,
    FunctionCall,
    FunctionDefinition,
    Message,
    QueryRequest,
    Reaction,
    ReportErrorRequest,
    ReportFeedbackRequest,
    ReportReactionRequest,
    RequestRefused,
    Sender,
    ToolCall,
    ToolDefinition,
    ToolResult,
    User,
    encode_request,
)
from poeproto.conversation import reduce_to_specification
from poeproto_h11 import Client

from ..support.bots import KEY
from ..support.fastapi_poe_peers import server_of

pytestmark = [
    pytest.mark.anyio,
    # fastapi_poe calls pydantic 2 by pydantic 1's names.
    pytest.mark.filterwarnings("ignore::pydantic.warnings.PydanticDeprecatedSince20"),
]


class Answering(fastapi_poe.PoeBot):
    async def get_response(self, request: fastapi_poe.QueryRequest) -> AsyncIterable[Any]:
        yield fastapi_poe.PartialResponse(text="read")


@pytest.fixture(scope="module")
def address() -> Generator[str]:
    """The address of a server with their bot."""
    with server_of(Answering()) as address:
        yield address


def subsets(options: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Every choice of these arguments, from none to all."""
    names = chain.from_iterable(combinations(options, count) for count in range(len(options) + 1))
    return ({name: options[name] for name in chosen} for chosen in names)


def every(cls: type[Any], *required: Any, **optional: Any) -> list[Any]:
    """A value for each choice of optional arguments."""
    return [cls(*required, **chosen) for chosen in subsets(optional)]


SCHEMA = {"type": "object", "properties": {"town": {"type": "string"}}, "required": ["town"]}
SCHEMAS: list[dict[str, Any]] = [{}, *subsets(SCHEMA), {"type": None, "properties": None}]
TOOLS = [
    ToolDefinition(FunctionDefinition("weather", description, schema))
    for description, schema in product((None, "", "How it is outside."), (None, *SCHEMAS))
]
TOOL_CALLS = [ToolCall("call", FunctionCall("weather")), ToolCall("call", FunctionCall("weather", "{}"))]
ATTACHMENTS = every(Attachment, "https://a.invalid/a", "text/plain", "a", inline_ref="r", parsed_content="text")
FEEDBACK = [*every(Feedback, "like", reason="good"), *every(Feedback, "dislike", reason="")]
SENDERS = every(Sender, id="u", name="Ada")
MESSAGE_FIELDS: dict[str, Any] = {
    "content_type": "text/plain",
    "message_type": "function_call",
    "parameters": {"a": 1},
    "timestamp": 1,
    "message_id": "m",
    "sender": Sender(),
    "sender_id": "u",
    "feedback": FEEDBACK,
    "attachments": ATTACHMENTS,
    "metadata": "noted",
    "referenced_message": Message("bot", "before"),
    "reactions": every(Reaction, user_id="u", reaction="like"),
}
MESSAGES = [
    *(Message(role, "text") for role in ("system", "user", "bot", "tool")),
    *(Message("user", "text", sender=sender) for sender in SENDERS),
]
QUERY_FIELDS: dict[str, Any] = {
    "user_id": "u",
    "conversation_id": "c",
    "message_id": "m",
    "metadata": "d-x",
    "temperature": 0.5,
    "skip_system_prompt": True,
    "logit_bias": {"1": 2.0},
    "stop_sequences": ["."],
    "language_code": "de",
    "adopt_current_bot_name": False,
    "bot_query_id": "b",
    "users": every(User, id="u", name="Ada"),
    "tools": TOOLS,
    "tool_calls": TOOL_CALLS,
    "tool_results": [ToolResult("call", "weather", "sunny")],
    "query_creation_time": 1,
    "extra_params": {"a": None},
}


def test_every_optional_field_is_in_these_tests() -> None:
    for cls, fields in ((Message, MESSAGE_FIELDS), (QueryRequest, QUERY_FIELDS)):
        optional = {field.name for field in attrs.fields(cls) if field.default is not attrs.NOTHING}
        assert optional - {"extra", "version"} == fields.keys()


def read(requests: Iterable[QueryRequest]) -> None:
    """Read the queries as their server does, without HTTP: it takes thousands."""
    for request in requests:
        fastapi_poe.QueryRequest.model_validate(json.loads(encode_request(request)))


def test_their_models_read_any_combination_of_the_fields_of_a_message() -> None:
    few = {**MESSAGE_FIELDS, "feedback": [Feedback("like")], "attachments": ATTACHMENTS[:1]}
    messages = [Message("user", "text", **chosen) for chosen in subsets(few)]
    assert len(messages) == 2**12
    read([QueryRequest([*MESSAGES, *messages])])


def test_their_models_read_any_combination_of_three_fields_of_a_query() -> None:
    alone = {name: {name: value} for name, value in QUERY_FIELDS.items()}
    for first, second, third in combinations(alone.values(), 3):
        read([QueryRequest([], **{**first, **second, **third})])
    for left_out in combinations(QUERY_FIELDS, 2):
        read([QueryRequest([], **{name: QUERY_FIELDS[name] for name in QUERY_FIELDS if name not in left_out})])


def one_by_one() -> Iterator[QueryRequest]:
    """No field at all, each alone, all but each, and all; the messages have theirs in the same way."""
    for fields, make in ((QUERY_FIELDS, of_query), (MESSAGE_FIELDS, of_message)):
        yield make({})
        yield make(fields)
        for name, value in fields.items():
            yield make({name: value})
            yield make({other: fields[other] for other in fields if other != name})


def of_query(chosen: dict[str, Any]) -> QueryRequest:
    return QueryRequest(MESSAGES, **chosen)


def of_message(chosen: dict[str, Any]) -> QueryRequest:
    return QueryRequest([Message("user", "text", **chosen)])


async def test_fastapi_poe_answers_a_query_whatever_is_set(address: str) -> None:
    async with Client(access_key=KEY) as client:
        for request in one_by_one():
            assert await client.query(address, request).text() == "read"


async def test_fastapi_poe_answers_the_other_requests_whatever_is_set(address: str) -> None:
    async with Client(access_key=KEY) as client:
        await client.settings(address)
        for some in subsets({"message_id": "m", "user_id": "u", "conversation_id": "c"}):
            await client.report_feedback(address, ReportFeedbackRequest(feedback_type="like", **some))
            await client.report_reaction(address, ReportReactionRequest(**some))
            await client.report_reaction(address, ReportReactionRequest(reaction="heart", **some))
        for some in subsets({"message": "wrong", "metadata": {"a": 1}}):
            await client.report_error(address, ReportErrorRequest(**some))


UNSPECIFIED = QueryRequest(
    [
        Message("developer", "a", content_type="text/html", message_type="new", feedback=[Feedback("meh")]),
        Message("user", "b", referenced_message=Message("assistant", "c"), extra={"new": 1}),
    ],
    tools=[ToolDefinition(None, "custom", extra={"custom": {"name": "shell"}})],
    tool_calls=[ToolCall("call", None, "custom", extra={"custom": {"name": "shell", "input": "ls"}})],
    tool_results=[ToolResult("call", "shell", "a.txt")],
)


async def test_a_query_beyond_the_specification_is_answered_once_it_is_reduced(address: str) -> None:
    async with Client(access_key=KEY) as client:
        with pytest.raises(RequestRefused) as caught:
            await client.query(address, UNSPECIFIED).text()
    assert caught.value.status == 500
    async with Client(access_key=KEY) as client:  # a connection of its own: after a 500, theirs closes it unannounced
        assert await client.query(address, reduce_to_specification(UNSPECIFIED)).text() == "read"
