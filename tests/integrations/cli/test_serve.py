"""`poeproto serve`: serving, wrong usage, and how it ends."""

from __future__ import annotations

import http.server
import json
import re
import signal
import socket
import subprocess
import sys
import threading
from pathlib import Path
from typing import ClassVar

import pytest
from click.testing import CliRunner, Result

from poeproto import Done, Text, encode_event
from poeproto_cli.commands import main

from ...support.bots import KEY
from ...support.command import COMMAND, SECONDS, serving, started

BOTS = """
from poeproto import Bot
from poeproto_asgi import BotApp, Route

class Echo(Bot):
    async def get_response(self, request, context):
        yield request.query[-1].content

class Needy(Bot):
    def __init__(self, needed):
        pass

bot = Echo()
app = BotApp(bot, access_key="a-key-of-its-own")
anyones = BotApp(bot, allow_without_key=True)
routes = {"/": Echo, "/open": Route(bot, allow_without_key=True)}
number = 3
"""


@pytest.fixture
def bots(tmp_path: Path) -> Path:
    file = tmp_path / "echoing.py"
    file.write_text(BOTS)
    return file


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*COMMAND, *arguments], capture_output=True, text=True, timeout=SECONDS)


def refused(*arguments: str) -> Result:
    """`poeproto serve` with arguments that it refuses, in this process."""
    return CliRunner(env={"POE_ACCESS_KEY": None}).invoke(main, ["serve", *arguments])


def query(*arguments: str) -> Result:
    return CliRunner(env={"POE_ACCESS_KEY": None}).invoke(main, ["query", *arguments])


def is_taken(address: str) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", int(address.rstrip("/").rpartition(":")[2]))) == 0


@pytest.mark.parametrize(
    ("worker_class", "number"),
    [
        ("asyncio", signal.SIGINT),
        pytest.param("uvloop", signal.SIGTERM, marks=pytest.mark.slow),
        pytest.param("trio", signal.SIGTERM, marks=pytest.mark.slow),
    ],
)
def test_serve_and_query(bots: Path, worker_class: str, number: signal.Signals) -> None:
    if worker_class == "uvloop":
        pytest.importorskip("uvloop")
    backend = "trio" if worker_class == "trio" else "asyncio"
    with serving(f"{bots}:bot", "--worker-class", worker_class, "--access-key", KEY) as server:
        assert server.line == f"serving {bots}:bot at {server.address}\n"
        assert server.address.startswith("http://127.0.0.1:")

        answer = run("query", server.address, "hello", "--access-key", KEY, "--backend", backend, "--json")
        assert (answer.returncode, answer.stderr) == (0, "")
        assert [json.loads(line) for line in answer.stdout.splitlines()] == [
            {"event": "text", "data": {"text": "hello"}},
            {"event": "done", "data": {}},
        ]

        refusal = run("query", server.address, "hello", "--access-key", "wrong", "--backend", backend, "--json")
        assert (refusal.returncode, refusal.stdout) == (1, "")
        said, _, advice = refusal.stderr.partition("; ")
        assert said == "Error: the bot answered with status 401: the access key is missing or wrong"
        assert advice == "give the right key with --access-key or in POE_ACCESS_KEY\n"

        server.signal(number)
        status, output, errors = server.wait()
    assert (status, output) == (0, "")
    assert errors.endswith("WARNING poeproto: POST / refused: 401 the access key is missing or wrong\n")
    assert not is_taken(server.address)


@pytest.mark.slow
@pytest.mark.parametrize(("worker_class", "number"), [("asyncio", signal.SIGTERM), ("trio", signal.SIGINT)])
def test_several_workers(bots: Path, worker_class: str, number: signal.Signals) -> None:
    with serving(f"{bots}:bot", "--workers", "2", "--worker-class", worker_class, "--access-key", KEY) as server:
        for _ in range(4):
            assert query(server.address, "hello", "--access-key", KEY).stdout == "hello\n"
        if number is signal.SIGINT:
            server.signal_all(number)
        else:
            server.signal(number)
        assert server.wait() == (0, "", "")
    assert not is_taken(server.address)


@pytest.mark.slow
@pytest.mark.parametrize("workers", ["1", "2"])
def test_worker_logs_have_dates(workers: str, tmp_path: Path) -> None:
    (tmp_path / "failing.py").write_text("from poeproto import Bot\n\nbot = Bot()\n")
    with serving(f"{tmp_path / 'failing.py'}:bot", "--workers", workers, "--allow-without-key") as server:
        url = f"{server.address}nothing-here"
        assert query(url, "hello").exit_code == 1
        server.signal(signal.SIGTERM)
        status, _, errors = server.wait()
    assert status == 0
    [line] = [line for line in errors.splitlines() if "refused: 404" in line]
    assert re.match(r"\d{4}-\d\d-\d\d [\d:,]+ WARNING poeproto: POST /nothing-here ", line)


ENDING_BADLY = """
from contextlib import asynccontextmanager
from poeproto import Bot
from poeproto_asgi import BotApp

class EndingBadly(BotApp):
    @asynccontextmanager
    async def lifespan(self, app=None):
        yield
        raise ValueError("a fault in the code")

app = EndingBadly(Bot(), allow_without_key=True)
"""


def test_hypercorn_logs_have_dates_and_appear_once(tmp_path: Path) -> None:
    (tmp_path / "ending.py").write_text(ENDING_BADLY)
    with serving(f"{tmp_path / 'ending.py'}:app") as server:
        server.signal(signal.SIGTERM)
        _, _, errors = server.wait()
    assert errors.count("ValueError: a fault in the code") == 1
    assert re.search(r"(?m)^\d{4}-\d\d-\d\d [\d:,]+ ERROR hypercorn\.error: ASGI Framework Lifespan error", errors)


def test_the_key_from_the_environment(bots: Path) -> None:
    with serving(f"{bots}:Echo", env={"POE_ACCESS_KEY": KEY}) as server:
        assert query(server.address, "hello").exit_code == 1
        assert query(server.address, "hello", "--access-key", KEY).stdout == "hello\n"
        server.signal(signal.SIGTERM)
        assert server.wait()[0] == 0


def test_without_a_key(bots: Path) -> None:
    # An option on the command line overrides the environment.
    with serving(f"{bots}:bot", "--allow-without-key", env={"POE_ACCESS_KEY": KEY}) as server:
        assert query(server.address, "hello").stdout == "hello\n"
        assert query(server.address, "hello", "--access-key", "any").stdout == "hello\n"


def test_a_name_without_a_key_is_logged(bots: Path) -> None:
    with serving(f"{bots}:bot", "--allow-without-key", "--bot-name", "Echo") as server:
        server.signal(signal.SIGTERM)
        status, _, errors = server.wait()
    assert status == 0
    assert errors.endswith(
        "WARNING poeproto: the settings of Echo are not synced with Poe: syncing needs the bot's key\n"
    )


def test_an_application_has_its_own_key(bots: Path) -> None:
    with serving(f"{bots}:app") as server:
        assert query(server.address, "hello", "--access-key", "a-key-of-its-own").stdout == "hello\n"
        assert query(server.address, "hello", "--access-key", KEY).exit_code == 1


@pytest.mark.parametrize("attribute", ["app", "anyones"])
def test_an_application_is_not_given_a_key(bots: Path, attribute: str) -> None:
    done = refused(f"{bots}:{attribute}", "--access-key", KEY, "--bind", "127.0.0.1:0")
    assert (done.exit_code, done.stdout) == (2, "")
    assert "access_key has no effect" in done.stderr
    assert KEY not in done.stderr


@pytest.mark.slow
@pytest.mark.parametrize("workers", ["1", "2"])
def test_an_unused_key_of_the_environment_is_logged(bots: Path, workers: str) -> None:
    with serving(f"{bots}:anyones", "--workers", workers, env={"POE_ACCESS_KEY": KEY}) as server:
        assert query(server.address, "hello").stdout == "hello\n"
        server.signal(signal.SIGTERM)
        status, _, errors = server.wait()
    assert status == 0
    [line] = errors.splitlines()
    assert "WARNING poeproto: the key in the environment has no effect" in line
    assert "anyone is answered at /" in line
    assert KEY not in line
    with serving(f"{bots}:app", env={"POE_ACCESS_KEY": "a-key-of-its-own"}) as server:
        server.signal(signal.SIGTERM)
        assert server.wait() == (0, "", "")


def test_bots_by_path(bots: Path) -> None:
    with serving(f"{bots}:routes", "--access-key", KEY) as server:
        assert query(server.address, "hello", "--access-key", KEY).stdout == "hello\n"
        assert query(server.address + "open", "hello").stdout == "hello\n"
        assert query(server.address + "other", "hello", "--access-key", KEY).exit_code == 1


def test_a_module_of_the_current_folder(bots: Path) -> None:
    with started("serve", "echoing:bot", "--bind", "127.0.0.1:0", "--allow-without-key", cwd=bots.parent) as process:
        assert process.stdout is not None
        address = process.stdout.readline().split()[-1]
        assert query(address, "hello").stdout == "hello\n"
        process.terminate()
        assert process.wait(SECONDS) == 0


# --- wrong usage


OPEN = "--allow-without-key"
WRONG = [
    pytest.param(["serve"], "TARGET", id="no target"),
    pytest.param(["serve", "{file}", OPEN], "module:attribute or path/file.py:attribute", id="no attribute"),
    pytest.param(["serve", "{file}:", OPEN], "module:attribute or path/file.py:attribute", id="empty attribute"),
    pytest.param(["serve", ":bot", OPEN], "module:attribute or path/file.py:attribute", id="empty module"),
    pytest.param(["serve", "{folder}/missing.py:bot", OPEN], "there is no file", id="missing file"),
    pytest.param(["serve", "missing_module:bot", OPEN], "there is no module 'missing_module'", id="missing module"),
    pytest.param(
        ["serve", "{file}:missing", OPEN],
        "did you mean {file}:Echo or {file}:Needy or {file}:bot or {file}:app",
        id="missing attribute",
    ),
    pytest.param(["serve", "json:missing", OPEN], "there is no bot in it by another name", id="no bot"),
    pytest.param(["serve", "127.0.0.1:8080", OPEN], "module:attribute or path/file.py:attribute", id="an address"),
    pytest.param(["serve", "http:/bot", OPEN], "module:attribute or path/file.py:attribute", id="no name"),
    pytest.param(["serve", "{file}:number", OPEN], "is not a bot", id="a number"),
    pytest.param(
        ["serve", "{file}:bot"],
        "without a key with --allow-without-key",
        id="neither key nor permission",
    ),
    pytest.param(["serve", "{file}:bot", "--access-key", "two words"], "visible ASCII", id="a key that cannot be"),
    pytest.param(["serve", "{file}:bot", OPEN, "--bind", "localhost"], "HOST:PORT", id="a host alone"),
    pytest.param(["serve", "{file}:bot", OPEN, "--bind", "127.0.0.1:x"], "HOST:PORT", id="no port"),
    pytest.param(["serve", "{file}:bot", OPEN, "--bind", "127.0.0.1:80800"], "at most 65535", id="a port too large"),
    pytest.param(["serve", "{file}:bot", OPEN, "--workers", "0"], "--workers", id="no workers"),
    pytest.param(["serve", "{file}:bot", OPEN, "--worker-class", "gevent"], "--worker-class", id="another loop"),
]


@pytest.mark.parametrize(("arguments", "message"), WRONG)
def test_wrong_usage(bots: Path, arguments: list[str], message: str, monkeypatch: pytest.MonkeyPatch) -> None:
    # Loading a target changes sys.path and sys.modules; undo both.
    monkeypatch.setattr(sys, "path", [*sys.path])
    before = set(sys.modules)
    arguments = [argument.format(file=bots, folder=bots.parent) for argument in arguments]
    result = CliRunner(env={"POE_ACCESS_KEY": None}).invoke(main, arguments, prog_name="poeproto")
    for name in [name for name in set(sys.modules) - before if "echoing" in name]:
        del sys.modules[name]
    assert (result.exit_code, result.stdout) == (2, "")
    usage, *_, line = result.stderr.splitlines()
    assert usage.startswith("Usage: poeproto serve")
    assert line.startswith("Error: ")
    assert message.format(file=bots) in line


@pytest.mark.parametrize("command", ["serve", "simulate"])
def test_a_worker_class_that_is_not_installed(command: str, bots: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "uvloop", None)
    arguments = [f"{bots}:bot", "--allow-without-key"] if command == "serve" else []
    arguments += ["--worker-class", "uvloop", "--bind", "127.0.0.1:0"]
    result = CliRunner().invoke(main, [command, *arguments], prog_name="poeproto")
    assert (result.exit_code, result.stdout) == (2, "")
    assert "Error: uvloop is not installed" in result.stderr


def test_an_address_in_use(bots: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        result = run("serve", f"{bots}:bot", "--allow-without-key", "--bind", address)
    assert (result.returncode, result.stdout) == (1, "")
    [line] = result.stderr.splitlines()
    assert line.startswith("Error: ")
    assert f"cannot listen on {address}: Address already in use" in line


def test_a_bot_that_cannot_be_loaded_is_shown_with_its_traceback(tmp_path: Path) -> None:
    file = tmp_path / "deep.py"
    file.write_text("def trouble():\n    raise ValueError('deep trouble')\n\n\ntrouble()\n")
    arguments = ["serve", f"{file}:bot", "--bind", "127.0.0.1:0", "--allow-without-key"]
    result = CliRunner(env={"POE_ACCESS_KEY": None}).invoke(main, arguments, prog_name="poeproto")
    assert result.exit_code == 1
    assert "in trouble" in result.stderr
    assert result.stderr.rstrip().splitlines()[-1].endswith("failed to load: ValueError: deep trouble")


CALLING = """
import json

from poeproto import Bot, SettingsResponse

class Caller(Bot):
    async def get_response(self, request, context):
        yield context.bot_name
        yield " got "
        yield await context.final_text("Cat", request)
        yield " and "
        yield (await context.fetch_attachment(request.query[-1].content)).decode()

    async def get_settings(self, request, context):
        return SettingsResponse(server_bot_dependencies={"Cat": 1})

class Cat(Bot):
    async def get_response(self, request, context):
        yield "meow"

caller = Caller()
"""


class Poe(http.server.BaseHTTPRequestHandler):
    """A minimal Poe: accepts settings, answers for the bot Cat, and serves a file."""

    asked: ClassVar[list[str]] = []

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["content-length"]))
        self.asked.append(self.path)
        is_query = self.path.endswith("/bot/Cat")
        self.respond("text/event-stream", encode_event(Text("meow")) + encode_event(Done()) if is_query else b"{}")

    def do_GET(self) -> None:
        self.respond("text/plain", b"a file")

    def respond(self, content_type: str, body: bytes) -> None:
        self.send_response(200)
        self.send_header("content-type", content_type)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.mark.slow
@pytest.mark.parametrize("mount", ["", "/poe/here"])
def test_a_bot_is_pointed_at_a_simulator(tmp_path: Path, mount: str) -> None:
    (tmp_path / "calling.py").write_text(CALLING)
    Poe.asked.clear()
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Poe) as poe:
        thread = threading.Thread(target=poe.serve_forever)
        thread.start()
        root = f"http://127.0.0.1:{poe.server_port}"
        options = ["--endpoint", f"{root}{mount}/", "--bot-name", "Caller", "--allow-fetch", "--access-key", KEY]
        try:
            with serving(f"{tmp_path / 'calling.py'}:caller", *options, "--workers", "2") as server:
                answer = run("query", server.address, f"{root}/file", "--access-key", KEY)
                assert (answer.stdout, answer.stderr) == ("Caller got meow and a file\n", "")
                server.signal(signal.SIGTERM)
                status, _, errors = server.wait()
        finally:
            poe.shutdown()
            thread.join()
    assert status == 0
    assert KEY not in errors
    assert sorted(set(Poe.asked)) == [f"{mount}/bot/Cat", f"{mount}/bot/update_settings/Caller/{KEY}/1.2"]
    assert len(Poe.asked) == 2  # settings are synced once, although two workers started


@pytest.mark.parametrize(
    "url",
    ["127.0.0.1:8000", "http://127.0.0.1:8000/?a", "http://h/#a", "http://[bad", "http://u:secret@h", "ftp://h", ""],
)
def test_an_invalid_endpoint(bots: Path, url: str) -> None:
    done = refused(f"{bots}:bot", "--allow-without-key", "--endpoint", url)
    assert done.exit_code == 2
    assert "expected the URL of a server" in " ".join(done.stderr.split())
    assert "secret" not in done.stderr


def test_an_application_has_its_own_endpoint(bots: Path) -> None:
    done = refused(f"{bots}:app", "--endpoint", "http://127.0.0.1:8000")
    assert done.exit_code == 2
    assert "has its own" in done.stderr
