"""The application that `make_app` returns, and how it is served and extended by other routes."""

from __future__ import annotations

import asyncio
import inspect
import logging
import signal
import sys
from collections.abc import AsyncGenerator, Callable, Iterable
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

import anyio

from poeproto import Endpoints, Limits, SettingsResponse
from poeproto_asgi import BotApp
from poeproto_asgi import serve as serve_on_hypercorn
from poeproto_compat.served_bot import BodyRecordingService, PoeBotMethods, ServedBot
from poeproto_h11 import make_outbound, serve
from poeproto_runtime import Route

__all__ = ["PoeApp", "extend", "serve_until_signal"]

logger = logging.getLogger("poeproto")

# fastapi_poe sets no limits on a bot's output, which Poe limits. Input to a bot has the usual limits.
_LIMITS = Limits(events=10_000_000, text_length=1_000_000_000, files=100_000, messages=1_000_000)
_REQUEST_NAMES = frozenset({"request", "req", "_request", "_"})
_METHODS = ("get", "post", "put", "delete", "patch", "head", "options")
# Attributes of a FastAPI or Starlette application that programs use.
_HOST_NAMES = frozenset(
    {
        *_METHODS,
        *("add_api_route", "add_event_handler", "add_exception_handler", "add_middleware", "add_route"),
        *("add_websocket_route", "api_route", "dependency_overrides", "exception_handler", "exception_handlers"),
        *("host", "include_router", "middleware", "mount", "on_event", "openapi", "route", "router", "routes"),
        *("state", "trace", "url_path_for", "user_middleware", "websocket", "websocket_route"),
    }
)


class PoeApp(BotApp):
    """Bots as an ASGI application, with the methods of a FastAPI application where Starlette is installed.

    The first use of such a method (`get`, `post`, `mount`, `add_middleware` and so on) makes a host application, which
    then answers all requests and has the bots as routes. The host is a FastAPI application if the program has imported
    FastAPI, otherwise one of Starlette.

    Args:
        bots: the bots, each with its path, name and key.
        endpoints: where Poe is, for the push of the settings.
        host: an application that has the bots as routes already.
    """

    def __init__(self, bots: Iterable[PoeBotMethods], *, endpoints: Endpoints | None = None, host: Any = None) -> None:
        # Not BotApp's own constructor: the service here is of another class.
        routes: dict[str, Route] = {}
        for bot in bots:
            key, name = bot.access_key, bot.bot_name or None
            route = Route(ServedBot.serve_as(bot), access_key=key, allow_without_key=key is None, bot_name=name)
            # The bot makes its calls without the runtime, which need not ask for the dependencies.
            route.declared.update(SettingsResponse())
            routes[bot.path] = route
        self.service = BodyRecordingService(routes, _LIMITS, make_outbound(_LIMITS, endpoints))
        self._host: Any = None
        if host is not None:
            extend(host, self)
            self._host = host

    @property
    def has_host(self) -> bool:
        """Whether another application answers the requests, and has the bots as routes."""
        return self._host is not None

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Handle one scope of the ASGI server."""
        if self._host is None:
            await super().__call__(scope, receive, send)
        else:
            await self._host(scope, receive, send)

    async def answer(self, scope: Any, receive: Any, send: Any) -> None:
        """Handle a request for one of the bots, which a host has routed here."""
        await super().__call__(scope, receive, send)

    def __getattr__(self, name: str) -> Any:
        if name not in _HOST_NAMES:
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")
        if self._host is None:
            host = _new_host(name)
            extend(host, self)
            self._host = host
        if name in _METHODS and not hasattr(self._host, name):
            return partial(_decorate, self._host, name.upper())
        return getattr(self._host, name)


def extend(host: Any, app: PoeApp) -> None:
    """Add an application's bots to a FastAPI or Starlette application: their routes, and their lifespan.

    Raises:
        TypeError: for another application.
    """
    router = getattr(host, "router", None)
    if router is None or not hasattr(router, "add_route"):
        raise TypeError(
            f"app must be a FastAPI or Starlette application, got {host!r}; mount what make_app returns in any other"
        )
    for path in app.service.routes:
        endpoint = _Endpoint(app)
        router.add_route(path, endpoint, methods=["GET"], name="index", include_in_schema=False)
        router.add_route(path, endpoint, methods=["POST"], name="poe_post", include_in_schema=False)
    own = router.lifespan_context

    @asynccontextmanager
    async def both(scope_app: Any) -> AsyncGenerator[Any]:
        async with app.lifespan(), own(scope_app) as state:
            yield state

    router.lifespan_context = both


class _Endpoint:
    """An ASGI application of its own type, which Starlette does not treat as a handler function."""

    def __init__(self, app: PoeApp) -> None:
        self._app = app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        await self._app.answer(scope, receive, send)


def _new_host(name: str) -> Any:
    fastapi: Any = sys.modules.get("fastapi")
    if fastapi is not None:
        return fastapi.FastAPI()
    try:
        from starlette.applications import Starlette
    except ModuleNotFoundError as exc:
        raise ModuleNotFoundError(
            f"{name} of the application needs Starlette, which is not installed: pip install starlette (or fastapi)",
            name="starlette",
        ) from exc
    return Starlette()


def _decorate(host: Any, method: str, path: str, **options: Any) -> Callable[[Any], Any]:
    """FastAPI's decorators on Starlette: `app.get(path)` and the others.

    The handler may take the request, or nothing. Its result may be a response, or a JSON value.
    """

    def add(handler: Any) -> Any:
        from starlette.concurrency import run_in_threadpool
        from starlette.responses import JSONResponse, Response

        takes_request = _takes_request(handler, path)

        async def endpoint(request: Any) -> Any:
            arguments = (request,) if takes_request else ()
            if inspect.iscoroutinefunction(handler):
                result = await handler(*arguments)
            else:
                result = await run_in_threadpool(handler, *arguments)
            return result if isinstance(result, Response) else JSONResponse(result)

        host.router.add_route(path, endpoint, methods=[method], name=options.get("name") or handler.__name__)
        return handler

    return add


def _takes_request(handler: Any, path: str) -> bool:
    signature = inspect.signature(handler)
    names = list(signature.parameters)
    if len(names) > 1 or not _REQUEST_NAMES.issuperset(names):
        raise TypeError(
            f"the handler of {path!r} takes {signature}; without FastAPI it may only take request. Import fastapi"
            " before this line to have FastAPI's parameters"
        )
    return bool(names)


def serve_until_signal(app: PoeApp, bind: str) -> None:
    """Serve in a new event loop until SIGINT or SIGTERM.

    poeproto's own server serves bots alone. An application with other routes needs an ASGI server: Hypercorn.
    """
    run_server = partial(serve_on_hypercorn if app.has_host else serve, app, bind=bind)

    async def main() -> None:
        async with anyio.create_task_group() as tasks:
            address = await tasks.start(run_server)
            logger.info("serving at %s", address)
            if sys.platform != "win32":  # there, Ctrl+C raises KeyboardInterrupt
                with anyio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
                    await anext(signals)
                tasks.cancel_scope.cancel()

    # On Windows, asyncio's default loop does not report when a socket is ready.
    options: dict[str, Any] = {"loop_factory": asyncio.SelectorEventLoop} if sys.platform == "win32" else {}
    anyio.run(main, backend="asyncio", backend_options=options)
