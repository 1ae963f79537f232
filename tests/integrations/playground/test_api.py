"""The calls of the page: conversations, exchanges, and what may be done with them."""

from __future__ import annotations

import io
import json
import os
import shutil
import sys
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import anyio
import anyio.abc
import jsonschema
import pytest

from poeproto import (
    Bot,
    Context,
    Error,
    Event,
    File,
    Meta,
    QueryRequest,
    ReplaceResponse,
    ReportErrorRequest,
    ReportFeedbackRequest,
    ReportReactionRequest,
    SettingsRequest,
    SettingsResponse,
    SuggestedReply,
    Text,
)
from poeproto_asgi import BotApp, serve
from poeproto_record import RecordingReader, read_exchanges

from ...support.bots import KEY
from ...support.har_schema import HAR_SCHEMA
from ...support.playground_page import PlaygroundPage, playing, playing_url

pytestmark = pytest.mark.anyio


class Cat(Bot):
    """Obeys the last message."""

    def __init__(self) -> None:
        self.cancelled = anyio.Event()
        self.reports: list[object] = []
        self.requests: list[QueryRequest] = []
        self.introduction: str | None = "hi"

    async def get_settings(self, request: SettingsRequest, context: Context) -> SettingsResponse:
        if self.introduction is None:
            raise ValueError("no settings")
        return SettingsResponse(introduction_message=self.introduction, allow_attachments=True)

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
            case "refuse":
                yield "half"
                yield Error(text="no fish", allow_retry=False, error_type="insufficient_fund")
            case "later":
                yield Error(text="asleep", allow_retry=True)
            case "many":
                for _ in range(10_000):
                    yield "x"
            case text:
                yield f"meow: {text}"

    async def on_feedback(self, request: ReportFeedbackRequest, context: Context) -> None:
        self.reports.append(request)

    async def on_reaction(self, request: ReportReactionRequest, context: Context) -> None:
        self.reports.append(request)

    async def on_error(self, request: ReportErrorRequest, context: Context) -> None:
        self.reports.append(request)


@asynccontextmanager
async def played(bot: Bot, *, key: str | None = KEY, given: str | None = KEY) -> AsyncGenerator[PlaygroundPage]:
    """A playground with a running bot, which has this key and was given that one."""
    app = BotApp(bot, access_key=key, allow_without_key=key is None)
    async with anyio.create_task_group() as tasks:

        async def run(*, task_status: anyio.abc.TaskStatus[str]) -> None:
            await serve(app, bind="127.0.0.1:0", task_status=task_status)

        url = await tasks.start(run)
        async with playing_url("Cat", url, given) as page:
            yield page
        tasks.cancel_scope.cancel()


async def test_a_bot_whose_key_is_not_given_says_how_to_give_it(cat: Cat) -> None:
    hint = "The playground was given no key of Cat: use --access-key or POE_ACCESS_KEY"
    async with played(cat, given=None) as page:
        assert page.bot("Cat")["settings_error"].endswith(hint)
        assert (await page.ask("hello"))["error"]["text"].endswith(hint)
    async with played(cat, given="b" * 32) as page:
        assert "was given no key" not in page.bot("Cat")["settings_error"]


async def test_a_bot_without_a_key_is_sent_one(cat: Cat) -> None:
    """As Poe does: fastapi_poe refuses a request without one, also with `allow_without_key`."""
    async with played(cat, key=None, given=None) as page:
        assert (await page.ask("hello"))["status"] == "complete"
        [query] = [each for each in page.playground.exchanges if each.kind == "query"]
        [sent] = [value for name, value in query.request.headers if name == b"authorization"]
        assert len(sent) > len("Bearer ")
        shown = await page.get(f"exchanges/{query.id}")
        assert ["authorization", "Bearer " + "*" * 32] in shown["request"]["headers"]


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


async def test_retry_and_edit_replace_the_later_messages(page: PlaygroundPage, cat: Cat) -> None:
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
    await page.post(f"messages/{reply['id']}/feedback", feedback_type="dislike", reason="too short")
    await page.post("bots/Cat/errors", message="an error of the page", metadata={"at": 1})
    await page.post(f"messages/{reply['id']}/reactions", reaction="👍", action="removed")
    reaction, feedback, error, removed = cat.reports
    assert isinstance(reaction, ReportReactionRequest)
    assert isinstance(feedback, ReportFeedbackRequest)
    assert isinstance(error, ReportErrorRequest)
    assert isinstance(removed, ReportReactionRequest)
    assert (reaction.reaction, reaction.extra["action"], removed.extra["action"]) == ("👍", "added", "removed")
    assert feedback.feedback_type == "dislike"
    assert {each.message_id for each in (reaction, feedback, removed)} == {reply["id"]}
    assert (error.message, error.metadata) == ("an error of the page", {"at": 1})
    shown = (await page.get(f"conversations/{reply['conversation']}"))["messages"][1]
    assert (shown["reactions"], shown["feedback"]) == ([], "dislike")
    kinds = [each["kind"] for each in (await page.get("state"))["exchanges"]]
    reports = ["report_reaction", "report_feedback", "report_error", "report_reaction"]
    assert kinds == ["settings", "query", *reports]
    # Poe sends the feedback with the message from now on, and the reason.
    await page.ask("again", reply["conversation"])
    [given] = cat.requests[-1].query[1].feedback
    assert (given.type, given.reason) == ("dislike", "too short")


async def test_a_reply_that_poe_does_not_keep_gets_no_feedback(page: PlaygroundPage, cat: Cat) -> None:
    failed = await page.ask("fail")
    for message in (failed["id"], failed["asked"]):
        await page.post(f"messages/{message}/feedback", 409, feedback_type="like")
        await page.post(f"messages/{message}/reactions", 409, reaction="👍")
    assert [each for each in cat.reports if not isinstance(each, ReportErrorRequest)] == []
    shown = (await page.get(f"conversations/{failed['conversation']}"))["messages"]
    assert [(each["feedback"], each["reactions"]) for each in shown] == [(None, [])] * 2


async def test_settings_are_fetched_again(page: PlaygroundPage, cat: Cat) -> None:
    cat.introduction = "hi again"
    bot = await page.post("bots/Cat/settings")
    assert bot["settings"]["introduction_message"] == "hi again"
    await page.until(lambda: page.bot("Cat")["settings"]["introduction_message"] == "hi again")
    cat.introduction = None
    bot = await page.post("bots/Cat/settings")
    assert bot["settings_error"]
    await page.post("bots/Nobody/settings", 404)


async def test_errors_say_whether_a_retry_is_allowed(page: PlaygroundPage, cat: Cat) -> None:
    refused = await page.ask("refuse")
    assert refused["status"] == "failed"
    assert refused["error"] == {"text": "no fish", "type": "insufficient_fund", "allow_retry": False}
    assert refused["texts"][0]["text"] == "half"
    later = await page.ask("later", refused["conversation"])
    assert later["error"] == {"text": "asleep", "type": None, "allow_retry": True}
    # Poe keeps the user's messages, and no failed reply.
    assert [each.content for each in cat.requests[-1].query] == ["refuse", "later"]
    again = await page.post(f"conversations/{refused['conversation']}/retry", message=later["id"])
    assert (await page.ended(again["reply"]))["error"]["text"] == "asleep"
    assert [each.content for each in cat.requests[-1].query] == ["refuse", "later"]


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


@pytest.mark.slow
async def test_copies_can_be_run(page: PlaygroundPage, cat: Cat, tmp_path: Path) -> None:
    reply = await page.ask('it\'s "é" \\ $HOME', parameters={"size": 3})
    path = f"exchanges/{reply['exchange']}"
    body = (await page.fetch("GET", f"/api/{path}/body")).body
    for form, command in [
        ("python", [sys.executable]),
        ("pytest", [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"]),
        ("curl", ["sh"]),
    ]:
        for secrets in ("0", "1"):
            copied = (await page.get(f"{path}/copy?as={form}&secrets={secrets}"))["text"]
            assert (KEY in copied) == (secrets == "1")
            if form == "curl" and shutil.which("curl") is None:
                continue
            script = tmp_path / f"test_{form}_{secrets}.py"
            script.write_text(copied)
            environment = {"PATH": os.environ["PATH"], "PYTHONUTF8": "1"} | (
                {} if secrets == "1" else {"POE_ACCESS_KEY": KEY}
            )
            result = await anyio.run_process([*command, str(script)], env=environment, cwd=tmp_path, check=False)
            assert result.returncode == 0, (result.stdout, result.stderr)
            if form == "pytest":
                assert b"1 passed" in result.stdout
            else:
                assert result.stdout.splitlines() == body.splitlines()
    assert [each.query for each in cat.requests] == [cat.requests[0].query] * len(cat.requests)
    assert len(cat.requests) >= 5


async def test_copied_tests_expect_the_recorded_response(page: PlaygroundPage, tmp_path: Path) -> None:
    failed = (await page.ask("refuse"))["exchange"]
    settings = next(each["id"] for each in page.state["exchanges"] if each["kind"] == "settings")
    refused = (await page.post("requests", bot="Cat", body="{}"))["id"]
    await page.until(lambda: [e for e in page.state["exchanges"] if e["id"] == refused and e["outcome"]])
    for exchange in (failed, settings, refused):
        copied = (await page.get(f"exchanges/{exchange}/copy?as=pytest&secrets=1"))["text"]
        (tmp_path / f"test_{exchange}.py").write_text(copied)
    result = await anyio.run_process([sys.executable, "-m", "pytest", "-q", "."], cwd=tmp_path, check=False)
    assert b"3 passed" in result.stdout, result.stdout


@pytest.mark.slow
async def test_the_copied_test_fails_when_the_reply_does(page: PlaygroundPage, tmp_path: Path) -> None:
    reply = await page.ask("hello")
    copied = (await page.get(f"exchanges/{reply['exchange']}/copy?as=pytest&secrets=1"))["text"]
    script = tmp_path / "test_copied.py"
    script.write_text(copied.replace("hello", "fail"))
    result = await anyio.run_process([sys.executable, "-m", "pytest", "-q", str(script)], cwd=tmp_path, check=False)
    assert result.returncode == 1
    assert b"1 failed" in result.stdout


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
    jsonschema.validate(har, HAR_SCHEMA)
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


async def test_paths_and_objects_that_do_not_exist(page: PlaygroundPage) -> None:
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
        [before, after] = [
            [round(each["started"]) for each in state["exchanges"]] for state in (page.state, opened.state)
        ]
        # A recording says when it began in whole seconds.
        assert all(abs(one - other) <= 1 for one, other in zip(before, after, strict=True))
        assert opened.state["recordings"] == [{"id": "r1", "name": "bot.jsonl", "exchanges": 2, "is_cut": False}]
        await opened.post("conversations", 409)
