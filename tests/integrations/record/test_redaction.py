"""No recording holds a key: in a header, a body, a URL or a response, wherever two reads split it."""

from __future__ import annotations

import io
import json
import random
import re
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from poeproto.testing import bytewise, cut_at, two_way_splits
from poeproto_record import (
    RecordedData,
    RecordingReader,
    RecordingWriter,
    Redaction,
    Redactor,
    StreamRedactor,
    read_exchanges,
)

from ...support.canary import BEARER_CANARY, CANARY, assert_hidden, spellings

ESCAPED = json.dumps(CANARY)[1:-1]
TWICE = json.dumps(json.dumps({"access_key": CANARY}))
QUOTED = quote(CANARY, safe="")

# Bodies alone: no header or URL shows the key.
BODIES = {
    "a member": f'{{"access_key": "{ESCAPED}", "version": "1.2"}}',
    "a member with spaces": f'{{"api_key"  :  "{ESCAPED}"}}',
    "a member in another case": f'{{"Access_Key":"{ESCAPED}"}}',
    "a member on two lines": f'{{"access_key":\n  "{ESCAPED}"\n}}',
    "JSON within JSON": f"event: text\ndata: {{\"text\": {TWICE}}}\n\n",
    "a form": f"a=b&access_key={QUOTED}&c=d",
    "the start of a form": f"access_key={QUOTED}",
    "a password": f'{{"url": "https://user:{QUOTED}@host.invalid/path"}}',
    "a password with escaped slashes": f'{{"url": "https:\\/\\/user:{QUOTED}@host.invalid\\/path"}}',
    "a signature": f'{{"url": "https://host.invalid/a?w=1&X-Amz-Signature={QUOTED}&h=2"}}',
    "an escaped ampersand": f'{{"url": "https://host.invalid/a?w=1\\u0026sig={QUOTED}"}}',
    "an unknown name": f'{{"url": "https://host.invalid/a?whatever={QUOTED}"}}',
    "found before it is repeated": f'{{"access_key": "{ESCAPED}"}}\n{ESCAPED} {QUOTED} {CANARY}',
}  # fmt: skip


def splits(body: bytes) -> list[list[bytes]]:
    """Whole, byte by byte, in two at every place, in three at some."""
    chance = random.Random(1)
    thirds = [cut_at(body, [chance.randrange(len(body) + 1) for _ in range(3)]) for _ in range(50)]
    return [[body], bytewise(body), *two_way_splits(body), *thirds]


def redacted(reads: list[bytes], redactor: Redactor) -> list[bytes]:
    stream = StreamRedactor[int](redactor)
    done = [each for number, read in enumerate(reads) for each in stream.receive(number, read)]
    done += stream.receive_eof()
    assert [number for number, _ in done] == list(range(len(reads))), "each read is one"
    return [read for _, read in done]


@pytest.mark.parametrize("name", BODIES)
def test_a_key_in_a_body_is_found_wherever_it_is_split(name: str) -> None:
    body = BODIES[name].encode()
    whole = redacted([body], Redactor(Redaction()))
    assert b"REDACTED-1" in whole[0]
    for reads in splits(body):
        parts = redacted(reads, Redactor(Redaction()))
        assert_hidden(*parts)
        assert b"".join(parts) == b"".join(whole), reads


@pytest.mark.parametrize("spelt", [*spellings(), TWICE[1:-1]], ids=range(len(spellings()) + 1))
def test_a_known_key_is_found_however_it_is_spelled_and_split(spelt: str) -> None:
    body = f'event: text\ndata: {{"text": "the key {spelt} is wrong"}}\n\n'.encode()
    for reads in splits(body):
        redactor = Redactor(Redaction())
        assert redactor.headers(((b"authorization", BEARER_CANARY.encode()),)) == (
            (b"authorization", b"Bearer REDACTED-1"),
        )
        parts = redacted(reads, redactor)
        assert_hidden(*parts)
        assert b"".join(parts).count(b"REDACTED-1") == 1


def test_bytes_that_are_not_a_secret_pass_unchanged_and_at_once() -> None:
    for data in (b'event: text\ndata: {"text": "hello"}\n\n', b"\xff\x00", b"", b'data: {"text": "http'):
        stream = StreamRedactor[int](Redactor(Redaction()))
        done = stream.receive(0, data)
        assert done == ([] if data.endswith(b"http") else [(0, data)]) or data.endswith(b"http")
        assert b"".join(read for _, read in [*done, *stream.receive_eof()]) == data


def test_only_the_beginning_of_a_secret_is_held_back() -> None:
    redactor = Redactor(Redaction(secrets=["0123456789abcdef"]))
    stream = StreamRedactor[str](redactor)
    assert stream.receive("first", b"the key is 0123") == []
    assert stream.receive("second", b"4 and not it") == [("first", b"the key is 0123"), ("second", b"4 and not it")]
    assert stream.receive("third", b"0123") == []
    assert stream.receive("fourth", b"456789ab") == []
    assert stream.receive("fifth", b"cdef!") == [("third", b"REDACTED-1"), ("fourth", b""), ("fifth", b"!")]


def test_equal_secrets_stay_equal_and_others_differ() -> None:
    redactor = Redactor(Redaction())
    first = redactor.text(b'{"access_key": "a-key-of-its-own", "api_key": "another-key"}')
    assert first == b'{"access_key": "REDACTED-1", "api_key": "REDACTED-2"}'
    assert redactor.url("/?api_key=another-key") == "/?api_key=REDACTED-2"
    assert redactor.headers(((b"x-key", b"a-key-of-its-own"),)) == ((b"x-key", b"REDACTED-1"),)


def test_a_secret_that_is_known_beforehand_is_never_forgotten() -> None:
    redactor = Redactor(Redaction(secrets=[CANARY]))
    for number in range(1000):  # more than are remembered
        redactor.headers(((b"x-request-id", b"a-request-of-its-own-%d" % number),))
    assert_hidden(redactor.text(f"the key is {CANARY}".encode()))
    assert_hidden(b"".join(redacted(bytewise(f"the key is {CANARY}!".encode()), redactor)))


@pytest.mark.parametrize("size", [4097, 60_000])
def test_a_long_secret_that_is_known_beforehand_is_found(size: int) -> None:
    secret = "".join(chr(33 + (index * index + index * 7919) % 90) for index in range(size))
    escaped = "".join(f"\\u{ord(character):04x}" for character in secret)
    body = f'{{"text": "{json.dumps(secret)[1:-1]} and {escaped}"}}'.encode()
    for step in (4_000, len(body)):
        reads = [body[start : start + step] for start in range(0, len(body), step)]
        parts = redacted(reads, Redactor(Redaction(secrets=[secret])))
        assert b"".join(parts) == b'{"text": "REDACTED-1 and REDACTED-1"}'


def test_a_secret_that_is_too_long_to_be_searched_for_is_refused() -> None:
    with pytest.raises(ValueError, match=r"secrets\[1\] has 65537 bytes, and at most 65536 can be") as caught:
        Redaction(secrets=["short", "x" * 65_537])
    assert "xx" not in str(caught.value)


@pytest.mark.parametrize("body", [b"{}", json.dumps({"access_key": CANARY}).encode()])
def test_the_secrets_of_an_exchange_are_known_until_it_ends(body: bytes) -> None:
    file = io.BytesIO()
    writer = RecordingWriter(file)
    headers = {"authorization": f"Bearer {CANARY}"} if body == b"{}" else {}
    number = writer.request("POST", "/", headers, body)
    writer.head(number, 200)
    for each in range(1000):  # more than are remembered of all exchanges
        writer.end(writer.request("POST", "/", {"x-request-id": f"a-request-of-its-own-{each}"}))
    for part in bytewise(f"the key is {CANARY}!".encode()):
        writer.data(number, part)
    writer.end(number)
    assert_hidden(
        file.getvalue(),
        b"".join(each.data for each in RecordingReader(io.BytesIO(file.getvalue())) if isinstance(each, RecordedData)),
    )


def test_headers_are_kept_by_an_allow_list() -> None:
    headers = {"host": "h", "cookie": "a=b", "authorization": "Basic dTpwYXNzd29yZDEyMw==", "x-new": "v"}
    redactor = Redactor(Redaction(headers=frozenset({"Host", "X-New"})))
    pairs = tuple((name.encode(), value.encode()) for name, value in headers.items())
    assert redactor.headers(pairs) == (
        (b"host", b"h"),
        (b"cookie", b"REDACTED-1"),
        (b"authorization", b"Basic REDACTED-2"),
        (b"x-new", b"v"),
    )
    assert redactor.text(b"the password123 is wrong") == b"the REDACTED-3 is wrong"


@pytest.mark.parametrize(
    "url",
    [
        f"/?access_key={QUOTED}",
        f"/bot?x={QUOTED}&y=1",
        f"/bot?{QUOTED}={QUOTED}",
        f"https://user:{QUOTED}@h/bot",
        f"/bot/update_settings/Bot/{QUOTED}/1.2",
        f"/bot/fetch_settings/Bot/{QUOTED}/1.2",
        f"/hooks/{QUOTED}/end",
        f"/{QUOTED}",
    ],
)
def test_a_key_in_the_target_is_replaced_and_then_known(url: str) -> None:
    redactor = Redactor(Redaction())
    assert_hidden(redactor.url(url))
    assert_hidden(redactor.text(f'{{"text": "{ESCAPED} or {QUOTED}"}}'.encode()))


def test_patterns_match_within_a_line_wherever_it_is_split() -> None:
    body = b'data: {"text": "call +49 30 1234567 or +49 30 7654321"}\n\ndata: and +1 555 0000000'
    for reads in splits(body):
        redactor = Redactor(Redaction(patterns=[r"\+\d+ \d+ \d{7}", re.compile("AND", re.IGNORECASE)]))
        parts = redacted(reads, redactor)
        assert b"".join(parts) == (b'data: {"text": "call REDACTED-1 or REDACTED-2"}\n\ndata: REDACTED-3 REDACTED-4'), (
            reads
        )


def test_a_long_line_is_searched_in_bounded_memory() -> None:
    redactor = Redactor(Redaction(patterns=["sk-[a-z]{20}"]))
    stream = StreamRedactor[int](redactor)
    secret = b"sk-" + b"z" * 20
    out = b""
    most = 0
    for number in range(100):
        read = secret[11:] + b"y" * 4000 if number % 2 else b"x" * 4000 + secret[:11]
        out += b"".join(part for _, part in stream.receive(number, read))
        most = max(most, stream.held)
    out += b"".join(part for _, part in stream.receive_eof())
    assert b"sk-" not in out
    assert out.count(b"REDACTED-1") == 50
    assert most < 100_000


@pytest.mark.parametrize("opened", [b'{"access_key": "', b"https://h/?sig=", b"Bearer "])
def test_a_secret_that_does_not_end_is_dropped_in_bounded_memory(opened: bytes) -> None:
    stream = StreamRedactor[int](Redactor(Redaction()))
    out = b"".join(part for _, part in stream.receive(0, opened))
    for number in range(1, 200):
        out += b"".join(part for _, part in stream.receive(number, b"0123456789" * 100))
        assert stream.held < 12_000
    out += b"".join(part for _, part in stream.receive(200, b'9876543210" kept'))
    out += b"".join(part for _, part in stream.receive_eof())
    assert b"0123456789" not in out
    assert b"9876543210" not in out
    assert out.endswith(b'" kept')


@pytest.mark.parametrize("text", [b"api_key=" * 20_000, b"?a=" * 50_000, b"://" * 50_000, b'api_key\\": \\"' * 10_000])
def test_hostile_texts_take_linear_time(text: bytes) -> None:
    redactor = Redactor(Redaction())
    for _ in range(2):
        redactor.scan(text, is_end=False)
        redactor.scan(text + b"&", is_end=True)


# --- the whole


def record(reads: list[bytes], *, redaction: Redaction | None = None) -> bytes:
    file = io.BytesIO()
    writer = RecordingWriter(file, tool="test", redaction=redaction or Redaction())
    number = writer.request(
        "POST",
        f"/bot?key={QUOTED}",
        {"authorization": BEARER_CANARY, "content-type": "application/json"},
        json.dumps({"type": "query", "access_key": CANARY, "metadata": f"see https://u:{QUOTED}@h/"}).encode(),
    )
    writer.head(number, 200, {"content-type": "text/event-stream", "x-echo": CANARY})
    for read in reads:
        writer.data(number, read)
    writer.end(number, detail=f"the key {CANARY} was wrong")
    return file.getvalue()


def test_no_recording_holds_the_key() -> None:
    body = f'event: error\ndata: {{"text": "wrong: {ESCAPED}", "raw_response": "{CANARY}"}}\n\n'.encode()
    for reads in splits(body):
        recording = record(reads)
        assert_hidden(recording)
        [exchange] = read_exchanges(RecordingReader(io.BytesIO(recording)))
        assert exchange.response_body.count(b"REDACTED-1") == 2
        assert len(exchange.data) == len(reads)


def test_the_first_line_has_counts_of_redactions_and_no_pattern() -> None:
    recording = record([], redaction=Redaction(patterns=[re.escape(CANARY)], secrets=[CANARY]))
    assert_hidden(recording)
    header = RecordingReader(io.BytesIO(recording)).header
    assert header.redacted is not None
    assert (header.redacted["patterns"], header.redacted["known_secrets"]) == (1, 1)
    assert "access_key" in header.redacted["body_keys"]
    assert "authorization" not in header.redacted["headers_kept"]


def test_a_body_that_ends_within_a_key_does_not_leave_its_beginning() -> None:
    for end in range(12, len(CANARY)):
        assert_hidden(record([b"the key ", CANARY[:end].encode()]))


def test_compressed_bodies_are_counted_and_not_recorded() -> None:
    file = io.BytesIO()
    writer = RecordingWriter(file)
    number = writer.request("POST", "/", {"content-encoding": "gzip"}, b"squeezed")
    writer.head(number, 200, {"Content-Encoding": "br"})
    writer.data(number, b"pressed")
    writer.end(number)
    assert b"essed" not in file.getvalue()
    [exchange] = read_exchanges(RecordingReader(io.BytesIO(file.getvalue())))
    assert (exchange.request.omitted, exchange.data[0].omitted, exchange.omitted) == (8, 7, 15)
    assert isinstance(exchange.data[0], RecordedData)


PIECES = st.sampled_from(
    [
        *(
            '{"',
            '":',
            '": "',
            '"',
            "\\",
            '\\"',
            "\n",
            " ",
            "&",
            "?",
            ";",
            "=",
            "@",
            "://",
            "http",
            "/",
            ",",
            "a",
            "key",
        ),
        *(
            "access_key",
            "api_key",
            "password",
            "Bearer ",
            "sig=",
            "\\u0026",
            '"access_key": "',
            "?token=",
            "https://u:",
        ),
        *(ESCAPED, QUOTED, "0123456789", "ä"),
    ]
)


@given(st.lists(PIECES, max_size=30).map("".join), st.lists(st.integers(0, 400), max_size=5))
def test_reads_change_nothing_but_where_a_placeholder_is(text: str, places: list[int]) -> None:
    body = text.encode()
    reads = cut_at(body, [min(place, len(body)) for place in places])
    [whole] = redacted([body], knowing(body))
    for parts in (reads, bytewise(body)):
        done = redacted(parts, knowing(body))
        assert_hidden(b"".join(done))
        # The number of a placeholder depends on when a secret was complete.
        assert NUMBER.sub(b"", b"".join(done)) == NUMBER.sub(b"", whole)


def knowing(body: bytes) -> Redactor:
    """A redactor that knows the secrets in the body: otherwise what stands before a secret is not searched for it."""
    redactor = Redactor(Redaction(secrets=[CANARY]))
    redactor.text(body)
    return redactor


NUMBER = re.compile(rb"(?<=REDACTED)-\d+")
