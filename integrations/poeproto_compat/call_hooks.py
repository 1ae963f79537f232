"""Hooks of the calls that are made under fastapi_poe's names.

The calls of a bot, within a request to it, have the hooks and headers of its server: those that were added with
`app.service.add_call_hooks`, or by `poeproto_otel.instrument(app)`. Other calls, of scripts and of tests, have those of
`program_calls`. No call has both, so that a program whose server and whose `program_calls` are instrumented makes one
span for each call. Each attempt at a call is a call of its own here, as is each query of a model with tools.
"""

from __future__ import annotations

from contextvars import ContextVar
from typing import Protocol

from poeproto_runtime import CallHooks
from poeproto_runtime.client.call_hooks import checked_hooks
from poeproto_runtime.client.extra_headers import HeadersOfCall, RequestHeaders
from poeproto_runtime.instrumentation import announce

__all__ = ["ProgramCalls", "program_calls"]


class ObservedCalls(Protocol):
    """Whose hooks and headers calls have: those of a server are in its `Outbound`."""

    @property
    def hooks(self) -> tuple[CallHooks, ...]:
        """The hooks of each call."""
        ...

    @property
    def headers(self) -> RequestHeaders:
        """The extra headers of each request."""
        ...


class ProgramCalls:
    """The calls that a program makes outside of a request to one of its bots; use `program_calls`.

    Attributes:
        hooks: are called for each call.
        headers: extra headers of each request; those of the call itself override them.
    """

    def __init__(self) -> None:
        self.hooks: tuple[CallHooks, ...] = ()
        self.headers = RequestHeaders()

    def add_hooks(self, hooks: CallHooks, headers: HeadersOfCall | None = None) -> None:
        """Call these functions, too, for each call that is made from now on, after those that are there.

        Args:
            hooks: the functions.
            headers: makes extra headers of each request.
        """
        self.hooks = (*self.hooks, *checked_hooks(hooks))
        self.headers = self.headers.with_source(headers)

    def remove_hooks(self, hooks: CallHooks, headers: HeadersOfCall | None = None) -> None:
        """Undo `add_hooks` for calls that are made from now on; those under way still call the functions."""
        self.hooks = tuple(each for each in self.hooks if each is not hooks)
        self.headers = self.headers.without_source(headers)


program_calls = ProgramCalls()
announce(program_calls)

# Those of the server whose request this task answers. None outside of a request.
calls_of_request: ContextVar[ObservedCalls | None] = ContextVar("the outbound calls of the request", default=None)


def observed_calls() -> ObservedCalls:
    """Whose hooks and headers the calls of this task have."""
    return calls_of_request.get() or program_calls
