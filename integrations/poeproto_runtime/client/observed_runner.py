"""Flow runners of calls that are observed. A reply without hooks has a plain `FlowRunner`, and costs no more."""

from __future__ import annotations

from functools import partial

from poeproto import Done, Error, ReplyFold, ResponseHead
from poeproto.flows import Deliver, Effect, Flow, SendRequest
from poeproto_runtime.client.call_hooks import CallProgress
from poeproto_runtime.client.flow_runner import FlowRunner, Prepare, PrepareEffect, R, RunToolCalls
from poeproto_runtime.client.transport import Transport


class CountingRunner(FlowRunner[R]):
    """Counts the requests of a call and the bytes of their responses.

    Args:
        flow: as in `FlowRunner`, like the others.
        progress: of the call; kept up to date.
    """

    def __init__(
        self,
        flow: Flow[R],
        transport: Transport,
        progress: CallProgress,
        run_tools: RunToolCalls | None = None,
        prepare: Prepare | None = None,
    ) -> None:
        super().__init__(flow, transport, run_tools, prepare)
        self._progress = progress
        self._send = progress.counting(flow.send)

    async def _perform(self, effect: Effect | PrepareEffect | None) -> object:
        if isinstance(effect, SendRequest):
            self._progress.begin_request()
        outcome = await super()._perform(effect)
        if isinstance(outcome, ResponseHead):
            self._progress.status = outcome.status
        return outcome


class ObservedReplyRunner(CountingRunner[ReplyFold]):
    """Runs the flow of a reply, and calls the hooks of its call: at the first step, for its events, and at its end.

    Args:
        flow: as in `CountingRunner`, like the others.
    """

    def __init__(
        self,
        flow: Flow[ReplyFold],
        transport: Transport,
        progress: CallProgress,
        run_tools: RunToolCalls | None = None,
        prepare: Prepare | None = None,
    ) -> None:
        if prepare is not None:
            prepare = partial(progress.start_with, prepare)
        super().__init__(flow, transport, progress, run_tools, prepare)
        if prepare is None:
            self._resume = partial(progress.start_with, flow.__next__)

    def _make_ready(self, effect: Deliver) -> None:
        # As in `FlowRunner`, whose method would be one more call for every event that arrives alone.
        events = effect.events
        self.ready = iter(effect)
        self._last_event = last = events[-1]
        self._effect, self._resume = None, self._next
        progress = self._progress
        progress.events += len(events) - isinstance(last, Done | Error)
        if progress.chunks is not None:
            progress.note_chunk()
        if progress.notifies_events:
            progress.notify_events(events)

    def _note_end(self, failure: BaseException | None) -> None:
        self._progress.end(failure, self.result)

    def __del__(self) -> None:
        # A reply that was entered without `with` and dropped is never closed: its call ends here.
        self._progress.end(GeneratorExit())
