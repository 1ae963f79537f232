"""One call, made with either client against a server in the test's own loop: what came of it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import anyio.to_thread
import attrs

from poeproto import Event, PoeprotoError, SettingsResponse
from poeproto_h11 import BlockingClient, Client


@attrs.frozen
class Outcome:
    """The outcome of a query: the events up to its end or its failure."""

    events: list[Event]
    error: PoeprotoError | None


Query = Callable[..., Awaitable[Outcome]]


async def query(url: str, text: str = "hello", **settings: Any) -> Outcome:
    """Ask with `Client`."""
    events: list[Event] = []
    async with Client(**settings) as client:
        try:
            async with client.query(url, text) as answer:
                async for event in answer:
                    events.append(event)
        except PoeprotoError as exc:
            return Outcome(events, exc)
    return Outcome(events, None)


async def query_blocking(url: str, text: str = "hello", **settings: Any) -> Outcome:
    """Ask with `BlockingClient`, in a thread."""

    def ask() -> Outcome:
        events: list[Event] = []
        with BlockingClient(**settings) as client:
            try:
                with client.query(url, text) as answer:
                    for event in answer:
                        events.append(event)
            except PoeprotoError as exc:
                return Outcome(events, exc)
        return Outcome(events, None)

    return await anyio.to_thread.run_sync(ask)


async def settings(url: str, **settings: Any) -> SettingsResponse:
    """Ask for settings with `Client`."""
    async with Client(**settings) as client:
        return await client.settings(url)


async def settings_blocking(url: str, **settings: Any) -> SettingsResponse:
    """Ask for settings with `BlockingClient`, in a thread."""

    def ask() -> SettingsResponse:
        with BlockingClient(**settings) as client:
            return client.settings(url)

    return await anyio.to_thread.run_sync(ask)
