"""States of an exchange: the transition tables, which say who may send what, and when.

One table serves both sides, because each side must follow the state of the other. `BotExchange` and `PoeExchange` hold
the same `ExchangeState`; they differ in the error for an illegal transition: `LocalProtocolError` if we made it,
`RemoteProtocolError` if the peer did. For a role and its state, `TRANSITIONS` maps each `Kind` that may be sent to the
next state. The query or call that completes Poe's request is also a transition of the bot.

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
    """The state of one side. The value is the explanation, as error messages have it."""

    IDLE = "nothing was sent yet"
    SEND_BODY = "the head of the request was sent, its body is under way"
    SEND_ANSWER = "the request was read, one JSON answer is due"
    SEND_STREAM = "the query was read, the stream is due"
    OPENED = "the stream is open and has no event yet"
    UNANSWERED = "there were events, but no answer yet"
    ANSWERED = "there was an answer, and more may come"
    FAILED = "an error event was sent, only done may follow"
    DONE = "everything was sent"
    ERROR = "a rule was broken"


class Kind(Enum):
    """The kinds of things that can be sent, as far as the tables distinguish them."""

    REQUEST_HEAD = auto()
    QUERY = auto()
    CALL = auto()  # a request of another type: settings or a report
    RESPONSE = auto()  # a whole response: settings, the empty answer to a report, an error response
    STREAM_HEAD = auto()
    META = auto()
    CONTENT = auto()
    ASIDE = auto()  # accompanies an answer, but is not one itself
    ERROR = auto()
    DONE = auto()


# Members are looked up in the tables for every event, and Enum.__hash__ is a slow Python function. (Reaching a member
# through its class is slow, too, so hot code compares with sets of members.)
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
        # An error response may be sent as soon as its reason is known: for a wrong key, before the body is read.
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

# Events that a caller tolerates. A `done` before any answer ends the reply too; the fold shows that it is empty.
EXCUSED: dict[State, dict[Kind, State]] = {
    State.OPENED: {Kind.DONE: State.DONE},
    State.UNANSWERED: {Kind.DONE: State.DONE},
}
# Events that a caller ignores: a `meta` that is not the first event, and everything after the end.
IGNORED: dict[State, frozenset[Kind]] = {
    State.UNANSWERED: frozenset({Kind.META}),
    State.ANSWERED: frozenset({Kind.META}),
    State.FAILED: frozenset(Kind),
    State.DONE: frozenset(Kind),
}


class ExchangeState:
    """The states of both sides; each transition is caused by an event that one of them sends."""

    __slots__ = ("bot", "poe")

    def __init__(self) -> None:
        self.poe: State = State.IDLE
        self.bot: State = State.IDLE

    def poe_sends(self, kind: Kind) -> bool:
        """Make the transition for a part that Poe sent, on both sides; return False, unchanged, if it is illegal."""
        target = TRANSITIONS[Role.POE][self.poe].get(kind)
        if target is None:
            return False
        self.poe = target
        self.bot = BOT_TRANSITIONS[self.bot].get(kind, self.bot)
        return True

    def bot_sends(self, kind: Kind) -> bool:
        """Make the transition for an event that the bot sent; return False, and change nothing, if it is illegal."""
        target = BOT_TRANSITIONS[self.bot].get(kind)
        if target is None:
            return False
        self.bot = target
        return True
