"""The parts of Locust that this package uses, with the types that Locust's own annotations omit."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Protocol, cast

if TYPE_CHECKING:
    from locust.env import Environment


class EventHook(Protocol):
    """One of Locust's events. Listeners take keyword arguments, and should ignore those that they do not know."""

    def add_listener(self, handler: Callable[..., None]) -> object: ...

    def fire(self, **arguments: Any) -> None: ...


class LocustEvents(Protocol):
    """The events of Locust that this package listens to or fires."""

    init: EventHook
    init_command_line_parser: EventHook
    quit: EventHook
    quitting: EventHook
    report_to_master: EventHook
    request: EventHook
    reset_stats: EventHook
    spawning_complete: EventHook
    test_start: EventHook
    test_stopping: EventHook
    worker_report: EventHook


class CustomMessages(Protocol):
    """The part of a runner that takes messages of our own."""

    def register_message(self, msg_type: str, listener: Callable[..., None], concurrent: bool = False) -> None: ...


class ArgumentParser(Protocol):
    """The command line, whose options have an environment variable and a place in the web page."""

    def add_argument(self, *flags: str, **properties: Any) -> object: ...


def events_of(environment: Environment) -> LocustEvents:
    """The events of an environment."""
    return cast("LocustEvents", environment.events)
