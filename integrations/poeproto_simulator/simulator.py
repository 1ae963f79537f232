"""The simulator as a server: an ASGI 3 application that stands in for Poe."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Iterable
from contextlib import asynccontextmanager
from pathlib import Path

import anyio
import anyio.abc
import attrs

from poeproto import Endpoints, Limits
from poeproto_asgi import BotApp, LifespanFailed, Route, serve
from poeproto_asgi.asgi import Receive, Scope, Send
from poeproto_h11 import split_url
from poeproto_runtime import FetchPolicy
from poeproto_simulator.asgi import root_of
from poeproto_simulator.records import DEFAULT_BALANCE
from poeproto_simulator.request_handler import RequestHandler
from poeproto_simulator.scripted_bots import Echo
from poeproto_simulator.simulation import Simulation

__all__ = ["Simulator"]


class Simulator(Simulation, BotApp):
    """A simulated Poe, which is a real HTTP server: serve it as any `poeproto_asgi.BotApp`, or with `serving`.

    Poe's paths are under its root, so a client needs only its address: ``poeproto.Endpoints.at(address)``. In the same
    process, `say` acts as a user who writes to a bot::

        simulator = Simulator()
        async with simulator.serving() as address:
            simulator.register("Cat", CatBot(), access_key=KEY)  # or the URL of its server
            reply = await simulator.say("Cat", "hello")
            assert reply.final_text() == "meow"

    Args:
        strict: refuse unknown keys, bots and queries, and more than 500 requests a minute, as Poe does. Otherwise any
            key is accepted, and an unknown bot is an `Echo`.
        database: an SQLite file that keeps users, bots with URLs, conversations, charges and reports between runs; by
            default nothing is saved.
        balance: the initial balance of each user, in thousandths of a US cent.
        api_key: the first user's key, for API calls.
        limits: the bounds of every exchange.
        fetch_origins: the origins that files may be fetched from for uploads by URL, as in ``http://127.0.0.1:8000``.
            The simulator's own files need not be listed.
        address: the URL of the simulator, which `serving` sets. The URLs of files begin with it; without it, with the
            address in the Host header of the last request. Bots that run in the simulator can make calls only with it.

    Raises:
        OSError: when the database cannot be used.
        LocalProtocolError: when one of the origins is invalid.

    Attributes:
        address: the URL of the simulator, without a trailing slash.
        engine: users, bots, conversations, costs and the log; see `Poe`.
        faults: fault injection.
        files: the uploaded files.
    """

    def __init__(
        self,
        *,
        strict: bool = False,
        database: str | Path | None = None,
        balance: int = DEFAULT_BALANCE,
        api_key: str | None = None,
        limits: Limits | None = None,
        fetch_origins: Iterable[str] = (),
        address: str | None = None,
    ) -> None:
        # A BotApp needs a route. No request reaches this one: the paths of bots are the directory's.
        unused = {"/": Route(Echo(), allow_without_key=True)}
        policy = OwnFilesPolicy(endpoints=self.own_endpoints)
        BotApp.__init__(self, unused, limits=limits, fetch_policy=policy, sync_settings=False)
        Simulation.__init__(
            self,
            self.service,
            strict=strict,
            database=database,
            balance=balance,
            api_key=api_key,
            limits=limits,
            fetch_origins=fetch_origins,
            address=address,
        )
        self._handler = RequestHandler(self, run_bot=super().__call__)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one connection of the ASGI server."""
        if scope["type"] != "http":
            await super().__call__(scope, receive, send)
            return
        self._last_root = root_of(scope)
        await self.load()
        await self._handler.handle(scope, receive, send)

    @asynccontextmanager
    async def lifespan(self, app: object = None) -> AsyncGenerator[None]:
        """The ASGI lifespan: load the saved state at startup, `aclose` at shutdown."""
        async with self, self.service.running():
            yield

    @asynccontextmanager
    async def serving(self, bind: str = "127.0.0.1:0") -> AsyncGenerator[str]:
        """Serve on Hypercorn, in the running event loop, until the block ends; yields the address.

        Raises:
            ValueError, OSError: when the address cannot be used. If the server fails, the block is cancelled, and its
                exception is raised.
        """
        failure: BaseException | None = None
        async with self, anyio.create_task_group() as tasks:

            async def run(*, task_status: anyio.abc.TaskStatus[str]) -> None:
                nonlocal failure
                try:
                    await serve(self, bind=bind, task_status=task_status)
                except Exception as exc:  # noqa: BLE001 - raised below; the task group would wrap it
                    # If the state could not be saved at shutdown, leaving `self` saves again, and raises if that fails.
                    if not (isinstance(exc, LifespanFailed) and tasks.cancel_scope.cancel_called):
                        failure = exc
                    tasks.cancel_scope.cancel()

            try:
                address = await tasks.start(run)
                if address.startswith("unix:"):  # a path, which is not a URL
                    yield address
                else:
                    self.address = address
                    yield self.address
            except Exception as exc:  # noqa: BLE001 - likewise
                failure = failure or exc
            tasks.cancel_scope.cancel()
        if failure is not None:
            raise failure


@attrs.frozen(kw_only=True)
class OwnFilesPolicy(FetchPolicy):
    """Allows the simulator's own files, and URLs that `FetchPolicy` allows.

    Attributes:
        endpoints: returns the simulator's endpoints.
    """

    endpoints: Callable[[], Endpoints]

    def check_origin(self, scheme: str, origin: str) -> bool:
        """As `FetchPolicy.check_origin`, with the simulator's own origin listed."""
        own, _ = split_url(self.endpoints().files)
        return origin == str(own) or FetchPolicy.check_origin(self, scheme, origin)
