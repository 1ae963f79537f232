"""The order of all calls of a bot server's exchange, against a regular expression that shares nothing with the tables.

Each call is a letter. Of the request: h its head, b a part of its body, q its end if it is a query, k if it is another
call. Of the answer: r the one to a call, s the head of a stream, m `meta`, c `text`, a `suggested_reply`, e `error`,
d `done`, : a heartbeat. And ! is a failure, which may come at any time.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

from hypothesis import given
from hypothesis import strategies as st

from poeproto import (
    BotExchange,
    Done,
    Error,
    Event,
    HttpResponse,
    LocalProtocolError,
    Meta,
    RequestHead,
    SSEDecoder,
    SuggestedReply,
    Text,
)

EVENTS: dict[str, Event] = {"m": Meta(), "c": Text("x"), "a": SuggestedReply("y"), "e": Error(), "d": Done()}
CALLS: dict[str, Callable[[BotExchange], object]] = {
    "h": lambda exchange: exchange.receive_head(RequestHead("POST", "/")),
    "b": lambda exchange: exchange.receive_data(b" "),
    "r": lambda exchange: exchange.answer(None),
    "s": lambda exchange: exchange.begin(),
    ":": lambda exchange: exchange.heartbeat(),
    "!": lambda exchange: exchange.fail("id"),
}
BODIES = {"q": b'{"type": "query", "query": []}', "k": b'{"type": "report_error"}'}
LETTERS = "hbqkrsmcaed:!"
LETTERS_OF_NAMES = {"meta": "m", "text": "c", "suggested_reply": "a", "error": "e", "done": "d"}

REPLY = re.compile("m?(a*c[ac]*d|[ac]*ed)")
REQUEST = re.compile("hb*[qk]")
EXCHANGE = re.compile("hb*(kr|qs:*(m:*)?((a:*)*c:*([ac]:*)*d|([ac]:*)*e:*d))")


def begins(pattern: re.Pattern[str], letters: str) -> bool:
    """Whether something that matches begins so; nothing needs more than these to become whole."""
    return any(pattern.fullmatch(letters + rest) for rest in ("", "d", "cd", "scd", "r", "q", "hq", "qscd", "hkr"))


def is_legal(letters: str) -> bool:
    """After a failure we have nothing more to send, but the rest of the request may still be received."""
    before, failure, after = letters.partition("!")
    if not begins(EXCHANGE, before):
        return False
    request = "".join(letter for letter in before if letter in "hbqk")
    return not failure or begins(REQUEST, request + after.replace("!", ""))


def call(exchange: BotExchange, letter: str) -> object:
    if letter in EVENTS:
        return exchange.send(EVENTS[letter])
    if letter in BODIES:
        exchange.receive_data(BODIES[letter])
        return exchange.receive_eof()
    return CALLS[letter](exchange)


def check(letters: str) -> None:
    """Make the calls, of which an illegal one must change nothing, and check the whole response."""
    exchange = BotExchange(None)
    made = ""
    responses: list[HttpResponse] = []
    stream = b""
    for letter in letters:
        states = exchange.our_state, exchange.their_state
        try:
            result = call(exchange, letter)
        except LocalProtocolError:
            assert not is_legal(made + letter), (made, letter)
            assert (exchange.our_state, exchange.their_state) == states
            continue
        made += letter
        assert is_legal(made), made
        if isinstance(result, HttpResponse):
            responses.append(result)
        elif isinstance(result, bytes):
            stream += result
    answered = "s" in made
    assert len(responses) == (not answered and ("r" in made or "!" in made))
    names = [record.event for record in SSEDecoder().receive_data(stream)]
    assert not names or answered
    told = "".join(LETTERS_OF_NAMES[name] for name in names)
    if answered and ("!" in made or "d" in made):
        assert REPLY.fullmatch(told)
    own = "".join(letter for letter in made.partition("!")[0] if letter in EVENTS)
    assert told.startswith(own)


def legal_histories(longest: int) -> Iterator[str]:
    histories = [""]
    for history in histories:
        yield history
        if len(history) < longest:
            histories += [history + letter for letter in LETTERS if is_legal(history + letter)]


def test_after_every_history_exactly_the_legal_calls_are_accepted() -> None:
    histories = list(legal_histories(6))
    assert {"hbqsc", "hqs:e!", "hqscd", "hbkr!", "h!bq!", "!hk"} < set(histories)
    for history in histories:
        for letter in LETTERS:
            check(history + letter)


@given(st.sampled_from(["", "h", "hq", "hk", "hqs", "hqsm"]), st.text(alphabet=LETTERS + "cca:", max_size=30))
def test_any_sequence_of_calls_is_accepted_up_to_the_first_illegal_one(start: str, letters: str) -> None:
    check(start + letters)
