"""Driving a flow of the core over a transport: the one place where its effects become I/O."""

from __future__ import annotations

from collections import deque
from collections.abc import Awaitable, Callable, Iterator
from operator import length_hint
from typing import Any, Generic, TypeVar

from poeproto import (
    CloseResponse,
    Deliver,
    Done,
    Effect,
    Error,
    Event,
    Flow,
    LocalProtocolError,
    PoeprotoError,
    ReceiveData,
    ReplyStarted,
    RunTools,
    SendRequest,
    ToolCall,
    ToolResult,
    Wait,
)
from poeproto_runtime.client.transport import IncomingResponse, Transport, TransportCall

R = TypeVar("R")

_run_through = deque[Any](maxlen=0).extend

RunToolCalls = Callable[[list[ToolCall]], Awaitable[list[ToolResult]]]


class FlowRunner(Generic[R]):
    """A flow under way, one event at a time.

    What one part of a response brought is taken from `ready` without resuming the flow, waiting or any step of ours.

    No task or scope of ours spans what the caller does between two events, and whoever stops early calls `aclose`.

    Args:
        flow: what is to be done.
        transport: what does it.
        run_tools: runs the tools that a model calls, where the flow has any.

    Attributes:
        ready: the events that can be taken without waiting, and go to whoever takes them; `next_event` has more.
        started: whether a reply has started; see `ReplyStarted`.
        returned: whether the flow has come to its end by itself.
        result: what it returned then.
    """

    def __init__(self, flow: Flow[R], transport: Transport, run_tools: RunToolCalls | None = None) -> None:
        self.ready: Iterator[Event] = iter(())
        self.started = False
        self.returned = False
        self.result: R | None = None
        self._flow = flow
        self._transport = transport
        self._call: TransportCall | None = None
        self._run_tools = run_tools
        self._response: IncomingResponse | None = None
        self._resume: Callable[[], Effect] = flow.__next__
        self._effect: Effect | None = None
        self._ended = False
        self._failure: BaseException | None = None
        self._busy = False

    async def start(self) -> None:
        """Go on until a reply has started, or an event is there without one.

        Raises:
            PoeprotoError: as the flow raises it.
        """
        while not self.started:
            self._advance()
            if self._failure is not None:
                await self._fail()
            if self._effect is None or isinstance(self._effect, Deliver):
                return
            await self._perform_effect()

    async def next_event(self) -> Event | None:
        """The next event the flow delivers; None when it has returned.

        Raises:
            PoeprotoError: as the flow raises it, and as often as this is called again.
            LocalProtocolError: when another task is at it.
        """
        while True:
            for event in self.ready:
                return event
            if self._busy:
                raise LocalProtocolError("two tasks read one reply")
            self._advance()
            if self._failure is not None:
                await self._fail()
            if self.returned:
                return None
            if isinstance(self._effect, Deliver):
                self._begin_taking(self._effect)
            else:
                await self._perform_effect()

    def _begin_taking(self, effect: Deliver) -> None:
        # In this order: where an interruption strikes in between, the effect is met again, and nothing comes twice.
        self.ready = iter(effect)
        self._ended = isinstance(effect.events[-1], Done | Error)
        self._effect, self._resume = None, self._flow.__next__

    def pass_over(self) -> None:
        """Take all that is ready, for those who look at the fold alone."""
        _run_through(self.ready)

    async def run(self) -> R:
        """Drive the flow to its end, passing over what it delivers, and return what it returns.

        Raises:
            PoeprotoError: as the flow raises it.
        """
        try:
            while await self.next_event() is not None:
                pass
        finally:
            await self.aclose()
        return self.result  # type: ignore[return-value]  # it has returned

    async def aclose(self) -> None:
        """Give up what is under way. After a flow that has returned, its last connection is kept if that can be."""
        if self._ended and not length_hint(self.ready):
            # The reply is complete, and only the flow has not been told that its last event was taken.
            self._advance()
        self.ready = iter(())
        if self.returned:
            await self._finish_response()
            return
        self._flow.close()
        self._failure = self._failure or LocalProtocolError("the call was given up")
        await self._drop_response()

    def _advance(self) -> None:
        """Resume the flow if it waits for that."""
        if self._effect is None and self._failure is None and not self.returned:
            try:
                self._effect = self._resume()
            except StopIteration as stop:
                self.returned, self.result = True, stop.value
            except Exception as exc:  # noqa: BLE001 - raised by the next call that may wait
                self._failure = exc

    async def _fail(self) -> None:
        assert self._failure is not None
        await self._drop_response()
        raise self._failure

    async def _perform_effect(self) -> None:
        effect, self._effect = self._effect, None
        outcome: Any = None
        self._busy = True
        try:
            outcome = await self._perform(effect)
        except PoeprotoError as exc:
            failure = exc
            self._resume = lambda: self._flow.throw(failure)
        except BaseException as exc:
            if isinstance(effect, ReceiveData | Wait) and not isinstance(exc, Exception):
                self._effect = effect  # a read that was cancelled has taken nothing, and can be made again
                raise
            # Cancelled, or a fault of ours or of a tool's: what is half done cannot be gone on with.
            self._failure = exc if isinstance(exc, Exception) else LocalProtocolError("the call was cancelled")
            self._flow.close()
            await self._drop_response()
            raise
        else:
            self._resume = lambda: self._flow.send(outcome)
        finally:
            self._busy = False

    async def _perform(self, effect: Effect | None) -> object:
        match effect:
            case ReceiveData():
                assert self._response is not None, "a flow reads after it has sent"
                return await self._response.receive()
            case SendRequest():
                await self._finish_response()
                self._call = self._call or self._transport.begin()
                self._response = await self._call.send(effect.request)
                return self._response.head
            case ReplyStarted():
                self.started = True
            case CloseResponse():
                await self._drop_response()
            case Wait():
                await self._finish_response()
                assert self._call is not None, "a flow waits for the next time it sends"
                await self._call.sleep(effect.seconds)
            case RunTools():
                if self._run_tools is None:
                    raise LocalProtocolError("the flow has tools to run, and nobody here runs them")
                await self._finish_response()
                return await self._run_tools(effect.calls)
            case _:
                raise AssertionError(f"{effect!r} is no effect to be performed")
        return None

    async def _finish_response(self) -> None:
        response, self._response = self._response, None
        if response is not None:
            await response.finish()

    async def _drop_response(self) -> None:
        response, self._response = self._response, None
        if response is not None:
            await response.aclose()
