"""The page about troubleshooting quotes messages as they appear, and its commands work."""

from __future__ import annotations

import logging
import re
import shlex
import socket
import subprocess
import textwrap
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import anyio
import attrs
import click
import pytest
from click.testing import CliRunner

from poeproto import Context, DeadlineExceeded, Error, Limits, Meta, QueryRequest, Text
from poeproto_asgi import BotApp
from poeproto_cli.commands import main
from poeproto_h11 import Client, Timeouts

from ..support.bots import KEY, FunctionBot
from ..support.command import SECONDS, serving
from ..support.embedded_servers import serving as serving_here
from ..support.raw_http import fetch, http_request

pytestmark = pytest.mark.anyio
PAGES = ("troubleshoot", "tunnel")


@pytest.fixture(autouse=True)
def logs_of_loop_watch() -> None:
    """The page quotes one of them."""


@pytest.fixture(scope="module")
def page(checkout: Path) -> str:
    return (checkout / "docs" / "howto" / "troubleshoot.md").read_text(encoding="utf-8")


def quoted(page: str, heading: str) -> list[str]:
    """The messages in the first column of the tables in a section."""
    section = page.partition(f"## {heading}\n")[2].partition("\n## ")[0].partition("\n### ")[0]
    columns = "\n".join(row.split("|")[1] for row in section.splitlines() if row.startswith("|"))
    return re.findall(r"`([^`]+)`", columns)


def assert_produced(messages: list[str], produced: list[str]) -> None:
    """Each message is one that the programs have shown; an ellipsis stands for any text."""
    assert messages
    shown = "\n".join(produced)
    for message in messages:
        pattern = ".+".join(map(re.escape, message.split("…")))
        assert re.search(pattern, shown), f"nothing has shown {message!r}; shown was\n{shown}"


class Faulty:
    """Bots that fail, each in its own way."""

    @staticmethod
    async def ends(request: QueryRequest, context: Context) -> AsyncIterator[str]:
        for text in ():
            yield text

    @staticmethod
    async def never_ends(request: QueryRequest, context: Context) -> AsyncIterator[str]:
        await anyio.sleep_forever()
        yield ""

    @staticmethod
    async def yields_a_number(request: QueryRequest, context: Context) -> AsyncIterator[Any]:
        yield 3

    @staticmethod
    async def sends_meta_late(request: QueryRequest, context: Context) -> AsyncIterator[Any]:
        yield "hello"
        yield Meta()

    @staticmethod
    async def changes_the_request(request: QueryRequest, context: Context) -> AsyncIterator[str]:
        request.temperature = 1  # pyright: ignore[reportAttributeAccessIssue]
        yield "hello"

    @staticmethod
    def is_plain(request: QueryRequest, context: Context) -> str:
        return "hello"

    @staticmethod
    async def calls_an_undeclared_bot(request: QueryRequest, context: Context) -> AsyncIterator[Any]:
        async for event in context.query_bot("Cat", request):
            yield event

    @staticmethod
    async def blocks(request: QueryRequest, context: Context) -> AsyncIterator[str]:
        time.sleep(0.3)  # noqa: ASYNC251 - what is tested
        yield "hello"


def app_of(name: str, **arguments: Any) -> BotApp:
    return BotApp(FunctionBot(getattr(Faulty, name)), access_key=KEY, **arguments)


async def ask(app: BotApp, *, is_stopping: bool = False) -> list[str]:
    """The texts of the events with which the application answers a query."""
    async with serving_here(app) as url:
        if is_stopping:
            app.stop_streams()
        events = (await fetch(url, http_request())).events
    return [event.text or "" for event in events if isinstance(event, Error | Text)]


async def test_what_users_and_the_log_say(page: str, caplog: pytest.LogCaptureFixture) -> None:
    produced: list[str] = []
    for name in ("ends", "yields_a_number", "sends_meta_late", "changes_the_request", "is_plain"):
        produced += await ask(app_of(name))
    produced += await ask(app_of("calls_an_undeclared_bot"))
    produced += await ask(app_of("never_ends", limits=Limits(answer_seconds=0.01)))
    produced += await ask(app_of("ends"), is_stopping=True)
    produced += [record.getMessage() for record in caplog.records]
    messages = quoted(page, "Users see an error")
    spent = "no call to '…' is left: server_bot_dependencies declares …"  # test_guide_errors.py has it
    assert spent in messages
    assert_produced([message for message in messages if message not in (spent, "json")], produced)


async def test_a_bot_that_blocks(page: str, caplog: pytest.LogCaptureFixture) -> None:
    await ask(app_of("blocks"))
    messages = re.findall(r"`(… blocks [^`]+)`", page)
    assert_produced(messages, [record.getMessage() for record in caplog.records])


async def test_the_timeouts(page: str) -> None:
    app = app_of("never_ends")
    produced: list[str] = []
    with socket.create_server(("127.0.0.1", 0)) as silent:
        async with serving_here(app) as url:
            unanswered = f"http://127.0.0.1:{silent.getsockname()[1]}/"
            for timeouts, address in [
                (Timeouts(idle=0.05), url),
                (Timeouts(total=0.05), url),
                (Timeouts(header=0.05), unanswered),
            ]:
                async with Client(access_key=KEY, timeouts=timeouts) as client:
                    with pytest.raises(DeadlineExceeded) as raised:
                        await client.query(address, "hello").text()
                    produced.append(str(raised.value))
    messages = [message for message in quoted(page, "The bot times out") if message.startswith("the ")]
    connect = "the connect timeout of … s passed"  # no address of this machine leaves a connection open
    assert {message.split()[1] for message in messages} == {field.name for field in attrs.fields(Timeouts)}
    assert_produced([message for message in messages if message != connect], produced)


async def test_the_statuses(page: str) -> None:
    shown: list[str] = []
    async with serving_here(app_of("ends")) as url:
        for request in [
            http_request(b"", method="GET", key=None),
            http_request(b'{"version": "1.2", "type": "query"}'),
            http_request(key=None),
            http_request(path="/nowhere"),
            http_request(method="PUT"),
        ]:
            response = await fetch(url, request)
            shown.append(f"{response.status} {response.body.decode()}")
    section = page.partition("## The server answers with an HTTP status\n")[2]
    rows = re.findall(r"^\| (\d{3}), `([^`]+)`", section, re.MULTILINE)
    assert len(rows) == len(shown)
    for (status, message), answer in zip(rows, shown, strict=True):
        assert answer.startswith(status)
        assert_produced([message], [answer])
    assert '"path"' in shown[1]


def test_what_the_server_says_that_does_not_start(
    page: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("POE_ACCESS_KEY", raising=False)
    Path("works.py").write_text("from poeproto import Bot\n\nbot = Bot()\n")
    Path("imports.py").write_text("import nothing_of_this_name\n")
    produced: list[str] = []
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        for arguments in [
            ["works.py:bot"],
            ["works.py:bots", "--allow-without-key"],
            ["nowhere.py:bot", "--allow-without-key"],
            ["imports.py:bot", "--allow-without-key"],
            ["works.py:bot", "--allow-without-key", "--bind", port],
        ]:
            done = CliRunner().invoke(main, ["serve", *arguments])
            assert done.exit_code != 0
            produced.append(done.output)
    with caplog.at_level(logging.WARNING, "poeproto"):
        BotApp(FunctionBot(Faulty.ends), access_key="short")
    produced += [record.getMessage() for record in caplog.records]
    assert_produced(quoted(page, "The server does not start"), produced)


@pytest.mark.parametrize("name", PAGES)
def test_each_command_is_understood(checkout: Path, name: str) -> None:
    text = (checkout / "docs" / "howto" / f"{name}.md").read_text(encoding="utf-8")
    lines = re.findall(r"^ +(?:[A-Z_]+=\S+ )*poeproto (.*)$", text, re.MULTILINE)
    lines += re.findall(r"`poeproto (\w+ [^`]+)`", text)
    assert lines
    for line in lines:
        verb, *words = shlex.split(line)
        with main.commands[verb].make_context(verb, words, parent=click.Context(main)) as context:
            assert not context.args, line


@pytest.mark.slow
def test_the_call_of_curl(page: str, checkout: Path) -> None:
    [command] = re.findall(r"^      curl .*?(?=\n\n)", page, re.MULTILINE | re.DOTALL)
    with serving(f"{checkout}/docs/examples/echo.py:bot", "--access-key", KEY) as server:
        done = subprocess.run(
            ["bash", "-c", textwrap.dedent(command).replace("http://127.0.0.1:8080/", server.address)],
            env={"POE_ACCESS_KEY": KEY, "PATH": "/usr/bin:/bin"},
            capture_output=True,
            text=True,
            timeout=SECONDS,
            check=False,
        )
    assert 'data: {"text":"hello"}' in done.stdout
