"""The order of all events of a caller's exchange, against a model that shares nothing with the tables.

Each step is a letter: q sends a query, k another call, s takes the head of a stream, j that of a JSON answer, f that of
a failure, and x the end of the body. Between them come its records: m `meta`, c `text`, a `suggested_reply`, e `error`,
d `done`, and ! a `text` that is not what the protocol says.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from hypothesis import given
from hypothesis import strategies as st

from poeproto import (
    Done,
    Error,
    Event,
    IncompleteReply,
    Limits,
    LocalProtocolError,
    Meta,
    PoeExchange,
    PoeprotoError,
    RemoteProtocolError,
    ReportErrorRequest,
    RequestRefused,
    ResponseHead,
    SuggestedReply,
    Text,
    encode_event,
)
from poeproto.testing import sample_query

from ...support.poe_exchanges import BAD, JSON, STREAM, URL

EVENTS: dict[str, Event] = {"m": Meta(), "c": Text("x"), "a": SuggestedReply("y"), "e": Error(), "d": Done()}
LETTERS_OF_EVENTS = {type(event): letter for letter, event in EVENTS.items()}
RECORDS = {"!": BAD, **{letter: encode_event(event) for letter, event in EVENTS.items()}}
REQUESTS = {"q": sample_query(), "k": ReportErrorRequest()}
HEADS = {"s": STREAM, "j": JSON, "f": ResponseHead(500)}
LETTERS = "qksjfmcaed!x"
# No body here is so long that a refusal is raised before its end.
LIMITS = Limits(refusal_body=10_000)


def call(exchange: PoeExchange, step: str) -> list[Event]:
    if step in REQUESTS:
        exchange.send(REQUESTS[step], URL)
    elif step in HEADS:
        exchange.receive_head(HEADS[step])
    elif step == "x":
        return exchange.receive_eof()
    else:
        return exchange.receive_data(b"".join(RECORDS[letter] for letter in step))
    return []


def is_legal(made: str, step: str) -> bool:
    return re.fullmatch("[qk]([sjf][mcaed!x]*)?", made + step) is not None


def returned(records: str) -> str:
    """The events of a stream that are returned: all until the end or a fault, without a late `meta`."""
    read = re.sub("!.*", "", re.sub("([ed]).*", r"\1", records))
    return read[:1] + read[1:].replace("m", "")


def fault(made: str) -> type[PoeprotoError] | None:
    """The fault of the peer in these steps, if there is one; the last step may be it."""
    if re.match("(qj|[qk]f).*x", made):
        return RequestRefused
    if re.match("qs[mca]*!", made):
        return RemoteProtocolError
    if re.match("qs[mca]*x", made):
        return IncompleteReply
    return None


def check(steps: list[str]) -> None:
    """Make the steps: an illegal one changes nothing, and after a fault each raises the same error."""
    exchange = PoeExchange(limits=LIMITS)
    made = ""
    events: list[Event] = []
    for step in steps:
        states = exchange.our_state, exchange.their_state
        failed = exchange.error
        raised: PoeprotoError | None = None
        try:
            events += call(exchange, step)
        except PoeprotoError as error:
            raised = error
        if isinstance(raised, LocalProtocolError):
            assert not is_legal(made, step) or failed, (made, step)
            assert (exchange.our_state, exchange.their_state) == states
            assert step in REQUESTS or not failed
        elif failed:
            assert raised is exchange.error is failed
        else:
            assert is_legal(made, step), (made, step)
            made += step
            assert type(exchange.error) is (fault(made) or type(None)), made
            # The call that meets a fault returns the events before it; `receive_eof` has none to return.
            assert raised is (exchange.error if step == "x" else None)
    stream = made[2:].replace("x", "") if made.startswith("qs") else ""
    assert "".join(LETTERS_OF_EVENTS[type(event)] for event in events) == returned(stream)
    assert exchange.fold.text == "x" * returned(stream).count("c")


def legal_histories(longest: int) -> Iterator[str]:
    histories = [""]
    for history in histories:
        yield history
        if len(history) < longest and not fault(history):
            histories += [history + letter for letter in LETTERS if is_legal(history, letter)]


def test_after_every_history_exactly_the_legal_steps_are_accepted() -> None:
    histories = list(legal_histories(4))
    assert {"qsmc", "qsc!", "qsdx", "qjx", "kjcx", "kfx"} < set(histories)
    for history in histories:
        for step in LETTERS:
            for later in "qsc!x":
                check([*history, step, later])


@given(
    st.sampled_from(["", "q", "k", "qs", "qs", "qs", "qj", "qf", "kj"]),
    st.text(alphabet=LETTERS + "mcaed!cca", max_size=20),
)
def test_any_sequence_of_steps_agrees_with_the_model(start: str, letters: str) -> None:
    check([*start, *letters])
    # Records that arrive together: first the events before the fault, then the fault for every call.
    check(re.findall("[mcaed!]+|.", start + letters))
