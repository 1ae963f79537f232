"""For tests of bots, servers and SDKs: two exchanges back to back, ways to cut bytes, and sample traffic."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import pairwise

from poeproto.bot_exchange import BotExchange
from poeproto.controls import (
    AspectRatio,
    AspectRatioOption,
    Comparison,
    Control,
    Divider,
    DropDown,
    DropDownOption,
    LiteralValue,
    ParameterValue,
    Slider,
    TextArea,
    TextField,
    ToggleSwitch,
)
from poeproto.events import Data, Done, Event, File, Json, Meta, ReplaceResponse, SuggestedReply, Text
from poeproto.http import HttpResponse, RequestHead, ResponseHead
from poeproto.limits import Limits
from poeproto.messages import Attachment, Feedback, Message, Reaction, Sender, User
from poeproto.parameter_controls import ConditionalControls, ParameterControls, Section, Tab
from poeproto.poe_exchange import PoeExchange
from poeproto.requests import QueryRequest, Request
from poeproto.settings import SettingsResponse

# What a key looks like, and plainly none.
TEST_ACCESS_KEY = "not-a-real-key-" + "0" * 17


class ExchangePair:
    """A bot's side and Poe's side of one exchange, connected in memory.

    Args:
        access_key: the key both sides use, or None for none.
        limits: the bounds both sides keep.
        cut: how the bytes of the answer are cut on their way; whole by default.

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
        """Send the request from Poe to the bot, and return what the bot reads.

        Raises:
            RemoteProtocolError: as `BotExchange` raises it.
        """
        sent = self.poe.send(request, "http://bot.invalid/")
        self.bot.receive_head(RequestHead(sent.method, "/", sent.headers))
        assert isinstance(sent.body, bytes)  # only uploads have another
        for part in self._cut(sent.body):
            self.bot.receive_data(part)
        return self.bot.receive_eof()

    def begin(self) -> ResponseHead:
        """Open the stream on both sides."""
        head = self.bot.begin()
        self.poe.receive_head(head)
        return head

    def send(self, *events: Event) -> list[Event]:
        """Send events from the bot to Poe, and return what Poe reads."""
        return self._deliver(b"".join(map(self.bot.send, events)))

    def heartbeat(self) -> list[Event]:
        """Send a heartbeat, and return what Poe reads: nothing, if all is well."""
        return self._deliver(self.bot.heartbeat())

    def answer(self, settings: SettingsResponse | None) -> SettingsResponse | None:
        """Answer a call, and return what Poe reads."""
        self._respond(self.bot.answer(settings))
        return self.poe.settings

    def fail(self, error_id: str) -> list[Event]:
        """Let the bot fail, and return what Poe reads of it.

        Raises:
            RequestRefused: when the answer had not begun, so that Poe reads a status of 500.
        """
        apology = self.bot.fail(error_id)
        return self._respond(apology) if isinstance(apology, HttpResponse) else self._deliver(apology)

    def _deliver(self, data: bytes) -> list[Event]:
        return [event for part in self._cut(data) for event in self.poe.receive_data(part)]

    def _respond(self, response: HttpResponse) -> list[Event]:
        self.poe.receive_head(ResponseHead(response.status, response.headers))
        return [*self._deliver(response.body), *self.poe.receive_eof()]


def bytewise(data: bytes) -> list[bytes]:
    """The bytes, one at a time."""
    return [data[index : index + 1] for index in range(len(data))]


def two_way_splits(data: bytes) -> Iterator[list[bytes]]:
    """Every way to cut the bytes in two."""
    for index in range(len(data) + 1):
        yield [data[:index], data[index:]]


def cut_at(data: bytes, places: Iterable[int]) -> list[bytes]:
    """The bytes, cut at these offsets: pass random ones for a random cut. Offsets outside are clamped."""
    edges = [0, *sorted(min(max(place, 0), len(data)) for place in places), len(data)]
    return [data[start:end] for start, end in pairwise(edges)]


def sample_query(text: str = "Hello, bot") -> QueryRequest:
    """A query with one of everything in it, the last message holding the text."""
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
    """A legal reply with every event of a success in it."""
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
    """Settings with one of everything in them, every kind of control included."""
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
