"""Tests of `PoeUser` in Locust's own process, without the command. `test_locust.py` runs them."""

from __future__ import annotations

import re
import socket
from argparse import Namespace
from collections.abc import Callable, Generator
from pathlib import Path
from typing import Any

import gevent
import pytest
from locust import task
from locust.env import Environment

import poeproto_locust
from poeproto import Attachment, LocalProtocolError, Message, QueryRequest
from poeproto.identifiers import is_identifier
from poeproto.name_hints import PLACES
from poeproto_h11 import BlockingClient, Timeouts
from poeproto_load import ReplyOutcome
from poeproto_locust import (
    BotUnreachable,
    ErrorEventReceived,
    LoadTally,
    PoeUser,
    QueryRefused,
    ReplyDisconnected,
    ReplyFailed,
    ReplyIncomplete,
    ReplyInvalid,
    ReplyTimedOut,
    failures,
    load_run_of,
)
from poeproto_locust.options import parse_share

from ...support.load_peer import EVENTS, LoadPeer, load_peer

WHOLE = "".join(f"event {number} " for number in range(EVENTS))


class Stage:
    """A user in an environment of its own, and the request events that were fired."""

    def __init__(self, url: str | None, cls: type[PoeUser] | None = None, **options: Any) -> None:
        class Someone(cls or PoeUser):
            host = url

            def make_client(self) -> BlockingClient:
                client = super().make_client()
                CLIENTS.append(client)
                return client

            @task
            def nothing(self) -> None:
                """Locust wants a task."""

        CLIENTS.clear()
        self.events: list[dict[str, Any]] = []
        parsed = Namespace(**options) if options else None
        self.environment = Environment(user_classes=[Someone], parsed_options=parsed)
        self.runner = self.environment.create_local_runner()
        self.environment.events.request.add_listener(self._note)
        self.user = Someone(self.environment)
        self.run = load_run_of(self.environment)

    def _note(self, **event: Any) -> None:
        self.events.append(event)

    @property
    def names(self) -> list[str]:
        assert {event["request_type"] for event in self.events} <= {"POE"}
        return [event["name"] for event in self.events]


CLIENTS: list[BlockingClient] = []


@pytest.fixture
def peer() -> Generator[LoadPeer]:
    with load_peer(pause=0.01) as peer:
        yield peer


def answering(kind: str) -> Callable[[int, dict[str, Any]], str]:
    return lambda number, query: kind


def test_a_complete_reply(peer: LoadPeer) -> None:
    stage = Stage(peer.url, poe_gap_share=1.0)
    reply = stage.user.query("hello")
    assert (reply.text, reply.failure, reply.is_complete, reply.is_cancelled) == (WHOLE, None, True, False)
    assert stage.names[0] == "first_event"
    assert stage.names[-1] == "query"
    assert set(stage.names[1:-1]) == {"gap"}
    whole = stage.events[-1]
    assert whole["response"] is reply
    assert whole["exception"] is None
    assert whole["response_time"] == reply.call.seconds * 1e3 >= 30
    assert whole["response_length"] == reply.call.bytes
    assert whole["url"] == peer.url
    assert 0 < stage.events[0]["response_time"] <= whole["response_time"]
    assert stage.events[1]["response_length"] == len("event 1 ")
    result = stage.run.tally.result
    assert (result.replies, result.complete, result.events) == (1, 1, EVENTS)
    assert result.total.max == pytest.approx(reply.call.seconds)
    assert result.gap.max == reply.longest_gap or result.gap.max == pytest.approx(reply.longest_gap)


def test_a_share_of_the_gaps_is_shown_and_all_are_counted(peer: LoadPeer) -> None:
    stage = Stage(peer.url, poe_gap_share=0.0)
    stage.user.query("hello")
    assert stage.names == ["first_event", "query"]
    assert stage.run.tally.result.gap.count > 0


def test_a_query_with_a_name_of_its_own(peer: LoadPeer) -> None:
    stage = Stage(peer.url, poe_gap_share=1.0)
    stage.user.query("hello", name="greeting")
    assert set(stage.names) == {"greeting first_event", "greeting gap", "greeting"}


def test_the_context_of_a_user_is_in_its_events(peer: LoadPeer) -> None:
    class Named(PoeUser):
        abstract = True

        def context(self) -> dict[str, str]:
            return {"who": "Ann"}

    stage = Stage(peer.url, Named)
    stage.user.query("hello")
    assert {event["context"]["who"] for event in stage.events} == {"Ann"}


@pytest.mark.parametrize(
    ("kind", "failure", "label", "outcome"),
    [
        (
            "error_event",
            ErrorEventReceived("user_message_too_long"),
            "error_event user_message_too_long",
            ReplyOutcome.ERROR_EVENT,
        ),
        ("refused", QueryRefused(503), "refused 503", ReplyOutcome.REFUSED),
        ("incomplete", ReplyIncomplete(), "incomplete", ReplyOutcome.INCOMPLETE),
        ("disconnected", ReplyDisconnected(), "disconnected", ReplyOutcome.INCOMPLETE),
        ("invalid", ReplyInvalid(), "invalid", ReplyOutcome.INVALID),
    ],
)
def test_a_failed_reply(kind: str, failure: ReplyFailed, label: str, outcome: ReplyOutcome) -> None:
    with load_peer(answering(kind)) as peer:
        stage = Stage(peer.url)
        reply = stage.user.query("hello")
    fired = stage.events[-1]["exception"]
    assert fired is reply.failure
    # Locust counts failures by their repr.
    assert repr(fired) == repr(failure)
    assert (fired.kind, stage.run.tally.failures) == (label, {label: 1})
    assert stage.run.tally.result.outcomes[outcome] == stage.run.tally.result.replies == 1
    assert (fired.__cause__ is None) == (kind == "error_event")
    assert len(stage.environment.stats.errors) == 1


def test_a_server_that_is_not_there() -> None:
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        stage = Stage(f"http://127.0.0.1:{bound.getsockname()[1]}/")
        reply = stage.user.query("hello")
    assert isinstance(reply.failure, BotUnreachable)
    assert stage.run.tally.result.outcomes[ReplyOutcome.NOT_CONNECTED] == 1


def test_a_server_that_sends_nothing() -> None:
    class Hasty(PoeUser):
        abstract = True

        def make_client(self) -> BlockingClient:
            return BlockingClient(timeouts=Timeouts(header=0.05))

    with load_peer(answering("silent")) as peer:
        stage = Stage(peer.url, Hasty)
        reply = stage.user.query("hello")
    assert isinstance(reply.failure, ReplyTimedOut)
    assert stage.run.tally.failures == {"timeout": 1}


def test_no_query_is_repeated() -> None:
    with load_peer(answering("refused")) as peer:
        Stage(peer.url).user.query("hello")
    assert len(peer.requests) == 1


def test_the_query(peer: LoadPeer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("POE_ACCESS_KEY", "k" * 32)
    stage = Stage(peer.url)
    attachment = Attachment("https://example.com/a.txt", "text/plain", "a.txt")
    stage.user.query("hello", parameters={"style": "short"}, attachments=[attachment])
    head, sent = peer.requests[0]
    assert b"authorization: bearer " + b"k" * 32 in head.lower()
    (message,) = sent["query"]
    assert (message["content"], message["parameters"]) == ("hello", {"style": "short"})
    assert message["attachments"][0]["name"] == "a.txt"
    assert is_identifier(sent["user_id"], "u")
    assert is_identifier(sent["conversation_id"], "c")
    assert is_identifier(sent["message_id"], "m")
    stage.user.query(QueryRequest([Message("user", "again")], temperature=0.5))
    assert peer.requests[1][1]["temperature"] == 0.5
    with pytest.raises(ValueError, match="put them into the request's last one"):
        stage.user.query(QueryRequest([Message("user", "again")]), parameters={"style": "short"})


def test_a_conversation_carries_its_turns() -> None:
    with load_peer(lambda number, query: "incomplete" if number == 1 else "complete") as peer:
        conversation = Stage(peer.url).user.conversation()
        assert conversation.say("one").is_complete
        assert not conversation.say("lost").is_complete
        assert conversation.say("two", parameters={"n": 1}, name="second").is_complete
    first, _, third = (sent for _, sent in peer.requests)
    assert [(turn["role"], turn["content"]) for turn in third["query"]] == [
        ("user", "one"),
        ("bot", WHOLE),
        ("user", "two"),
    ]
    assert first["conversation_id"] == third["conversation_id"]
    assert third["query"][1]["message_id"] == first["message_id"]
    assert len(conversation.messages) == 4


def test_a_query_that_is_cancelled() -> None:
    with load_peer(pause=30) as peer:
        stage = Stage(peer.url, poe_cancel=1.0)
        reply = stage.user.query("hello")
        assert reply.is_cancelled
        assert not reply.is_complete
        assert reply.failure is None
        while not peer.counts:
            gevent.sleep(0.01)
        assert peer.counts == {"left": 1}
        assert stage.names == ["first_event", "query"]
        assert stage.events[-1]["exception"] is None
    tally = stage.run.tally
    assert (tally.result.outcomes[ReplyOutcome.DISCONNECTED], tally.cut) == (1, 0)
    assert tally.result.judged == 0


def test_a_cancel_share_of_one_query(peer: LoadPeer) -> None:
    assert Stage(peer.url, poe_cancel=1.0).user.query("hello", cancel=0.0).is_complete


def test_a_user_that_is_stopped_within_a_reply() -> None:
    with load_peer(pause=30) as peer:
        stage = Stage(peer.url)
        greenlet = gevent.spawn(stage.user.query, "hello")
        while not stage.events:
            gevent.sleep(0.01)
        greenlet.kill()
        assert stage.names == ["first_event"]
        tally = stage.run.tally
        assert (tally.cut, tally.result.replies, tally.failures) == (1, 1, {})


def test_the_connections_of_a_user_are_closed_at_its_end(peer: LoadPeer) -> None:
    stage = Stage(peer.url)
    stage.runner.start(1, spawn_rate=1)
    while not stage.runner.user_count:
        gevent.sleep(0.01)
    (client,) = CLIENTS[1:]
    client.query(peer.url, "hello").text()
    closed: list[object] = []
    client.close = lambda: closed.append(client)
    stage.runner.stop()
    gevent.sleep(0)
    assert closed == [client]


def test_a_user_without_a_host() -> None:
    with pytest.raises(ValueError, match="no bot to query: give its URL with --host"):
        Stage(None).user.query("hello")


def test_a_query_that_cannot_be_sent(peer: LoadPeer) -> None:
    stage = Stage(peer.url.replace("http", "gopher"))
    with pytest.raises(LocalProtocolError):
        stage.user.query("hello")
    assert stage.run.tally.result.replies == 0


@pytest.mark.parametrize(("slo", "status"), [("total:30s", 0), ("total:1us", 1)])
def test_the_slo_decides_on_the_exit_status(peer: LoadPeer, slo: str, status: int) -> None:
    stage = Stage(peer.url, poe_slo=slo)
    stage.user.query("hello")
    stage.environment.events.quitting.fire(environment=stage.environment, reverse=True)
    assert stage.environment.process_exit_code == status


def test_an_exit_status_that_the_locustfile_has_set(peer: LoadPeer) -> None:
    stage = Stage(peer.url, poe_slo="total:1us")
    stage.environment.process_exit_code = 7
    stage.user.query("hello")
    stage.environment.events.quitting.fire(environment=stage.environment, reverse=True)
    assert stage.environment.process_exit_code == 7


def test_an_slo_that_is_reached_does_not_hide_an_exception_of_the_locustfile(peer: LoadPeer) -> None:
    stage = Stage(peer.url, poe_slo="total:30s")
    stage.user.query("hello")
    stage.runner.log_exception("local", "a mistake", "")
    stage.environment.events.quitting.fire(environment=stage.environment, reverse=True)
    assert stage.environment.process_exit_code is None


def test_a_reset_forgets_the_warm_up(peer: LoadPeer) -> None:
    stage = Stage(peer.url)
    stage.user.query("hello")
    stage.environment.events.spawning_complete.fire(user_count=1)
    assert stage.run.tally.result.replies == 1
    stage.environment.reset_stats = True
    stage.environment.events.spawning_complete.fire(user_count=1)
    assert stage.run.tally.result.replies == 0
    stage.user.query("hello")
    stage.environment.events.reset_stats.fire()
    assert stage.run.tally.result.replies == 0


def test_tallies_merge(peer: LoadPeer) -> None:
    one, two = Stage(peer.url), Stage(peer.url)
    one.user.query("hello")
    two.user.query("hello")
    two.user.query("hello")
    two.run.tally.failures["refused 503"] += 1
    two.run.tally.cut += 1
    merged = LoadTally.empty(None)
    for tally in (LoadTally.empty(None), one.run.tally, LoadTally.empty(None), two.run.tally):
        merged.merge(LoadTally.from_json(tally.as_json()))
    assert merged.result.replies == 3
    assert merged.result.total.count == 3
    assert (merged.failures, merged.cut) == ({"refused 503": 1}, 1)
    assert merged.result.started_at == one.run.tally.result.started_at
    assert 0 < merged.result.seconds < 10


@pytest.mark.parametrize("text", ["5", "101%", "-1%", "nan%", "x%", "", "%"])
def test_texts_that_are_not_a_share(text: str) -> None:
    with pytest.raises(Exception, match="is not a share; expected per cent from 0% to 100%, as 5%"):
        parse_share(text)


def test_the_public_names() -> None:
    assert set(poeproto_locust.__all__) == PLACES["poeproto_locust"]
    assert len(poeproto_locust.__all__) == len(set(poeproto_locust.__all__))
    with pytest.raises(ImportError, match="write: from poeproto import Text"):
        exec("from poeproto_locust import Text")


def test_the_page_names_each_failure() -> None:
    page = (Path(__file__).parents[3] / "docs" / "load.md").read_text(encoding="utf-8")
    (row,) = (line for line in page.splitlines() if line.startswith("| `POE query`"))
    assert set(re.findall(r"`(\w+)`", row.split("|")[3])) == {
        name for name in failures.__all__ if name != "ReplyFailed"
    }
