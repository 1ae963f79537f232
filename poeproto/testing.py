"""Tools for tests of bots, servers and SDKs: exchanges in memory, a driver of flows, ways to cut bytes, sample traffic.

https://creator.poe.com/docs/server-bots/poe-protocol-specification
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from itertools import pairwise
from typing import TypeVar

import attrs

from poeproto.exchange.bot_exchange import BotExchange
from poeproto.exchange.poe_exchange import PoeExchange
from poeproto.flows.calls import CloseResponse, Deliver, Effect, Flow, ReceiveData, ReplyStarted, SendRequest, Wait
from poeproto.flows.tools import tool_result
from poeproto.limits import Limits
from poeproto.vocabulary.controls import (
    AspectRatio,
    AspectRatioOption,
    Comparison,
    ConditionalControls,
    Control,
    Divider,
    DropDown,
    DropDownOption,
    LiteralValue,
    ParameterControls,
    ParameterValue,
    Section,
    Slider,
    Tab,
    TextArea,
    TextField,
    ToggleSwitch,
)
from poeproto.vocabulary.errors import DeadlineExceeded, PoeprotoError
from poeproto.vocabulary.events import Data, Done, Event, File, Json, Meta, ReplaceResponse, SuggestedReply, Text
from poeproto.vocabulary.http import HttpResponse, RequestHead, ResponseHead
from poeproto.vocabulary.http_request import HttpRequest
from poeproto.vocabulary.messages import Attachment, Feedback, Message, Reaction, Sender, User
from poeproto.vocabulary.requests import QueryRequest, Request
from poeproto.vocabulary.settings import SettingsResponse
from poeproto.vocabulary.tools import ToolCall, ToolResult
from poeproto.wire.codec import encode_event

__all__ = [
    "TEST_ACCESS_KEY",
    "ExchangePair",
    "FlowDriver",
    "ResponseInParts",
    "bytewise",
    "cut_at",
    "sample_query",
    "sample_reply",
    "sample_settings",
    "two_way_splits",
]

R = TypeVar("R")

# Has the form of a key, and is obviously not a real one.
TEST_ACCESS_KEY = "not-a-real-key-" + "0" * 17
"""An access key for tests: 32 characters, and visibly not a real one."""


class ExchangePair:
    """The bot side and the Poe side of one exchange, connected in memory.

    Args:
        access_key: the key that both sides use; None for no key.
        limits: the limits of both sides.
        cut: how the response is cut into parts; one part by default.

    Attributes:
        bot: the bot server's exchange.
        poe: the caller's exchange.
    """

    def __init__(
        self,
        access_key: str | None = TEST_ACCESS_KEY,
        limits: Limits | None = None,
        cut: Callable[[bytes], Iterable[bytes]] = lambda data: [data],
    ) -> None:
        self.bot: BotExchange = BotExchange(None if access_key is None else {access_key}, limits)
        self.poe: PoeExchange = PoeExchange(access_key, limits)
        self._cut = cut

    def request(self, request: Request) -> Request:
        """Send a request from Poe to the bot, and return it as the bot receives it.

        Raises:
            RemoteProtocolError: as in `BotExchange`.
        """
        sent = self.poe.send(request, "http://bot.invalid/")
        self.bot.receive_head(RequestHead(sent.method, "/", sent.headers))
        assert isinstance(sent.body, bytes)  # only uploads have another
        for part in self._cut(sent.body):
            self.bot.receive_data(part)
        return self.bot.receive_eof()

    def begin(self) -> ResponseHead:
        """Begin the reply on both sides."""
        head = self.bot.begin()
        self.poe.receive_head(head)
        return head

    def send(self, *events: Event) -> list[Event]:
        """Send events from the bot to Poe, and return the events that Poe receives."""
        return self._deliver(b"".join(map(self.bot.send, events)))

    def heartbeat(self) -> list[Event]:
        """Send a heartbeat, and return the events that Poe receives: there should be none."""
        return self._deliver(self.bot.heartbeat())

    def answer(self, settings: SettingsResponse | None) -> SettingsResponse | None:
        """Respond to a request for settings, or to a report with None, and return the events that Poe receives."""
        self._respond(self.bot.answer(settings))
        return self.poe.settings

    def fail(self, error_id: str) -> list[Event]:
        """Let the bot fail, and return the events that Poe receives.

        Raises:
            RequestRefused: if the reply has not begun, so that Poe receives status 500.
        """
        apology = self.bot.fail(error_id)
        return self._respond(apology) if isinstance(apology, HttpResponse) else self._deliver(apology)

    def _deliver(self, data: bytes) -> list[Event]:
        return [event for part in self._cut(data) for event in self.poe.receive_data(part)]

    def _respond(self, response: HttpResponse) -> list[Event]:
        self.poe.receive_head(ResponseHead(response.status, response.headers))
        return [*self._deliver(response.body), *self.poe.receive_eof()]


@attrs.frozen
class ResponseInParts:
    """A canned response for a `FlowDriver`, with its body in parts.

    Attributes:
        head: the status and headers.
        parts: the parts of the body; an exception among them is a transport failure at that point.
    """

    head: ResponseHead
    parts: Iterable[bytes | PoeprotoError]


class FlowDriver:
    """Drives a flow without any I/O: responds to its requests from a list, and records its effects.

    Args:
        answers: the response to each request, in order: an `HttpResponse`; the events of a reply, in which an exception
            is a transport failure at that point; a `ResponseInParts`; or an exception instead of a response.
        cut: how each body is cut into parts; one part by default.
        run_tool: the result of a tool call.
        longest_wait: seconds; for a longer `Wait`, `DeadlineExceeded` is thrown.

    Attributes:
        requests: the requests that the flow sent.
        events: the events that it delivered.
        waits: the seconds of each `Wait`.
        rounds: the tool calls of each `RunTools`.
        started: the number of `ReplyStarted`.
        closed: the number of `CloseResponse`.
    """

    def __init__(
        self,
        answers: Iterable[HttpResponse | ResponseInParts | Iterable[Event | PoeprotoError] | PoeprotoError],
        cut: Callable[[bytes], Iterable[bytes]] = lambda data: [data],
        run_tool: Callable[[ToolCall], ToolResult] = lambda call: tool_result(call, f"result of {call.id}"),
        longest_wait: float = math.inf,
    ) -> None:
        self.requests: list[HttpRequest] = []
        self.events: list[Event] = []
        self.waits: list[float] = []
        self.rounds: list[list[ToolCall]] = []
        self.started: int = 0
        self.closed: int = 0
        self._answers = iter(answers)
        self._cut = cut
        self._run_tool = run_tool
        self._longest_wait = longest_wait
        self._parts: Iterator[bytes | PoeprotoError] = iter(())

    def run(self, flow: Flow[R]) -> R:
        """Drive a flow to its end, and return its value.

        Raises:
            PoeprotoError: if the flow raises it.
            AssertionError: if it sends more requests than there are responses.
        """
        step: Callable[[], Effect] = partial(next, flow)
        while True:
            try:
                effect = step()
            except StopIteration as stop:
                return stop.value
            try:
                outcome = self._perform(effect)
            except PoeprotoError as exc:
                step = partial(flow.throw, exc)
            else:
                step = partial(flow.send, outcome)

    def _perform(self, effect: Effect) -> object:
        match effect:
            case SendRequest():
                return self._send(effect.request)
            case ReceiveData():
                part = next(self._parts, None)
                if isinstance(part, PoeprotoError):
                    raise part
                return part
            case CloseResponse():
                self.closed += 1
                self._parts = iter(())
            case ReplyStarted():
                self.started += 1
            case Wait():
                if effect.seconds > self._longest_wait:
                    raise DeadlineExceeded("no time would be left")
                self.waits.append(effect.seconds)
            case Deliver():
                self.events.extend(effect)
            case _:  # RunTools
                self.rounds.append(effect.calls)
                return [self._run_tool(call) for call in effect.calls]
        return None

    def _send(self, request: HttpRequest) -> ResponseHead:
        self.requests.append(request)
        answer = next(self._answers, None)
        assert answer is not None, f"there is no response to request {len(self.requests)}"
        if isinstance(answer, PoeprotoError):
            raise answer
        if isinstance(answer, HttpResponse):
            self._parts = iter(self._cut(answer.body))
            return ResponseHead(answer.status, answer.headers)
        if isinstance(answer, ResponseInParts):
            self._parts = iter(answer.parts)
            return answer.head
        self._parts = self._stream(answer)
        return ResponseHead(200, [("content-type", "text/event-stream")])

    def _stream(self, items: Iterable[Event | PoeprotoError]) -> Iterator[bytes | PoeprotoError]:
        for item in items:
            if isinstance(item, PoeprotoError):
                yield item
            else:
                yield from self._cut(encode_event(item))


def bytewise(data: bytes) -> list[bytes]:
    """The bytes, cut into single bytes."""
    return [data[index : index + 1] for index in range(len(data))]


def two_way_splits(data: bytes) -> Iterator[list[bytes]]:
    """The bytes, cut in two in every possible way."""
    for index in range(len(data) + 1):
        yield [data[:index], data[index:]]


def cut_at(data: bytes, places: Iterable[int]) -> list[bytes]:
    """The bytes, cut at these offsets. An offset outside of the bytes is clamped."""
    edges = [0, *sorted(min(max(place, 0), len(data)) for place in places), len(data)]
    return [data[start:end] for start, end in pairwise(edges)]


def sample_query(text: str = "Hello, bot") -> QueryRequest:
    """A query with every field set; the text is in the last message."""
    return QueryRequest(
        query=[
            Message("system", "Be brief."),
            Message(
                "user", "What is this?", attachments=[Attachment("https://files.invalid/a.png", "image/png", "a.png")]
            ),
            Message(
                "bot",
                "A cat 🐈.",
                content_type="text/plain",
                timestamp=1_700_000_000_000_000,
                message_id="m-" + "0" * 32,
                sender=Sender("b-" + "0" * 32, "CatBot"),
                feedback=[Feedback("like", "indeed")],
                reactions=[Reaction("u-" + "0" * 32, "heart")],
                metadata='{"seen": 1}',
            ),
            Message("user", text, parameters={"depth": 3}, referenced_message=Message("bot", "A cat 🐈.")),
        ],
        user_id="u-" + "0" * 32,
        conversation_id="c-" + "0" * 32,
        message_id="m-" + "1" * 32,
        metadata="d-" + "0" * 32,
        temperature=0.5,
        logit_bias={"50256": -100.0},
        stop_sequences=["\n\n"],
        users=[User("u-" + "0" * 32, "Ada")],
        query_creation_time=1_700_000_000_000_000,
        extra_params={"depth": 3},
    )


def sample_reply() -> list[Event]:
    """A legal reply with every kind of event except `error`."""
    return [
        Meta(suggested_replies=True),
        Text("Hel"),
        Text("lo"),
        ReplaceResponse("Good day"),
        Text(", naïve 🐈", index=0),
        File("https://files.invalid/a.png", "a.png", "image/png", inline_ref="a"),
        Json({"choices": [{"delta": {"content": None}}]}),
        Data('{"seen": 2}'),
        SuggestedReply("And then?"),
        Done(),
    ]


def sample_settings() -> SettingsResponse:
    """Settings with every field and every kind of control."""
    shape = AspectRatio(
        label="Shape",
        parameter_name="shape",
        options=[AspectRatioOption(width=1, height=1), AspectRatioOption(width=16, height=9, value="wide")],
        default_value="1:1",
    )
    style = DropDown(
        label="Style",
        parameter_name="style",
        description="How it is drawn.",
        options=[DropDownOption("ink", "Ink"), DropDownOption("oil", "Oil")],
        default_value="oil",
    )
    if_oil = ConditionalControls(
        condition=Comparison(comparator="eq", left=ParameterValue("style"), right=LiteralValue("oil")),
        controls=[Slider(label="Depth", parameter_name="depth", min_value=10, max_value=100, step=5, default_value=50)],
    )
    words: list[Control] = [
        TextField(label="Title", parameter_name="title", default_value="Cat", placeholder="What is it?"),
        TextArea(label="Notes", parameter_name="notes"),
        Divider(),
        ToggleSwitch(label="Sign it", parameter_name="signed", default_value=True),
    ]
    return SettingsResponse(
        server_bot_dependencies={"CatBot": 2},
        allow_attachments=True,
        expand_text_attachments=True,
        enable_image_comprehension=False,
        introduction_message="Welcome to the gallery.",
        enforce_author_role_alternation=False,
        enable_multi_entity_prompting=True,
        rate_card="Ten points a picture.",
        cost_label="10+",
        parameter_controls=ParameterControls(
            [
                Section(name="Picture", controls=[shape, style, if_oil], collapsed_by_default=False),
                Section(tabs=[Tab(name="Words", controls=words), Tab(name="Style", controls=[style])]),
            ]
        ),
    )
