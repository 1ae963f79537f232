"""`poeproto query` with attachments, parameters, a conversation, or raw output; `poeproto upload` and `sync`."""

from __future__ import annotations

import base64
import json
import os
import re
from collections.abc import Generator, Mapping
from pathlib import Path
from typing import Any

import attrs
import pytest
from anyio.from_thread import BlockingPortal, start_blocking_portal
from click.testing import CliRunner, Result

from poeproto import (
    AspectRatio,
    AspectRatioOption,
    Data,
    DropDown,
    DropDownOption,
    Error,
    File,
    Message,
    ParameterControls,
    QueryRequest,
    Section,
    SettingsResponse,
    Slider,
    TextField,
    ToggleSwitch,
)
from poeproto_cli.commands import main
from poeproto_cli.conversation_file import load_conversation
from poeproto_simulator import Scripted, Simulator

from ...support.bots import KEY
from ...support.peers_in_thread import scripted_in_thread
from ...support.pseudo_terminal import run_in_terminal
from ...support.scripted_peer import HELLO, answering, response

CONTROLS = ParameterControls(
    [
        Section(
            name="all",
            controls=[
                Slider(label="d", parameter_name="depth", min_value=1, max_value=5, step=1),
                ToggleSwitch(label="t", parameter_name="think"),
                TextField(label="s", parameter_name="style"),
                DropDown(label="p", parameter_name="pick", options=[DropDownOption(value="a", name="A")]),
                AspectRatio(label="r", parameter_name="ratio", options=[AspectRatioOption(width=16, height=9)]),
            ],
        )
    ]
)


@attrs.frozen
class Place:
    """A simulator with a bot.

    Attributes:
        address: of the simulator.
        url: of the bot in it.
        simulator: the simulator.
        bot: the bot, with the queries that it received.
    """

    address: str
    url: str
    simulator: Simulator
    bot: Scripted

    @property
    def query(self) -> QueryRequest:
        """The last query."""
        return self.bot.requests[-1]

    @property
    def message(self) -> Message:
        """The last message of the last query."""
        return self.query.query[-1]


async def respond(request: QueryRequest):
    match request.query[-1].content:
        case "fail":
            yield "so far"
            yield Error(allow_retry=False, text="no")
        case "file":
            yield File("https://files.invalid/a.png", "a.png", "image/png", "ref")
            yield Data("kept")
        case content:
            yield f"{content}!"


@pytest.fixture(scope="module")
def place() -> Generator[Place]:
    simulator = Simulator()
    settings = SettingsResponse(allow_attachments=True, parameter_controls=CONTROLS, introduction_message="hi")
    bot = Scripted(respond, settings)
    simulator.register("Bot", bot)
    with start_blocking_portal() as portal, portal.wrap_async_context_manager(simulator.serving()) as address:
        yield Place(address, f"{address}/bot/Bot", simulator, bot)


def invoke(*arguments: str | Path, env: Mapping[str, str | None] | None = None, stdin: str | None = None) -> Result:
    return CliRunner(env={"POE_ACCESS_KEY": None, **(env or {})}).invoke(
        main, [str(each) for each in arguments], input=stdin, prog_name="poeproto"
    )


def succeeds(*arguments: str | Path, **options: Any) -> Result:
    result = invoke(*arguments, **options)
    assert result.exit_code == 0, result.output
    return result


def refuses(message: str, *arguments: str | Path, status: int = 2, **options: Any) -> None:
    """Assert that the command fails with one line, and with the usage before it if that was wrong."""
    result = invoke(*arguments, **options)
    assert (result.exit_code, result.stdout) == (status, "")
    *usage, line = result.stderr.splitlines()
    assert line.startswith("Error: ")
    assert message in line
    assert bool(usage) == (status == 2)


# --- files


@pytest.fixture
def text_file(tmp_path: Path) -> Path:
    path = tmp_path / "notes ü.txt"
    path.write_text("naïve {0}")
    return path


def test_a_file_for_a_bot_server_is_within_the_query(place: Place, text_file: Path, tmp_path: Path) -> None:
    picture = tmp_path / "a.png"
    picture.write_bytes(b"\x89PNG\xff")
    succeeds("query", place.url, "hello", "--file", text_file, "--file", picture)
    text, image = place.message.attachments
    assert (text.name, text.content_type, text.parsed_content) == ("notes ü.txt", "text/plain", "naïve {0}")
    assert text.url == f"data:text/plain;base64,{base64.b64encode(text_file.read_bytes()).decode()}"
    assert (image.name, image.content_type, image.parsed_content) == ("a.png", "image/png", None)
    assert base64.b64decode(image.url.removeprefix("data:image/png;base64,")) == b"\x89PNG\xff"


def test_a_text_in_another_encoding_is_not_parsed(place: Place, tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes(b"\xff")
    succeeds("query", place.url, "hello", "--file", tmp_path / "a.txt")
    assert place.message.attachments[0].parsed_content is None


def test_a_file_is_uploaded_to_the_endpoint(place: Place, text_file: Path) -> None:
    arguments = ("query", place.url, "hello", "--file", text_file, "--endpoint", place.address)
    succeeds(*arguments, "--access-key", KEY)
    (attachment,) = place.message.attachments
    assert attachment.url.startswith(f"{place.address}/files/")
    assert (attachment.name, attachment.content_type) == ("notes ü.txt", "text/plain")
    succeeds(*arguments, env={"POE_ACCESS_KEY": KEY})
    refuses("an upload needs a key; give it with --access-key or in POE_ACCESS_KEY", *arguments)


def test_a_file_for_a_bot_on_poe_is_uploaded_there() -> None:
    refuses("an upload needs a key", "query", "https://api.poe.com/bot/A", "hi", "--file", __file__)


def test_a_url_is_attached_as_it_is(place: Place) -> None:
    url = "https://files.example/x/caf%C3%A9.pdf?signed=1"
    for options in ([], ["--endpoint", place.address, "--access-key", KEY]):
        succeeds("query", place.url, "hello", "--file", url, "--file", "data:image/png;base64,AA==", *options)
        pdf, image = place.message.attachments
        assert (pdf.url, pdf.name, pdf.content_type) == (url, "café.pdf", "application/pdf")
        assert (image.url, image.name, image.content_type) == ("data:image/png;base64,AA==", "file", "image/png")


def test_wrong_files(place: Place, tmp_path: Path) -> None:
    refuses("there is no file", "query", place.url, "hello", "--file", tmp_path / "nowhere")
    refuses("there is no file", "query", place.url, "hello", "--file", tmp_path)
    refuses("the URL of --file is malformed", "query", place.url, "hello", "--file", "https://swordfish@[/")
    large = tmp_path / "large.bin"
    with large.open("wb") as file:
        file.truncate(10 * 1024 * 1024 + 1)
    refuses(
        "more than 10485760 bytes, too many for one query; give --endpoint", "query", place.url, "a", "--file", large
    )


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read any file")
def test_a_file_that_may_not_be_read(place: Place, text_file: Path) -> None:
    text_file.chmod(0)
    refuses("cannot be read: Permission denied", "query", place.url, "a", "--file", text_file)


def test_an_upload_shows_its_progress_in_a_terminal(place: Place, tmp_path: Path) -> None:
    path = tmp_path / "a\u202e.bin"
    path.write_bytes(bytes(300_000))
    arguments = ("upload", str(path), "--endpoint", place.address, "--access-key", KEY)
    shown = run_in_terminal(*arguments)
    assert shown.status == 0
    assert "100%" in shown.output
    assert "a\\u202e.bin  [" in shown.output
    assert shown.lines[-2].startswith(f"{place.address}/files/")
    narrow = run_in_terminal(*arguments, columns=12)
    assert (narrow.status, "%]" in narrow.output) == (0, False)
    assert len(narrow.output.splitlines()) == 1


def test_the_failure_of_an_upload(text_file: Path, portal: BlockingPortal) -> None:
    with scripted_in_thread(portal, answering(response(413, b"too large"))) as server:
        result = invoke("upload", text_file, "--endpoint", server.address, "--access-key", KEY)
    assert (result.exit_code, result.stdout) == (1, "")
    assert "413" in result.stderr
    assert KEY not in result.stderr
    assert len(result.stderr.splitlines()) == 1


def test_upload(place: Place, text_file: Path, tmp_path: Path) -> None:
    options = ("--endpoint", place.address, "--access-key", KEY)
    (tmp_path / "b.png").write_bytes(b"b")
    text, image = succeeds("upload", text_file, tmp_path / "b.png", *options).stdout.splitlines()
    assert text.startswith(f"{place.address}/files/")
    assert image.endswith("/b.png")
    shown = json.loads(succeeds("upload", text_file, "--json", *options).stdout)
    assert shown.keys() == {"url", "content_type", "name"}
    assert (shown["content_type"], shown["name"]) == ("text/plain", "notes ü.txt")
    again = succeeds("upload", shown["url"], *options).stdout
    assert again.startswith(f"{place.address}/files/")
    refuses("an upload needs a key", "upload", text_file)
    refuses("there is no file", "upload", "nowhere", *options)
    refuses("Missing argument", "upload", *options)


# --- parameters


def test_parameters(place: Place) -> None:
    given = {
        "depth": "3",
        "style": "short",
        "quoted": '"3"',
        "think": "true",
        "list": '[1, {"a": null}]',
        "b": "a=b",
        "c": "",
    }
    options = [part for name, value in given.items() for part in ("--parameter", f"{name}={value}")]
    succeeds("query", place.url, "hello", *options)
    assert place.message.parameters == {
        "depth": 3, "style": "short", "quoted": "3", "think": True, "list": [1, {"a": None}], "b": "a=b", "c": "",
    }  # fmt: skip


def test_values_that_are_not_json_are_strings(place: Place) -> None:
    succeeds("query", place.url, "hello", "--parameter", "a=NaN", "--parameter", f"b={'[' * 100_000}")
    assert place.message.parameters == {"a": "NaN", "b": "[" * 100_000}


@pytest.mark.parametrize("parameter", ["depth", "=3", ""])
def test_a_parameter_has_a_name_and_a_value(place: Place, parameter: str) -> None:
    refuses("is not of the form NAME=VALUE", "query", place.url, "hello", "--parameter", parameter)


def test_a_parameter_is_given_once(place: Place) -> None:
    refuses("a is given twice", "query", place.url, "hello", "--parameter", "a=1", "--parameter", "a=2")


@pytest.mark.parametrize(
    ("parameter", "expected"),
    [
        ("depth=3", None),
        ("depth=2.5", None),
        ("think=false", None),
        ("style=any", None),
        ("pick=a", None),
        ("ratio=16:9", None),
        ("depth=6", "depth is 6; expected a number from 1 to 5"),
        ("depth=true", "depth is true; expected a number"),
        ("depth=x", 'depth is "x"; expected a number'),
        ("think=1", "think is 1; expected true or false"),
        ("style=3", "style is 3; expected a string"),
        ("pick=b", 'pick is "b"; expected one of a'),
        ("pick=[]", "pick is []; expected one of a"),
        ("ratio=1:1", 'ratio is "1:1"; expected one of 16:9'),
        ("deep=3", "the bot has no parameter deep; its parameters are depth, pick, ratio, style, think"),
    ],
)
def test_parameters_are_checked_on_request(place: Place, parameter: str, expected: str | None) -> None:
    arguments = ("query", place.url, "hello", "--parameter", parameter)
    asked = len(place.bot.requests)
    if expected is None:
        succeeds(*arguments, "--check-parameters")
    else:
        refuses(expected, *arguments, "--check-parameters")
        assert len(place.bot.requests) == asked
        succeeds(*arguments)


def test_a_bot_without_parameters(portal: BlockingPortal) -> None:
    with scripted_in_thread(portal, answering(response(200, b'{"response_version": 2}'))) as server:
        refuses("no parameter a; it has none", "query", server.address, "x", "--parameter", "a=1", "--check-parameters")


# --- a conversation


@pytest.mark.parametrize("name", ["talk.json", "talk.jsonl", "talk"])
def test_a_conversation_is_created_and_continued(place: Place, tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    for text in ("one", "file", "three"):
        succeeds("query", place.url, text, "--conversation", path)
    assert [(message.role, message.content) for message in place.query.query] == [
        ("user", "one"), ("bot", "one!"), ("user", "file"), ("bot", ""), ("user", "three"),
    ]  # fmt: skip
    sent = place.query.query[3]
    assert sent.metadata == "kept"
    assert [(file.url, file.name, file.inline_ref) for file in sent.attachments] == [
        ("https://files.invalid/a.png", "a.png", "ref")
    ]
    content = path.read_text()
    messages = [json.loads(line) for line in content.splitlines()] if name.endswith("l") else json.loads(content)
    assert [message["content"] for message in messages] == ["one", "one!", "file", "", "three", "three!"]
    assert all(message["timestamp"] > 10**15 for message in messages)
    assert os.listdir(tmp_path) == [name]


def test_the_question_is_kept_as_it_was_sent(place: Place, tmp_path: Path, text_file: Path) -> None:
    path = tmp_path / "talk.jsonl"
    succeeds("query", place.url, "one", "--conversation", path, "--file", text_file, "--parameter", "depth=3")
    question = load_conversation(str(path)).messages[0]
    assert question == place.message
    assert question.parameters == {"depth": 3}


@pytest.mark.parametrize(
    ("name", "before"),
    [
        ("a.json", '[{"role":"user","content":"a\\u2028","novelty":1.10,"novelty":2} ]\r\n'),
        ("a.json", "[]"),
        ("a.json", " \n"),
        ("a.json", "[\n  ]\n\n"),
        ("a.jsonl", '{"role": "user",   "content": "a\u2028b", "novelty": 1.50}\n\n{"role": "bot", "content": ""}'),
        ("a.json", '{"role": "user", "content": "lines, whatever the name"}\n'),
    ],
)
def test_the_content_of_the_file_is_unchanged(place: Place, tmp_path: Path, name: str, before: str) -> None:
    path = tmp_path / name
    path.write_text(before, newline="")
    path.chmod(0o640)
    count = len(load_conversation(str(path)).messages)
    succeeds("query", place.url, "more", "--conversation", path)
    after = path.read_text()
    kept = before.strip().removesuffix("]").rstrip()
    assert after.startswith(kept)
    assert len(load_conversation(str(path)).messages) == count + 2
    assert path.stat().st_mode & 0o777 == 0o640


def test_a_failed_reply_changes_nothing(place: Place, tmp_path: Path) -> None:
    path = tmp_path / "talk.json"
    assert invoke("query", place.url, "fail", "--conversation", path).exit_code == 1
    assert not path.exists()
    path.write_text("[]")
    assert invoke("query", place.url, "fail", "--conversation", path).exit_code == 1
    assert path.read_text() == "[]"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"{", "talk.json, line 1 is not JSON; expected a JSON array of messages, or one message a line"),
        (b"[", "talk.json is not JSON"),
        (b"[NaN]", "talk.json is not JSON"),
        (b"[" * 100_000, "talk.json is not JSON"),
        (b"hello", "talk.json, line 1 is not JSON"),
        (b"[1]", "holds no conversation: "),
        (b'[{"role": "user"}]', "query[0].content"),
        (b'[{"role": "user", "content": 3}]', "query[0].content"),
        (b"\xff", "is not in UTF-8"),
    ],
)
def test_a_file_without_a_conversation(place: Place, tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "talk.json"
    path.write_bytes(content)
    asked = len(place.bot.requests)
    refuses(message, "query", place.url, "hello", "--conversation", path)
    assert len(place.bot.requests) == asked
    assert path.read_bytes() == content


def test_a_file_that_cannot_be_written_is_noticed_before_the_query(place: Place, tmp_path: Path) -> None:
    asked = len(place.bot.requests)
    refuses("cannot be written", "query", place.url, "a", "--conversation", tmp_path / "nowhere" / "talk.json")
    refuses("is a directory", "query", place.url, "a", "--conversation", tmp_path)
    assert len(place.bot.requests) == asked


def test_messages_that_others_add_meanwhile_are_kept(tmp_path: Path) -> None:
    path = tmp_path / "talk.json"
    one, two = load_conversation(str(path)), load_conversation(str(path))
    one.append([Message("user", "one")])
    two.append([Message("user", "two \ud83d")])
    assert [message.content for message in load_conversation(str(path)).messages] == ["one", "two \ud83d"]


def test_a_replaced_file_is_always_complete(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "talk.json"
    path.write_text("[]")

    def fail(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(Exception, match="cannot be written: No space left"):
        load_conversation(str(path)).append([Message("user", "one")])
    assert path.read_text() == "[]"
    assert os.listdir(tmp_path) == ["talk.json"]


def test_a_link_to_a_conversation_remains_a_link(place: Place, tmp_path: Path) -> None:
    link = tmp_path / "link.json"
    link.symlink_to("talk.json")
    succeeds("query", place.url, "one", "--conversation", link)
    assert link.is_symlink()
    assert len(json.loads((tmp_path / "talk.json").read_text())) == 2


def test_the_last_thousand_messages_are_sent(place: Place, tmp_path: Path) -> None:
    path = tmp_path / "talk.jsonl"
    path.write_text("".join(f'{{"role": "user", "content": "{number}"}}\n' for number in range(1001)))
    succeeds("query", place.url, "last", "--conversation", path)
    assert [message.content for message in place.query.query[::999]] == ["2", "last"]
    assert len(path.read_text().splitlines()) == 1003


# --- raw


def test_raw_prints_the_bytes_as_they_are_received(portal: BlockingPortal) -> None:
    with scripted_in_thread(portal, answering(HELLO)) as server:
        result = CliRunner().invoke(main, ["query", server.address, "hello", "--raw"])
        assert (result.exit_code, result.stdout_bytes, result.stderr) == (0, HELLO, "")


@pytest.mark.parametrize(
    ("sent", "error"),
    [
        (response(404, b"\x1b\xff no"), "status 404"),
        (response(200, b"<html>", "Content-Type: text/html"), "text/html"),
        (HELLO.replace(b"event: done", b"event: dune"), "without done or error"),
        (HELLO.replace(b'{"text"', b'["text"'), "text"),
    ],
    ids=["status", "page", "incomplete", "invalid"],
)
def test_raw_prints_all_of_a_wrong_response(sent: bytes, error: str, portal: BlockingPortal) -> None:
    with scripted_in_thread(portal, answering(sent)) as server:
        result = CliRunner().invoke(main, ["query", server.address, "hello", "--raw"])
    assert (result.exit_code, result.stdout_bytes) == (1, sent)
    assert error in result.stderr
    assert len(result.stderr.splitlines()) == 1


def test_raw_in_a_terminal_is_printable(portal: BlockingPortal) -> None:
    sent = response(200, b"\x1b[2J\xff\xc2\x9b", "Content-Type: text/plain")
    with scripted_in_thread(portal, answering(sent)) as server:
        shown = run_in_terminal("query", server.address, "hello", "--raw")
    assert shown.lines[0] == "HTTP/1.1 200 Whatever"
    assert "\\u001b[2J\\xff\\u009b" in shown.output
    assert "\x1b" not in shown.output


def test_raw_continues_a_conversation(place: Place, tmp_path: Path) -> None:
    result = succeeds("query", place.url, "one", "--raw", "--conversation", tmp_path / "a.json")
    assert result.stdout.startswith("HTTP/1.1 200")
    assert [message["content"] for message in json.loads((tmp_path / "a.json").read_text())] == ["one", "one!"]


def test_raw_sends_the_headers_and_the_key(portal: BlockingPortal) -> None:
    with scripted_in_thread(portal, answering(HELLO)) as server:
        succeeds("query", server.address, "hello", "--raw", "--header", "X-A: b", "--access-key", KEY)
        assert ("x-a", "b") in [(name.lower(), value) for name, value in server.requests[0].headers]
        assert ("authorization", f"Bearer {KEY}") in [
            (name.lower(), value) for name, value in server.requests[0].headers
        ]


def test_raw_excludes_json() -> None:
    refuses("exclude each other", "query", "http://a/", "x", "--raw", "--json")


# --- sync


def test_sync(place: Place) -> None:
    options = ("--endpoint", place.address, "--access-key", KEY)
    result = succeeds("sync", "Bot", *options)
    assert result.stderr == f"Bot: {place.address} has fetched its settings\n"
    assert json.loads(result.stdout)["introduction_message"] == "hi"
    settings = '{"response_version": 2, "introduction_message": "naïve"}'
    result = succeeds("sync", "Bot", "--settings", "-", "--json", *options, stdin=settings)
    assert result.stderr == f"Bot: {place.address} has received its settings\n"
    stored = place.simulator.settings_of("Bot")
    assert stored is not None
    assert stored.introduction_message == "naïve"


def test_wrong_settings(place: Place) -> None:
    options = ("--endpoint", place.address, "--access-key", KEY)
    sync = ("sync", "Bot", "--settings", "-", *options)
    refuses("the file of --settings holds no settings", *sync, stdin="hello")
    refuses("the file of --settings holds no settings: allow_attachments", *sync, stdin='{"allow_attachments": 3}')
    refuses("novelty", *sync, stdin='{"novelty": 1}')
    refuses("No such file", "sync", "Bot", "--settings", "nowhere", *options)
    refuses("Poe wants the bot's access key", "sync", "Bot")
    refuses("is not the name of a bot", "sync", "", *options)


def test_the_failure_of_a_sync(portal: BlockingPortal) -> None:
    with scripted_in_thread(portal, answering(response(401, KEY.encode() + b"\x1b\n"))) as server:
        result = invoke("sync", "Bot", "--endpoint", server.address, "--access-key", KEY)
    assert (result.exit_code, result.stdout) == (1, "")
    assert "401" in result.stderr
    assert KEY not in result.stderr
    assert not re.search("\x1b", result.stderr)
