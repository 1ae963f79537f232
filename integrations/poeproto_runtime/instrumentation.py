"""Instrumentation of a whole program: functions that are given each service and each client as it is made.

A tracing library that instruments a program from outside has no application and no client to add hooks to; they are
made later. Objects that are instrumented by hand do not need this.
"""

from __future__ import annotations

from collections.abc import Callable

__all__: list[str] = []

Listener = Callable[[object], object]

_listeners: tuple[Listener, ...] = ()


def add_listener(listener: Listener) -> None:
    """Call this function with each `BotService` and each client that is made from now on."""
    global _listeners
    _listeners = (*_listeners, listener)


def remove_listener(listener: Listener) -> None:
    """Undo `add_listener`."""
    global _listeners
    _listeners = tuple(each for each in _listeners if each != listener)


def announce(made: object) -> None:
    """Call the functions with a service or a client that was just made."""
    for listener in _listeners:
        listener(made)
