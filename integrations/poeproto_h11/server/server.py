"""Serving bots on h11, in a task of the caller's."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterable, Mapping
from contextlib import nullcontext
from typing import Protocol, cast

import anyio
import anyio.abc
from anyio.lowlevel import current_token

from poeproto import Bot, Endpoints, Limits
from poeproto_h11.client.outbound import make_outbound
from poeproto_h11.client.proxy import ProxyOption
from poeproto_h11.server.acceptor import Acceptor
from poeproto_h11.server.limits import ServerLimits
from poeproto_runtime import BotService, CallHooks, FetchPolicy, Hook, Hooks, Route
from poeproto_runtime.client.extra_headers import ExtraHeaders, HeadersOfCall
from poeproto_runtime.listen import LISTEN_QUEUE, address_of, listening
from poeproto_runtime.routes import make_routes

__all__ = ["HasService", "serve"]


class HasService(Protocol):
    """An application that has a `BotService`, as `poeproto_asgi.BotApp` has."""

    @property
    def service(self) -> BotService:
        """The service that answers the requests."""
        ...


async def serve(
    app: HasService | Bot | Mapping[str, Route] | Mapping[str, Bot] | Mapping[str, Route | Bot],
    *,
    bind: str | socket.socket = "127.0.0.1:8080",
    server_limits: ServerLimits | None = None,
    access_key: str | Iterable[str] | None = None,
    allow_without_key: bool = False,
    bot_name: str | None = None,
    limits: Limits | None = None,
    endpoints: Endpoints | None = None,
    fetch_policy: FetchPolicy | None = None,
    proxy: ProxyOption = None,
    sync_settings: bool = True,
    on_start: Hook | None = None,
    on_first_event: Hook | None = None,
    on_end: Hook | None = None,
    call_hooks: CallHooks | None = None,
    call_headers: ExtraHeaders | HeadersOfCall | None = None,
    task_status: anyio.abc.TaskStatus[str] = anyio.TASK_STATUS_IGNORED,
) -> None:
    """Serve bots until cancelled; then active replies end with an `error` that allows a retry.

    A connection that is still open after `ServerLimits.grace_seconds` is reset, so that no client takes its response
    for complete. A bot then has `Limits.cleanup_seconds` for its cleanup.

    Args:
        app: a bot, routes and bots by path, or an application such as `poeproto_asgi.BotApp`.
        bind: ``HOST:PORT``, ``:PORT`` (all interfaces), ``PORT`` (loopback), ``unix:PATH`` (with ``,mode=660`` for the
            file's permissions), ``fd://NUMBER`` (inherited), or a listening socket, which this call takes over when it
            starts to serve.
        server_limits: the bounds of connections.
        access_key: the key of each bot that has no `Route`, or several that are valid at once.
        allow_without_key: accept requests without a key, for these bots.
        bot_name: the bot's name on Poe; for a single bot only.
        limits: the bounds of every exchange; this and the following are not for an application, which has its own.
        endpoints: where Poe is, for API calls of the bots.
        fetch_policy: which URLs `Context.fetch_attachment` may fetch; None for none.
        proxy: the proxy of the bots' outbound calls, as of `Client`.
        sync_settings: whether to push the settings to Poe at startup, for each bot whose name and key are known.
        on_start: called when the head of a request has been read; this and the next two must return quickly.
        on_first_event: called when the first event of a reply has been written.
        on_end: called when a request has ended, whatever its outcome.
        call_hooks: functions that are called for each outbound call of the bots, and each push of their settings.
        call_headers: extra headers of these calls, as of `Client`; files that are fetched get none.
        task_status: for `anyio.abc.TaskGroup.start`; given the address once connections are accepted.

    Raises:
        TypeError, ValueError: when the arguments do not make a service; see `Route`.
        OSError: when the address cannot be bound.
        RuntimeError: in asyncio's default event loop on Windows, which does not report when a socket is ready.
    """
    _check_event_loop()
    hooks = Hooks(on_start=on_start, on_first_event=on_first_event, on_end=on_end)
    if isinstance(app, type | str) or not hasattr(app, "service"):
        bots = cast("Bot | Mapping[str, Route]", app)
        routes = make_routes(bots, access_key=access_key, allow_without_key=allow_without_key, bot_name=bot_name)
        limits = limits or Limits()
        outbound = make_outbound(
            limits, endpoints, fetch_policy=fetch_policy, proxy=proxy, hooks=call_hooks, headers=call_headers
        )
        service = BotService(routes, limits, outbound, hooks, sync_settings=sync_settings)
    elif access_key is not None or allow_without_key or bot_name is not None:
        raise TypeError(
            "access_key, allow_without_key and bot_name are for a single bot; pass them to each Route instead"
        )
    elif (
        limits
        or endpoints
        or fetch_policy
        or proxy is not None
        or not sync_settings
        or hooks != Hooks()
        or call_hooks is not None
        or call_headers is not None
    ):
        raise TypeError(
            "an application has its own limits, endpoints, fetch_policy, proxy, sync_settings, hooks and headers of "
            "calls; pass them there"
        )
    else:
        service = cast("HasService", app).service
    await _serve(service, bind, server_limits or ServerLimits(), task_status)


async def _serve(
    service: BotService, bind: str | socket.socket, limits: ServerLimits, task_status: anyio.abc.TaskStatus[str]
) -> None:
    # The acceptor closes the listener. A socket of the caller's stays open where serving does not even start.
    with nullcontext(bind) if isinstance(bind, socket.socket) else listening(bind) as listener:
        listener.listen(LISTEN_QUEUE)  # a socket of the caller's may have a shorter queue
        address = address_of(listener)
        acceptor = Acceptor(listener, service, limits)
        async with service.running(), anyio.create_task_group() as tasks:
            tasks.start_soon(acceptor.run)
            try:
                task_status.started(address)
                await acceptor.ended.wait()
            finally:
                acceptor.stop()
    if acceptor.failure is not None:
        raise acceptor.failure


def _check_event_loop() -> None:
    # There, anyio waits for a socket in a thread of its own, which ends for good when a socket closes meanwhile; all
    # other waits end with it.
    if isinstance(current_token().native_token, getattr(asyncio, "ProactorEventLoop", ())):
        raise RuntimeError(
            "this server cannot run in asyncio.ProactorEventLoop; use asyncio.SelectorEventLoop, or trio"
        )
