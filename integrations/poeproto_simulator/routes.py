"""Poe's paths: which call is meant, who makes it, and what is answered."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import attrs

from poeproto import (
    HttpResponse,
    LocalProtocolError,
    PoeprotoError,
    QueryRequest,
    RemoteProtocolError,
    decode_object,
    decode_request,
    decode_settings,
    encode_request,
    encode_settings,
    encode_sse,
)
from poeproto_simulator import control
from poeproto_simulator.asgi import (
    Receive,
    Scope,
    Send,
    key_of,
    read_body,
    read_until_end,
    replaying,
    respond,
    segments_of,
)
from poeproto_simulator.ledger import cost_items
from poeproto_simulator.rate import with_headers
from poeproto_simulator.records import Account, BotQuery, RegisteredBot
from poeproto_simulator.refusals import STREAM_HEADERS, Refused, json_response
from poeproto_simulator.uploads import upload

if TYPE_CHECKING:
    from poeproto_simulator.app import Simulator

_SETTINGS_CALLS = ("update_settings", "fetch_settings")
_COST_CALLS = ("authorize", "capture")


async def answer(simulator: Simulator, scope: Scope, receive: Receive, send: Send) -> None:
    """Answer one request.

    Raises:
        Refused: where the refusal is a response of its own.
        CallerGone: when the caller has left.
    """
    match segments_of(scope):
        case ("simulator", *rest):
            await control.answer(simulator, scope["method"], tuple(rest), scope, receive, send)
        case ("bot", call, name, key, *version) if call in _SETTINGS_CALLS and len(version) < 2:
            body = await _posted(simulator, scope, receive)
            await respond(send, await change_settings(simulator, call, name, key, body))
        case ("bot", "cost", bot_query_id, call) if call in _COST_CALLS:
            body = await _posted(simulator, scope, receive)
            await respond(send, pay(simulator, call, bot_query_id, body))
        case ("bot", name) if name:
            await _query(simulator, name, scope, await _posted(simulator, scope, receive), receive, send)
        case ("poe_api", "file_upload_3RD_PARTY_POST"):
            await _check_method(scope, receive, "POST")
            await respond(send, await upload(simulator, scope, receive))
        case ("files", file_id, name):
            await _check_method(scope, receive, "GET", "HEAD")
            await simulator.files.serve(scope["method"], file_id, name, send)
        case ("",):
            await _check_method(scope, receive, "GET", "HEAD")
            await respond(send, json_response({"poeproto_simulator": "Poe's paths are under this root"}))
        case _:
            await read_body(receive, simulator.limits.request_body)
            raise Refused(404, "the simulator has no such path")
    await simulator.save()


async def _posted(simulator: Simulator, scope: Scope, receive: Receive) -> bytes:
    await _check_method(scope, receive, "POST")
    return await read_body(receive, simulator.limits.request_body)


async def _check_method(scope: Scope, receive: Receive, *allowed: str) -> None:
    if scope["method"] not in allowed:
        await read_until_end(receive)
        raise Refused(405, f"this path takes {' and '.join(allowed)}", [("allow", ", ".join(allowed))])


def bot_queried(scope: Scope) -> str | None:
    """The name of the bot that a request asks, if it asks one."""
    match segments_of(scope):
        case ("bot", name):
            return name
        case _:
            return None


# --- queries


async def _query(simulator: Simulator, name: str, scope: Scope, body: bytes, receive: Receive, send: Send) -> None:
    """Answer ``/bot/{name}``: any of the requests that a bot server takes, on behalf of that bot."""
    try:
        request = decode_request(body)
    except RemoteProtocolError:
        request = None  # the bot's own exchange says what is wrong with it
    key = key_of(scope)
    send = with_headers(send, simulator.rate.take(key, simulator.engine.now()))
    asked = request if isinstance(request, QueryRequest) else None
    caller = simulator.engine.callers.known(key, asked, name)
    bot = simulator.directory.find(name)
    query: BotQuery | None = None
    if asked is not None:
        try:
            user = await _user_for(simulator, caller, name, asked)
        except Refused as refused:
            await respond(send, refused.as_reply())
            return
        query = simulator.engine.open_query(name, user, asked)
        body = encode_request(query.request)
    try:
        await simulator.run_bot(bot, _as_for(bot, scope, body), replaying(body, receive), send)
    finally:
        if query is not None:
            simulator.engine.close_query(query)


async def _user_for(
    simulator: Simulator, caller: Account | RegisteredBot | None, name: str, request: QueryRequest
) -> Account:
    if not isinstance(caller, RegisteredBot):
        return caller or simulator.engine.first_user
    if caller.settings is None:
        caller = await simulator.directory.with_settings(caller)
    return simulator.engine.callers.admit(caller, name, request)


def _as_for(bot: RegisteredBot, scope: Scope, body: bytes) -> Scope:
    """The scope with the bot's key in the place of the caller's: it is Poe who asks the bot."""
    replaced = {b"authorization": f"Bearer {bot.access_key}".encode() if bot.access_key else None}
    replaced[b"content-length"] = str(len(body)).encode()
    headers = [
        (name, value) for name, value in scope["headers"] if name.lower() not in (*replaced, b"transfer-encoding")
    ]
    added = [(name, value) for name, value in replaced.items() if value is not None]
    return {**scope, "headers": headers + added}


# --- settings


async def change_settings(simulator: Simulator, call: str, name: str, key: str, body: bytes) -> HttpResponse:
    """Answer ``POST /bot/update_settings/...`` or ``POST /bot/fetch_settings/...``.

    Raises:
        Refused: with status 401 or 404 for a wrong key or an unknown bot (strict only), 400 for settings that Poe
            refuses, 502 when the bot does not answer.
    """
    bot = simulator.directory.find_with_key(name, key)
    if call == "fetch_settings":
        try:
            settings = await simulator.fetch_settings(bot.name)
            return HttpResponse.of(200, "application/json", encode_settings(attrs.evolve(settings, extra={})))
        except PoeprotoError as exc:
            raise Refused(502, f"the settings of {name} could not be fetched: {exc}") from exc
    try:
        settings = decode_settings(body)
        encode_settings(settings)  # which refuses what Poe refuses
    except (RemoteProtocolError, LocalProtocolError) as exc:
        raise Refused(400, f"these settings are not acceptable: {exc}") from exc
    simulator.engine.change_settings(name, settings)
    return HttpResponse.of(200, "text/plain", b"The settings have been updated.")


# --- costs


def pay(simulator: Simulator, call: str, bot_query_id: str, body: bytes) -> HttpResponse:
    """Answer ``POST /bot/cost/{bot_query_id}/authorize`` or ``.../capture``."""
    try:
        wire = decode_object(body)
        status = simulator.engine.ledger.pay(call, bot_query_id, cost_items(wire), str(wire.get("access_key") or ""))
    except RemoteProtocolError as exc:
        return Refused(400, str(exc)).as_event()
    except Refused as refused:
        return refused.as_event()
    result = encode_sse("result", json.dumps({"status": status}))
    return HttpResponse.of(200, "text/event-stream; charset=utf-8", result, STREAM_HEADERS)
