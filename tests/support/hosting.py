"""Other people's applications on Hypercorn, in the test's own event loop."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

import anyio

from poeproto_asgi.server import in_trio_task, load_hypercorn_serve
from poeproto_runtime.listen import address_of, listen

from .serving import quick_config


@asynccontextmanager
async def hosting(app: Any) -> AsyncGenerator[str]:
    """Serve any ASGI application, lifespan and all; gives the address, and ends the server at the end."""
    listener = listen("127.0.0.1:0")
    address = address_of(listener)
    config = quick_config()
    config.bind = [f"fd://{listener.detach()}"]
    serve = load_hypercorn_serve(in_trio_task())
    stop = anyio.Event()
    async with anyio.create_task_group() as tasks:

        async def run() -> None:
            await serve(app, config, shutdown_trigger=stop.wait)

        tasks.start_soon(run)
        try:
            yield address
        finally:
            stop.set()
