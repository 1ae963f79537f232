"""fastapi_poe at the other end: requests of its client, and its bot server."""

from __future__ import annotations

import socket
import threading
from collections.abc import Generator
from contextlib import contextmanager

import fastapi_poe
import uvicorn

from .bots import KEY


def a_request(text: str = "hello") -> fastapi_poe.QueryRequest:
    """A query as their users make it."""
    return fastapi_poe.QueryRequest(
        version="1.2",
        type="query",
        query=[fastapi_poe.ProtocolMessage(role="user", content=text)],
        user_id="u",
        conversation_id="c",
        message_id="m",
        access_key="their-client-puts-keys-into-bodies",
        api_key="their-client-puts-keys-into-bodies",
    )


def ignore_error(exc: Exception, message: str) -> None:
    """An error handler for their client, which prints by default."""


@contextmanager
def server_of(bot: fastapi_poe.PoeBot) -> Generator[str]:
    """fastapi_poe's server, in a thread of its own; yields the address."""
    app = fastapi_poe.make_app(bot, access_key=KEY)
    server = uvicorn.Server(uvicorn.Config(app, log_level="critical", lifespan="off"))
    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=server.run, args=([listener],))
        thread.start()
        try:
            # It listens already: who connects waits until the server is there.
            yield f"http://127.0.0.1:{listener.getsockname()[1]}/"
        finally:
            server.should_exit = True
            thread.join()
