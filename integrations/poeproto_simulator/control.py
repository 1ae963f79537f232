"""The simulator's own calls, under ``/simulator/``: what a test in another process needs.

``GET state`` and ``GET log`` show, ``POST`` does what is listed in `_FIELDS`, ``DELETE faults`` takes faults back.

Bodies are JSON, and have to say so: a web page of somebody else's cannot send that here without being asked first, and
nobody answers that question.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, cast

import attrs

from poeproto import Attachment, Event, RemoteProtocolError, decode_event, decode_object
from poeproto_simulator.asgi import Receive, Scope, Send, media_type_of, read_body, respond
from poeproto_simulator.faults import Fault
from poeproto_simulator.records import messages_to_json, settings_to_json
from poeproto_simulator.refusals import Refused, json_response
from poeproto_simulator.scripted import Canned

if TYPE_CHECKING:
    from poeproto_simulator.app import Simulator
    from poeproto_simulator.engine import Poe

_LARGEST = 1024 * 1024
# The fields of each body: the arguments of the method behind it. A fault has those of its kind besides.
_FIELDS: dict[str, dict[str, type]] = {
    # Simulator.register; in place of a URL the events of a canned bot, as in {"event": "text", "data": {"text": "hi"}}.
    "bots": {"name": str, "url": str, "events": list, "access_key": str},
    "users": {"name": str, "balance": int, "api_key": str},  # Poe.add_user
    "messages": {  # Simulator.say
        "bot": str,
        "text": str,
        "conversation": str,
        "attachments": list,
        "parameters": dict,
        "reply_to": str,
        "options": dict,
    },
    "feedback": {"message_id": str, "feedback_type": str, "reason": str},  # Simulator.report_feedback
    "reactions": {"message_id": str, "reaction": str, "action": str},  # Simulator.report_reaction
    "errors": {"bot": str, "message": str, "metadata": dict},  # Simulator.report_error
    "faults": {"where": str, "kind": str, "times": int},  # Faults.add, Fault.of
    "expiries": {"url": str, "status": int},  # Files.expire
}
# Those of them that have to be there.
_REQUIRED: dict[str, tuple[str, ...]] = {
    "bots": ("name",),  # and a URL or events
    "users": (),
    "messages": ("bot", "text"),
    "feedback": ("message_id", "feedback_type"),
    "reactions": ("message_id", "reaction"),
    "errors": ("bot", "message"),
    "faults": ("where", "kind"),
    "expiries": ("url",),
}


async def answer(
    simulator: Simulator, method: str, path: tuple[str, ...], scope: Scope, receive: Receive, send: Send
) -> None:
    """Answer a request below ``/simulator/``.

    Raises:
        Refused: for what cannot be done.
    """
    body = await read_body(receive, _LARGEST)
    if method == "POST" and media_type_of(scope) != "application/json":
        raise Refused(415, "the body must be application/json")
    if method == "POST":
        try:
            wire = decode_object(body)
        except RemoteProtocolError as exc:
            raise Refused(400, f"the body is not acceptable: {exc}") from exc
        call = path[0] if len(path) == 1 else ""
        _check(call, wire)
        try:
            result = await _CALLS[call](simulator, wire)
        except (TypeError, ValueError) as exc:
            raise Refused(400, f"the body is not what this call takes: {exc}") from exc
    elif (method, path) == ("GET", ("state",)):
        result = state_of(simulator.engine) | {"faults": simulator.faults.as_json()}
    elif (method, path) == ("GET", ("log",)):
        result = [attrs.asdict(entry) for entry in simulator.engine.log]
    elif (method, path) == ("DELETE", ("faults",)):
        simulator.faults.clear()
        result = {}
    else:
        raise Refused(404, "the simulator has no such path")
    await respond(send, json_response(result))


def _check(call: str, wire: dict[str, Any]) -> None:
    fields = _FIELDS.get(call)
    if fields is None:
        raise Refused(404, "the simulator has no such path")
    for name, value in wire.items():
        expected = fields.get(name)
        if expected is None and call != "faults":
            raise Refused(400, f"this call has no field {name!r}; it has {', '.join(fields)}")
        if expected is not None and type(value) is not expected:
            raise Refused(400, f"{name}: not of the type {expected.__name__}")
    _need(wire, *_REQUIRED[call])


def _need(wire: dict[str, Any], *names: str) -> None:
    for name in names:
        if name not in wire:
            raise Refused(400, f"{name}: missing")


async def _bots(simulator: Simulator, wire: dict[str, Any]) -> dict[str, Any]:
    if "events" in wire:
        bot = Canned(map(_event, wire.pop("events")))
    else:
        _need(wire, "url")
        bot = wire.pop("url")
    return {"name": simulator.register(wire.pop("name"), bot, **wire).name}


def _event(wire: Any) -> Event:
    if not isinstance(wire, dict):
        raise TypeError(f"each of the events is an object with event and data, and not {json.dumps(wire)}")
    try:
        record = cast("dict[str, Any]", wire)
        _need(record, "event")
        return decode_event(record["event"], json.dumps(record.get("data", {})))
    except RemoteProtocolError as exc:
        raise ValueError(str(exc)) from exc


async def _users(simulator: Simulator, wire: dict[str, Any]) -> dict[str, Any]:
    return {"id": simulator.engine.add_user(**wire).id}


async def _messages(simulator: Simulator, wire: dict[str, Any]) -> dict[str, Any]:
    files = [Attachment(**file) for file in wire.pop("attachments", [])]
    return (await simulator.say(wire.pop("bot"), wire.pop("text"), attachments=files, **wire)).as_json()


async def _feedback(simulator: Simulator, wire: dict[str, Any]) -> dict[str, Any]:
    await simulator.report_feedback(**wire)
    return {}


async def _reactions(simulator: Simulator, wire: dict[str, Any]) -> dict[str, Any]:
    await simulator.report_reaction(**wire)
    return {}


async def _errors(simulator: Simulator, wire: dict[str, Any]) -> dict[str, Any]:
    await simulator.report_error(wire.pop("bot"), **wire)
    return {}


async def _faults(simulator: Simulator, wire: dict[str, Any]) -> dict[str, Any]:
    where, kind, times = wire.pop("where"), wire.pop("kind"), wire.pop("times", 1)
    simulator.faults.add(where, Fault.of(kind, wire), times=times)
    return {}


async def _expiries(simulator: Simulator, wire: dict[str, Any]) -> dict[str, Any]:
    url = wire.pop("url")
    try:
        simulator.files.expire(url, **wire)
    except KeyError as exc:
        raise Refused(404, "there is no such file") from exc
    return {}


_CALLS = {
    "bots": _bots,
    "users": _users,
    "messages": _messages,
    "feedback": _feedback,
    "reactions": _reactions,
    "errors": _errors,
    "faults": _faults,
    "expiries": _expiries,
}


def state_of(engine: Poe) -> dict[str, Any]:
    """All that the engine knows, without the keys."""
    return {
        "users": [{"id": user.id, "name": user.name, "balance": user.balance} for user in engine.users.values()],
        "bots": [
            {"name": bot.name, "url": bot.url, "settings": settings_to_json(bot.settings)}
            for bot in engine.bots.values()
        ],
        "conversations": [
            {"id": each.id, "user_id": each.user_id, "messages": messages_to_json(each.messages)}
            for each in engine.conversations.values()
        ],
        "charges": [charge.as_json() for charge in engine.charges],
        "reports": engine.reports,
    }
