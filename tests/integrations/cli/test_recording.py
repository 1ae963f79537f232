"""`poeproto recording`: what it shows, finds, copies and exports, and that it prints neither keys nor controls."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from click.testing import CliRunner, Result

from poeproto_cli.commands import main
from poeproto_record import End, RecordingWriter, Redaction, load_recording

from ...support.canary import BEARER_CANARY, CANARY, assert_hidden
from ...support.command import started
from ...support.har_schema import HAR_SCHEMA

QUERY = json.dumps(
    {
        "version": "1.2",
        "type": "query",
        "query": [{"role": "user", "content": "hi"}],
        "user_id": "",
        "conversation_id": "",
        "message_id": "",
    }
).encode()
SETTINGS = b'{"version": "1.2", "type": "settings"}'
JSON = {"host": "bot.test:8080", "content-type": "application/json", "authorization": "Bearer the-key"}
STREAM = {"content-type": "text/event-stream", "cache-control": "no-cache", "x-accel-buffering": "no"}
TEXT = b'event: text\ndata: {"text": "hi"}\n\n'
DONE = b"event: done\ndata: {}\n\n"


def run(*arguments: object) -> Result:
    return CliRunner().invoke(main, ["recording", *map(str, arguments)])


def made(path: Path, write: Callable[[RecordingWriter], None], redaction: Redaction | None = None) -> Path:
    """A recording at that path."""
    times = iter(range(10**6))
    with path.open("wb") as file:
        created = "2026-01-01T00:00:00Z"
        write(
            RecordingWriter(file, tool="test 1", created=created, redaction=redaction, clock=lambda: next(times) / 10)
        )
    return path


def one_query(writer: RecordingWriter) -> None:
    number = writer.request("POST", "/bot?a=1", JSON, QUERY)
    writer.head(number, 200, STREAM)
    writer.data(number, TEXT[:20])
    writer.data(number, TEXT[20:])
    writer.data(number, DONE)
    writer.end(number)


def several(writer: RecordingWriter) -> None:
    """Exchanges 1 to 4, of which 2 has not ended and 4 was reset, and the second began first."""
    first = writer.request("POST", "/", JSON, QUERY)  # at 0.1
    second = writer.request("POST", "/", JSON, b"", is_whole=False)
    writer.head(first, 200, STREAM)
    writer.request_data(second, SETTINGS, is_last=True)
    writer.data(first, TEXT + DONE)
    writer.end(first)
    third = writer.request("GET", "/")  # at 0.7
    writer.head(third, 405)
    writer.data(third, b"\xff\x00")
    writer.end(third)
    fourth = writer.request("POST", "/", JSON, SETTINGS)  # at 1.1
    writer.end(fourth, End.RESET, "connection refused")


@pytest.fixture
def query(tmp_path: Path) -> Path:
    return made(tmp_path / "query.jsonl", one_query)


@pytest.fixture
def mixed(tmp_path: Path) -> Path:
    return made(tmp_path / "mixed.jsonl", several)


# --- show


def test_show_prints_each_read_with_its_time(query: Path) -> None:
    result = run("show", query)
    assert (result.exit_code, result.stderr) == (0, "")
    body = QUERY.decode()
    assert result.stdout.splitlines() == [
        "recording of 2026-01-01T00:00:00Z by test 1; nothing was redacted",
        "",
        "#1 at 0.100: POST /bot?a=1",
        "    host: bot.test:8080",
        "    content-type: application/json",
        "    authorization: Bearer the-key",
        f"  +0.000 > {len(QUERY)} bytes: {body}",
        "  +0.100 < status 200",
        "    content-type: text/event-stream",
        "    cache-control: no-cache",
        "    x-accel-buffering: no",
        '  +0.200 < 20 bytes: event: text\\ndata: {"',
        '  +0.300 < 14 bytes: text": "hi"}\\n\\n',
        "  +0.400 < 22 bytes: event: done\\ndata: {}\\n\\n",
        "  +0.500 end: eof",
    ]


def test_show_prints_some_exchanges_or_complete_reads(mixed: Path, tmp_path: Path) -> None:
    shown = run("show", mixed).stdout
    assert [line for line in shown.splitlines() if line.startswith("#")] == [
        "#1 at 0.100: POST /",
        "#3 at 0.700: GET /",
        "#4 at 1.100: POST /",
        "#2 at 0.200: POST /",
    ]
    assert "  +0.100 end: reset (connection refused)" in shown
    assert "  no end was recorded" in shown
    assert "< 2 bytes: \\xff\\u0000" in shown
    only = run("show", mixed, "--exchange", "3").stdout
    assert "#3" in only
    assert "#1" not in only

    def long(writer: RecordingWriter) -> None:
        writer.request("POST", "/", {}, b"x" * 1000)

    path = made(tmp_path / "long.jsonl", long)
    assert "x" * 200 + "…\n" in run("show", path).stdout
    assert "x" * 1000 + "\n" in run("show", path, "--full").stdout


CONTROLS = "\x1b]0;title\x07\x9b31m\u202e\u2028"


@pytest.mark.parametrize("verb", ["show", "lint", "har", "trim"])
def test_control_characters_are_printed_as_escapes(verb: str, tmp_path: Path) -> None:
    def write(writer: RecordingWriter) -> None:
        number = writer.request(CONTROLS, f"/{CONTROLS}", {"x": "\x1b\x9b"}, CONTROLS.encode())
        writer.head(number, 200, {"y": "\x1b"})
        writer.data(number, CONTROLS.encode())
        writer.end(number, End.RESET, CONTROLS)
        number = writer.request("POST", "/", {}, json.dumps({"type": CONTROLS, CONTROLS: 1}).encode())

    path = made(tmp_path / "controls.jsonl", write)
    result = run(verb, path, *(["--exchanges", "1-"] if verb == "trim" else []))
    assert result.exit_code in (0, 1)
    assert not set("\x1b\x07\x9b\u202e") & set(result.stdout + result.stderr)


def canary_in_everything(writer: RecordingWriter) -> None:
    body = json.dumps({"version": "1.2", "type": "query", "query": [], "access_key": CANARY, "user_id": "u"}).encode()
    number = writer.request("POST", f"/?access_key={CANARY}", {**JSON, "authorization": BEARER_CANARY}, body)
    writer.head(number, 200, {**STREAM, "x-echo": CANARY})
    for byte in f'event: error\ndata: {{"text": {json.dumps("wrong: " + CANARY)}}}\n\n'.encode():
        writer.data(number, bytes([byte]))
    writer.end(number, End.RESET, CANARY)


@pytest.mark.parametrize("arguments", [["show", "--full"], ["lint"], ["har"], ["trim", "--exchanges", "1"]], ids=str)
def test_no_verb_prints_a_key(arguments: list[str], tmp_path: Path) -> None:
    path = made(tmp_path / "canary.jsonl", canary_in_everything, Redaction())
    assert_hidden(path.read_bytes())
    result = run(arguments[0], path, *arguments[1:])
    assert result.exit_code in (0, 1)
    assert_hidden(result.stdout, result.stderr)
    if arguments[0] != "lint":
        assert "REDACTED-1" in result.stdout


# --- lint


def test_a_reader_that_has_enough_is_no_failure(query: Path) -> None:
    with started("recording", "show", str(query)) as process:
        assert process.stdout is not None
        process.stdout.close()  # as `head` does
        assert process.stderr is not None
        assert process.stderr.read() == ""


def test_lint_is_content_with_a_good_exchange(query: Path) -> None:
    result = run("lint", query)
    assert (result.exit_code, result.stdout) == (0, "")
    assert result.stderr == "1 exchange checked, 0 not checked\n"


def bad(writer: RecordingWriter) -> None:
    number = writer.request("POST", "/", JSON, b'{"version": "1.2", "type": "query", "query": [], "api_key": "k"}')
    writer.head(number, 200, {"content-type": "text/plain", "cache-control": "no-cache"})
    writer.data(number, b'event: text\ndata: {"text": 1}\n\n')
    writer.end(number)
    number = writer.request("POST", "/", JSON, SETTINGS)
    writer.head(number, 200, {})
    writer.data(number, b'{"response_version": 2, "allow_attachment": true}')
    writer.end(number)
    number = writer.request("POST", "/", JSON, QUERY)
    writer.head(number, 500)
    writer.end(number)


def test_lint_names_exchange_side_place_level_and_rule(tmp_path: Path) -> None:
    path = made(tmp_path / "bad.jsonl", bad)
    result = run("lint", path)
    assert result.exit_code == 1
    lines = result.stdout.splitlines()
    [line] = [line for line in lines if "key-in-body" in line]
    assert line.startswith("#1 request api_key: MUST: ")
    found = [json.loads(line) for line in run("lint", path, "--json").stdout.splitlines()]
    assert len(found) == len(lines)
    assert {(each["exchange"], each["side"], each["path"], each["rule"]) for each in found} >= {
        (1, "request", "api_key", "request.key-in-body"),
        (1, "response", "content-type", "framing.content-type"),
        (1, "response", "events[0].text", "event.field-types"),
        (1, "response", "events[1]", "reply.done"),
        (2, "response", "allow_attachment", "settings.unknown-fields"),
        (3, "response", "status", "reply.status"),
    }
    assert {each["level"] for each in found} <= {"MUST", "SHOULD", "MAY"}


def test_lint_checks_the_head_of_a_request(tmp_path: Path) -> None:
    def heads(writer: RecordingWriter) -> None:
        for headers in (JSON, {"authorization": "Poe the-key"}, {"content-type": "application/ld+json"}):
            writer.end(writer.request("POST", "/bot?x=1", headers, SETTINGS))

    result = run("lint", made(tmp_path / "heads.jsonl", heads, Redaction()))
    assert result.exit_code == 1
    assert result.stdout.splitlines() == [
        "#2 request content-type: MUST: '' instead of application/json (request.content-type)",
        "#2 request authorization: SHOULD: not of the form: Bearer <key> (request.authorization)",
        "#3 request content-type: MUST: 'application/ld+json' instead of application/json (request.content-type)",
        "#3 request authorization: SHOULD: missing (request.authorization)",
    ]


def test_lint_checks_the_times(tmp_path: Path) -> None:
    def late(writer: RecordingWriter) -> None:
        number = writer.request("POST", "/", JSON, QUERY, at=100.0)
        writer.head(number, 200, STREAM, at=100.1)
        writer.data(number, TEXT + DONE, at=106.5)
        writer.end(number, at=106.5)

    result = run("lint", made(tmp_path / "late.jsonl", late))
    assert result.exit_code == 1
    expected = "#1 response events[0]: MUST: the first event came after 6.5 s; the limit is 5 s (time.first-event)"
    assert expected in result.stdout


def test_lint_reports_the_exchanges_that_it_does_not_check(mixed: Path, tmp_path: Path) -> None:
    result = run("lint", mixed)
    assert result.exit_code == 0
    assert "#3 is not checked: its method is not POST\n" in result.stderr
    assert "3 exchanges checked, 1 not checked\n" in result.stderr

    def others(writer: RecordingWriter) -> None:
        writer.end(writer.request("POST", "/", {"content-type": "multipart/form-data"}, b"x"))
        number = writer.request("POST", "/", JSON, QUERY)
        writer.head(number, 200, {"content-encoding": "gzip"})
        writer.data(number, b"packed")
        writer.end(number)

    result = run("lint", made(tmp_path / "others.jsonl", others, Redaction()))
    assert "#1 is not checked: its content is not JSON\n" in result.stderr
    assert "#2 is not checked: 6 bytes were not recorded\n" in result.stderr


def test_lint_is_strict_if_wanted(tmp_path: Path) -> None:
    def warned(writer: RecordingWriter) -> None:
        writer.end(writer.request("POST", "/", JSON, SETTINGS.replace(b'"version": "1.2", ', b"")))

    path = made(tmp_path / "warned.jsonl", warned)
    assert run("lint", path).exit_code == 0
    assert run("lint", path, "--strict").exit_code == 1


# --- trim


@pytest.mark.parametrize(
    ("options", "kept"),
    [
        (["--exchanges", "1"], [1]),
        (["--exchanges", "1,3-4"], [1, 3, 4]),
        (["--exchanges", "3-"], [3, 4]),
        (["--exchanges", "9"], []),
        (["--from", "0.2"], [2, 3, 4]),
        (["--to", "0.2"], [1]),
        (["--from", "0.2", "--to", "1"], [2, 3]),
        (["--from", "0.2", "--exchanges", "1,2"], [2]),
    ],
)
def test_trim_keeps_complete_exchanges_and_the_first_line(options: list[str], kept: list[int], mixed: Path) -> None:
    output = mixed.with_name("part.jsonl")
    assert run("trim", mixed, "-o", output, *options).exit_code == 0
    whole, part = load_recording(mixed), load_recording(output)
    assert part.header == whole.header
    assert part.exchanges == tuple(each for each in whole.exchanges if each.number in kept)
    lines = mixed.read_bytes().splitlines()
    assert [line for line in lines if line in output.read_bytes().splitlines()] == output.read_bytes().splitlines()
    assert run("trim", mixed, *options).stdout_bytes == output.read_bytes()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ([], "say what to keep"),
        (["--exchanges", "a"], "'a' is not a number or a range"),
        (["--exchanges", "3-1"], "'3-1' ends before it begins"),
        (["--exchanges", ""], "'' is not a number or a range"),
        (["--from", "-1"], "-1"),
    ],
)
def test_trim_refuses_wrong_usage(options: list[str], message: str, mixed: Path) -> None:
    result = run("trim", mixed, *options)
    assert result.exit_code == 2
    assert message in result.stderr


@pytest.mark.parametrize("verb", ["trim", "har"])
def test_the_file_that_is_read_is_not_overwritten(verb: str, mixed: Path) -> None:
    before = mixed.read_bytes()
    result = run(verb, mixed, "-o", mixed, *(["--exchanges", "1"] if verb == "trim" else []))
    assert result.exit_code == 2
    assert "is the file that is read; write to another one" in result.stderr
    assert mixed.read_bytes() == before


@pytest.mark.parametrize("arguments", [["trim", "--exchanges", "1"], ["har"]])
def test_a_file_of_conversations_is_for_its_owner_only(arguments: list[str], mixed: Path) -> None:
    output = mixed.with_name("made")
    assert run(arguments[0], mixed, "-o", output, *arguments[1:]).exit_code == 0
    assert output.stat().st_mode & 0o777 == 0o600
    output.chmod(0o640)
    assert run(arguments[0], mixed, "-o", output, *arguments[1:]).exit_code == 0
    assert output.stat().st_mode & 0o777 == 0o640, "of a file that was there before"


# --- har


def archive_of(path: Path) -> Any:
    output = path.with_suffix(".har")
    result = run("har", path, "-o", output)
    assert (result.exit_code, result.output) == (0, "")
    archive = json.loads(output.read_text(encoding="utf-8"))
    jsonschema.Draft202012Validator(HAR_SCHEMA).validate(archive)
    assert json.loads(run("har", path).stdout) == archive
    return archive["log"]


def test_har_has_requests_responses_and_times(query: Path) -> None:
    log = archive_of(query)
    [entry] = log["entries"]
    assert entry["startedDateTime"] == "2026-01-01T00:00:00.100000+00:00"
    assert (entry["time"], entry["timings"]) == (500.0, {"send": 0.0, "wait": 100.0, "receive": 400.0})
    assert (entry["request"]["method"], entry["request"]["url"]) == ("POST", "http://bot.test:8080/bot?a=1")
    assert entry["request"]["queryString"] == [{"name": "a", "value": "1"}]
    assert entry["request"]["postData"] == {"mimeType": "application/json", "params": [], "text": QUERY.decode()}
    content = {"size": 56, "mimeType": "text/event-stream", "text": (TEXT + DONE).decode()}
    assert (entry["response"]["status"], entry["response"]["statusText"]) == (200, "OK")
    assert entry["response"]["content"] == content
    assert entry["_reads"] == [[200.0, 20], [300.0, 14], [400.0, 22]]
    assert (entry["_exchange"], entry["_end"]) == (1, "eof")


def test_har_of_unusual_exchanges(mixed: Path, tmp_path: Path) -> None:
    first, second, third, fourth = archive_of(mixed)["entries"]
    assert [first["response"]["status"], second["response"]["status"]] == [200, 0]
    assert second["request"]["postData"]["text"] == SETTINGS.decode()
    assert "_end" not in second
    assert third["response"]["content"] == {"size": 2, "mimeType": "x-unknown", "text": "/wA=", "encoding": "base64"}
    assert third["request"]["url"] == "http://unknown.invalid/"
    assert (fourth["_end"], fourth["comment"]) == ("reset", "connection refused")

    def others(writer: RecordingWriter) -> None:
        number = writer.request("POST", "https://other.test/a?b#c", {"content-encoding": "gzip"}, b"packed")
        writer.head(number, 799, {"location": "/x", "content-encoding": "gzip"})
        writer.data(number, b"packed")
        writer.end(number)

    [entry] = archive_of(made(tmp_path / "others.jsonl", others, Redaction()))["entries"]
    assert entry["request"]["url"] == "https://other.test/a?b#c"
    assert entry["request"]["queryString"] == [{"name": "b", "value": ""}]
    assert entry["request"]["bodySize"] == 6
    assert entry["response"]["statusText"] == ""
    assert entry["response"]["content"]["comment"] == "6 bytes were not recorded"
    [entry] = archive_of(made(tmp_path / "binary.jsonl", lambda writer: _binary(writer)))["entries"]
    assert entry["request"]["postData"]["_encoding"] == "base64"


def _binary(writer: RecordingWriter) -> None:
    writer.request("POST", "/", {}, b"\xff")


@pytest.mark.parametrize(
    "created", ["", "yesterday", "2026-01-01", "9999-12-31T23:59:59Z", "0001-01-01T00:00:00+14:00"]
)
def test_har_has_a_date_whatever_the_recording_says(created: str, tmp_path: Path) -> None:
    path = tmp_path / "date.jsonl"
    file = io.BytesIO()
    writer = RecordingWriter(file, created=created)
    writer.request("POST", "/", at=2.0**52)
    path.write_bytes(file.getvalue())
    archive_of(path)


# --- files that are not recordings


@pytest.mark.parametrize("verb", ["show", "lint", "trim", "har"])
def test_a_file_that_is_not_a_recording_is_one_line(verb: str, tmp_path: Path) -> None:
    path = tmp_path / "other.json"
    path.write_bytes(b'{"log": {}}')
    result = run(verb, path, *(["--exchanges", "1"] if verb == "trim" else []))
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr == (
        f"Error: {path}, line 1: not a recording of poeproto: the first line has no 'poeproto_recording'\n"
    )
    assert run(verb, tmp_path / "missing.jsonl").exit_code == 2


@pytest.mark.parametrize("verb", ["show", "lint", "trim", "har"])
def test_a_cut_file_is_read_and_reported(verb: str, query: Path) -> None:
    query.write_bytes(query.read_bytes()[:-5])
    result = run(verb, query, *(["--exchanges", "1"] if verb == "trim" else []))
    assert result.exit_code == 0
    assert f"{query}: the last line is incomplete, and was not read\n" in result.stderr


def test_an_output_that_cannot_be_written_is_one_line(query: Path) -> None:
    result = run("har", query, "-o", query.parent / "missing" / "a.har")
    assert result.exit_code == 1
    assert "No such file or directory" in result.stderr
