"""`poeproto record` and `poeproto replay`: as processes in front of a bot and in its place, and wrong usage."""

from __future__ import annotations

import json
import signal
import socket
import stat
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from poeproto import Message, QueryRequest
from poeproto_cli.commands import main
from poeproto_h11 import Client
from poeproto_record import RecordingWriter, load_recording

from ...support.bots import KEY
from ...support.command import Serving, simulating, started
from ...support.embedded_servers import serving
from ...support.raw_http import fetch, http_request

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    """The processes have event loops of their own."""
    return "asyncio"


def query(text: str) -> QueryRequest:
    return QueryRequest([Message("user", text)])


def made(path: Path) -> Path:
    """A recording of one query at that path."""
    with path.open("wb") as file:
        writer = RecordingWriter(file)
        number = writer.request("POST", "/", {}, b'{"type": "query", "query": [{"role": "user", "content": "hi"}]}')
        writer.head(number, 200, {"content-type": "text/event-stream", "transfer-encoding": "chunked"})
        writer.data(number, b'event: text\ndata: {"text": "recorded"}\n\n')
        writer.data(number, b"event: done\ndata: {}\n\n")
        writer.end(number)
    return path


@pytest.mark.parametrize(
    "worker_class", ["asyncio", *(pytest.param(name, marks=pytest.mark.slow) for name in ("uvloop", "trio"))]
)
async def test_a_recording_answers_as_the_bot_did(worker_class: str, tmp_path: Path) -> None:
    file = tmp_path / "bot.jsonl"
    options = ["--bind", "127.0.0.1:0", "--worker-class", worker_class]
    async with serving() as url, Client() as client:
        with started("record", url, "-o", str(file), "--redact", "sword.*fish", *options) as process:
            proxy = Serving(process)
            assert proxy.line == f"recording to {file} at {proxy.address}\n"
            async with client.query(proxy.address, query("a sword for a fish"), access_key=KEY) as reply:
                recorded = [event async for event in reply]
            proxy.signal(signal.SIGINT)
            assert proxy.wait()[::2] == (0, "")
    assert KEY.encode() not in file.read_bytes()
    assert b"sword for a fish" not in file.read_bytes()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    header = load_recording(file).header
    assert header.redacted is not None
    assert header.redacted["patterns"] == 1
    with started("replay", str(file), "--speed", "0", *options) as process:
        replay = Serving(process)
        assert replay.line == f"replaying {file} at {replay.address}\n"
        asked = query("a sword and a fish")
        async with Client() as client, client.query(replay.address, asked, access_key=KEY) as reply:
            replayed = [event async for event in reply]
        replay.signal(signal.SIGTERM)
        assert replay.wait()[0] == 0
    assert [type(event) for event in replayed] == [type(event) for event in recorded]


async def test_the_address_as_json(tmp_path: Path) -> None:
    file = made(tmp_path / "bot.jsonl")
    with started("replay", str(file), "--json", "--bind", f"unix:{tmp_path}/replay", "--match", "exact") as process:
        line = json.loads(Serving(process).line)
    assert line == {"replaying": str(file), "exchanges": 1, "address": f"unix:{tmp_path}/replay"}
    output = tmp_path / "again.jsonl"
    with started("record", "http://bot.test/", "-o", str(output), "--json", "--bind", "127.0.0.1:0") as process:
        line = json.loads(Serving(process).line)
        response = await fetch(line["address"], http_request(b"{}"))
    assert line.keys() == {"recording", "address"}
    assert response.status in (502, 504)


async def test_a_recording_as_a_bot_of_the_simulator(tmp_path: Path) -> None:
    file = made(tmp_path / "bot.jsonl")
    with simulating("--bot", f"Rec=recording:{file}") as simulator:
        async with Client() as client, client.query(f"{simulator.address}bot/Rec", query("hi")) as reply:
            assert await reply.text() == "recorded"
    result = invoked("simulate", "--bot", f"Rec=recording:{tmp_path}/none")
    assert (result.exit_code, result.output) == (1, f"Error: {tmp_path}/none: No such file or directory\n")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["record", "bot.test", "-o", "x"], "did you mean http://bot.test?"),
        (["record", "http://bot.test/?a=b", "-o", "x"], "neither a query nor a fragment"),
        (["record", "http://bot.test/"], "Missing option '-o'"),
        (["record", "http://bot.test/", "-o", "x", "--redact", "("], "not a regular expression"),
        (["record", "http://bot.test/", "-o", "x", "--bind", "here"], "the address to bind"),
        (["replay", "nowhere"], "does not exist"),
        (["replay", "FILE", "--speed", "-1"], "Invalid value for '--speed'"),
        (["replay", "FILE", "--match", "some"], "Invalid value for '--match'"),
    ],
)
def test_wrong_usage(arguments: list[str], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    made(tmp_path / "FILE")
    result = invoked(*arguments)
    assert result.exit_code == 2, result.output
    assert message in result.output


def test_files_that_cannot_be_used(tmp_path: Path) -> None:
    (tmp_path / "empty").touch()
    result = invoked("replay", str(tmp_path / "empty"))
    assert (result.exit_code, result.output) == (1, f"Error: {tmp_path}/empty: the file is empty\n")
    result = invoked("record", "http://bot.test/", "-o", str(tmp_path / "no" / "where"), "--bind", "127.0.0.1:0")
    assert result.exit_code == 1
    assert "No such file or directory" in result.output


def test_a_recording_is_kept_if_another_one_cannot_begin(tmp_path: Path) -> None:
    file = made(tmp_path / "bot.jsonl")
    before = file.read_bytes()
    with socket.create_server(("127.0.0.1", 0)) as other:
        address = f"127.0.0.1:{other.getsockname()[1]}"
        result = invoked("record", "http://bot.test/", "-o", str(file), "--bind", address)
    assert result.exit_code == 1, result.output
    assert "cannot listen on" in result.output
    result = invoked("record", "http://bot.test/?a=b", "-o", str(file), "--bind", "127.0.0.1:0")
    assert result.exit_code != 0, result.output
    assert file.read_bytes() == before


def invoked(*arguments: str) -> Result:
    return CliRunner().invoke(main, list(arguments))
