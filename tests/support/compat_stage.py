"""Programs written for fastapi_poe, run with it or with poeproto_compat beside a simulated Poe."""

from __future__ import annotations

import ast
import contextlib
import importlib
import inspect
import io
import json
import math
import re
import sys
import threading
from collections.abc import AsyncGenerator, Generator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from types import FunctionType, ModuleType
from typing import Any

import anyio.to_thread
import attrs
import pytest
import uvicorn

import poeproto_compat.app
from poeproto import Endpoints, Error, Event, Limits
from poeproto_h11 import make_outbound
from poeproto_runtime import Outbound
from poeproto_runtime.listen import address_of, listen
from poeproto_simulator import ReceivedReply, Scripted, Simulator
from poeproto_simulator.records import LogEntry

PROGRAMS = Path(__file__).parents[1] / "interop" / "compat_programs"
NAME = "Program"  # the bot of every program that serves one
ACCESS_KEY = "0123456789abcdef0123456789abcdef"
API_KEY = "an-api-key-of-the-user"
# Random parts of a run: identifiers, the folders of files, ports.
_CHANCE = (
    (re.compile(r"\b[a-z]{1,3}-[a-z0-9=]{32}"), "identifier"),
    (re.compile(r"/files/[^/]+/"), "/files/identifier/"),
    (re.compile(r"\b127\.0\.0\.1:\d+"), "host"),
)
# A printed message shows the JSON that it was made from: poeproto_compat encodes it again, with other spaces.
_RAW_EVENT = re.compile(r"(?<=raw_response=)\{'type': '\w+', 'text': '.*?'\}")


def _raw_event(match: re.Match[str]) -> str:
    event = ast.literal_eval(match[0])
    return repr({**event, "text": json.loads(event["text"])})


@attrs.define
class Stage:
    """One run of a program.

    Attributes:
        library: the package that it imports.
        module: the program as a module.
        simulator: the simulated Poe.
        address: where the program's bots are served, without a path; empty for a script.
        models: the other bots that Poe knows.
        replies: what the bot has answered.
        printed: the standard output.
    """

    library: str
    module: ModuleType
    simulator: Simulator
    address: str
    models: Mapping[str, Scripted]
    printed: io.StringIO
    replies: list[ReceivedReply] = attrs.field(factory=list[ReceivedReply])

    async def say(self, text: str, **details: Any) -> str:
        """Let a user write to the bot; returns the text of its reply. `details` as in `Simulator.say`."""
        reply = await self.simulator.say(NAME, text, **details)
        self.replies.append(reply)
        return reply.text

    async def run(self) -> str:
        """Run a script, in a thread without an event loop; returns its output."""
        await anyio.to_thread.run_sync(_execute, self.module)
        return self.printed.getvalue()

    def seen(self) -> dict[str, Any]:
        """The observations of Poe, its users, the other bots and the reader of the output, without random parts."""
        engine = self.simulator.engine
        seen = {
            "replies": [_reply(reply) for reply in self.replies],
            "settings": self.simulator.settings_of(NAME),
            "queries": {name: [_query(request) for request in model.requests] for name, model in self.models.items()},
            "charges": [attrs.asdict(charge) for charge in engine.charges],
            "balance": self.simulator.balance,
            "log": sorted(_without_chance(f"{each.kind} {_without_text(each.details)}", set()) for each in engine.log),
            "printed": _RAW_EVENT.sub(_raw_event, self.printed.getvalue()),
        }
        references = {file.inline_ref for reply in self.replies for file in reply.files if file.inline_ref}
        return {name: _without_chance(repr(value), references) for name, value in seen.items()}


def _reply(reply: ReceivedReply) -> dict[str, Any]:
    files = [(file.name, file.content_type, file.data, file.inline_ref) for file in reply.files]
    return {"events": list(map(_event, reply.events)), "files": files, "failure": type(reply.failure).__name__}


def _event(event: Event) -> object:
    """The event. Of an error that a server sends for an exception of its bot, the text is its own."""
    if isinstance(event, Error) and re.search("Error id|unexpected issue", event.text or ""):
        return "the bot failed", event.allow_retry
    return event


def _without_text(details: Mapping[str, Any]) -> dict[str, Any]:
    """The details of a log entry, which repeats the text of an error in `failure`."""
    return {name: bool(value) if name == "failure" else value for name, value in details.items()}


def _query(request: Any) -> Any:
    messages = [attrs.evolve(message, timestamp=0) for message in request.query]
    return attrs.evolve(request, query=messages, query_creation_time=None)


def _without_chance(text: str, references: set[str]) -> str:
    for pattern, replacement in _CHANCE:
        text = pattern.sub(replacement, text)
    for reference in references:
        text = text.replace(reference, "reference")
    return text


def source_of(program: str, library: str) -> str:
    """The program's text, with imports from the given package."""
    return (PROGRAMS / f"{program}.py").read_text().replace("poeproto_compat", library)


@contextmanager
def _module_of(program: str, library: str) -> Generator[ModuleType]:
    """The module of a program, not yet executed."""
    module = ModuleType(f"{library}_{Path(program).name}")
    module.__file__ = str(PROGRAMS / f"{program}.py")
    module.__dict__["__source__"] = source_of(program, library)
    sys.modules[module.__name__] = module  # dataclasses and pydantic resolve annotations there
    try:
        yield module
    finally:
        del sys.modules[module.__name__]


def _execute(module: ModuleType) -> None:
    exec(compile(module.__dict__["__source__"], str(module.__file__), "exec", dont_inherit=True), module.__dict__)


@asynccontextmanager
async def playing(
    program: str, library: str, paths: Mapping[str, str], models: Mapping[str, Scripted], *, balance: int, pushes: int
) -> AsyncGenerator[Stage]:
    """Run a program beside a simulated Poe, and serve its `main()` if it has one.

    Args:
        program: its path below `PROGRAMS`, without the suffix.
        library: "fastapi_poe" or "poeproto_compat".
        paths: the bots that it serves, and their paths.
        models: other bots that Poe knows.
        balance: the user's balance.
        pushes: the number of bots whose settings the program pushes when it starts.
    """
    # A busy machine must not fail a test; none of them is about time.
    simulator = Simulator(strict=True, api_key=API_KEY, balance=balance, limits=Limits(first_answer_seconds=30))
    sent, received = anyio.create_memory_object_stream[LogEntry](math.inf)
    simulator.engine.on_log.append(sent.send_nowait)
    with contextlib.ExitStack() as stack, sent, received:
        async with simulator.serving() as root:
            for name, model in models.items():
                simulator.register(name, model)
            module = stack.enter_context(_module_of(program, library))
            stack.enter_context(_calling(root, library))
            stage = Stage(library, module, simulator, "", models, io.StringIO())
            if "def main" not in module.__dict__["__source__"]:
                simulator.register(NAME, Scripted(lambda request: "unused"), access_key=ACCESS_KEY)
                with contextlib.redirect_stdout(stage.printed):
                    yield stage
                return
            listener = stack.enter_context(contextlib.closing(listen("127.0.0.1:0")))
            stage.address = address_of(listener).rstrip("/")
            for name, path in paths.items():
                simulator.register(name, stage.address + path, access_key=ACCESS_KEY)

            def start() -> Any:
                _execute(module)
                return module.main()

            app = await anyio.to_thread.run_sync(start)
            async with _served(app, listener):
                while pushes:
                    pushes -= (await received.receive()).kind == "settings"
                with contextlib.redirect_stdout(stage.printed):
                    yield stage


@asynccontextmanager
async def _served(app: Any, listener: Any) -> AsyncGenerator[None]:
    """On uvicorn in a thread: programs block."""
    server = uvicorn.Server(uvicorn.Config(app, log_level="critical", lifespan="on", ws="none"))
    thread = threading.Thread(target=server.run, args=([listener],))
    thread.start()
    try:
        yield
    finally:
        server.should_exit = True
        with anyio.CancelScope(shield=True):
            await anyio.to_thread.run_sync(thread.join)


@contextmanager
def _calling(root: str, library: str) -> Generator[None]:
    """Have the library call the simulator by default, and not Poe."""

    def redirected(value: Any) -> Any:
        return re.sub(r"^https://(api\.poe|www\.quora)\.com", root, value) if isinstance(value, str) else value

    with pytest.MonkeyPatch.context() as patch:
        for function in _functions(library):
            if function.__kwdefaults__:
                defaults = {name: redirected(value) for name, value in function.__kwdefaults__.items()}
                patch.setattr(function, "__kwdefaults__", defaults)
            if function.__defaults__:
                patch.setattr(function, "__defaults__", tuple(map(redirected, function.__defaults__)))

        def outbound(limits: Limits, endpoints: Endpoints | None = None) -> Outbound:
            return make_outbound(limits, Endpoints.at(root))

        patch.setattr(poeproto_compat.app, "make_outbound", outbound)
        yield


def _functions(library: str) -> Iterator[FunctionType]:
    base, client = (importlib.import_module(f"{library}.{name}") for name in ("base", "client"))
    for holder in (base, base.PoeBot, client):
        yield from filter(inspect.isfunction, vars(holder).values())
