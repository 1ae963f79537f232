"""The HTTP server side of the simulator: faults, Poe's paths, and errors as responses."""

from __future__ import annotations

import errno
import json
import logging
from collections.abc import Awaitable, Callable

from poeproto import (
    HttpResponse,
    LocalProtocolError,
    PoeprotoError,
    QueryRequest,
    RemoteProtocolError,
    SettingsRequest,
    SettingsResponse,
    decode_object,
    decode_request,
    decode_settings,
    encode_request,
    encode_settings,
    encode_sse,
)
from poeproto.schemas import settings_payload
from poeproto_asgi.asgi import AsgiMessage, Receive, Scope, Send
from poeproto_runtime import ClientDisconnected
from poeproto_simulator import control
from poeproto_simulator.asgi import (
    SendFailed,
    discard_body,
    key_of,
    raw_path_of,
    read_body,
    respond,
    root_of,
    segments_of,
    with_body,
    with_headers,
)
from poeproto_simulator.faults import Fault
from poeproto_simulator.ledger import read_cost_items
from poeproto_simulator.records import Account, BotQuery, RegisteredBot
from poeproto_simulator.responses import EVENT_STREAM, STREAM_HEADERS, HTTPError, json_response
from poeproto_simulator.simulation import Simulation

logger = logging.getLogger("poeproto")

_DISK_FULL = frozenset({errno.ENOSPC, errno.EDQUOT})
_SETTINGS_CALLS = ("update_settings", "fetch_settings")
_COST_CALLS = ("authorize", "capture")


class RequestHandler:
    """Answers the HTTP requests to a simulator.

    Args:
        simulation: the simulated Poe.
        run_bot: an ASGI application that answers for the bots, under the paths of the bot directory.
    """

    def __init__(self, simulation: Simulation, run_bot: Callable[[Scope, Receive, Send], Awaitable[None]]) -> None:
        self._simulation = simulation
        self._run_bot = run_bot

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request. Also returns when the client has disconnected, or a fault has cut the response short."""
        began = False

        async def tracked_send(message: AsgiMessage) -> None:
            nonlocal began
            began = True
            try:
                await send(message)
            except OSError as exc:  # a disconnect, by the ASGI specification
                raise SendFailed("the client disconnected before its response was complete") from exc

        try:
            await self._respond(scope, receive, tracked_send)
        except (ClientDisconnected, SendFailed):
            logger.debug("the client disconnected")
        except OSError as exc:
            # The simulator keeps running. A client whose response has begun needs no error.
            logger.error("the simulator could not use its storage: %s", exc)
            if not began:
                await respond(tracked_send, _storage_error(exc).as_response())

    async def _respond(self, scope: Scope, receive: Receive, send: Send) -> None:
        fault = self._fault_for(scope)
        if fault is not None:
            send = fault.wrap(send)
        try:
            if fault is not None and fault.responds:
                await discard_body(receive)
                await fault.respond(receive, send)
            else:
                await self._route(scope, receive, send)
        except HTTPError as error:
            await respond(send, error.as_response())

    def _fault_for(self, scope: Scope) -> Fault | None:
        path = raw_path_of(scope)
        if path.startswith("/simulator/"):
            return None  # so that a planned fault can always be removed
        fault = self._simulation.faults.next_for(path, _bot_called(scope))
        if fault is not None:
            path_without_key = path.partition("settings/")[0]
            self._simulation.engine.add_log_entry("fault", kind=fault.kind, path=path_without_key)
        return fault

    async def _route(self, scope: Scope, receive: Receive, send: Send) -> None:
        simulation = self._simulation
        match segments_of(scope):
            case ("simulator", *rest):
                await respond(send, await control.answer(simulation, scope["method"], tuple(rest), scope, receive))
            case ("bot", call, name, key, *version) if call in _SETTINGS_CALLS and len(version) < 2:
                body = await self._read_post(scope, receive)
                await respond(send, await self._change_settings(call, name, key, body))
            case ("bot", "cost", bot_query_id, call) if call in _COST_CALLS:
                body = await self._read_post(scope, receive)
                await respond(send, await self._pay(call, bot_query_id, body))
            case ("bot", name) if name:
                await self._call_bot(name, scope, await self._read_post(scope, receive), receive, send)
            case ("poe_api", "file_upload_3RD_PARTY_POST"):
                await _check_method(scope, receive, "POST")
                await respond(send, await self._upload(scope, receive))
            case ("files", file_id, name):
                await _check_method(scope, receive, "GET", "HEAD")
                await simulation.files.serve(scope, file_id, name, send)
            case ("",):
                await _check_method(scope, receive, "GET", "HEAD")
                await respond(send, json_response({"poeproto_simulator": "Poe's paths are under this root"}))
            case _:
                await read_body(receive, simulation.limits.request_body)
                raise HTTPError(404, "the simulator has no such path")

    async def _read_post(self, scope: Scope, receive: Receive) -> bytes:
        await _check_method(scope, receive, "POST")
        return await read_body(receive, self._simulation.limits.request_body)

    async def _call_bot(self, name: str, scope: Scope, body: bytes, receive: Receive, send: Send) -> None:
        """Answer ``POST /bot/{name}``: a query, a settings request or a report for that bot."""
        engine = self._simulation.engine
        try:
            request = decode_request(body)
        except RemoteProtocolError:
            request = None  # the bot's own exchange responds with what is wrong
        key = key_of(scope)
        send = with_headers(send, engine.callers.rate_limit.count(key, engine.now()))
        asked = request if isinstance(request, QueryRequest) else None
        caller = engine.callers.authenticate(key, asked, name)
        bot = self._simulation.directory.find(name)
        query: BotQuery | None = None
        if isinstance(request, SettingsRequest) and bot.bot is None:
            # Not through the service: an exchange refuses to send what this version does not know.
            await respond(send, await _forwarded_settings(name, self._simulation.directory.server_of(bot).settings()))
            return
        if asked is not None:
            try:
                user = await self._paying_user(caller, name, asked)
            except HTTPError as error:
                await self._simulation.save()
                await respond(send, error.as_reply())
                return
            query = engine.open_query(name, user, asked)
            body = encode_request(query.request)
        try:
            await self._simulation.save()  # before the answer, which cannot say any more that it failed
            path = self._simulation.directory.path_of(bot)
            scope = {**scope, "path": path, "root_path": "", "headers": _headers_for(bot, scope, body)}
            await self._run_bot(scope, with_body(body, receive), send)
        finally:
            if query is not None:
                engine.close_query(query)

    async def _paying_user(self, caller: Account | RegisteredBot | None, name: str, request: QueryRequest) -> Account:
        if not isinstance(caller, RegisteredBot):
            return caller or self._simulation.engine.first_user
        if caller.settings is None:
            caller = await self._simulation.directory.with_settings(caller)
        return self._simulation.engine.callers.admit(caller, name, request)

    async def _change_settings(self, call: str, name: str, key: str, body: bytes) -> HttpResponse:
        """Answer ``POST /bot/update_settings/...`` or ``POST /bot/fetch_settings/...``.

        Raises:
            HTTPError: with status 401 or 404 for a wrong key or an unknown bot (strict only), 400 for invalid settings,
                502 when the bot does not respond.
        """
        bot = self._simulation.directory.find_with_key(name, key)
        if call == "fetch_settings":
            return await _forwarded_settings(name, self._simulation.fetch_settings(bot.name))
        try:
            settings = decode_settings(body)
            encode_settings(settings)  # validates them as Poe does
        except (RemoteProtocolError, LocalProtocolError) as exc:
            raise HTTPError(400, f"the settings are invalid: {exc}") from exc
        self._simulation.engine.set_settings(name, settings)
        await self._simulation.save()
        return HttpResponse.of(200, "text/plain", b"The settings have been updated.")

    async def _pay(self, call: str, bot_query_id: str, body: bytes) -> HttpResponse:
        """Answer ``POST /bot/cost/{bot_query_id}/authorize`` or ``.../capture``."""
        try:
            wire = decode_object(body)
            items, access_key = read_cost_items(wire), str(wire.get("access_key") or "")
            status = await self._simulation.pay(call, bot_query_id, items, access_key)
        except RemoteProtocolError as exc:
            return HTTPError(400, str(exc)).as_cost_event()
        except HTTPError as error:
            return error.as_cost_event()
        result = encode_sse("result", json.dumps({"status": status}))
        return HttpResponse.of(200, EVENT_STREAM, result, STREAM_HEADERS)

    async def _upload(self, scope: Scope, receive: Receive) -> HttpResponse:
        """Answer ``POST /poe_api/file_upload_3RD_PARTY_POST``.

        Raises:
            HTTPError: with status 401 for an unknown key (strict only); as `Uploads` does.
        """
        simulation = self._simulation
        form = await simulation.uploads.read_form(scope, receive)
        # Poe expects the bare key here. Some clients write "Bearer" before it nevertheless.
        simulation.engine.callers.authenticate(key_of(scope, bare=True))
        stored = await simulation.uploads.store(form)
        await simulation.save()
        details = {"name": stored.name, "content_type": stored.content_type, "size": stored.size}
        simulation.engine.add_log_entry("upload", **details)
        url = stored.url(root_of(scope))
        return json_response({"attachment_url": url, "mime_type": stored.content_type, "size": stored.size})


async def _check_method(scope: Scope, receive: Receive, *allowed: str) -> None:
    if scope["method"] not in allowed:
        await discard_body(receive)
        raise HTTPError(405, f"this path takes {' and '.join(allowed)}", [("allow", ", ".join(allowed))])


def _bot_called(scope: Scope) -> str | None:
    match segments_of(scope):
        case ("bot", name):
            return name
        case _:
            return None


def _headers_for(bot: RegisteredBot, scope: Scope, body: bytes) -> list[tuple[bytes, bytes]]:
    """The headers with the bot's key instead of the caller's: to the bot, the request comes from Poe."""
    replaced = {b"authorization": f"Bearer {bot.access_key}".encode() if bot.access_key else None}
    replaced[b"content-length"] = str(len(body)).encode()
    headers = [
        (name, value) for name, value in scope["headers"] if name.lower() not in (*replaced, b"transfer-encoding")
    ]
    return headers + [(name, value) for name, value in replaced.items() if value is not None]


async def _forwarded_settings(name: str, fetching: Awaitable[SettingsResponse]) -> HttpResponse:
    """The settings of a bot as it sent them, with keys that this version does not know.

    Raises:
        HTTPError: with status 502 when they could not be fetched.
    """
    try:
        payload = settings_payload(await fetching)
    except PoeprotoError as exc:
        raise HTTPError(502, f"the settings of {name} could not be fetched: {exc}") from exc
    return HttpResponse.of(200, "application/json", json.dumps(payload).encode())


def _storage_error(failure: OSError) -> HTTPError:
    if failure.errno in _DISK_FULL:
        return HTTPError(507, "the simulator's disk is full")
    return HTTPError(500, "the simulator could not use its storage; its log says why")
