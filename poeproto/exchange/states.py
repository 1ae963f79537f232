"""The rules of an exchange as data: who may send what, when.

One table serves both sides, since each side must follow what the other does: `BotExchange` and `PoeExchange` hold the
same `ExchangeState` and differ only in whose breach is whose fault. A pair (role, state) maps the kinds of thing that
role may send to the state it is in afterwards; the query or call that completes Poe's request moves the bot, too.

https://creator.poe.com/docs/server-bots/poe-protocol-specification
"""

from __future__ import annotations

from enum import Enum, auto

from poeproto.vocabulary.events import (
    Data,
    Done,
    Error,
    Event,
    File,
    Json,
    Meta,
    ReplaceResponse,
    SuggestedReply,
    Text,
)

__all__ = ["State"]


class Role(Enum):
    """The two sides of an exchange. A bot that calls another bot plays Poe's role there."""

    POE = "Poe server"
    BOT = "bot server"


class State(Enum):
    """Where one side stands."""

    IDLE = "nothing was sent yet"
    SEND_BODY = "the head of the request was sent, its body is under way"
    SEND_ANSWER = "the request was read, one JSON answer is due"
    SEND_STREAM = "the query was read, the stream is due"
    OPENED = "the stream is open and has no event yet"
    UNANSWERED = "there were events, none of which is an answer"
    ANSWERED = "there was an answer, and more may come"
    FAILED = "an error event was sent, only done may follow"
    DONE = "everything was sent"
    ERROR = "a rule was broken"


class Kind(Enum):
    """What can be sent, as far as the rules tell things apart."""

    REQUEST_HEAD = auto()
    QUERY = auto()
    CALL = auto()  # a request of another type: settings or a report
    RESPONSE = auto()  # whole: an answer, a refusal, an apology
    STREAM_HEAD = auto()
    META = auto()
    CONTENT = auto()
    ASIDE = auto()  # goes with an answer, but is none
    ERROR = auto()
    DONE = auto()


# Members are looked up in the tables for every event, and Enum's own hash is slow Python. (So is reaching a member
# through its class, which is why hot code compares with sets of them.)
State.__hash__ = object.__hash__
Kind.__hash__ = object.__hash__

KINDS: dict[type[Event], Kind] = {
    Meta: Kind.META,
    Text: Kind.CONTENT,
    ReplaceResponse: Kind.CONTENT,
    File: Kind.CONTENT,
    Json: Kind.CONTENT,
    SuggestedReply: Kind.ASIDE,
    Data: Kind.ASIDE,
    Error: Kind.ERROR,
    Done: Kind.DONE,
}

TRANSITIONS: dict[Role, dict[State, dict[Kind, State]]] = {
    Role.POE: {
        State.IDLE: {Kind.REQUEST_HEAD: State.SEND_BODY},
        State.SEND_BODY: {Kind.QUERY: State.DONE, Kind.CALL: State.DONE},
        State.DONE: {},
        State.ERROR: {},
    },
    Role.BOT: {
        # A refusal may be sent as soon as its reason is known: a wrong key before the body is read.
        State.IDLE: {Kind.QUERY: State.SEND_STREAM, Kind.CALL: State.SEND_ANSWER, Kind.RESPONSE: State.DONE},
        State.SEND_ANSWER: {Kind.RESPONSE: State.DONE},
        State.SEND_STREAM: {Kind.STREAM_HEAD: State.OPENED, Kind.RESPONSE: State.DONE},
        State.OPENED: {
            Kind.META: State.UNANSWERED,
            Kind.ASIDE: State.UNANSWERED,
            Kind.CONTENT: State.ANSWERED,
            Kind.ERROR: State.FAILED,
        },
        State.UNANSWERED: {
            Kind.ASIDE: State.UNANSWERED,
            Kind.CONTENT: State.ANSWERED,
            Kind.ERROR: State.FAILED,
        },
        State.ANSWERED: {
            Kind.ASIDE: State.ANSWERED,
            Kind.CONTENT: State.ANSWERED,
            Kind.ERROR: State.FAILED,
            Kind.DONE: State.DONE,
        },
        State.FAILED: {Kind.DONE: State.DONE},
        State.DONE: {},
        State.ERROR: {},
    },
}

BOT_TRANSITIONS = TRANSITIONS[Role.BOT]

STREAMING = frozenset({State.OPENED, State.UNANSWERED, State.ANSWERED})

# What a reader forgives. A `done` too early still ends the reply (that it is empty shows in the fold) ...
EXCUSED: dict[State, dict[Kind, State]] = {
    State.OPENED: {Kind.DONE: State.DONE},
    State.UNANSWERED: {Kind.DONE: State.DONE},
}
# ... and these are passed over: a `meta` that is not the first event, and all that follows the end.
IGNORED: dict[State, frozenset[Kind]] = {
    State.UNANSWERED: frozenset({Kind.META}),
    State.ANSWERED: frozenset({Kind.META}),
    State.FAILED: frozenset(Kind),
    State.DONE: frozenset(Kind),
}


class ExchangeState:
    """Both sides' states, moved by what either sends."""

    __slots__ = ("bot", "poe")

    def __init__(self) -> None:
        self.poe: State = State.IDLE
        self.bot: State = State.IDLE

    def poe_sends(self, kind: Kind) -> bool:
        """Move both sides by what Poe sent; False, and nothing moved, where the table has no such move."""
        target = TRANSITIONS[Role.POE][self.poe].get(kind)
        if target is None:
            return False
        self.poe = target
        self.bot = BOT_TRANSITIONS[self.bot].get(kind, self.bot)
        return True

    def bot_sends(self, kind: Kind) -> bool:
        """Move the bot by what it sent; False, and nothing moved, where the table has no such move."""
        target = BOT_TRANSITIONS[self.bot].get(kind)
        if target is None:
            return False
        self.bot = target
        return True
