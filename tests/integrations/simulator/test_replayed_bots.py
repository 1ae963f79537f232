"""A recording as a bot of the simulator: its replies, its failures and its settings."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import anyio
import pytest

from poeproto import (
    ConnectionLost,
    Done,
    Endpoints,
    Message,
    QueryRequest,
    RequestRefused,
    SettingsResponse,
    Text,
)
from poeproto_h11 import Client
from poeproto_record import End, RecordingError, ReplayMatch
from poeproto_simulator import Replayed, Simulator

from ...support.bots import query_body
from ...support.recording_servers import Tape, tape_writer

pytestmark = pytest.mark.anyio

STREAM = {"content-type": "text/event-stream; charset=utf-8"}
JSON = {"content-type": "application/json"}
DONE = b"event: done\ndata: {}\n\n"


def text(words: str) -> bytes:
    return f'event: text\ndata: {{"text": "{words}"}}\n\n'.encode()


def tape(*replies: tuple[str, list[bytes], End | None], settings: bytes | None = None) -> Tape:
    """A recording of queries and their replies."""
    writer, recorded = tape_writer()
    for asked, reads, outcome in replies:
        number = writer.request("POST", "/some/path", JSON, query_body(asked))
        writer.head(number, 200, STREAM)
        for read in reads:
            writer.data(number, read)
        if outcome is not None:
            writer.end(number, outcome)
    if settings is not None:
        number = writer.request("POST", "/some/path", JSON, b'{"version": "1.2", "type": "settings"}')
        writer.head(number, 200, JSON)
        writer.data(number, settings)
        writer.end(number)
    return recorded


def simulator_of(recorded: Tape, **options: Any) -> Simulator:
    simulator = Simulator()
    simulator.register("Rec", Replayed(recorded.recording(), **options))
    return simulator


async def test_a_replayed_bot_replies_as_recorded() -> None:
    hi, bye = [text("Hel")[:20], text("Hel")[20:] + text("lo"), DONE], [text("See you"), DONE]
    async with simulator_of(tape(("hi", hi, End.EOF), ("bye", bye, End.EOF))) as simulator:
        for _ in range(2):
            assert (await simulator.say("Rec", "bye")).final_text() == "See you"
            reply = await simulator.say("Rec", "hi")
            assert reply.final_text() == "Hello"
            assert reply.events == [Text("Hel"), Text("lo"), Done()]


async def test_a_query_without_a_match_is_refused() -> None:
    async with simulator_of(tape(("hi", [text("Hello"), DONE], End.EOF))) as simulator:
        reply = await simulator.say("Rec", "hi!")
    assert isinstance(reply.failure, RequestRefused)
    assert reply.failure.status == 404
    assert "the nearest is exchange 1: last message: recorded 'hi', received 'hi!'" in str(reply.failure)


async def test_a_replayed_bot_fails_as_recorded() -> None:
    error = b'event: error\ndata: {"text": "no"}\n\n'
    recorded = tape(("reset", [text("a")], End.RESET), ("cut", [text("a")], None), ("error", [error], End.EOF))
    async with simulator_of(recorded) as simulator:
        for said in ("reset", "cut"):
            reply = await simulator.say("Rec", said)
            assert isinstance(reply.failure, ConnectionLost)
            assert reply.text == "a"
        assert str((await simulator.say("Rec", "error")).failure) == "the bot reported an error: no"


async def test_no_event_follows_a_timeout() -> None:
    async with simulator_of(tape(("hi", [text("a")], End.TIMEOUT))) as simulator:
        with anyio.move_on_after(0.05) as waiting:
            await simulator.say("Rec", "hi")
        assert waiting.cancelled_caught


async def test_the_settings_are_those_of_the_recording() -> None:
    settings = b'{"introduction_message": "I am a recording", "allow_attachments": true}'
    async with simulator_of(tape(settings=settings)) as simulator:
        assert (await simulator.fetch_settings("Rec")).introduction_message == "I am a recording"
    async with simulator_of(tape(("hi", [DONE], End.EOF))) as simulator:
        assert await simulator.fetch_settings("Rec") == SettingsResponse()


async def test_callers_reach_it_over_http() -> None:
    simulator = simulator_of(tape(("hi", [text("Hello"), DONE], End.EOF)), match=ReplayMatch.ORDER)
    query = QueryRequest([Message("user", "anything")])
    async with (
        simulator.serving() as address,
        Client("k" * 32, endpoints=Endpoints.at(address)) as client,
        client.query("Rec", query) as reply,
    ):
        assert await reply.text() == "Hello"


def test_files(tmp_path: Path) -> None:
    path = tmp_path / "rec.jsonl"
    path.write_bytes(tape(("hi", [DONE], End.EOF)).getvalue())
    Replayed(path)
    path.write_bytes(b"{}\n")
    with pytest.raises(RecordingError):
        Replayed(path)
    with pytest.raises(ValueError, match="speed"):
        Replayed(tape().recording(), speed=-1)
