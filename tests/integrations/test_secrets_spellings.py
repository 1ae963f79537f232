"""No output shows a key that a peer repeats, however the peer spells it, and wherever reads or chunks cut it."""

from __future__ import annotations

import io
import itertools
import json
from pathlib import Path
from typing import Any

import pytest
from anyio.from_thread import BlockingPortal
from click.testing import CliRunner

from poeproto import encode_sse
from poeproto.testing import bytewise
from poeproto_check.evidence_redaction import EvidenceRedaction
from poeproto_cli.commands import main
from poeproto_openai import OpenAIGateway, UpstreamBot
from poeproto_playground.bot_log import BotLog
from poeproto_playground.exchange_export import export
from poeproto_playground.exchange_log import Exchange, ExchangeLog
from poeproto_playground.exchange_view import details, events, reads
from poeproto_playground.masking import Masking
from poeproto_playground.snippets import snippet
from poeproto_record import RecordingReader, RecordingWriter, Redaction, har_log, read_exchanges

from ..support.bots import KEY
from ..support.canary import (
    BEARER_CANARY,
    CANARY,
    all_logged,
    assert_spelling_hidden,
    escaped_spellings,
)
from ..support.openai_gateway import chat
from ..support.peers_in_thread import scripted_in_thread
from ..support.scripted_peer import HELLO, LAST_CHUNK, STREAM_HEAD, Peer, answering, chunk, response, scripted

pytestmark = pytest.mark.anyio

NAMES = sorted(escaped_spellings())


def repeating(name: str) -> list[bytes]:
    """A reply that repeats the key: in whole, and with a cut at each byte of it."""
    spelt = escaped_spellings()[name]
    record = f'event: text\ndata: {{"text": "é the key {spelt} is wrong"}}\n\n'.encode()
    return [record, *bytewise(record)]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("known", [True, False])
def test_recordings_and_archives(name: str, known: bool) -> None:
    file = io.BytesIO()
    writer = RecordingWriter(file, redaction=Redaction(secrets=[CANARY] if known else []))
    spelt = escaped_spellings()[name]
    headers = {} if known else {"authorization": BEARER_CANARY}
    number = writer.request("POST", f"/bot?x={spelt}", headers, json.dumps({"x": "y"}).encode())
    writer.head(number, 200, {"content-type": f"text/{spelt}", "x-echo": spelt})
    for part in repeating(name):
        writer.data(number, part)
    writer.end(number, detail=f"the key {spelt} was wrong")
    file.seek(0)
    reader = RecordingReader(file)
    exchanges = list(read_exchanges(reader))
    archive = har_log(reader.header, exchanges, "1")
    # In the file, data with an escape in it is escaped once more, or written in base64.
    assert_spelling_hidden(name, json.dumps(archive), *[each.response_body for each in exchanges])
    assert_spelling_hidden(name, exchanges[0].request.url, exchanges[0].end, exchanges[0].head, file.getvalue())


def exchange_of(log: ExchangeLog, name: str) -> Exchange:
    spelt = escaped_spellings()[name]
    body = f'{{"type": "query", "x": "{spelt}"}}'.encode()
    exchange = log.begin("to-bot", "query", "POST", "http://bot.test/", {"authorization": BEARER_CANARY}, body)
    log.head(exchange, 200, {"content-type": "text/event-stream", "x-echo": spelt})
    for part in repeating(name):
        log.data(exchange, part)
    return exchange


@pytest.mark.parametrize("name", NAMES)
def test_the_views_copies_exports_and_log_of_the_playground(name: str) -> None:
    log = ExchangeLog(lambda exchange: None, lambda: None)
    masking = Masking(lambda: [CANARY])
    exchange = exchange_of(log, name)
    bot_log = BotLog(log, masking)
    spelt = escaped_spellings()[name]
    bot_log.add({"exchange": exchange.id, "text": f"the key {spelt} is wrong"})
    shown: list[Any] = [
        details(exchange, masking),
        "".join(each.get("text", "") for each in reads(exchange, 0, 10_000, masking)["reads"]),
        events(exchange, 0, 10, masking),
        bot_log.as_json(),
        *(snippet(exchange, form, None, masking) for form in ("curl", "python", "pytest")),
    ]
    assert_spelling_hidden(name, *shown)
    for form in ("recording", "har"):
        exported = export(form, [exchange], 0, masking)
        assert_spelling_hidden(name, exported)
        if form == "recording":
            [read_again] = read_exchanges(RecordingReader(io.BytesIO(exported)))
            assert_spelling_hidden(name, read_again.response_body, read_again.request_body)
            assert len(read_again.data) == len(repeating(name))


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("size", [1, 7, 1000])
def test_the_evidence_of_a_report(name: str, size: int) -> None:
    redaction = EvidenceRedaction(CANARY)
    body = repeating(name)[0]
    chunks = [body[start : start + size] for start in range(0, len(body), size)]
    stream = b"".join(b"%x\r\n%b\r\n" % (len(each), each) for each in chunks)
    for shown in (redaction.reads(bytewise(stream)), redaction.reads([stream])):
        whole = b"".join(shown)
        assert b"<hidden>" in whole
        assert_spelling_hidden(name, whole.replace(b"\r\n%x\r\n" % size, b""))
    assert_spelling_hidden(name, redaction.text(body.decode()))


def failing(name: str) -> dict[str, bytes]:
    """Failures that repeat the key: in an error response, and in the `error` event of a reply."""
    spelt = escaped_spellings()[name]
    record = f'event: error\ndata: {{"text": "the key {spelt} is wrong", "raw_response": ["{spelt}"]}}\n\n'
    return {
        "response": response(401, f'{{"error": "the key {spelt} is wrong"}}'.encode()),
        "page": response(403, f"<p>the key {spelt} is wrong".encode(), "Content-Type: text/html"),
        "event": STREAM_HEAD + chunk(record.encode()) + chunk(encode_sse("done", "{}")) + LAST_CHUNK,
    }


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("kind", ["response", "page", "event"])
async def test_the_errors_of_the_gateway_for_openai_and_its_log(
    name: str, kind: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG")
    async with scripted(answering(failing(name)[kind])) as server:
        app = OpenAIGateway({"bot": UpstreamBot(server.address, CANARY)}, api_keys=KEY)
        assert_spelling_hidden(name, (await chat(app)).body, *all_logged(caplog))


@pytest.mark.parametrize("kind", ["response", "page", "event"])
def test_the_export_of_a_measurement(kind: str, portal: BlockingPortal, tmp_path: Path) -> None:
    # The first is asked for before the measurement.
    answers = itertools.chain([HELLO], itertools.cycle([failing(name)[kind] for name in NAMES]))

    async def script(peer: Peer) -> None:
        while True:
            await peer.answer(next(answers))

    files = [tmp_path / f"replies.{form}" for form in ("jsonl", "csv", "html")]
    with scripted_in_thread(portal, script) as server:
        arguments = ["bench", server.address, "--replies", str(len(NAMES)), "--connections", "1"]
        arguments += [f"--export={file}" for file in files]
        result = CliRunner(env={"POE_ACCESS_KEY": CANARY}).invoke(main, arguments)
    assert result.exit_code == 1
    for name in NAMES:
        assert_spelling_hidden(name, result.stdout, result.stderr, *[file.read_text() for file in files])
