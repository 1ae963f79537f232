"""The control API under ``/simulator/``, for tests in other processes.

- ``GET state`` and ``GET log`` return the state and the log.
- ``POST`` makes the calls that `_FIELDS` lists.
- ``DELETE faults`` removes all planned faults.

Bodies must be sent as ``application/json``: a cross-origin page needs a CORS preflight for this content type, which the
simulator does not answer.
"""

from __future__ import annotations

import json
from typing import Any, cast

import attrs

from poeproto import Attachment, Event, HttpResponse, RemoteProtocolError, decode_event, decode_object
from poeproto_asgi.asgi import Receive, Scope
from poeproto_simulator.asgi import media_type_of, read_body
from poeproto_simulator.faults import Fault
from poeproto_simulator.records import messages_to_json, settings_to_json
from poeproto_simulator.responses import HTTPError, json_response
from poeproto_simulator.scripted_bots import Canned
from poeproto_simulator.simulation import Simulation
from poeproto_simulator.state import State

_BODY_SIZE = 1024 * 1024
# The fields of each body: the arguments of the method it calls. A fault also has the arguments of its kind.
_FIELDS: dict[str, dict[str, type]] = {
    # Simulator.register. Events instead of a URL make a canned bot: {"event": "text", "data": {"text": "hi"}}.
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
# The required fields.
_REQUIRED: dict[str, tuple[str, ...]] = {
    "bots": ("name",),  # and either a URL or events
    "users": (),
    "messages": ("bot", "text"),
    "feedback": ("message_id", "feedback_type"),
    "reactions": ("message_id", "reaction"),
    "errors": ("bot", "message"),
    "faults": ("where", "kind"),
    "expiries": ("url",),
}


async def answer(
    simulation: Simulation, method: str, path: tuple[str, ...], scope: Scope, receive: Receive
) -> HttpResponse:
    """The response to a request below ``/simulator/``. Changes made by the request are saved.

    Raises:
        HTTPError: with status 404 for an unknown path, 405 for another method, 415 for another content type, 400 for an
            invalid body; as the called method does.
        OSError: when a change cannot be saved.
    """
    body = await read_body(receive, _BODY_SIZE)
    if method == "POST" and media_type_of(scope) != "application/json":
        raise HTTPError(415, "the body must be application/json")
    if method == "POST":
        try:
            wire = decode_object(body)
        except RemoteProtocolError as exc:
            raise HTTPError(400, f"the body is not a JSON object: {exc}") from exc
        call = path[0] if len(path) == 1 else ""
        _check(call, wire)
        try:
            result = await _CALLS[call](simulation, wire)
        except (TypeError, ValueError) as exc:
            raise HTTPError(400, f"the body has an invalid value: {exc}") from exc
        await simulation.save()
    elif (method, path) == ("GET", ("state",)):
        result = state_to_json(simulation.engine) | {"faults": simulation.faults.as_json()}
    elif (method, path) == ("GET", ("log",)):
        result = [attrs.asdict(entry) for entry in simulation.engine.log]
    elif (method, path) == ("DELETE", ("faults",)):
        simulation.faults.clear()
        result = {}
    else:
        raise _refused(path)
    return json_response(result)


def _refused(path: tuple[str, ...]) -> HTTPError:
    """The error for a path that does not exist, or takes another method."""
    [call, *more] = path or ("",)
    methods = {"state": ["GET"], "log": ["GET"], "faults": ["DELETE", "POST"]}.get(call, ["POST"])
    if more or (call not in _FIELDS and methods == ["POST"]):
        return HTTPError(404, "the simulator has no such path")
    return HTTPError(405, f"this path takes {' and '.join(methods)}", [("allow", ", ".join(methods))])


def _check(call: str, wire: dict[str, Any]) -> None:
    fields = _FIELDS.get(call)
    if fields is None:
        raise _refused((call,))
    for name, value in wire.items():
        expected = fields.get(name)
        if expected is None and call != "faults":
            raise HTTPError(400, f"this call has no field {name!r}; it has {', '.join(fields)}")
        if expected is not None and type(value) is not expected:
            raise HTTPError(400, f"{name}: expected {expected.__name__}, got {type(value).__name__}")
    _require(wire, *_REQUIRED[call])


def _require(wire: dict[str, Any], *names: str) -> None:
    for name in names:
        if name not in wire:
            raise HTTPError(400, f"{name}: missing")


async def _bots(simulation: Simulation, wire: dict[str, Any]) -> dict[str, Any]:
    if "events" in wire:
        bot = Canned(map(_event, wire.pop("events")))
    else:
        _require(wire, "url")
        bot = wire.pop("url")
    return {"name": simulation.register(wire.pop("name"), bot, **wire).name}


def _event(wire: Any) -> Event:
    if not isinstance(wire, dict):
        raise TypeError(f"events: expected objects with event and data, got {json.dumps(wire)}")
    try:
        record = cast("dict[str, Any]", wire)
        _require(record, "event")
        return decode_event(record["event"], json.dumps(record.get("data", {})))
    except RemoteProtocolError as exc:
        raise ValueError(str(exc)) from exc


async def _users(simulation: Simulation, wire: dict[str, Any]) -> dict[str, Any]:
    return {"id": simulation.engine.add_user(**wire).id}


async def _messages(simulation: Simulation, wire: dict[str, Any]) -> dict[str, Any]:
    files = [Attachment(**file) for file in wire.pop("attachments", [])]
    return (await simulation.say(wire.pop("bot"), wire.pop("text"), attachments=files, **wire)).as_json()


async def _feedback(simulation: Simulation, wire: dict[str, Any]) -> dict[str, Any]:
    await simulation.report_feedback(**wire)
    return {}


async def _reactions(simulation: Simulation, wire: dict[str, Any]) -> dict[str, Any]:
    await simulation.report_reaction(**wire)
    return {}


async def _errors(simulation: Simulation, wire: dict[str, Any]) -> dict[str, Any]:
    await simulation.report_error(wire.pop("bot"), **wire)
    return {}


async def _faults(simulation: Simulation, wire: dict[str, Any]) -> dict[str, Any]:
    where, kind, times = wire.pop("where"), wire.pop("kind"), wire.pop("times", 1)
    simulation.faults.add(where, Fault.of(kind, wire), times=times)
    return {}


async def _expiries(simulation: Simulation, wire: dict[str, Any]) -> dict[str, Any]:
    url = wire.pop("url")
    try:
        simulation.files.expire(url, **wire)
    except KeyError as exc:
        raise HTTPError(404, "there is no such file") from exc
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


def state_to_json(state: State) -> dict[str, Any]:
    """All records as JSON values, without the keys."""
    return {
        "users": [{"id": user.id, "name": user.name, "balance": user.balance} for user in state.users.values()],
        "bots": [
            {"name": bot.name, "url": bot.url, "settings": settings_to_json(bot.settings)}
            for bot in state.bots.values()
        ],
        "conversations": [
            {"id": each.id, "user_id": each.user_id, "messages": messages_to_json(each.messages)}
            for each in state.conversations.values()
        ],
        "charges": [charge.as_json() for charge in state.charges],
        "reports": state.reports,
    }
