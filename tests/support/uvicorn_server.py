"""Any ASGI application on Uvicorn, in the test's own event loop."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

import anyio
import uvicorn

from poeproto_runtime.listen import address_of, listen


@asynccontextmanager
async def on_uvicorn(app: Any, http: Any = "h11", root_path: str = "") -> AsyncGenerator[str]:
    """Serve on uvicorn in the test's own loop; gives the address, and ends the server when the last request has."""
    listener = listen("127.0.0.1:0")
    config = uvicorn.Config(app, http=http, ws="none", lifespan="on", log_config=None, root_path=root_path)
    server = uvicorn.Server(config)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(server.serve, [listener])
        try:
            yield address_of(listener)
        finally:
            server.should_exit = True
