"""`poeproto query` and `poeproto settings`: output and exit code."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Generator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from anyio.from_thread import BlockingPortal
from click.testing import CliRunner, Result

from poeproto import Error, Event, File, Meta, ReplaceResponse, SuggestedReply, Text, UnknownEvent
from poeproto_cli.commands import main
from poeproto_cli.terminal import print_exception

from ...support.bots import KEY
from ...support.command import COMMAND, SECONDS, serving, started
from ...support.peers_in_thread import scripted_in_thread
from ...support.scripted_peer import Peer, answering, reply, response

BOTS = """
import anyio
from poeproto import (
    Bot, Data, Error, File, Meta, ReplaceResponse, SettingsResponse, SuggestedReply, Text
)

gate = anyio.Event()

class Wishes(Bot):
    async def get_response(self, request, context):
        wish = request.query[-1].content
        if wish == "everything":
            yield Meta()
            yield Text("naïve ")
            yield Text("🐈")
            yield ReplaceResponse("new", index=1)
            yield File("https://files.invalid/a.png", "a.png", "image/png")
            yield Data("kept")
            yield SuggestedReply("more")
        elif wish == "error":
            yield "so far"
            yield Error(allow_retry=False, text="no\\ndogs  here", error_type="user_caused_error")
        elif wish == "raise":
            raise RuntimeError("swordfish")
        elif wish == "wait":
            yield "first"
            await gate.wait()
            yield "last"
        elif wish == "go":
            gate.set()
            yield "gone"
        elif wish == "forever":
            yield "first"
            await anyio.sleep_forever()
        elif wish == "endless":
            while True:
                yield "a"
                await anyio.lowlevel.checkpoint()
        else:
            yield wish

    async def get_settings(self, request, context):
        return SettingsResponse(introduction_message="naïve 🐈", allow_attachments=True)

bot = Wishes()
"""


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Generator[str]:
    """A bot server for all tests here."""
    file = tmp_path_factory.mktemp("bots") / "wishes.py"
    file.write_text(BOTS)
    with serving(f"{file}:bot", "--access-key", KEY) as server:
        yield server.address


@pytest.fixture(params=["asyncio", "trio"])
def backend(request: pytest.FixtureRequest) -> str:
    return request.param


def invoke(*arguments: str, key: str | None = KEY) -> Result:
    """Run the command in this process, with the key in its environment."""
    return CliRunner(env={"POE_ACCESS_KEY": key}).invoke(main, arguments, prog_name="poeproto")


def lines(text: str) -> list[object]:
    return [json.loads(line) for line in text.splitlines()]


def fails(result: Result, message: str, status: int = 1) -> None:
    """Assert that the command failed with one line on standard error, or with click's usage error."""
    assert (result.exit_code, result.stdout) == (status, "")
    *usage, line = result.stderr.splitlines()
    assert line.startswith("Error: ")
    assert message in line
    assert not usage if status == 1 else usage[0].startswith("Usage: poeproto")
    assert KEY not in result.output


# --- query


def test_the_text_is_printed(address: str, backend: str) -> None:
    result = invoke("query", address, "how are you?", "--backend", backend)
    assert (result.exit_code, result.stdout, result.stderr) == (0, "how are you?\n", "")


@pytest.mark.parametrize(
    ("payload", "shown"),
    [
        ('{"a": [1]}', {"a": [1]}),
        ("[1, 2]", [1, 2]),
        ("no JSON", "no JSON"),
        ('{"a": NaN}', '{"a": NaN}'),
        ("[" * 100_000 + "]" * 100_000, "[" * 100_000 + "]" * 100_000),
    ],
    ids=["object", "list", "text", "NaN", "deep"],
)
def test_an_unknown_event_is_shown_as_json_if_it_is_json(payload: str, shown: object, portal: BlockingPortal) -> None:
    with scripted_in_thread(portal, answering(reply(UnknownEvent("later", payload), Text("over")))) as server:
        result = invoke("query", server.address, "hello", "--json")
    assert result.exit_code == 0, result.output
    assert lines(result.stdout)[0] == {"event": "later", "data": shown}


# Colours, a title, an 8-bit control sequence, a bidirectional override and an isolate; tab and line ends are harmless.
ESCAPES = "a\x1b[31mb\tc\x1b]0;own\x07\x9b2J\u202eevil\u2066\r\nd"
SHOWN = "a\\u001b[31mb\tc\\u001b]0;own\\u0007\\u009b2J\\u202eevil\\u2066\r\nd"
UNSAFE = re.compile("[\x00-\x08\x0b-\x0c\x0e-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")


def test_a_bot_cannot_control_the_terminal_through_a_pipe(address: str) -> None:
    command = [*COMMAND, "query", address, ESCAPES, "--access-key", KEY]
    assert subprocess.check_output(command, timeout=SECONDS) == f"{SHOWN}\n".encode()


def test_a_bot_cannot_control_the_terminal(address: str) -> None:
    ours, theirs = os.openpty()
    command = [*COMMAND, "query", address, ESCAPES, "--access-key", KEY, "--plain"]
    try:
        done = subprocess.run(command, stdout=theirs, stderr=subprocess.PIPE, timeout=SECONDS, check=False)
        shown = os.read(ours, 1000).decode()
    finally:
        os.close(theirs)
        os.close(ours)
    assert (done.returncode, done.stderr) == (0, b"")
    assert shown.replace("\r", "") == f"{SHOWN}\n".replace("\r", "")


def test_json_is_exact_and_printable(address: str) -> None:
    result = invoke("query", address, ESCAPES, "--json")
    assert lines(result.stdout)[0] == {"event": "text", "data": {"text": ESCAPES}}
    assert not UNSAFE.search(result.output)


FORGED = "a\nError: forged\x1b]0;own\x07\x9b2J\u202e\u2028b"


@pytest.mark.parametrize(
    "hostile",
    [
        pytest.param([Error(allow_retry=False, text=FORGED, error_type=FORGED)], id="error"),
        pytest.param([Error(allow_retry=True, text="", raw_response=FORGED)], id="raw response"),
        pytest.param([Text("a"), File(f"https://files.invalid/{FORGED}", FORGED, FORGED, FORGED)], id="file"),
        pytest.param([Text("a"), SuggestedReply(FORGED), SuggestedReply("\r\x0b\x0c\x85")], id="suggested reply"),
        pytest.param([Meta(content_type=FORGED), ReplaceResponse("a")], id="meta"),
        pytest.param([UnknownEvent("later", FORGED), Text("a")], id="unknown"),
    ],
)
@pytest.mark.parametrize("options", [[], ["--json"]])
def test_no_event_controls_the_terminal_or_forges_a_line(
    hostile: list[Event], options: list[str], portal: BlockingPortal
) -> None:
    with scripted_in_thread(portal, answering(reply(*hostile))) as server:
        result = invoke("query", server.address, "hello", *options)
    assert result.exit_code in (0, 1), result.output
    assert not UNSAFE.search(result.output)
    assert "\nError: forged" not in result.output
    assert len(result.stderr.splitlines()) <= 2


@pytest.mark.parametrize(
    "response",
    [
        b"HTTP/1.1 400 \x1b]0;own\x07\r\ncontent-length: 0\r\n\r\n",
        b"HTTP/1.1 400 no\r\ncontent-length: 12\r\n\r\nno\nError: \x1b\x07",
        b"HTTP/1.1 200 ok\r\ncontent-type: \xc2\x9b2J\x1b\r\ncontent-length: 0\r\n\r\n",
        b"\x1b]0;own\x07\r\n\r\n",
        b"HTTP/1.1 302 no\r\nlocation: http://\xc2\x9b2J/\r\ncontent-length: 0\r\n\r\n",
        b"HTTP/1.1 200 ok\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n"
        b'event: text\r\ndata: "\x1b]0;own\x07"\r\n\r\n',
    ],
)
@pytest.mark.parametrize("verb", ["query", "settings", "bench"])
def test_no_response_controls_the_terminal(response: bytes, verb: str, portal: BlockingPortal) -> None:
    async def script(peer: Peer) -> None:
        await peer.answer(response)

    with scripted_in_thread(portal, script) as server:
        result = invoke(verb, server.address, *(["hello"] if verb != "settings" else []))
    assert result.exit_code == 1
    assert not UNSAFE.search(result.output)
    assert len(result.stderr.splitlines()) == 1


def test_no_argument_controls_the_terminal() -> None:
    result = invoke("query", "http://a\x1b[31m\u202e/", "hello")
    assert result.exit_code == 2
    assert not UNSAFE.search(result.output)


def test_an_unexpected_exception_is_printable(capsys: pytest.CaptureFixture[str]) -> None:
    print_exception(ValueError, ValueError(ESCAPES))
    assert capsys.readouterr().err == f"ValueError: {SHOWN}\n"


def test_files_and_suggestions_go_to_standard_error(address: str) -> None:
    result = invoke("query", address, "everything")
    assert (result.exit_code, result.stdout) == (0, "naïve 🐈\nnew\n")
    assert result.stderr == "[file a.png: https://files.invalid/a.png]\n[suggested reply: more]\n"


def test_events_are_printed_as_json_lines(address: str, backend: str) -> None:
    result = invoke("query", address, "everything", "--json", "--backend", backend)
    assert (result.exit_code, result.stderr) == (0, "")
    assert lines(result.stdout) == [
        {"event": "meta", "data": {"content_type": "text/markdown", "suggested_replies": False}},
        {"event": "text", "data": {"text": "naïve "}},
        {"event": "text", "data": {"text": "🐈"}},
        {"event": "replace_response", "data": {"text": "new", "index": 1}},
        {
            "event": "file",
            "data": {
                "url": "https://files.invalid/a.png",
                "name": "a.png",
                "content_type": "image/png",
                "inline_ref": None,
            },
        },
        {"event": "data", "data": {"metadata": "kept"}},
        {"event": "suggested_reply", "data": {"text": "more"}},
        {"event": "done", "data": {}},
    ]
    assert "🐈" in result.stdout


@pytest.mark.parametrize("as_json", [False, True])
def test_an_error_event_is_a_failure(address: str, backend: str, as_json: bool) -> None:
    result = invoke("query", address, "error", "--backend", backend, *["--json"] * as_json)
    assert result.exit_code == 1
    assert result.stderr == "Error: the bot reported an error (user_caused_error): no dogs here\n"
    if as_json:
        error = {"allow_retry": False, "text": "no\ndogs  here", "error_type": "user_caused_error"}
        assert lines(result.stdout) == [
            {"event": "text", "data": {"text": "so far"}},
            {"event": "error", "data": error},
        ]
    else:
        assert result.stdout == "so far\n"


def test_a_bot_that_fails_is_a_failure(address: str) -> None:
    result = invoke("query", address, "raise")
    fails(result, "the bot reported an error: Something went wrong in this bot. Error id: ")
    assert "swordfish" not in result.stderr


def test_the_key_may_be_an_option(address: str) -> None:
    assert invoke("query", address, "a", "--access-key", KEY, key=None).stdout == "a\n"
    assert invoke("query", address, "a", "--access-key", KEY, key="wrong").stdout == "a\n"


@pytest.mark.parametrize("command", [["query", "hello"], ["settings"]], ids=lambda command: command[0])
def test_a_wrong_key(address: str, command: list[str], backend: str) -> None:
    for key in ("wrong", None, ""):
        result = invoke(command[0], address, *command[1:], "--backend", backend, key=key)
        fails(result, "status 401: the access key is missing or wrong; give the right key with --access-key or in")


@pytest.mark.parametrize("command", [["query", "hello"], ["settings"]], ids=lambda command: command[0])
def test_no_server(command: list[str], backend: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        address = f"http://127.0.0.1:{listener.getsockname()[1]}"
    fails(
        invoke(command[0], address, *command[1:], "--backend", backend),
        f"no connection to {address}: Connection refused; is the URL right, and the server running?",
    )


@pytest.mark.parametrize("command", [["query", "hello"], ["settings"]], ids=lambda command: command[0])
@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("127.0.0.1:8080", "did you mean http://127.0.0.1:8080?"),
        ("http:/127.0.0.1:8080/x", "did you mean http://127.0.0.1:8080/x?"),
        ("https:bot.example", "did you mean https://bot.example?"),
        ("", "the URL is empty"),
        ("CatBot", "did you mean https://api.poe.com/bot/CatBot, with an API key as --access-key?"),
        ("bot.example", "did you mean http://bot.example?"),
        ("ftp://bot.example/", "expected an http or https URL"),
        ("http://bot.example:port/", "not a URL"),
        ("http://swordfish@bot.example/", "credentials"),
    ],
)
def test_an_invalid_url(command: list[str], url: str, message: str) -> None:
    result = invoke(command[0], url, *command[1:])
    fails(result, message, 2)
    assert "swordfish" not in result.stderr


@pytest.mark.parametrize(
    "arguments",
    [
        ["query"],
        ["query", "http://bot.example/"],
        ["query", "http://bot.example/", "a", "b"],
        ["query", "http://bot.example/", "a", "--backend", "uvloop"],
        ["query", "http://bot.example/", "a", "--nonsense"],
        ["query", "http://bot.example/", "a", "--access-key", "two words"],
        ["query", "http://bot.example/", "a", "--access-key", ""],
        ["settings"],
        ["settings", "http://bot.example/", "--access-key", "kléf"],
        ["nonsense"],
    ],
    ids=" ".join,
)
def test_wrong_usage(arguments: list[str]) -> None:
    fails(invoke(*arguments, key=None), "", 2)


def test_help_and_version() -> None:
    for arguments in (["--help"], ["query", "--help"], ["settings", "--help"], ["serve", "--help"], ["--version"]):
        result = invoke(*arguments)
        assert result.exit_code == 0
        assert "poeproto" in result.stdout
    script = Path(sys.executable).with_name("poeproto")
    for command in ([str(script)], COMMAND):
        assert subprocess.check_output([*command, "--version"], text=True) == result.stdout


# --- settings


def test_settings(address: str, backend: str) -> None:
    wire = {
        "response_version": 2,
        "allow_attachments": True,
        "introduction_message": "naïve 🐈",
    }
    result = invoke("settings", address, "--json", "--backend", backend)
    assert (result.exit_code, result.stderr) == (0, "")
    assert lines(result.stdout) == [wire]
    result = invoke("settings", address, "--backend", backend)
    assert json.loads(result.stdout) == wire
    assert '\n  "introduction_message": "naïve 🐈"' in result.stdout


@pytest.mark.parametrize(
    "wire",
    [
        {"response_version": 2, "added": {"a": None}},
        {"response_version": 3, "parameter_controls": {"api_version": "3", "sections": []}},
        {
            "response_version": 2,
            "parameter_controls": {
                "api_version": "2",
                "sections": [{"controls": [{"control": "dial", "turns": 3}, {"control": "divider", "added": 1}]}],
                "added": 2,
            },
        },
    ],
    ids=["key", "version", "control"],
)
def test_settings_of_a_later_version_are_shown(wire: dict[str, object], portal: BlockingPortal) -> None:
    with scripted_in_thread(portal, answering(response(200, json.dumps(wire).encode()))) as server:
        result = invoke("settings", server.address, "--json")
    assert (result.exit_code, result.stderr) == (0, "")
    assert lines(result.stdout) == [wire]


# --- as a process


def test_events_are_printed_as_they_arrive(address: str) -> None:
    with started("query", address, "wait", "--access-key", KEY, "--json") as process:
        assert process.stdout is not None
        assert lines(process.stdout.readline()) == [{"event": "text", "data": {"text": "first"}}]
        assert invoke("query", address, "go").exit_code == 0
        rest, _ = process.communicate(timeout=SECONDS)
    assert lines(rest) == [{"event": "text", "data": {"text": "last"}}, {"event": "done", "data": {}}]
    assert process.returncode == 0


def test_an_interrupted_query(address: str, backend: str) -> None:
    with started("query", address, "forever", "--access-key", KEY, "--json", "--backend", backend) as process:
        assert process.stdout is not None
        assert process.stdout.readline()
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=SECONDS)
    assert (process.returncode, errors.split()) == (130, ["Aborted!"])


def test_a_reader_that_closes_the_pipe(address: str) -> None:
    with started("query", address, "endless", "--access-key", KEY, "--json") as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert process.stdout.readline()
        process.stdout.close()
        assert process.stderr.read() == ""
        assert process.wait(SECONDS) == 1


# --- other servers

HALF = '"naive \\ud83d"'
ANSWERS = {
    "/half": f'event: text\ndata: {{"text": {HALF}}}\n\nevent: suggested_reply\ndata: {{"text": {HALF}}}\n\n'
    f"event: novelty\ndata: not JSON\n\nevent: done\ndata: {{}}\n\n",
    "/cut": 'event: text\ndata: {"text": "so far"}\n\n',
    "/json": '{"error": ["not", "a", "string"]}',
    "/page": "<html></html>",
    "/moved": "",
    "/settings": f'{{"novelty": [1], "introduction_message": {HALF}}}',
}


class OtherServer(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        body = ANSWERS[self.path].encode()
        self.send_response({"/json": 500, "/page": 405, "/moved": 307}.get(self.path, 200))
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture(scope="module")
def other() -> Generator[str]:
    """The address of a server with a fixed response for each path."""
    with ThreadingHTTPServer(("127.0.0.1", 0), OtherServer) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def test_a_lone_surrogate_is_printed_as_its_escape(other: str) -> None:
    result = invoke("query", f"{other}/half", "hello", "--json")
    assert result.exit_code == 0
    assert lines(result.stdout) == [
        {"event": "text", "data": {"text": "naive "}},
        {"event": "suggested_reply", "data": {"text": "naive \ud83d"}},
        {"event": "novelty", "data": "not JSON"},
        {"event": "text", "data": {"text": "\ufffd"}},
        {"event": "done", "data": {}},
    ]
    result = invoke("query", f"{other}/half", "hello")
    assert (result.stdout, result.stderr) == ("naive \ufffd\n", "[suggested reply: naive \\ud83d]\n")


def test_settings_of_a_later_version(other: str) -> None:
    for arguments in ([], ["--json"]):
        result = invoke("settings", f"{other}/settings", *arguments)
        assert result.exit_code == 0
        shown = json.loads(result.stdout)
        assert (shown["novelty"], shown["introduction_message"]) == ([1], "naive \ud83d")


def test_a_reply_cut_short(other: str) -> None:
    result = invoke("query", f"{other}/cut", "hello")
    assert (result.exit_code, result.stdout) == (1, "so far\n")
    assert result.stderr == "Error: the stream ended without done or error\n"


def test_an_error_response_in_json(other: str) -> None:
    fails(invoke("query", f"{other}/json", "hello"), "the bot answered with status 500")


def test_a_server_that_is_not_a_bot(other: str) -> None:
    fails(invoke("query", f"{other}/page", "hello"), "the bot answered with status 405; is that the URL of a bot?")


def test_a_redirect_is_named(other: str) -> None:
    message = "the bot answered with status 307: a redirect, which is not followed; give the URL that it leads to"
    fails(invoke("query", f"{other}/moved", "hello"), message)
    fails(invoke("settings", f"{other}/moved"), message)


# --- how the client connects


@pytest.mark.parametrize("command", [["query", "http://bot.invalid/", "hello"], ["settings", "http://bot.invalid/"]])
def test_headers_and_a_proxy(portal: BlockingPortal, command: list[str]) -> None:
    settings = response(200, b"{}", "Content-Type: application/json")
    answers = answering(reply(Text("hello")) if command[0] == "query" else settings)
    with scripted_in_thread(portal, answers) as proxy:
        options = ["--proxy", proxy.address, "--header", "X-Trace: 1: 2", "--header", "x-other:3"]
        result = CliRunner().invoke(main, [*command, *options])
        assert result.exit_code == 0, result.output
        [request] = proxy.requests
        assert request.line == "POST http://bot.invalid/ HTTP/1.1"
        assert (request.all("x-trace"), request.all("x-other")) == (["1: 2"], ["3"])


def test_an_empty_proxy_means_no_proxy(portal: BlockingPortal) -> None:
    with scripted_in_thread(portal, answering(reply(Text("hello")))) as server:
        environment = {"HTTP_PROXY": "http://127.0.0.1:9", "NO_PROXY": ""}
        for proxy, status in (("", 0), (None, 1)):
            options = [] if proxy is None else ["--proxy", proxy]
            result = CliRunner(env=environment).invoke(main, ["query", server.address, "hello", *options])
            assert result.exit_code == status, result.output


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--header", "a-key"], "a header is written as 'NAME: VALUE'"),
        (["--header", "Host: a"], "the client sets it itself"),
        (["--header", "x a: b"], "its name is not a token"),
        (["--proxy", "ftp://user:a-key@a"], "this is not a proxy's URL"),
        (["--proxy", "http://a", "--unix-socket", "/b"], "--proxy and --unix-socket exclude each other"),
    ],
)
def test_options_of_the_client_that_cannot_be_used(options: list[str], message: str) -> None:
    result = CliRunner().invoke(main, ["query", "http://bot.invalid/", "hello", *options])
    assert result.exit_code == 2
    assert message in result.stderr
    assert "a-key" not in result.output
