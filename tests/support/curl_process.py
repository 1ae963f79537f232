"""curl as a reader of our streams."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import anyio
import anyio.abc

from .bots import BEARER, query_body


@asynccontextmanager
async def curl(address: str, *options: str, body: bytes | None = None) -> AsyncGenerator[anyio.abc.Process]:
    """Let curl send a query. It is killed at the end, if it has not ended by then."""
    data = (query_body() if body is None else body).decode()
    headers = ["-H", f"Authorization: {BEARER}", "-H", "Content-Type: application/json"]
    command = ["curl", "--silent", "--show-error", "--no-buffer", *headers, "--data", data, *options, address]
    async with await anyio.open_process(command) as process:
        try:
            yield process
        finally:
            if process.returncode is None:
                process.kill()


async def read_until(process: anyio.abc.Process, end: bytes) -> bytes:
    """The next output of curl, through these bytes."""
    assert process.stdout is not None
    printed = b""
    while not printed.endswith(end):
        printed += await process.stdout.receive()
    return printed


async def read_rest(process: anyio.abc.Process) -> bytes:
    """All that curl still prints; it must succeed."""
    assert process.stdout is not None
    printed = b"".join([data async for data in process.stdout])
    assert await process.wait() == 0
    return printed
