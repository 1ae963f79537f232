"""A recording is read as it was written: byte for byte, in the same reads. Invalid files give typed
errors.
"""

from __future__ import annotations

import base64
import contextlib
import io
import json
import os
import random
import tracemalloc
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st

from poeproto.testing import cut_at
from poeproto_record import (
    End,
    RecordedData,
    RecordedEnd,
    RecordedExchange,
    RecordedHead,
    RecordedRequest,
    RecordingError,
    RecordingHeader,
    RecordingLimits,
    RecordingReader,
    RecordingWriter,
    decode_header,
    decode_record,
    encode_header,
    encode_record,
    load_recording,
    read_exchanges,
    recording_schema,
)

from ...support.vectors import FOLDER, cases, wire_of

SCHEMA = jsonschema.Draft202012Validator(recording_schema())


def clock() -> Any:
    """A clock that advances by a millisecond with each reading."""
    ticks = iter(range(10**9))
    return lambda: next(ticks) / 1000


def recorded(reads: list[bytes], request: list[bytes] | None = None, *, outcome: End = End.EOF) -> bytes:
    """A recording of one exchange, as it is."""
    file = io.BytesIO()
    writer = RecordingWriter(file, tool="test", created="2026-01-01T00:00:00Z", redaction=None, clock=clock())
    first, *rest = request or [b""]
    number = writer.request("POST", "/", {"host": "h"}, first, is_whole=not rest)
    for index, read in enumerate(rest, 1):
        writer.request_data(number, read, is_last=index == len(rest))
    writer.head(number, 200, {"content-type": "text/event-stream"})
    for read in reads:
        writer.data(number, read)
    writer.end(number, outcome)
    return file.getvalue()


def read_back(recording: bytes) -> list[RecordedExchange]:
    return list(read_exchanges(RecordingReader(io.BytesIO(recording))))


@pytest.mark.parametrize("file", sorted(path.name for path in FOLDER.glob("*.json")))
def test_the_vectors_are_replayed_byte_for_byte_in_the_same_reads(file: str) -> None:
    chance = random.Random(file)
    for case in cases(file):
        body = wire_of(case) if {"wire", "wire_base64", "wire_parts"} & case.keys() else json.dumps(case).encode()
        if len(body) > 1_000_000:
            continue
        reads = cut_at(body, [chance.randrange(len(body) + 1) for _ in range(5)])
        [exchange] = read_back(recorded(reads, reads))
        assert [each.data for each in exchange.data] == reads
        assert exchange.request_body == exchange.response_body == body


@given(st.lists(st.binary(max_size=40) | st.text(max_size=20).map(str.encode)), st.sampled_from(End))
def test_random_streams_are_read_byte_for_byte_in_the_same_reads(reads: list[bytes], outcome: End) -> None:
    [exchange] = read_back(recorded(reads, outcome=outcome))
    assert [each.data for each in exchange.data] == reads
    assert exchange.end is not None
    assert exchange.end.outcome is outcome


def test_each_line_is_valid_by_the_schema_and_a_wrong_one_is_not() -> None:
    recording = recorded(["ä".encode(), b"\xff", b""], [b"{", b"}"], outcome=End.TIMEOUT)
    omitted = encode_record(RecordedData(1, 1.0, b"", 7))
    detailed = encode_record(RecordedEnd(1, 1.0, End.RESET, "connection refused"))
    for line in [*recording.splitlines(), HEADER, REQUEST, HEAD, DATA, END, omitted, detailed]:
        SCHEMA.validate(json.loads(line))
    for name in (
        *(
            "no kind",
            "an unknown kind",
            "no exchange",
            "exchange 0",
            "a boolean",
            "half an exchange",
            "a huge exchange",
        ),
        *(
            "a negative time",
            "a time in words",
            "no method",
            "a wrong URL",
            "headers of an object",
            "a header of three",
        ),
        *("a header of numbers", "both bodies", "a wrong body", "omitted in words", "a status of four digits"),
        *("data without bytes", "an unknown outcome"),
    ):
        assert not SCHEMA.is_valid(json.loads(WRONG[name][0].splitlines()[-1])), name
    assert not SCHEMA.is_valid(json.loads(changed(HEADER, poeproto_recording=2)))


def test_times_are_those_of_the_clock() -> None:
    [exchange] = read_back(recorded([b"a", b"b"]))
    times = [record.at for record in exchange.records()]
    assert times == [0.001, 0.002, 0.003, 0.004, 0.005]
    assert exchange.last_at == 0.005


def test_bytes_that_are_not_utf_8_are_written_as_base64() -> None:
    character = "ä".encode()
    lines = [json.loads(line) for line in recorded([character[:1], character[1:], character]).splitlines()]
    assert [(line.get("text"), line.get("b64")) for line in lines if line.get("kind") == "data"] == [
        (None, base64.b64encode(character[:1]).decode()),
        (None, base64.b64encode(character[1:]).decode()),
        ("ä", None),
    ]


def test_exchanges_are_interleaved_and_numbered() -> None:
    file = io.BytesIO()
    writer = RecordingWriter(file, redaction=None)
    first = writer.request("POST", "/a")
    second = writer.request("POST", "/b")
    writer.head(second, 200)
    writer.head(first, 404)
    writer.data(first, b"1")
    writer.data(second, b"2")
    writer.end(second, End.CLIENT_DISCONNECTED)
    third = writer.request("GET", "/c")
    exchanges = read_back(file.getvalue())
    assert [(each.number, each.request.url, each.response_body) for each in exchanges] == [
        (second, "/b", b"2"),
        (first, "/a", b"1"),
        (third, "/c", b""),
    ]
    assert [each.end.outcome.value if each.end else None for each in exchanges] == ["client-gone", None, None]


def test_each_record_is_on_file_at_once(tmp_path: Path) -> None:
    path = tmp_path / "file.jsonl"
    with path.open("wb") as file:
        writer = RecordingWriter(file)
        number = writer.request("POST", "/")
        assert len(path.read_bytes().splitlines()) == 2
        writer.head(number, 200)
        writer.data(number, b'data: {"text": "a"}\n\n')
        assert len(path.read_bytes().splitlines()) == 4
        recording = load_recording(path)
    assert recording.exchanges[0].response_body == b'data: {"text": "a"}\n\n'


def test_a_file_that_was_cut_anywhere_loads_up_to_its_last_complete_line() -> None:
    whole = recorded(["event: text\ndata: ä\n\n".encode(), b"\xff", b"event: done\n\n"], [b"{", b"}"])
    ends = [number + 1 for number, byte in enumerate(whole) if byte == ord("\n")]
    records = list(RecordingReader(io.BytesIO(whole)))
    for size in range(len(whole) + 1):
        # A line without its end is whole if it is valid JSON.
        lines = sum(end - 1 <= size for end in ends)
        file = io.BytesIO(whole[:size])
        if not lines:
            with pytest.raises(RecordingError):
                RecordingReader(file)
            continue
        reader = RecordingReader(file)
        assert list(reader) == records[: lines - 1]
        assert reader.is_cut == (size not in ends and size + 1 not in ends)


# --- hostile files

HEADER = encode_header(RecordingHeader("", "test"))
REQUEST = encode_record(RecordedRequest(1, 1.0, "POST", "/"))
HEAD = encode_record(RecordedHead(1, 2.0, 200))
DATA = encode_record(RecordedData(1, 3.0, b"x"))
END = encode_record(RecordedEnd(1, 4.0, End.EOF))


def changed(line: bytes, **fields: Any) -> bytes:
    return json.dumps({**json.loads(line), **fields}).encode() + b"\n"


def without(line: bytes, name: str) -> bytes:
    value = json.loads(line)
    del value[name]
    return json.dumps(value).encode() + b"\n"


HEADERS_ALONE = {
    "empty": (b"", "the recording: the file is empty"),
    "an empty line": (b"\n", "not a recording of poeproto"),
    "another file": (b'{"log": {}}\n', "not a recording of poeproto"),
    "not JSON": (b'{"poeproto_recording": 1\n', "not valid JSON"),
    "an array": (b'["poeproto_recording"]\n', "expected a JSON object"),
    "no version": (
        b'{"poeproto_recording": null}\n',
        "poeproto_recording: expected an integer of .*, got null",
    ),
    "a later version": (changed(HEADER, poeproto_recording=2), "version 2 of the format.*up to version 1: upgrade"),
    "a wrong tool": (changed(HEADER, tool=1), "tool: expected a string, got 1"),
    "a wrong redaction": (changed(HEADER, redacted=[]), "redacted: expected an object or null, got an array"),
}
WRONG = {
    "not JSON": (b"x\n", "line 2: not valid JSON"),
    "not UTF-8": (b'{"kind": "\xff"}\n', "line 2: not valid JSON"),
    "an array": (b"[]\n", "line 2: expected a JSON object"),
    "deep": (b"[" * 100_000 + b"]" * 100_000 + b"\n", "line 2: not valid JSON: nested too deeply"),
    "deep in a field": (
        b'{"kind": ' + b'{"a":' * 5000 + b"1" + b"}" * 5000 + b"}\n",
        "line 2: not valid JSON: nested too deeply",
    ),
    "a lone surrogate": (b'{"kind": "\\ud800"}\n', "line 2: not valid JSON"),
    "not a number": (REQUEST.replace(b'"at":1.0', b'"at":NaN'), "line 2: not valid JSON"),
    "infinite": (REQUEST.replace(b'"at":1.0', b'"at":1e999'), "line 2: "),
    "many digits": (REQUEST.replace(b'"at":1.0', b'"at":' + b"9" * 5000), "line 2: "),
    "no kind": (without(REQUEST, "kind"), "line 2: kind: expected a string, got nothing"),
    "an unknown kind": (changed(REQUEST, kind="trailers"), "line 2: kind: unknown kind of record; expected one of req"),
    "no exchange": (without(REQUEST, "exchange"), "line 2: exchange: expected an integer of at least 1, got nothing"),
    "exchange 0": (changed(REQUEST, exchange=0), "line 2: exchange: expected an integer of at least 1, got 0"),
    "a boolean": (changed(REQUEST, exchange=True), "line 2: exchange: expected an integer .*, got a boolean"),
    "half an exchange": (changed(REQUEST, exchange=1.5), "line 2: exchange: .*got 1.5"),
    "a huge exchange": (changed(REQUEST, exchange=2**60), "line 2: exchange: .*got a number"),
    "a negative time": (changed(REQUEST, at=-1), "line 2: at: expected seconds .*got -1"),
    "a time in words": (changed(REQUEST, at="now"), "line 2: at: expected seconds .*got a string"),
    "no method": (without(REQUEST, "method"), "line 2: method: expected a string, got nothing"),
    "a wrong URL": (changed(REQUEST, url={}), "line 2: url: expected a string, got an object"),
    "headers of an object": (changed(REQUEST, headers={"a": "b"}), "line 2: headers: expected an array of pairs"),
    "a header of three": (changed(REQUEST, headers=[["a", "b", "c"]]), "line 2: headers: expected an array of pairs"),
    "a header of numbers": (changed(REQUEST, headers=[[1, 2]]), "line 2: headers: expected an array of pairs"),
    "a header in Chinese": (changed(REQUEST, headers=[["a", "你"]]), "line 2: headers: a name or value has a char"),
    "both bodies": (changed(REQUEST, text="a", b64=""), "line 2: text and b64: expected one of the two"),
    "a wrong body": (changed(REQUEST, text=1), "line 2: text: expected a string, got 1"),
    "no Base64": (changed(REQUEST, b64="?"), "line 2: b64: not Base64"),
    "Base64 in Chinese": (changed(REQUEST, b64="你"), "line 2: b64: not Base64"),
    "omitted in words": (changed(REQUEST, omitted="all"), "line 2: omitted: expected an integer"),
    "data first": (DATA, "line 2: exchange: number 1 has ended, or has no request before"),
    "the same request twice": (REQUEST + REQUEST, "line 3: exchange: a request with number 1 after number 1"),
    "a request out of order": (changed(REQUEST, exchange=2) + REQUEST, "line 3: exchange: a request with number 1 aft"),
    "data before the head": (REQUEST + DATA, "line 3: kind: data of exchange 1 before its head"),
    "two heads": (REQUEST + HEAD + HEAD, "line 4: kind: a second head of exchange 1"),
    "a status of four digits": (REQUEST + changed(HEAD, status=2000), "line 3: status: expected a status code"),
    "data without bytes": (REQUEST + HEAD + without(DATA, "text"), "line 4: text: expected a string, got nothing"),
    "an earlier time": (REQUEST + HEAD + changed(DATA, at=1.5), "line 4: at: 1.5 is before 2"),
    "an earlier end": (REQUEST + changed(END, at=0.5), "line 3: at: 0.5 is before 1"),
    "an unknown outcome": (REQUEST + changed(END, outcome="?"), "line 3: outcome: unknown outcome; expected one of e"),
    "data after the end": (REQUEST + HEAD + END + DATA, "line 5: exchange: number 1 has ended"),
    "two ends": (REQUEST + END + END, "line 4: exchange: number 1 has ended"),
    "a second header": (HEADER, "line 2: kind: expected a string, got nothing"),
}  # fmt: skip


@pytest.mark.parametrize("name", HEADERS_ALONE)
def test_a_first_line_that_is_not_a_header_is_refused(name: str) -> None:
    content, message = HEADERS_ALONE[name]
    with pytest.raises(RecordingError, match=message):
        RecordingReader(io.BytesIO(content))


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_line_is_refused_with_its_place(name: str, tmp_path: Path) -> None:
    content, message = WRONG[name]
    path = tmp_path / "wrong.jsonl"
    path.write_bytes(HEADER + content)
    with pytest.raises(RecordingError, match=message) as caught:
        load_recording(path)
    assert (caught.value.file, str(caught.value).startswith(str(path))) == (str(path), True)
    assert f"line {caught.value.line}" in str(caught.value)


def test_additions_of_a_later_version_of_this_format_are_ignored() -> None:
    exchanges = list(read_exchanges(RecordingReader(io.BytesIO(HEADER + changed(REQUEST, later=1) + END))))
    assert exchanges[0].request == RecordedRequest(1, 1.0, "POST", "/")


@given(st.binary(max_size=200))
def test_bytes_that_are_not_a_recording_raise_typed_errors_only(data: bytes) -> None:
    for content in (data, HEADER + data, HEADER + REQUEST + data):
        try:
            list(RecordingReader(io.BytesIO(content)))
        except RecordingError:
            continue


@given(st.data())
def test_a_recording_with_a_changed_byte_gives_nothing_but_typed_errors(data: st.DataObject) -> None:
    whole = bytearray(HEADER + REQUEST + HEAD + DATA + END)
    whole[data.draw(st.integers(0, len(whole) - 1))] = data.draw(st.integers(0, 255))
    with contextlib.suppress(RecordingError):
        list(RecordingReader(io.BytesIO(bytes(whole))))


def test_a_line_that_is_too_long_is_refused_before_it_is_read() -> None:
    limits = RecordingLimits(line=1000)
    long = HEADER + changed(REQUEST, url="x" * 1000)
    with pytest.raises(RecordingError, match="line 2: longer than 1000 bytes"):
        list(RecordingReader(io.BytesIO(long), limits=limits))
    with pytest.raises(RecordingError, match="line 1: longer than 1000 bytes"):
        RecordingReader(io.BytesIO(b"x" * 1001), limits=limits)


def test_a_file_of_a_gigabyte_is_refused_in_bounded_memory(tmp_path: Path) -> None:
    path = tmp_path / "sparse.jsonl"
    with path.open("wb") as file:
        file.write(HEADER)
        file.seek(2**30)
        file.write(b"\n")
    assert os.stat(path).st_blocks * 512 < 2**20
    tracemalloc.start()
    try:
        with pytest.raises(RecordingError, match="line 2: longer than"):
            load_recording(path)
        assert tracemalloc.get_traced_memory()[1] < 64 * 2**20
    finally:
        tracemalloc.stop()


def test_records_by_the_million_are_read_in_bounded_memory() -> None:
    limits = RecordingLimits(memory=20_000, open_exchanges=10)
    lines = HEADER + REQUEST + HEAD + DATA * 100
    with pytest.raises(RecordingError, match="line 81: the exchanges that are under way take more than 20000 bytes"):
        list(read_exchanges(RecordingReader(io.BytesIO(lines)), limits))
    assert len(list(RecordingReader(io.BytesIO(lines)))) == 102
    many = b"".join(changed(REQUEST, exchange=number) for number in range(1, 13))
    with pytest.raises(RecordingError, match="line 12: more than 10 exchanges at once"):
        list(RecordingReader(io.BytesIO(HEADER + many), limits=limits))


def test_a_recording_that_does_not_fit_into_memory_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "many.jsonl"
    ended = b"".join(changed(REQUEST, exchange=number) + changed(END, exchange=number) for number in range(1, 100))
    path.write_bytes(HEADER + ended)
    with pytest.raises(RecordingError, match="the recording takes more than 20000 bytes"):
        load_recording(path, RecordingLimits(memory=20_000))
    assert len(load_recording(path).exchanges) == 99


# --- values and the codec


@pytest.mark.parametrize("line", [REQUEST, HEAD, DATA, END], ids=["request", "head", "data", "end"])
def test_a_record_is_encoded_as_it_was_decoded(line: bytes) -> None:
    assert encode_record(decode_record(line)) == line


def test_a_header_is_encoded_as_it_was_decoded() -> None:
    header = RecordingHeader("2026-01-01T00:00:00Z", "test", {"patterns": 1})
    assert decode_header(encode_header(header)) == header


def test_reprs_show_neither_bodies_nor_headers_nor_queries() -> None:
    secret = "a-secret-of-its-own"
    request = RecordedRequest(1, 1.0, "POST", f"/bot?key={secret}", {"authorization": secret}, secret.encode())
    shown = repr([request, RecordedHead(1, 1.0, 200, {"set-cookie": secret}), RecordedData(1, 1.0, secret.encode())])
    assert secret not in shown
    assert "url='/bot?…', body=<19 bytes>" in shown


# --- the writer


def test_a_long_body_is_written_in_lines_that_a_reader_accepts() -> None:
    body = b"\x00" * 5_000_000
    [exchange] = read_back(recorded([body], [body]))
    assert exchange.request_body == exchange.response_body == body
    assert len(exchange.data) == 3


def test_after_a_failed_write_nothing_is_written() -> None:
    class Full(io.BytesIO):
        def write(self, data: Any, /) -> int:
            raise OSError(28, "No space left on device")

    file = io.BytesIO()
    writer = RecordingWriter(file)
    writer._stream = Full()
    with pytest.raises(OSError, match="No space left"):
        writer.request("POST", "/")
    writer._stream = file
    before = file.getvalue()
    with pytest.raises(RecordingError, match="an earlier line could not be written"):
        writer.request("POST", "/")
    assert file.getvalue() == before


def test_an_exchange_that_has_ended_is_not_continued() -> None:
    writer = RecordingWriter(io.BytesIO())
    number = writer.request("POST", "/")
    writer.end(number)
    with pytest.raises(ValueError, match="exchange 1 has ended, or never began"):
        writer.data(number, b"x")
