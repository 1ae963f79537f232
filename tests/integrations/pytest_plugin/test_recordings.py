"""The fixture `poe_recording`: replays by default, records on request, and fails a test whose call it does not know."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import anyio.abc
import pytest
from anyio.from_thread import BlockingPortal

from poeproto import Bot, ConnectionLost, Context, Done, Limits, QueryRequest, Text, encode_event
from poeproto_h11 import make_outbound, serve
from poeproto_pytest import MemoryNetwork, RecordMode, ReplayedCalls, assert_gaps_within, assert_text
from poeproto_record import NoRecordedExchange, RecordingWriter, load_recording
from tests.integrations.pytest_plugin.conftest import Run

pytestmark = pytest.mark.anyio
pytest_plugins = ["pytester"]

KEY = "canary-key-of-32-characters-0000"


class Shout(Bot):
    def __init__(self) -> None:
        self.queries = 0

    async def get_response(self, request: QueryRequest, context: Context):
        self.queries += 1
        for word in request.query[-1].content.split():
            yield word.upper() + " "


@asynccontextmanager
async def served(bot: Bot) -> AsyncGenerator[str]:
    async def run(*, task_status: anyio.abc.TaskStatus[str]) -> None:
        await serve(bot, bind="127.0.0.1:0", access_key=KEY, task_status=task_status)

    async with anyio.create_task_group() as tasks:
        yield await tasks.start(run)
        tasks.cancel_scope.cancel()


def calls_through(path: Path, mode: RecordMode = RecordMode.NONE) -> ReplayedCalls:
    return ReplayedCalls(path, mode, lambda: make_outbound(Limits(), proxy=False).transport)


async def ask(calls: ReplayedCalls, url: str, text: str) -> str:
    async with calls.client(access_key=KEY) as client:
        return await client.query(url, text).text()


async def test_a_recording_is_replayed_without_the_server(tmp_path: Path) -> None:
    path, bot = tmp_path / "recordings" / "shout.jsonl", Shout()
    async with served(bot) as url:
        recording = calls_through(path, RecordMode.NEW)
        assert await ask(recording, url, "so it is") == "SO IT IS "
        assert not path.exists()  # written when the test has ended
        assert recording.save() == 1
        # A recorded call is not made again, and the other call is added.
        recording = calls_through(path, RecordMode.NEW)
        assert await ask(recording, url, "so it is") == "SO IT IS "
        assert bot.queries == 1
        assert await ask(recording, url, "and on") == "AND ON "
        assert recording.save() == 1
    assert bot.queries == 2
    replay = calls_through(path)
    assert await ask(replay, url, "and on") == "AND ON "
    assert await ask(replay, url, "so it is") == "SO IT IS "
    assert replay.failure() is None
    assert replay.save() == 0
    assert [reply.text for reply in replay.replies] == ["SO IT IS ", "AND ON "]
    assert [each.number for each in replay.exchanges] == [1, 2]
    assert_text(replay.exchanges[0], "SO IT IS ")
    assert_gaps_within(replay.exchanges[0], 60)


async def test_two_users_of_a_recording_add_to_it(tmp_path: Path) -> None:
    path = tmp_path / "shout.jsonl"
    async with served(Shout()) as url:
        first, second = calls_through(path, RecordMode.NEW), calls_through(path, RecordMode.NEW)
        assert await ask(first, url, "so it is") == "SO IT IS "
        assert await ask(second, url, "and on") == "AND ON "
        assert (first.save(), second.save()) == (1, 1)
    assert [reply.text for reply in calls_through(path).replies] == ["SO IT IS ", "AND ON "]


async def test_all_replaces_the_recording(tmp_path: Path) -> None:
    path = tmp_path / "shout.jsonl"
    async with served(Shout()) as url:
        for text in ("one", "two"):
            recording = calls_through(path, RecordMode.ALL)
            await ask(recording, url, text)
            recording.save()
    assert [reply.text for reply in calls_through(path).replies] == ["TWO "]


async def test_all_keeps_the_recording_of_a_test_that_fails(tmp_path: Path) -> None:
    path, beside = tmp_path / "shout.jsonl", tmp_path / "shout.failed.jsonl"
    async with served(Shout()) as url:
        for text, passed in [("one", False), ("two", False), ("three", True), ("four", False)]:
            recording = calls_through(path, RecordMode.ALL)
            assert recording.path_if_failed is None
            await ask(recording, url, text)
            # Where there is no recording, nothing can be lost.
            assert recording.path_if_failed == (None if text == "one" else beside)
            assert recording.save(passed=passed) == 1
            if text == "two":
                assert [reply.text for reply in calls_through(path).replies] == ["ONE "]
                assert [reply.text for reply in calls_through(beside).replies] == ["TWO "]
            assert beside.exists() is (text in ("two", "four"))
        assert [reply.text for reply in calls_through(path).replies] == ["THREE "]
        # Exchanges that are added do not replace any.
        recording = calls_through(path, RecordMode.NEW)
        await ask(recording, url, "five")
        assert recording.path_if_failed is None
        recording.save(passed=False)
    assert [reply.text for reply in calls_through(path).replies] == ["THREE ", "FIVE "]


async def test_no_key_is_in_a_recording(tmp_path: Path) -> None:
    path = tmp_path / "shout.jsonl"
    async with served(Shout()) as url:
        recording = calls_through(path, RecordMode.NEW)
        assert await ask(recording, url, f"hello {KEY}") == f"HELLO {KEY.upper()} "
        recording.save()
    assert KEY not in path.read_text()
    assert KEY.upper() not in path.read_text()
    assert await ask(calls_through(path), url, f"hello {KEY}") == "HELLO REDACTED-1 "


async def test_a_request_without_a_match_names_the_nearest(tmp_path: Path) -> None:
    path = tmp_path / "shout.jsonl"
    async with served(Shout()) as url:
        recording = calls_through(path, RecordMode.NEW)
        await ask(recording, url, "hello there")
        recording.save()
    replay = calls_through(path)
    with pytest.raises(NoRecordedExchange, match=r"the nearest is exchange 1: last message: .*'hello here'"):
        await ask(replay, url, "hello here")
    assert "--poe-record=new" in (replay.failure() or "")


async def test_a_recorded_failure_is_replayed(tmp_path: Path) -> None:
    async def breaks_off(scope: Any, receive: Any, send: Any) -> None:
        headers = [(b"content-type", b"text/event-stream")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": encode_event(Text("so far")), "more_body": True})

    network = MemoryNetwork()
    network.serve("http://broken.test", breaks_off)
    recording = ReplayedCalls(tmp_path / "broken.jsonl", RecordMode.NEW, lambda: network)
    with pytest.raises(ConnectionLost):
        await ask(recording, "http://broken.test/", "x")
    recording.save()
    replay = calls_through(tmp_path / "broken.jsonl")
    with pytest.raises(ConnectionLost, match="exchange 1 of the recording ended with 'reset'"):
        await ask(replay, "http://broken.test/", "x")
    assert replay.replies[0].text == "so far"


def recorded(path: Path, question: str, text: str) -> None:
    with path.open("wb") as file:
        writer = RecordingWriter(file)
        body = b'{"version":"1.2","type":"query","query":[{"role":"user","content":"%s"}]}' % question.encode()
        number = writer.request("POST", "https://api.poe.com/bot/Cat", [("content-type", "application/json")], body)
        writer.head(number, 200, [("content-type", "text/event-stream")])
        writer.data(number, encode_event(Text(text)) + encode_event(Done()))
        writer.end(number)


BOT_THAT_ASKS = """
class Asking(Bot):
    async def get_settings(self, request, context):
        return SettingsResponse(server_bot_dependencies={"Cat": 1})

    async def get_response(self, request, context):
        try:
            yield "The cat says " + await context.final_text("Cat", request)
        except PoeprotoError:
            yield "The cat is silent"


async def test_the_calls_of_a_bot(poe_bot, poe_recording):
    bot = poe_bot(Asking(), calls=poe_recording("cat.jsonl"))
    reply = await bot.say("QUESTION")
    assert_text(reply, "The cat says meow")
    assert_calls(reply, ["Cat"])
"""


def test_the_calls_of_a_bot_are_replayed(run: Run, pytester: pytest.Pytester) -> None:
    (pytester.path / "recordings").mkdir()
    recorded(pytester.path / "recordings" / "cat.jsonl", "hello", "meow")
    run(BOT_THAT_ASKS.replace("QUESTION", "hello")).assert_outcomes(passed=1)


def test_a_call_without_a_match_fails_even_a_test_that_passes(run: Run, pytester: pytest.Pytester) -> None:
    (pytester.path / "recordings").mkdir()
    recorded(pytester.path / "recordings" / "cat.jsonl", "hello", "meow")
    code = BOT_THAT_ASKS.replace("QUESTION", "hullo")
    result = run(code)
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*cat.jsonl: no exchange of the recording answers*last message: *hello*hullo*"])
    result = run(code.replace("The cat says meow", "The cat is silent"))
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*the nearest is exchange 1*", "*--poe-record=new*"])


def test_a_recording_that_does_not_exist(run: Run) -> None:
    result = run(BOT_THAT_ASKS)
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*there is no recording *cat.jsonl: run the test with --poe-record=new once*"])


def test_a_bot_is_recorded_by_the_option(run: Run, pytester: pytest.Pytester, portal: BlockingPortal) -> None:
    with portal.wrap_async_context_manager(served(Shout())) as url:
        code = f"""
async def test_shout(poe_recording):
    async with poe_recording("shout.jsonl").client(access_key={KEY!r}) as client:
        assert await client.query({url!r}, "hello").text() == "HELLO "


@pytest.fixture
def poe_redaction():
    from poeproto_record import Redaction
    return Redaction(patterns=["hell."])
"""
        run(code, "--poe-record=new").assert_outcomes(passed=1)
    [exchange] = load_recording(pytester.path / "recordings" / "shout.jsonl").exchanges
    assert b"hello" not in exchange.request_body
    run(code).assert_outcomes(passed=1)


@pytest.mark.parametrize(
    "failing",
    [
        'assert text == "meow"',
        'pytest.skip("not today")',
        'pytest.xfail("known")',
    ],
)
def test_a_recording_is_replaced_only_by_a_test_that_passes(
    run: Run, pytester: pytest.Pytester, portal: BlockingPortal, failing: str
) -> None:
    (pytester.path / "recordings").mkdir()
    path = pytester.path / "recordings" / "shout.jsonl"
    recorded(path, "hello", "meow")
    with portal.wrap_async_context_manager(served(Shout())) as url:
        code = f"""
async def test_shout(poe_recording):
    async with poe_recording("shout.jsonl").client(access_key={KEY!r}) as client:
        text = await client.query({url!r}, "hello").text()
    FAILING
"""
        before = path.read_bytes()
        result = run(code.replace("FAILING", failing), "--poe-record=all")
        assert path.read_bytes() == before
        [exchange] = load_recording(path.with_name("shout.failed.jsonl")).exchanges
        assert b"HELLO" in exchange.response_body
        if "assert" in failing:
            result.assert_outcomes(failed=1)
            result.stdout.fnmatch_lines(["*shout.jsonl was kept, since the test failed; *is in shout.failed.jsonl*"])
        run(code.replace("FAILING", "assert text"), "--poe-record=all").assert_outcomes(passed=1)
    assert path.read_bytes() != before
    assert not path.with_name("shout.failed.jsonl").exists()


def test_the_default_is_an_ini_option(run: Run, pytester: pytest.Pytester) -> None:
    pytester.makeini("[pytest]\npoe_record = some\n")
    result = run("def test_it(): pass")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["*the ini option poe_record is 'some', expected *none*"])
