"""The flow runner: drives a flow of the core over a transport. Only here do effects become I/O."""

from __future__ import annotations

from collections import deque
from collections.abc import Awaitable, Callable, Iterator
from functools import partial
from operator import length_hint
from typing import Any, Generic, TypeVar

import attrs

from poeproto import Done, Error, Event, LocalProtocolError, PoeprotoError, ToolCall, ToolResult
from poeproto.flows import (
    CloseResponse,
    Deliver,
    Effect,
    Flow,
    ReceiveData,
    ReplyStarted,
    RunTools,
    SendRequest,
    Wait,
)
from poeproto_runtime.client.transport import OTHER_READER, IncomingResponse, Transport, TransportCall

R = TypeVar("R")

_NO_RESPONSE = "a flow reads a response after it has sent a request"

_consume = deque[Any](maxlen=0).extend

Prepare = Callable[[], Awaitable[None]]
RunToolCalls = Callable[[list[ToolCall]], Awaitable[list[ToolResult]]]


@attrs.frozen
class PrepareEffect:
    """The effect before a flow's first one: call this function."""

    function: Prepare


class FlowRunner(Generic[R]):
    """Runs a flow, and hands out the events that it delivers one by one.

    The events of one read are taken from `ready` directly: that neither waits nor resumes the flow.

    The runner has no task and no cancel scope, so none is open while the caller handles an event. It runs
    only while one of its methods is awaited. A caller that stops early must call `aclose`.

    Args:
        flow: the steps of the call.
        transport: sends its requests.
        run_tools: runs the tools that a model calls, for flows that have tools.
        prepare: called before the flow starts. If it raises, the flow never starts.

    Attributes:
        ready: the events that can be read without waiting; each is read once.
        started: whether a reply has started; see `ReplyStarted`.
        returned: whether the flow has returned.
        result: what it returned.
        busy: whether a task is awaiting I/O of the flow.
    """

    def __init__(
        self,
        flow: Flow[R],
        transport: Transport,
        run_tools: RunToolCalls | None = None,
        prepare: Prepare | None = None,
    ) -> None:
        self.ready: Iterator[Event] = iter(())
        self.started = False
        self.returned = False
        self.busy = False
        self.result: R | None = None
        self._flow = flow
        self._send: Callable[[Any], Effect] = flow.send
        self._next: Callable[[], Effect] = flow.__next__
        self._transport = transport
        self._call: TransportCall | None = None
        self._run_tools = run_tools
        self._response: IncomingResponse | None = None
        self._resume = self._next
        self._effect: Effect | PrepareEffect | None = None if prepare is None else PrepareEffect(prepare)
        self._last_event: Event | None = None  # of the events that were made ready last
        self._failure: BaseException | None = None

    @property
    def is_new(self) -> bool:
        """Whether `prepare` has not been called, and so nothing was sent."""
        return isinstance(self._effect, PrepareEffect)

    async def start(self) -> None:
        """Run the flow until a reply has started, or until it delivers an event without one.

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
        """The next event that the flow delivers; None when it has returned.

        Raises:
            PoeprotoError: as the flow raises it; again on every later call.
            LocalProtocolError: while another task awaits the flow's I/O.
        """
        while True:
            for event in self.ready:
                return event
            if self.busy:
                raise LocalProtocolError(OTHER_READER)
            self._advance()
            if self._failure is not None:
                await self._fail()
            if self.returned:
                return None
            effect = self._effect
            if isinstance(effect, Deliver):
                self._make_ready(effect)
            elif isinstance(effect, ReceiveData):
                # Awaited here: each coroutine in between delays an event that arrives alone.
                self._effect = None
                self.busy = True
                try:
                    assert self._response is not None, _NO_RESPONSE
                    data = await self._response.receive()
                except BaseException as exc:  # noqa: BLE001 - raised there, or thrown into the flow
                    await self._fail_effect(effect, exc)
                else:
                    self._resume = partial(self._send, data)
                finally:
                    self.busy = False
            else:
                await self._perform_effect()

    def _make_ready(self, effect: Deliver) -> None:
        # In this order: if KeyboardInterrupt strikes in between, the effect is handled again, and no event comes twice.
        self.ready = iter(effect)
        self._last_event = effect.events[-1]
        self._effect, self._resume = None, self._next

    def skip_ready(self) -> None:
        """Take all events that are ready, for callers that need only the fold."""
        _consume(self.ready)

    async def run(self) -> R:
        """Run the flow to its end, ignoring the events, and return its result.

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
        """Close the flow and its response. After a flow that has returned, the connection is kept if possible."""
        if isinstance(self._last_event, Done | Error) and not length_hint(self.ready):
            # The reply is complete. Only the flow does not know yet that its last event was taken.
            self._advance()
        self.ready = iter(())
        if self.returned:
            await self._finish_response()
            return
        self._flow.close()
        if self._failure is None:
            self._failure = LocalProtocolError(
                "the call was closed before its end: read a reply before its `with` block ends, and before it is closed"
            )
            self._note_end(GeneratorExit())
        await self._drop_response()

    def _note_end(self, failure: BaseException | None) -> None:
        """Called once when the call has ended, for runners that observe it.

        Args:
            failure: None if the flow has returned; `GeneratorExit` if it was closed before its end.
        """

    def _advance(self) -> None:
        """Resume the flow if it waits for that."""
        if self._effect is None and self._failure is None and not self.returned:
            try:
                self._effect = self._resume()
            except StopIteration as stop:
                self.returned, self.result = True, stop.value
                self._note_end(None)
            except Exception as exc:  # noqa: BLE001 - raised by the next call that may wait
                self._failure = exc
                self._note_end(exc)

    async def _fail(self) -> None:
        assert self._failure is not None
        await self._drop_response()
        raise self._failure

    async def _perform_effect(self) -> None:
        effect, self._effect = self._effect, None
        outcome: Any = None
        self.busy = True
        try:
            outcome = await self._perform(effect)
        except BaseException as exc:  # noqa: BLE001 - raised there, or thrown into the flow
            await self._fail_effect(effect, exc)
        else:
            self._resume = partial(self._send, outcome)
        finally:
            self.busy = False

    async def _fail_effect(self, effect: Effect | PrepareEffect | None, exc: BaseException) -> None:
        """Throw a failure of the transport into the flow when it is resumed; raise any other exception."""
        if isinstance(exc, PoeprotoError):
            self._resume = partial(self._flow.throw, exc)
            return
        if isinstance(effect, ReceiveData | Wait | PrepareEffect) and not isinstance(exc, Exception):
            self._effect = effect  # a cancelled read has taken no bytes, so it can be repeated
            raise exc
        # Cancelled within a request or a tool, or a bug of this client or of a tool: the flow cannot continue.
        self._failure = exc if isinstance(exc, Exception) else LocalProtocolError("the call was cancelled")
        self._flow.close()
        self._note_end(exc)
        await self._drop_response()
        raise exc

    async def _perform(self, effect: Effect | PrepareEffect | None) -> object:
        match effect:
            case ReceiveData():
                assert self._response is not None, _NO_RESPONSE
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
                assert self._call is not None, "a flow waits between two requests"
                await self._call.sleep(effect.seconds)
            case RunTools():
                if self._run_tools is None:
                    raise LocalProtocolError("the flow calls tools, but the runner was made without run_tools")
                await self._finish_response()
                return await self._run_tools(effect.calls)
            case PrepareEffect():
                await effect.function()
            case _:
                raise AssertionError(f"{effect!r} is not an effect that does I/O")
        return None

    async def _finish_response(self) -> None:
        response, self._response = self._response, None
        if response is not None:
            await response.finish()

    async def _drop_response(self) -> None:
        response, self._response = self._response, None
        if response is not None:
            await response.aclose()
