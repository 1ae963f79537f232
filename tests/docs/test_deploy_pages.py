"""The pages about deployment: their commands are understood, their configurations are valid, and their programs run."""

from __future__ import annotations

import configparser
import json
import os
import re
import shlex
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Generator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import urlopen

import anyio
import click
import pytest

from poeproto_asgi import BotApp
from poeproto_cli.commands import main as command
from poeproto_h11 import BlockingClient
from poeproto_runtime.listen import address_of, listening
from poeproto_simulator import Simulator

from ..support.asgi_processes import wait_until_listening
from ..support.bots import KEY
from ..support.command import SECONDS, serving

PAGES = [f"howto/{name}.md" for name in ("deploy", "reverse_proxy", "many_streams", "outgoing_proxy")]
BOT = """
from poeproto import Bot

class EchoBot(Bot):
    async def get_response(self, request, context):
        yield request.query[-1].content

bot = EchoBot()
"""


@pytest.fixture(scope="module")
def docs(checkout: Path) -> Path:
    return checkout / "docs"


def in_language(page: Path, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", page.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)


def understood(line: str) -> None:
    """The command of this line takes the arguments; nothing is executed."""
    words = [word for word in shlex.split(line) if not re.match(r"[A-Z_]+=", word)]
    name, *arguments = words[words.index("poeproto") + 1 :]
    with command.commands[name].make_context(name, arguments, parent=click.Context(command)) as context:
        assert not context.args


@pytest.mark.parametrize("name", PAGES)
def test_each_command_is_understood(docs: Path, name: str) -> None:
    page = (docs / name).read_text(encoding="utf-8")
    lines = re.findall(r"^    ((?:[A-Z_]+=\S+ )*poeproto .*)$", page, re.MULTILINE)
    spans = re.findall(r"`(poeproto \w+ [^`]+)`", page)
    assert lines
    for line in lines + spans:
        understood(line)


class TestDeploy:
    def test_the_forms_of_an_address(self, docs: Path, tmp_path: Path) -> None:
        page = (docs / "howto/deploy.md").read_text(encoding="utf-8")
        table = page[page.index("| form |") :].partition("\n\n")[0]
        forms = re.findall(r"`([^`]+)`", "\n".join(row.split("|")[1] for row in table.splitlines()[2:]))
        assert len(forms) == 7
        for form in forms:
            bind = re.sub(r"8080$", "0", form).replace("/run/bots", str(tmp_path))
            with socket.create_server(("127.0.0.1", 0)) as inherited:
                bind = bind.replace("fd://3", f"fd://{os.dup(inherited.fileno())}")
                with listening(bind) as listener:
                    address = address_of(listener)
                    if form == ":8080":
                        assert address.startswith("http://0.0.0.0:")
                    elif form.startswith("unix:"):
                        file = tmp_path / "bots.sock"
                        assert address == f"unix:{file}"
                        assert ",mode" not in form or file.stat().st_mode & 0o777 == 0o660
                    else:
                        assert re.match(r"http://(127\.0\.0\.1|\[::1\]):\d+/$", address)

    def test_the_server_of_the_page(self, docs: Path, tmp_path: Path) -> None:
        """The first command, with two workers; then what the page says of a query, of GET, and of SIGTERM."""
        page = (docs / "howto/deploy.md").read_text(encoding="utf-8")
        [line] = re.findall(r"^    POE_ACCESS_KEY=\.\.\. poeproto serve (.*)$", page, re.MULTILINE)
        target, *options = shlex.split(line.replace("--bind 127.0.0.1:8080", ""))
        assert target == "shop.py:bot"
        (tmp_path / "shop.py").write_text(BOT)
        with serving(f"{tmp_path}/{target}", *options, env={"POE_ACCESS_KEY": KEY}) as server:
            with BlockingClient(access_key=KEY) as client:
                assert client.query(server.address, "hello").text() == "hello"
            with urlopen(server.address, timeout=SECONDS) as response:
                assert response.status == 200
            with pytest.raises(HTTPError, match="404"):
                urlopen(f"{server.address}elsewhere", timeout=SECONDS)
            server.signal(signal.SIGTERM)
            assert server.wait()[0] == 0

    def test_the_units_of_systemd(self, docs: Path, tmp_path: Path) -> None:
        service, listener = in_language(docs / "howto/deploy.md", "ini")
        parsed = configparser.ConfigParser(interpolation=None)
        parsed.read_string(service)
        program = parsed["Service"]["ExecStart"]
        understood(program.replace("/srv/bots/.venv/bin/poeproto", "poeproto"))
        systemd = shutil.which("systemd-analyze")
        if systemd is None:
            pytest.skip("systemd is not installed")
        (tmp_path / "bots.service").write_text(
            service.replace("/srv/bots/.venv/bin/poeproto", sys.executable).replace("/srv/bots", str(tmp_path))
        )
        (tmp_path / "bots.socket").write_text(listener)
        files = [str(tmp_path / name) for name in ("bots.service", "bots.socket")]
        done = subprocess.run([systemd, "verify", *files], capture_output=True, text=True, timeout=SECONDS, check=False)
        assert (done.returncode, done.stdout + done.stderr) == (0, "")

    def test_an_inherited_socket_has_the_number_three(self, tmp_path: Path) -> None:
        """As systemd passes it, with `LISTEN_FDS`, which the server does not need."""
        (tmp_path / "shop.py").write_text(BOT)
        script = 'exec 3<&0 </dev/null; exec "$@"'
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(str(tmp_path / "bots.sock"))
            listener.listen()
            arguments = ["serve", f"{tmp_path}/shop.py:bot", "--allow-without-key", "--bind", "fd://3"]
            program = [sys.executable, "-m", "poeproto_cli", *arguments]
            with subprocess.Popen(
                ["sh", "-c", script, "sh", *program], stdin=listener.fileno(), stdout=subprocess.PIPE
            ) as process:
                try:
                    assert process.stdout is not None
                    assert b"serving" in process.stdout.readline()
                    with BlockingClient(unix_socket=str(tmp_path / "bots.sock")) as client:
                        assert client.query("http://localhost/", "hello").text() == "hello"
                finally:
                    process.terminate()
                    process.wait(SECONDS)
        assert (tmp_path / "bots.sock").exists()

    def test_the_command_of_the_container(self, docs: Path) -> None:
        [file] = in_language(docs / "howto/deploy.md", "dockerfile")
        [words] = re.findall(r"^CMD (.*)$", file, re.MULTILINE)
        understood(shlex.join(json.loads(words)))


class TestManyStreams:
    def test_the_program_that_collects_garbage_rarely(self, docs: Path) -> None:
        called: list[bool] = []

        async def main() -> None:
            called.append(True)

        rare, _ = in_language(docs / "howto/many_streams.md", "python")
        exec(compile(rare, "many_streams.md", "exec"), {"anyio": anyio, "main": main})
        assert called

    def test_the_bot_that_ticks(self, docs: Path) -> None:
        _, ticks = in_language(docs / "howto/many_streams.md", "python")
        scope: dict[str, Any] = {}
        exec(compile(ticks.replace("sleep(1)", "sleep(0)"), "ticks.py", "exec"), scope)

        async def text() -> str:
            async with Simulator() as simulator:
                simulator.register("Ticks", scope["bot"])
                return (await simulator.say("Ticks", "hello")).text

        assert anyio.run(text).split() == [str(second) for second in range(20)]


class TestAsgiServers:
    def test_the_application(self, docs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("POE_ACCESS_KEY", KEY)
        application, _ = in_language(docs / "howto/asgi_servers.md", "python")
        scope: dict[str, Any] = {}
        exec(compile(application, "bots.py", "exec"), scope)
        assert isinstance(scope["app"], BotApp)

    @pytest.mark.slow
    def test_the_four_commands(self, docs: Path, tmp_path: Path) -> None:
        application, _ = in_language(docs / "howto/asgi_servers.md", "python")
        (tmp_path / "bots.py").write_text(application)
        page = (docs / "howto/asgi_servers.md").read_text(encoding="utf-8")
        commands = re.findall(r"^    (\w+ .*bots:app.*)$", page, re.MULTILINE)
        assert [words.split()[0] for words in commands] == ["uvicorn", "hypercorn", "granian", "daphne"]
        with ThreadPoolExecutor(len(commands)) as threads:
            assert list(threads.map(queried, commands, [tmp_path] * len(commands))) == ["hello"] * len(commands)


ADDRESSES = {"hypercorn": "--bind 127.0.0.1:{port}"}


def queried(words: str, folder: Path) -> str:
    """Run the command of a server with another port, and query its bot."""
    name, *options = words.split()
    with started_at_port(name, options, folder) as port, BlockingClient(access_key=KEY) as client:
        return client.query(f"http://127.0.0.1:{port}/", "hello").text()


@contextmanager
def started_at_port(name: str, options: list[str], folder: Path) -> Generator[int]:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    address = ADDRESSES.get(name, "--port {port}").format(port=port).split()
    environment = {**os.environ, "POE_ACCESS_KEY": KEY, "PYTHONPATH": str(folder)}
    program = [str(Path(sys.executable).parent / name), *options, *address]
    with (
        (folder / f"{name}.log").open("wb") as log,
        subprocess.Popen(program, cwd=folder, env=environment, stdout=log, stderr=log) as process,
    ):
        try:
            wait_until_listening(process, port, folder / f"{name}.log")
            yield port
        finally:
            process.terminate()
            process.wait(SECONDS)


class TestEmbeddedServer:
    def test_the_program_that_stops_at_a_signal(self, docs: Path, tmp_path: Path) -> None:
        _, program = in_language(docs / "embedded_server.md", "python")
        file = tmp_path / "program.py"
        file.write_text(program.replace("allow_without_key=True", 'allow_without_key=True, bind="127.0.0.1:0"'))
        with subprocess.Popen([sys.executable, "-u", file], stdout=subprocess.PIPE, text=True) as process:
            try:
                assert process.stdout is not None
                address = process.stdout.readline().split()[-1]
                with BlockingClient() as client:
                    assert client.query(address, "hello").text() == "hello"
                process.send_signal(signal.SIGTERM)
                assert process.wait(SECONDS) == 0
            finally:
                process.kill()
