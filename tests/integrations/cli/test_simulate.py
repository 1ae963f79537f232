"""`poeproto simulate`: as a process that other processes use, wrong usage, and how it ends."""

from __future__ import annotations

import functools
import json
import signal
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TypeVar

import anyio
import pytest
from click.testing import CliRunner, Result

from poeproto import BotError, CostItem, Endpoints, InsufficientFunds, RequestRefused, SettingsResponse
from poeproto_cli.commands import main
from poeproto_h11 import Client

from ...support.bots import KEY
from ...support.command import simulating
from ...support.raw_http import fetch, http_request

T = TypeVar("T")

BOTS = """
from poeproto import Bot, Endpoints, SettingsResponse
from poeproto_asgi import BotApp, FetchPolicy, Route

class Cat(Bot):
    async def get_response(self, request, context):
        yield "Meow"

    async def get_settings(self, request, context):
        return SettingsResponse(server_bot_dependencies={"Dog": 1})

class Calling(Cat):
    async def get_response(self, request, context):
        yield await context.final_text("Dog", "Woof")

class Posting(Cat):
    async def get_response(self, request, context):
        yield await context.final_text("Dog", "Woof")
        await context.post_attachment(b"x", name="x.txt")

both = {"/": Cat, "/other": Cat}
app = BotApp(Cat(), access_key="a-key-of-its-own")
elsewhere = BotApp(
    {"/": Route(Calling(), access_key=["first-of-its-keys", "second-of-its-keys"])},
    endpoints=Endpoints.at("http://127.0.0.1:9"),
    fetch_policy=FetchPolicy(origins=["http://127.0.0.1:9"]),
)
route = {"/": Route(Calling(), allow_without_key=True, endpoints=Endpoints.at("http://127.0.0.1:9"))}
broken = None
"""


@pytest.fixture
def bots(tmp_path: Path) -> Path:
    file = tmp_path / "simulated.py"
    file.write_text(BOTS)
    return file


def run(*arguments: str) -> Result:
    return CliRunner(env={"POE_ACCESS_KEY": None, "POE_API_KEY": None}).invoke(main, ["simulate", *arguments])


def calling(address: str, api_key: str, call: Callable[[Client], Awaitable[T]]) -> T:
    async def calls() -> T:
        async with Client(api_key, access_key=KEY, endpoints=Endpoints.at(address)) as client:
            return await call(client)

    return anyio.run(calls)


async def asked(bot: str, client: Client) -> str:
    async with client.query(bot, "hello") as reply:
        return await reply.text()


def simulator_call(address: str, path: str, wire: object = None) -> object:
    method, body = ("GET", b"") if wire is None else ("POST", json.dumps(wire).encode())
    request = http_request(
        body, method=method, path=f"/simulator/{path}", key=None, headers=["Content-Type: application/json"]
    )
    response = anyio.run(fetch, address, request)
    assert response.status == 200, response.body
    return json.loads(response.body)


@pytest.mark.parametrize("worker_class", ["asyncio", "uvloop", "trio"])
def test_a_client_needs_only_the_address(bots: Path, worker_class: str) -> None:
    if worker_class == "uvloop":
        pytest.importorskip("uvloop")
    with simulating("--worker-class", worker_class, "--bot", f"Cat={bots}:Cat", "--balance", "100") as simulator:
        assert simulator.line == f"simulating Poe at {simulator.address}\n"
        assert calling(simulator.address, "any", functools.partial(asked, "Cat")) == "Meow"
        assert calling(simulator.address, "any", functools.partial(asked, "Dog")) == "hello"
        uploaded = calling(simulator.address, "any", lambda client: client.upload(b"x", name="x.txt"))
        assert uploaded.url.startswith(f"{simulator.address.rstrip('/')}/files/")
        calling(simulator.address, "any", lambda client: client.capture_cost(CostItem(70), "b-1"))
        with pytest.raises(InsufficientFunds):
            calling(simulator.address, "any", lambda client: client.capture_cost(CostItem(70), "b-1"))
        simulator.signal(signal.SIGTERM)
        status, output, errors = simulator.wait()
    hint = f"ask a bot: poeproto query {simulator.address}bot/NAME TEXT\n"
    assert (status, output, errors) == (0, "", hint)


def test_the_simulator_prints_how_to_query_a_bot(bots: Path) -> None:
    with simulating("--bot", f"Cat={bots}:Cat") as simulator:
        url = f"{simulator.address}bot/Cat"
        assert CliRunner(env={"POE_ACCESS_KEY": None}).invoke(main, ["query", url, "hello"]).stdout == "Meow\n"


def test_strict(bots: Path) -> None:
    options = ["--strict", "--api-key", "mine", "--access-key", KEY, "--bot", f"Cat={bots}:Cat"]
    options += ["--bot", f"Own={bots}:app", "--bot", "Web=http://127.0.0.1:9/"]
    with simulating(*options, "--bot", "Model=poeproto_simulator:ToolCaller") as simulator:
        address = simulator.address
        for bot in ("Cat", "Own"):
            assert calling(address, "mine", functools.partial(asked, bot)) == "Meow"
        assert calling(address, "mine", functools.partial(asked, "Model")) == "hello"
        with pytest.raises(RequestRefused, match="401"):
            calling(address, "wrong", functools.partial(asked, "Cat"))
        with pytest.raises(RequestRefused, match="404"):
            calling(address, "mine", functools.partial(asked, "Dog"))
        with pytest.raises(BotError, match="Web did not answer"):
            calling(address, "mine", functools.partial(asked, "Web"))
        fetched = calling(address, "mine", lambda client: client.sync_settings("Cat"))
        assert fetched == SettingsResponse(server_bot_dependencies={"Dog": 1})


@pytest.mark.parametrize("worker_class", ["asyncio", "trio"])
def test_a_bot_that_calls_another_through_the_simulator(bots: Path, worker_class: str) -> None:
    options = ["--worker-class", worker_class, "--bot", f"Calling={bots}:Calling"]
    with simulating(*options, env={"POE_ACCESS_KEY": KEY}) as simulator:
        assert calling(simulator.address, "any", functools.partial(asked, "Calling")) == "Woof"
        reply = simulator_call(simulator.address, "messages", {"bot": "Calling", "text": "hello"})
    assert isinstance(reply, dict)
    assert reply["text"] == "Woof"


def test_a_bot_without_a_key_calls_another_and_posts_a_file(bots: Path) -> None:
    options = ["--bot", f"Posting={bots}:Posting", "--bot", f"Open={bots}:route"]
    with simulating(*options, env={"POE_ACCESS_KEY": ""}) as simulator:
        reply = simulator_call(simulator.address, "messages", {"bot": "Posting", "text": "hello"})
    assert isinstance(reply, dict)
    assert (reply["failure"], reply["text"]) == (None, "Woof")
    assert [file["name"] for file in reply["files"]] == ["x.txt"]


def test_unused_options_of_a_target_are_logged(bots: Path) -> None:
    options = ["--bot", f"A={bots}:elsewhere", "--bot", f"B={bots}:route", "--bot", f"C={bots}:app"]
    with simulating(*options) as simulator:
        for bot in ("A", "B"):
            assert calling(simulator.address, "any", functools.partial(asked, bot)) == "Woof"
        simulator.signal(signal.SIGTERM)
        status, _, errors = simulator.wait()
    lines = [line.partition(" poeproto: ")[2] for line in errors.splitlines() if " WARNING " in line]
    assert (status, lines) == (
        0,
        [
            f"{bots}:elsewhere: not used in the simulator: its endpoints, its fetch policy, its keys after the first",
            f"{bots}:route: not used in the simulator: its endpoints",
        ],
    )
    assert "of-its-keys" not in errors


def test_a_database(bots: Path, tmp_path: Path) -> None:
    options = ["--database", str(tmp_path / "simulator.db"), "--bot", f"Cat={bots}:Cat"]
    with simulating(*options) as simulator:
        first = simulator_call(simulator.address, "messages", {"bot": "Cat", "text": "hello"})
        assert isinstance(first, dict)
        assert first["text"] == "Meow"
        simulator.signal(signal.SIGINT)
        assert simulator.wait()[0] == 0
    with simulating(*options) as simulator:
        again = {"bot": "Cat", "text": "again", "conversation": first["conversation_id"]}
        simulator_call(simulator.address, "messages", again)
        state = simulator_call(simulator.address, "state")
    assert isinstance(state, dict)
    (conversation,) = state["conversations"]
    assert [message["content"] for message in conversation["messages"]] == ["hello", "Meow", "again", "Meow"]
    assert KEY not in json.dumps(state)


@pytest.mark.parametrize("worker_class", ["asyncio", "trio"])
def test_a_database_that_cannot_be_written_at_the_end(bots: Path, tmp_path: Path, worker_class: str) -> None:
    file = tmp_path / "simulator.db"
    with simulating("--database", str(file), "--worker-class", worker_class) as simulator:
        simulator_call(simulator.address, "state")  # it has loaded the database by now
        file.write_text("a rose is a rose" * 1000)
        with pytest.raises(RequestRefused, match="its log says why"):
            calling(simulator.address, "any", functools.partial(asked, "Cat"))
        simulator.signal(signal.SIGTERM)
        status, output, errors = simulator.wait()
    why = f"the database {file} cannot be used: file is not a database"
    hint, logged, error = errors.splitlines()
    assert (status, output) == (1, "")
    assert hint.startswith("ask a bot: ")
    assert logged.endswith(f"ERROR poeproto: the simulator could not use its storage: {why}")
    assert error == f"Error: {why}"


def test_the_default_address_differs_from_that_of_serve() -> None:
    defaults = {
        name: option.default
        for name in ("serve", "simulate")
        for option in main.commands[name].params
        if option.name == "bind"
    }
    assert defaults == {"serve": "127.0.0.1:8080", "simulate": "127.0.0.1:8081"}


def test_wrong_usage(bots: Path, tmp_path: Path) -> None:
    for described in ("Cat", "=x", "Cat="):
        result = run("--bot", described)
        assert result.exit_code == 2
        assert f"--bot {described!r} is not of the form NAME=TARGET_OR_URL" in result.output
    result = run("--bot", f"Cat={bots}:Cat", "--bot", f"Cat={bots}:app")
    assert (result.exit_code, "--bot Cat=... is given twice" in result.output) == (2, True)
    result = run("--bot", "Cat=http:/127.0.0.1:8080/")
    assert (result.exit_code, "did you mean http://127.0.0.1:8080/?" in result.output) == (2, True)
    result = run("--bot", "Cat=127.0.0.1:8080")
    assert (result.exit_code, "did you mean http://127.0.0.1:8080?" in result.output) == (2, True)
    result = run("--bot", f"Cat={bots}:both")
    assert (result.exit_code, f"{bots}:both has 2 bots; expected one" in result.output) == (2, True)
    assert run("--bot", f"Cat={bots}:broken").exit_code == 2
    assert run("--bot", "Cat=nowhere:cat").exit_code == 2
    assert run("--balance", "-1").exit_code == 2
    assert run("--bind", "nowhere").exit_code == 2
    result = run("--fetch-from", "files.example")
    assert (result.exit_code, "'--fetch-from': this is not an origin as in https://" in result.output) == (2, True)
    assert run("--api-key", "a key").exit_code == 2
    (tmp_path / "poem.txt").write_text("a rose is a rose" * 100)
    result = run("--database", str(tmp_path / "poem.txt"))
    assert (result.exit_code, "file is not a database" in result.output) == (1, True)
    (tmp_path / "failing.py").write_text("1 / 0")
    result = run("--bot", f"Cat={tmp_path / 'failing.py'}:bot")
    assert (result.exit_code, "ZeroDivisionError: division by zero" in result.output) == (1, True)
