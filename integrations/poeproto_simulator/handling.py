"""One HTTP request to the simulator, with the fault that is planned for it, if any."""

from __future__ import annotations

import errno
import logging
from typing import TYPE_CHECKING

from poeproto_simulator.asgi import CallerGone, Message, Receive, Scope, Send, raw_path_of, read_until_end, respond
from poeproto_simulator.faults import Fault
from poeproto_simulator.refusals import Refused
from poeproto_simulator.routes import answer, bot_queried

if TYPE_CHECKING:
    from poeproto_simulator.app import Simulator

logger = logging.getLogger("poeproto")

_FULL = frozenset({errno.ENOSPC, errno.EDQUOT})


async def handle(simulator: Simulator, scope: Scope, receive: Receive, send: Send) -> None:
    """Answer a request; returns as well when the caller has left, or a fault has cut the answer short."""
    begun = False

    async def noting(message: Message) -> None:
        nonlocal begun
        begun = True
        try:
            await sending(message)
        except OSError as exc:  # the way ASGI has it
            raise CallerGone("the caller left before its answer was complete") from exc

    sending, send = send, noting
    try:
        fault = _fault_for(simulator, scope)
        if fault is not None:
            send = fault.through(send)
        try:
            if fault is not None and fault.answers:
                await read_until_end(receive)
                await fault.instead(receive, send)
            else:
                await answer(simulator, scope, receive, send)
        except Refused as refused:
            await respond(send, refused.as_json())
    except CallerGone:
        logger.debug("the caller has gone")
    except OSError as exc:
        # It will go on, and the caller who has had an answer need not know.
        logger.error("the simulator could not use its storage: %s", exc)
        if not begun:
            await respond(send, _storage_refusal(exc).as_json())


def _storage_refusal(failure: OSError) -> Refused:
    if failure.errno in _FULL:
        return Refused(507, "the simulator's disk is full")
    return Refused(500, "the simulator could not use its storage; its log says why")


def _fault_for(simulator: Simulator, scope: Scope) -> Fault | None:
    path = raw_path_of(scope)
    if path.startswith("/simulator/"):
        return None  # whoever plans faults wants to be able to take them back
    fault = simulator.faults.take(path, bot_queried(scope))
    if fault is not None:
        shown = path.partition("settings/")[0]  # a key comes after that
        simulator.engine.note("fault", kind=fault.kind, path=shown)
    return fault
