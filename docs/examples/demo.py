"""The demo that `make demo` runs: the cat bot, served and queried on asyncio and on trio.

Each server is a process of its own, started with the command `poeproto serve`, at a free port of this machine.
"""

import json
import os
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Generator
from contextlib import contextmanager, suppress
from pathlib import Path

import anyio

from poeproto import Text, encode_settings
from poeproto_h11 import Client

HERE = Path(__file__).parent
KEY = "not-a-real-key-" + "0" * 17
BACKENDS = ("asyncio", "trio")
ROUNDS = 20


@contextmanager
def serving(worker_class: str) -> Generator[str]:
    """Serve the cat bot in a process until the block exits; yields its address."""
    command = [sys.executable, "-m", "poeproto_cli", "serve", f"{HERE / 'cat.py'}:bot", "--bind", "127.0.0.1:0"]
    command += ["--worker-class", worker_class, "--access-key", KEY]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            line = process.stdout.readline()  # printed when the server accepts connections
            if not line:
                sys.exit("the server did not start")
            yield line.split()[-1]
        finally:
            process.send_signal(signal.SIGTERM)


async def show(address: str) -> None:
    """Print replies as they arrive, and the settings."""
    async with Client(access_key=KEY) as client:
        for wish in ("hello", "slow"):
            print(f"  you> {wish}\n  cat> ", end="", flush=True)
            async with client.query(address, wish) as reply:
                async for event in reply:
                    if isinstance(event, Text):
                        print(event.text, end="", flush=True)
            print()
        settings = await client.settings(address)
        print(f"  settings: {json.loads(encode_settings(settings))}")


async def events_a_second(address: str) -> float:
    """Events received a second, in replies of a thousand events, one after the other on one connection."""
    events = 0
    start = time.perf_counter()
    async with Client(access_key=KEY) as client:
        for _ in range(ROUNDS):
            async with client.query(address, "purr") as reply:
                async for _event in reply:
                    events += 1
    return events / (time.perf_counter() - start)


def main() -> None:
    rates: list[str] = []
    for worker_class in BACKENDS:
        with serving(worker_class) as address:
            for backend in BACKENDS:
                print(f"{worker_class} server at {address}, {backend} client")
                anyio.run(show, address, backend=backend)
                rate = anyio.run(events_a_second, address, backend=backend)
                rates.append(f"{rate:,.0f} ({worker_class} server, {backend} client)")
    print(f"events a second: {', '.join(rates)}")
    command = [
        os.path.relpath(Path(sys.executable).with_name("poeproto")),
        "play",
        f"{os.path.relpath(HERE / 'cat.py')}:bot",
    ]
    print(f"To talk to the bot in a browser: {shlex.join(command)}")


with suppress(KeyboardInterrupt):
    main()
