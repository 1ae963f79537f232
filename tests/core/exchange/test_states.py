"""The order of events, against a description of it that shares nothing with the tables: a regular expression.

Each kind of event is a letter: m `meta`, c an answer (`text`, `replace_response`, `file`, `json`), a what goes with an
answer (`suggested_reply`, `data`), e `error`, d `done`. Readers also meet u, an unknown event, p, a `ping`, and :, a
comment. Of the rest of an exchange, h is the head of the request, q its end if it is a query, k if it is another call,
r a response without a stream, and s the head of a stream.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from itertools import product
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from poeproto import (
    BotExchange,
    Data,
    Done,
    Error,
    Event,
    File,
    IncompleteReply,
    Json,
    LocalProtocolError,
    Meta,
    PoeExchange,
    QueryRequest,
    ReplaceResponse,
    RequestHead,
    ResponseHead,
    State,
    SuggestedReply,
    Text,
    UnknownEvent,
    encode_event,
)
from poeproto.exchange.states import EXCUSED, IGNORED, KINDS, STREAMING, TRANSITIONS, ExchangeState, Kind, Role
from poeproto.lint import ReplyLint
from poeproto.testing import bytewise, cut_at
from poeproto.vocabulary.events import EVENT_CLASSES

REPLY = re.compile("m?(a*c[ac]*d|[ac]*ed)")

EVENTS: dict[str, list[Event]] = {
    "m": [Meta()],
    "c": [Text("x"), ReplaceResponse("y"), File("https://files.invalid/a", "a", "text/plain"), Json({"a": 1})],
    "a": [SuggestedReply("more"), Data("kept")],
    "e": [Error(text="no")],
    "d": [Done()],
}
LETTERS = {type(event): letter for letter, events in EVENTS.items() for event in events}

WIRES: dict[str, list[bytes]] = {
    **{letter: [encode_event(event) for event in events] for letter, events in EVENTS.items()},
    "d": [b"event: done\ndata: {}\n\n", b"event: done\n\n", b"event: done\ndata: [DONE]\n\n", b"event: done\ndata\n\n"],
    "u": [b"event: future\ndata: {}\n\n", b"data: without a name\n\n", b"event: future\ndata: [not JSON\n\n"],
    "p": [b"event: ping\ndata: {}\n\n", b"event: ping\ndata: 2024-01-01\n\n"],
    ":": [b": keep-alive\n\n", b":\n"],
}


def begins_a_reply(letters: str) -> bool:
    """Whether a legal reply begins so; none needs more than two events to become whole."""
    return any(REPLY.fullmatch(letters + rest) for rest in ("", "d", "cd"))


def what_a_reader_delivers(letters: str) -> str:
    shown = re.sub("[p:]", "", letters)
    shown = re.sub("([ed]).*", r"\1", shown)
    opening = re.sub("^(u*m?).*", r"\1", shown)
    return opening + shown[len(opening) :].replace("m", "")


def pick(choices: dict[str, list[Event]], letters: str) -> list[Event]:
    """An event for each letter; which of its kind depends on the place, so that all come up everywhere."""
    return [choices[letter][place % len(choices[letter])] for place, letter in enumerate(letters)]


def wire(letters: str) -> bytes:
    return b"".join(WIRES[letter][place % len(WIRES[letter])] for place, letter in enumerate(letters))


def open_bot() -> BotExchange:
    bot = BotExchange(None)
    bot.receive_head(RequestHead("POST", "/"))
    bot.receive_data(b'{"type": "query", "query": []}')
    bot.receive_eof()
    bot.begin()
    return bot


def open_reader() -> PoeExchange:
    reader = PoeExchange()
    reader.send(QueryRequest([]), "http://bot.invalid/")
    reader.receive_head(ResponseHead(200, [("content-type", "text/event-stream")]))
    return reader


def read(parts: Iterable[bytes]) -> tuple[PoeExchange, list[Event]]:
    reader = open_reader()
    return reader, [event for part in parts for event in reader.receive_data(part)]


# --- writing


def check_writer(letters: str) -> None:
    bot = open_bot()
    accepted = ""
    written = b""
    expected: list[Event] = []
    for letter, event in zip(letters, pick(EVENTS, letters), strict=True):
        state = bot.our_state
        try:
            written += bot.send(event)
        except LocalProtocolError:
            assert not begins_a_reply(accepted + letter)
            assert bot.our_state is state
        else:
            accepted += letter
            expected.append(event)
            assert begins_a_reply(accepted)
    assert (bot.our_state is State.DONE) == bool(REPLY.fullmatch(accepted))
    # A byte left behind by an illegal event would show here.
    _, events = read([written])
    assert events == expected[: accepted.index("e") + 1 if "e" in accepted else None]


@pytest.mark.parametrize("length", range(6))
def test_a_writer_accepts_exactly_the_legal_events(length: int) -> None:
    for letters in product("mcaed", repeat=length):
        check_writer("".join(letters))


@given(st.text(alphabet="mccaaed", max_size=30))
def test_a_writer_accepts_exactly_the_legal_events_in_long_replies(letters: str) -> None:
    check_writer(letters)


@pytest.mark.parametrize("event", [event for events in EVENTS.values() for event in events], ids=repr)
@pytest.mark.parametrize("before", ["", "m", "a", "ma", "c", "mca", "e", "cd", "med"])
def test_every_event_obeys_the_rule_of_its_kind(before: str, event: Event) -> None:
    bot = open_bot()
    for earlier in pick(EVENTS, before):
        bot.send(earlier)
    if begins_a_reply(before + LETTERS[type(event)]):
        assert bot.send(event) == encode_event(event)
    else:
        with pytest.raises(LocalProtocolError, match=f"^{type(event).__name__} is out of order"):
            bot.send(event)


# --- reading


def check_reader(letters: str, cut: Callable[[bytes], list[bytes]]) -> None:
    reader, events = read(cut(wire(letters)))
    expected = what_a_reader_delivers(letters)
    assert "".join(LETTERS.get(type(event), "u") for event in events) == expected
    assert reader.error is None
    assert reader.their_state is {"e": State.FAILED, "d": State.DONE}.get(expected[-1:], reader.their_state)
    if expected[-1:] in ("e", "d"):
        assert reader.receive_eof() == []
    else:
        with pytest.raises(IncompleteReply):
            reader.receive_eof()


@pytest.mark.parametrize("length", range(5))
def test_a_reader_tolerates_every_order(length: int) -> None:
    for letters in product("mcaedup:", repeat=length):
        check_reader("".join(letters), lambda data: [data])


@given(st.text(alphabet="mccaaedup:", max_size=20), st.lists(st.integers(0, 1000)))
def test_a_reader_tolerates_every_order_whatever_the_cuts(letters: str, places: list[int]) -> None:
    check_reader(letters, lambda data: cut_at(data, places))
    check_reader(letters, bytewise)


@pytest.mark.parametrize("before", ["c", "a", "m", "ac"])
def test_a_late_meta_is_not_even_parsed(before: str) -> None:
    reader, events = read([wire(before) + b"event: meta\ndata: [not JSON\n\n" + wire("cd")])
    assert events == [*pick(EVENTS, before), Text("x"), Done()]
    assert reader.error is None


@pytest.mark.parametrize("event", [encode_event(Text("x"))[:-1], b"event: text\ndata: [not JSON\n\n", b"\xff\0\n\n"])
@pytest.mark.parametrize("end", ["e", "cd"])
def test_nothing_after_the_end_is_even_parsed(end: str, event: bytes) -> None:
    reader, events = read([wire(end) + event, event])
    assert events == pick(EVENTS, end)
    assert reader.receive_eof() == []


# --- reporting


def events_read_by_a_linter(letters: str) -> str:
    """The events that a linter reads: as a reader, but `done` is still expected after an error."""
    heeded = re.sub("e[^d]*", "e", re.sub("d.*", "d", letters))
    return heeded[:1] + heeded[1:].replace("m", "")


@pytest.mark.parametrize("length", range(5))
def test_a_linter_reports_each_ignored_event_and_a_done_without_an_answer(length: int) -> None:
    for letters in map("".join, product("mcaed", repeat=length)):
        rules = [each.rule for each in ReplyLint().receive_data(wire(letters))]
        heeded = events_read_by_a_linter(letters)
        passed_over = {"reply.meta-first", "reply.after-error", "reply.after-done"}
        assert sum(rule in passed_over for rule in rules) == len(letters) - len(heeded)
        assert rules.count("reply.answer") == bool(re.fullmatch("m?a*d", heeded))


# --- both sides

SENT_BY_POE = {"h": Kind.REQUEST_HEAD, "q": Kind.QUERY, "k": Kind.CALL}
SENT_BY_BOT = {
    "r": Kind.RESPONSE,
    "s": Kind.STREAM_HEAD,
    "m": Kind.META,
    "c": Kind.CONTENT,
    "a": Kind.ASIDE,
    "e": Kind.ERROR,
    "d": Kind.DONE,
}
# A bot may send an error response before it has received the request, and Poe may then continue.
EXCHANGE = re.compile(f"h[qk]r|hr[qk]|rh[qk]|hqs{REPLY.pattern}")


def begins_an_exchange(letters: str) -> bool:
    return any(EXCHANGE.fullmatch(letters + rest) for rest in ("", "d", "cd", "r", "q", "qr", "hq", "hqr"))


def state_after(letters: str) -> ExchangeState:
    state = ExchangeState()
    for letter in letters:
        moved = state.poe_sends(SENT_BY_POE[letter]) if letter in SENT_BY_POE else state.bot_sends(SENT_BY_BOT[letter])
        assert moved, letters
    return state


def legal_histories(longest: int) -> Iterator[str]:
    histories = [""]
    for history in histories:
        yield history
        if len(history) < longest:
            for letter in SENT_BY_POE | SENT_BY_BOT:
                if begins_an_exchange(history + letter):
                    histories.append(history + letter)


def test_after_every_history_each_side_may_send_exactly_the_legal_events() -> None:
    histories = list(legal_histories(8))
    assert {"hqsmacd", "hqsed", "hkr", "hrq"} < set(histories)
    for history in histories:
        before = state_after(history)
        for kind in Kind:
            after = state_after(history)
            letter = next((letter for letter, sent in SENT_BY_POE.items() if sent is kind), None)
            assert after.poe_sends(kind) == (letter is not None and begins_an_exchange(history + letter))
        for letter, kind in SENT_BY_BOT.items():
            after = state_after(history)
            assert after.bot_sends(kind) == begins_an_exchange(history + letter)
            assert after.poe is before.poe
        assert not before.bot_sends(Kind.REQUEST_HEAD)


# --- the tables themselves


def test_every_event_but_the_unknown_has_a_kind_and_a_name() -> None:
    assert set(KINDS) == set(EVENT_CLASSES.values()) == set(get_args(Event)) - {UnknownEvent}


@pytest.mark.parametrize("state", [state for state in State if state in STREAMING])
@pytest.mark.parametrize("kind", [kind for kind in Kind if kind in KINDS.values()])
def test_a_reader_has_one_answer_to_each_event_of_an_open_stream(state: State, kind: Kind) -> None:
    answers = [kind in TRANSITIONS[Role.BOT][state], kind in EXCUSED.get(state, {}), kind in IGNORED.get(state, ())]
    assert answers.count(True) == 1


@pytest.mark.parametrize("role", Role)
def test_every_row_can_be_reached_and_every_move_ends_in_a_row(role: Role) -> None:
    rows = TRANSITIONS[role]
    reached = {State.IDLE}
    while new := {target for state in reached for target in rows[state].values()} - reached:
        reached |= new
    # No transition leads to ERROR; a fault of the peer sets it.
    assert reached | {State.ERROR} == set(rows)


@pytest.mark.parametrize("role", Role)
@pytest.mark.parametrize("state", [State.DONE, State.ERROR])
def test_nothing_follows_the_end(role: Role, state: State) -> None:
    assert TRANSITIONS[role][state] == {}


@pytest.mark.parametrize(("kind", "due"), [(Kind.QUERY, State.SEND_STREAM), (Kind.CALL, State.SEND_ANSWER)])
def test_the_end_of_the_request_moves_both_sides(kind: Kind, due: State) -> None:
    state = ExchangeState()
    assert state.poe_sends(Kind.REQUEST_HEAD)
    assert (state.poe, state.bot) == (State.SEND_BODY, State.IDLE)
    assert state.poe_sends(kind)
    assert (state.poe, state.bot) == (State.DONE, due)


@pytest.mark.parametrize("end", [Kind.QUERY, Kind.CALL])
@pytest.mark.parametrize("bot", [state for state in TRANSITIONS[Role.BOT] if state is not State.IDLE])
def test_a_bot_that_waits_no_longer_is_not_moved_by_the_rest_of_the_request(bot: State, end: Kind) -> None:
    state = ExchangeState()
    state.bot = bot
    assert state.poe_sends(Kind.REQUEST_HEAD)
    assert state.poe_sends(end)
    assert (state.poe, state.bot) == (State.DONE, bot)
    assert not state.bot_sends(end)


@pytest.mark.parametrize("history", ["r", "hr", "hkr", "hqr"])
def test_a_whole_response_ends_the_bots_side(history: str) -> None:
    assert state_after(history).bot is State.DONE


@pytest.mark.parametrize("kind", [kind for kind in Kind if kind is not Kind.REQUEST_HEAD])
def test_an_illegal_move_moves_neither_side(kind: Kind) -> None:
    state = ExchangeState()
    assert not state.poe_sends(kind)
    state.bot = State.DONE
    assert not state.bot_sends(kind)
    assert (state.poe, state.bot) == (State.IDLE, State.DONE)
