"""The playground as a server: an ASGI 3 application with the page, its API and the simulated Poe at one origin."""

from __future__ import annotations

import logging
from collections.abc import AsyncGenerator, Iterable
from contextlib import asynccontextmanager
from hmac import compare_digest
from pathlib import Path

import anyio
import anyio.abc

from poeproto import Limits
from poeproto_asgi import serve
from poeproto_asgi.asgi import AsgiMessage, Receive, Scope, Send
from poeproto_playground.api import Api
from poeproto_playground.call_recorder import CallRecorder
from poeproto_playground.played_bots import PlayedBot
from poeproto_playground.session import PlaySession
from poeproto_playground.static_files import StaticFiles, frame_response
from poeproto_runtime import ClientDisconnected
from poeproto_simulator import HTTPError
from poeproto_simulator.asgi import SendFailed, discard_body, header_of, respond, segments_of

__all__ = ["Playground"]

logger = logging.getLogger("poeproto")

_ASSETS = Path(__file__).parent / "assets"


class Playground(PlaySession):
    """A playground: a simulated Poe with a page that shows its exchanges with a bot. Serve it as any `BotApp`.

    Call `open_at` with the address when connections are accepted: bots are started then. `serving` does it.

    Args:
        bots: the bots to try out.
        recordings: files of recordings to open.
        token: the token of the API; made by default.
        exposed: whether it is bound to the network on purpose; then IP addresses are accepted as `Host`.
        remote_media: whether the page may load images and media from https addresses.
        balance: the balance of the user, in thousandths of a US cent.
        limits: the bounds of every exchange.
        assets: the files of the page; by default those of the package.
        poll: how often the files of a target are checked, in seconds.

    Raises:
        RecordingError, OSError: when a recording cannot be read.
    """

    def __init__(
        self,
        bots: Iterable[PlayedBot] = (),
        *,
        recordings: Iterable[Path] = (),
        token: str | None = None,
        exposed: bool = False,
        remote_media: bool = False,
        balance: int = 1_000_000,
        limits: Limits | None = None,
        assets: Path = _ASSETS,
        poll: float = 0.3,
    ) -> None:
        super().__init__(
            bots,
            recordings=recordings,
            token=token,
            exposed=exposed,
            remote_media=remote_media,
            balance=balance,
            limits=limits,
            poll=poll,
        )
        self._static = StaticFiles(assets, remote_media=remote_media)
        self._api = Api(self)
        self._poe = CallRecorder(super().__call__, self.exchanges, self.bots.with_key, self.engine.queries.get)

    @property
    def page_address(self) -> str:
        """The address to open in a browser, with the token."""
        return f"{self.origin}/#token={self.guard.token}"

    @asynccontextmanager
    async def serving(self, bind: str = "127.0.0.1:0") -> AsyncGenerator[str]:
        """Serve in the running event loop until the block ends; yields the origin."""
        async with anyio.create_task_group() as tasks:

            async def run(*, task_status: anyio.abc.TaskStatus[str]) -> None:
                await serve(self, bind=bind, task_status=task_status)

            self.open_at(await tasks.start(run))
            assert self.origin is not None
            try:
                yield self.origin
            finally:
                tasks.cancel_scope.cancel()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one connection of the ASGI server."""
        if scope["type"] != "http":
            await super().__call__(scope, receive, send)
            return
        is_received = False

        async def tracked_receive() -> AsgiMessage:
            nonlocal is_received
            message = await receive()
            is_received = not message.get("more_body", False)
            return message

        try:
            try:
                self.guard.check_source(scope)
                await self._route(scope, tracked_receive, send)
            except HTTPError as error:
                if not is_received:  # a server that still holds parts of a body may not accept the response
                    await discard_body(receive)
                await respond(send, error.as_response())
        except (ClientDisconnected, SendFailed):
            logger.debug("the client disconnected")

    async def _route(self, scope: Scope, receive: Receive, send: Send) -> None:
        match segments_of(scope):
            case ("api", *call):
                self.guard.check_token(scope)
                await self._api.handle(scope["method"], tuple(call), scope, receive, send)
            case ("poe", secret, *path) if path[:1] != ["simulator"]:
                if not compare_digest(secret.encode("utf-8", "replace"), self.poe_secret.encode()):
                    raise HTTPError(403, "this is not the address of the simulated Poe at this launch")
                below = {**scope, "root_path": f"/poe/{secret}"}
                if scope["method"] == "POST":
                    await self._poe(below, receive, send)
                else:
                    await super().__call__(below, receive, send)
            case ("frame",):
                _check_get(scope)
                network = b"network=1" in (scope.get("query_string") or b"").split(b"&")
                await respond(send, frame_response(network=network))
            case ("",) | ("assets", _) as path:
                _check_get(scope)
                tag = header_of(scope, b"if-none-match")
                await respond(send, await self._static.response(path[1] if len(path) > 1 else "index.html", tag))
            case _:
                raise HTTPError(404, "the playground has no such path")


def _check_get(scope: Scope) -> None:
    if scope["method"] not in ("GET", "HEAD"):
        raise HTTPError(405, "this path takes GET and HEAD", [("allow", "GET, HEAD")])
