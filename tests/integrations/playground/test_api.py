"""The calls of the page: conversations, exchanges, and what may be done with them."""

from __future__ import annotations

import io
import json
import sys
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import anyio
import anyio.abc
import pytest

from poeproto import (
    Bot,
    Context,
    Event,
    File,
    Meta,
    QueryRequest,
    ReplaceResponse,
    ReportErrorRequest,
    ReportReactionRequest,
    SettingsRequest,
    SettingsResponse,
    SuggestedReply,
    Text,
)
from poeproto_asgi import BotApp, serve
from poeproto_record import RecordingReader, read_exchanges

from ...support.bots import KEY
from ...support.playground_page import PlaygroundPage, playing, playing_url

pytestmark = pytest.mark.anyio


class Cat(Bot):
    """Does what the last message says."""

    def __init__(self) -> None:
        self.cancelled = anyio.Event()
        self.reports: list[object] = []
        self.requests: list[QueryRequest] = []

    async def get_settings(self, request: SettingsRequest, context: Context) -> SettingsResponse:
        return SettingsResponse(introduction_message="hi", allow_attachments=True)

    async def get_response(self, request: QueryRequest, context: Context) -> AsyncIterator[Event | str]:
        self.requests.append(request)
        match request.query[-1].content:
            case "wait":
                yield "some"
                try:
                    await anyio.sleep_forever()
                finally:
                    self.cancelled.set()
            case "fail":
                raise ValueError("broken")
            case "both":
                yield Text("one", index=0)
                yield Text("two", index=1)
                yield ReplaceResponse("three", index=1)
            case "rich":
                yield Meta("text/plain")
                yield File("http://127.0.0.1:9/x", "x.txt", "text/plain", "ref")
                yield SuggestedReply("more")
                yield "😀"
            case "many":
                for _ in range(10_000):
                    yield "x"
            case text:
                yield f"meow: {text}"

    async def on_reaction(self, request: ReportReactionRequest, context: Context) -> None:
        self.reports.append(request)

    async def on_error(self, request: ReportErrorRequest, context: Context) -> None:
        self.reports.append(request)


@asynccontextmanager
async def played(bot: Bot) -> AsyncGenerator[PlaygroundPage]:
    async with anyio.create_task_group() as tasks:

        async def run(*, task_status: anyio.abc.TaskStatus[str]) -> None:
            await serve(BotApp(bot, access_key=KEY), bind="127.0.0.1:0", task_status=task_status)

        url = await tasks.start(run)
        async with playing_url("Cat", url, KEY) as page:
            yield page
        tasks.cancel_scope.cancel()


@pytest.fixture
async def cat() -> Cat:
    return Cat()


@pytest.fixture
async def page(cat: Cat) -> AsyncGenerator[PlaygroundPage]:
    async with played(cat) as page:
        yield page


async def test_a_message_and_its_reply(page: PlaygroundPage) -> None:
    reply = await page.ask("hello", parameters={"size": 3})
    assert reply["texts"] == [{"index": 0, "epoch": 0, "text": "meow: hello"}]
    assert reply["status"] == "complete"
    # A page that is opened again has the same.
    again = await page.get(f"conversations/{reply['conversation']}")
    assert [each["role"] for each in again["messages"]] == ["user", "bot"]
    assert again["messages"][1]["texts"] == reply["texts"]
    assert again["conversation"]["title"] == "hello"
    assert again["conversation"]["parameters"] == {"size": 3}
    state = await page.get("state")
    assert state["conversations"][0]["messages"] == 2
    assert state["bots"][0]["settings"]["introduction_message"] == "hi"


async def test_all_kinds_of_events(page: PlaygroundPage) -> None:
    both = await page.ask("both")
    assert both["texts"] == [
        {"index": 0, "epoch": 0, "text": "one"},
        {"index": 1, "epoch": 1, "text": "three"},
    ]
    rich = await page.ask("rich", both["conversation"])
    assert rich["content_type"] == "text/plain"
    assert rich["suggested_replies"] == ["more"]
    assert rich["attachments"][0]["inline_ref"] == "ref"


async def test_stop_cancels_the_bot(page: PlaygroundPage, cat: Cat) -> None:
    conversation = (await page.post("conversations"))["id"]
    sent = await page.post(f"conversations/{conversation}/messages", text="wait")
    await page.until(lambda: page.messages.get(sent["reply"], {}).get("texts"))
    error = await page.post(f"conversations/{conversation}/messages", 409, text="too early")
    assert "under way" in error["error"]
    await page.post(f"conversations/{conversation}/stop")
    assert (await page.ended(sent["reply"]))["status"] == "stopped"
    await cat.cancelled.wait()
    await page.ask("next", conversation)
    assert [each.content for each in cat.requests[-1].query] == ["wait", "some", "next"]


async def test_retry_and_edit_replace_what_followed(page: PlaygroundPage, cat: Cat) -> None:
    failed = await page.ask("fail")
    assert failed["status"] == "failed"
    assert failed["error"]["allow_retry"] is False
    conversation = failed["conversation"]
    again = await page.post(f"conversations/{conversation}/retry")
    await page.ended(again["reply"])
    shown = await page.get(f"conversations/{conversation}")
    assert [each["id"] for each in shown["messages"]] == [again["message"], again["reply"]]
    edited = await page.post(f"conversations/{conversation}/edit", message=again["message"], text="hello")
    assert (await page.ended(edited["reply"]))["texts"][0]["text"] == "meow: hello"
    assert [each.content for each in cat.requests[-1].query] == ["hello"]
    await page.post(f"conversations/{conversation}/edit", 404, message=again["message"], text="hello")


async def test_fork_leaves_the_original(page: PlaygroundPage, cat: Cat) -> None:
    first = await page.ask("one")
    conversation = first["conversation"]
    await page.ask("two", conversation)
    forked = await page.post(f"conversations/{conversation}/fork", message=first["id"])
    assert forked["forked_from"] == {"conversation": conversation, "message": first["id"]}
    await page.ask("three", forked["id"])
    assert [each.content for each in cat.requests[-1].query] == ["one", "meow: one", "three"]
    assert len((await page.get(f"conversations/{conversation}"))["messages"]) == 4


async def test_a_second_bot_by_its_mention(page: PlaygroundPage, cat: Cat) -> None:
    url = page.playground.engine.bots["Cat"].url
    await page.post("bots", name="Cat Two", url=url, access_key=KEY)
    reply = await page.ask("@Cat Two hello")
    assert reply["bot"] == "Cat Two"
    assert "command line" in (await page.post("bots", 400, name="Evil", target="os:system"))["error"]


async def test_reports_reach_the_bot(page: PlaygroundPage, cat: Cat) -> None:
    reply = await page.ask("hello")
    await page.post(f"messages/{reply['id']}/reactions", reaction="👍", action="added")
    await page.post(f"messages/{reply['id']}/feedback", feedback_type="like")
    await page.post("bots/Cat/errors", message="an error of the page")
    assert [type(report) for report in cat.reports] == [ReportReactionRequest, ReportErrorRequest]
    shown = (await page.get(f"conversations/{reply['conversation']}"))["messages"][1]
    assert (shown["reactions"], shown["feedback"]) == (["👍"], "like")
    kinds = [each["kind"] for each in (await page.get("state"))["exchanges"]]
    assert kinds == ["settings", "query", "report_reaction", "report_feedback", "report_error"]


async def test_an_attachment_both_ways(page: PlaygroundPage, cat: Cat) -> None:
    response = await page.fetch("POST", "/api/files?name=a.txt", b"warm", "Content-Type: text/plain")
    attachment = json.loads(response.body)
    await page.ask("look", attachments=[attachment])
    [received] = cat.requests[-1].query[-1].attachments
    assert (received.name, received.parsed_content) == ("a.txt", "warm")
    assert (await page.fetch("GET", received.url.removeprefix(page.address))).body == b"warm"


async def test_an_exchange_in_all_its_views(page: PlaygroundPage) -> None:
    reply = await page.ask("hello")
    shown = await page.get(f"exchanges/{reply['exchange']}")
    assert (shown["kind"], shown["status"], shown["outcome"], shown["message"]) == ("query", 200, "eof", reply["id"])
    assert json.loads(shown["request"]["body"]["text"])["query"][-1]["content"] == "hello"
    assert ["authorization", "Bearer " + "*" * len(KEY)] in shown["request"]["headers"]
    events = (await page.get(f"exchanges/{reply['exchange']}/events"))["events"]
    assert [each["event"] for each in events] == ["meta", "text", "done"][-len(events) :]
    body = (await page.fetch("GET", f"/api/exchanges/{reply['exchange']}/body")).body
    assert body.startswith(b"event: ")
    assert [body[each["offset"] :].startswith(f"event: {each['event']}".encode()) for each in events] == [True] * len(
        events
    )
    reads = (await page.get(f"exchanges/{reply['exchange']}/reads"))["reads"]
    assert "".join(each["text"] for each in reads).encode() == body
    assert len((await page.get(f"exchanges/{reply['exchange']}/times"))["times"]) == len(events)
    assert (await page.get("rules/reply.done"))["level"] == "MUST"


async def test_resend_and_the_request_editor(page: PlaygroundPage, cat: Cat) -> None:
    reply = await page.ask("hello")
    first = await page.get(f"exchanges/{reply['exchange']}")
    again = await page.post(f"exchanges/{first['id']}/resend")
    assert again["resent_from"] == first["id"]
    await page.until(lambda: [e for e in page.state["exchanges"] if e["id"] == again["id"] and e["outcome"] == "eof"])
    assert len(cat.requests) == 2
    broken = await page.post("requests", bot="Cat", body='{"type": "query"')
    await page.until(lambda: [e for e in page.state["exchanges"] if e["id"] == broken["id"] and e["outcome"]])
    shown = await page.get(f"exchanges/{broken['id']}")
    assert shown["status"] == 400
    assert shown["findings"]["MUST"] == 1


async def test_copies_can_be_run(page: PlaygroundPage, tmp_path: Path) -> None:
    reply = await page.ask("it's")
    for secrets in ("0", "1"):
        copied = (await page.get(f"exchanges/{reply['exchange']}/copy?as=python&secrets={secrets}"))["text"]
        assert (KEY in copied) == (secrets == "1")
        script = tmp_path / "copied.py"
        script.write_text(copied)
        env = {"POE_ACCESS_KEY": KEY}
        result = await anyio.run_process([sys.executable, str(script)], env=env)
        assert b"meow: it's" in result.stdout
    test = (await page.get(f"exchanges/{reply['exchange']}/copy?as=pytest"))["text"]
    compile(test, "test_copied.py", "exec")
    curl = (await page.get(f"exchanges/{reply['exchange']}/copy?as=curl"))["text"]
    assert KEY not in curl
    assert '"authorization: Bearer $POE_ACCESS_KEY"' in curl


async def test_an_export_is_redacted_and_can_be_opened_again(page: PlaygroundPage) -> None:
    reply = await page.ask("hello")
    response = await page.fetch("GET", f"/api/export?format=recording&exchanges={reply['exchange']}")
    assert KEY.encode() not in response.body
    [exchange] = list(read_exchanges(RecordingReader(io.BytesIO(response.body))))
    assert b"meow" in exchange.response_body
    opened = await page.fetch("POST", "/api/recordings?name=x.jsonl", response.body)
    assert json.loads(opened.body) == {"id": "r1", "name": "x.jsonl", "exchanges": 1, "is_cut": False}
    shown = await page.get("exchanges/r1-1")
    assert (shown["source"], shown["kind"], shown["status"]) == ("r1", "query", 200)
    har = json.loads((await page.fetch("GET", "/api/export?format=har")).body)
    assert len(har["log"]["entries"]) == len([e for e in page.state["exchanges"] if e["source"] == "live"])
    await page.delete("recordings/r1")
    assert (await page.fetch("GET", "/api/exchanges/r1-1")).status == 404
    bad = await page.fetch("POST", "/api/recordings", b"no recording")
    assert bad.status == 400


async def test_balance_and_faults(page: PlaygroundPage) -> None:
    await page.post("balance", balance=5)
    await page.until(lambda: page.state["balance"] == 5)
    await page.post("balance", 400, balance=-1)
    fault = await page.post("faults", where="Cat", kind="status", status=503)
    assert (fault["kind"], fault["times"]) == ("status", 1)
    assert "no fault" in (await page.post("faults", 400, where="Cat", kind="flood"))["error"]
    await page.delete("faults")
    assert (await page.get("state"))["faults"] == []


async def test_ten_thousand_events_are_merged_into_few_lines(page: PlaygroundPage) -> None:
    before = page.lines
    reply = await page.ask("many")
    assert len(reply["texts"][0]["text"]) == 10_000
    assert page.lines - before < 1000
    exchange = await page.get(f"exchanges/{reply['exchange']}")
    assert exchange["events"] >= 10_000
    last = await page.get(f"exchanges/{reply['exchange']}/events?from={exchange['events'] - 1}")
    assert [each["event"] for each in last["events"]] == ["done"]


async def test_what_is_not_there(page: PlaygroundPage) -> None:
    for method, path in [
        ("GET", "nothing"),
        ("GET", "exchanges/99"),
        ("GET", "conversations/c"),
        ("GET", "rules/none"),
        ("DELETE", "recordings/r9"),
        ("DELETE", "nothing"),
    ]:
        assert (await page.fetch(method, f"/api/{path}")).status == 404
    assert (await page.fetch("PUT", "/api/state")).status == 405
    await page.post("conversations", 404, bot="Nobody")
    await page.post("nothing", 404)


async def test_a_recording_without_a_bot(tmp_path: Path, page: PlaygroundPage) -> None:
    await page.ask("hello")
    file = tmp_path / "bot.jsonl"
    file.write_bytes((await page.fetch("GET", "/api/export")).body)
    async with playing(recordings=[file]) as opened:
        assert opened.state["mode"] == "recording"
        assert [each["kind"] for each in opened.state["exchanges"]] == ["settings", "query"]
        assert opened.state["recordings"] == [{"id": "r1", "name": "bot.jsonl", "exchanges": 2, "is_cut": False}]
        await opened.post("conversations", 409)
