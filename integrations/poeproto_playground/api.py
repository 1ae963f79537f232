"""The API of the page: calls with a token, JSON in and out. `docs/playground.md` lists them."""

from __future__ import annotations

import io
from collections.abc import Awaitable, Callable
from contextlib import aclosing
from typing import Any, cast
from urllib.parse import parse_qs

import anyio

from poeproto import Attachment, HttpResponse, PoeprotoError, RemoteProtocolError, decode_object
from poeproto_asgi.asgi import Receive, Scope, Send, wait_disconnected
from poeproto_playground import exchange_view
from poeproto_playground.exchange_export import export
from poeproto_playground.exchange_log import LIVE, Exchange
from poeproto_playground.session import PlaySession
from poeproto_playground.snippets import snippet
from poeproto_record import RecordingError
from poeproto_simulator import HTTPError
from poeproto_simulator.asgi import discard_body, media_type_of, read_body, respond, start
from poeproto_simulator.responses import json_response

_BODY_SIZE = 16 * 1024 * 1024
_RECORDING_SIZE = 128 * 1024 * 1024
_PAGE = 200
_LARGEST_PAGE = 2000
_NO_SUCH_PATH = "the API has no such path; reload the page if poeproto was upgraded"

_NO_STORE = (("cache-control", "no-store"), ("x-content-type-options", "nosniff"))

Fields = dict[str, Any]
Path = tuple[str, ...]


class Api:
    """Answers the calls of the page.

    Args:
        session: the data that the page shows.
    """

    def __init__(self, session: PlaySession) -> None:
        self._session = session

    async def handle(self, method: str, path: Path, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a call whose token was checked.

        Raises:
            HTTPError: when it cannot be carried out.
        """
        query = {name: values[-1] for name, values in parse_qs(_query(scope), keep_blank_values=True).items()}
        if (method, path) == ("GET", ("events",)):
            await self._stream(receive, send)
            return
        match method, path:
            case "POST", ("files",):
                value = await self._upload(query, scope, receive)
            case "POST", ("recordings",):
                value = await self._open_recording(query, receive)
            case "POST", _:
                value = await self._post(path, await self._fields(scope, receive))
            case "GET", _:
                await discard_body(receive)
                value = self._get(path, query)
            case "DELETE", _:
                await discard_body(receive)
                value = self._delete(path)
            case _:
                raise HTTPError(405, "the API takes GET, POST and DELETE", [("allow", "GET, POST, DELETE")])
        response = value if isinstance(value, HttpResponse) else json_response(value, headers=_NO_STORE)
        await respond(send, response)

    async def _stream(self, receive: Receive, send: Send) -> None:
        """Send the changes until the page disconnects."""
        await discard_body(receive)
        headers = [(b"content-type", b"application/x-ndjson"), (b"x-accel-buffering", b"no")]
        headers += [(name.encode(), value.encode()) for name, value in _NO_STORE]
        await start(send, 200, headers)
        async with anyio.create_task_group() as tasks:

            async def cancel_on_disconnect() -> None:
                await wait_disconnected(receive)
                tasks.cancel_scope.cancel()

            tasks.start_soon(cancel_on_disconnect)
            async with aclosing(self._session.stream.lines()) as lines:
                async for line in lines:
                    # Waits while the page does not read; meanwhile changes are merged.
                    await send({"type": "http.response.body", "body": line, "more_body": True})

    async def _fields(self, scope: Scope, receive: Receive) -> Fields:
        body = await read_body(receive, _BODY_SIZE)
        if media_type_of(scope) != "application/json":
            raise HTTPError(415, "the body must be sent as application/json")
        try:
            return decode_object(body or b"{}")
        except RemoteProtocolError as exc:
            raise HTTPError(400, f"the body is not a JSON object: {exc}") from None

    # --- GET

    def _get(self, path: Path, query: dict[str, str]) -> Fields | HttpResponse:
        session = self._session
        match path:
            case ("state",):
                return session.snapshot()
            case ("conversations", conversation):
                chat = session.find_chat(conversation)
                return {"conversation": chat.summary(), "messages": [each.as_json() for each in chat.messages]}
            case ("exchanges", exchange_id, *part):
                return self._get_exchange(session.find_exchange(exchange_id), tuple(part), query)
            case ("export",):
                return self._export(query)
            case ("rules", rule):
                try:
                    return exchange_view.rule_to_json(rule)
                except KeyError:
                    raise HTTPError(404, f"there is no rule called {rule!r}") from None
            case _:
                raise HTTPError(404, _NO_SUCH_PATH)

    def _get_exchange(self, exchange: Exchange, part: Path, query: dict[str, str]) -> Fields | HttpResponse:
        session = self._session
        masking = session.masking
        match part:
            case ():
                return {**exchange_view.details(exchange, masking), "log_list": session.bot_log.of(exchange)}
            case ("reads",):
                return exchange_view.reads(exchange, *_page(query), masking)
            case ("events",):
                return exchange_view.events(exchange, *_page(query), masking)
            case ("times",):
                return exchange_view.times(exchange)
            case ("body",):
                side = query.get("side", "response")
                if side not in ("request", "response"):
                    raise HTTPError(400, "side: expected request or response")
                data = exchange.request.body if side == "request" else exchange.body()
                return _download(masking.data(data), f"{exchange.id}-{side}.bin")
            case ("copy",):
                registered = session.engine.bots.get(exchange.bot or "")
                key = registered.access_key if registered and query.get("secrets") == "1" else None
                return {"text": snippet(exchange, query.get("as", "curl"), key, masking)}
            case _:
                raise HTTPError(404, _NO_SUCH_PATH)

    def _export(self, query: dict[str, str]) -> HttpResponse:
        session = self._session
        ids = [each for each in query.get("exchanges", "").split(",") if each]
        if ids:
            chosen = [session.find_exchange(each) for each in ids]
        else:
            chosen = [each for each in session.exchanges if each.source == LIVE]
        form = query.get("format", "recording")
        name = "playground.har" if form == "har" else "playground.jsonl"
        return _download(export(form, chosen, session.exchanges.created, session.masking), name)

    # --- DELETE

    def _delete(self, path: Path) -> Fields:
        session = self._session
        match path:
            case ("conversations", conversation):
                session.remove_chat(session.find_chat(conversation))
            case ("faults",):
                session.clear_faults()
            case ("recordings", recording):
                session.close_recording(recording)
            case _:
                raise HTTPError(404, _NO_SUCH_PATH)
        return {}

    # --- POST

    async def _post(self, path: Path, fields: Fields) -> Fields:
        session = self._session
        match path:
            case ("conversations", conversation, *call):
                return await self._post_conversation(conversation, tuple(call), fields)
            case ("messages", message, call):
                return await self._post_message(message, call, fields)
            case ("bots", name, call):
                return await self._post_bot(name, call, fields)
            case ("exchanges", exchange_id, "resend"):
                return await self._resend(session.find_exchange(exchange_id), fields)
            case (call,) if call in _CALLS:
                return await _CALLS[call](session, fields)
            case _:
                raise HTTPError(404, _NO_SUCH_PATH)

    async def _post_conversation(self, conversation: str, call: Path, fields: Fields) -> Fields:
        session = self._session
        chat = session.find_chat(conversation)
        match call:
            case ():
                chat.network = _bool(fields, "network", chat.network)
                chat.title = _text(fields, "title", chat.title)
                session.stream.mark("conversation", chat.id)
                return chat.summary()
            case ("messages",):
                sent, reply = await session.send_message(
                    chat,
                    _text(fields, "text"),
                    bot=_optional_text(fields, "bot"),
                    attachments=_attachments(fields),
                    parameters=_object(fields, "parameters"),
                    reply_to=_optional_text(fields, "reply_to"),
                )
            case ("retry",):
                sent, reply = await session.retry(chat, _optional_text(fields, "message"))
            case ("edit",):
                place = chat.index_of(_text(fields, "message"))
                if place is None or chat.messages[place].role != "user":
                    raise HTTPError(404, "there is no such message of a user in this conversation")
                edited = chat.messages[place]
                sent, reply = await session.send_message(
                    chat,
                    _text(fields, "text"),
                    bot=None if session.mentioned_bot(edited.text) else edited.bot,
                    attachments=_attachments(fields) if "attachments" in fields else edited.attachments,
                    parameters=_object(fields, "parameters") if "parameters" in fields else edited.parameters,
                    reply_to=edited.reply_to,
                    replaces=place,
                )
            case ("stop",):
                if chat.reply is not None:
                    chat.reply.cancel()
                return {}
            case ("fork",):
                return session.fork(chat, _text(fields, "message")).summary()
            case _:
                raise HTTPError(404, _NO_SUCH_PATH)
        return {"message": sent.id, "reply": reply.id}

    async def _post_message(self, message_id: str, call: str, fields: Fields) -> Fields:
        session = self._session
        chat, message = session.find_message(message_id)
        if chat.conversation.find(message.id) is None or message.role != "bot":
            raise HTTPError(409, "only a complete reply can be reported; this one failed or is still under way")
        if call == "feedback":
            kind = _text(fields, "feedback_type")
            message.feedback = kind
            session.stream.mark("message", chat.id, message.id)
            await session.report_feedback(message.id, kind, _optional_text(fields, "reason"))
        elif call == "reactions":
            reaction, action = _text(fields, "reaction"), _text(fields, "action", "added")
            others = [each for each in message.reactions if each != reaction]
            message.reactions = others if action == "removed" else [*others, reaction]
            session.stream.mark("message", chat.id, message.id)
            await session.report_reaction(message.id, reaction, action)
        else:
            raise HTTPError(404, _NO_SUCH_PATH)
        return {}

    async def _post_bot(self, name: str, call: str, fields: Fields) -> Fields:
        session = self._session
        bot = session.bots.find(name)
        match call:
            case "errors":
                await session.report_error(name, _text(fields, "message"), _object(fields, "metadata"))
                return {}
            case "settings":
                await session.bots.refetch_settings(name)
            case "reload":
                session.bots.request_reload(name)
            case _:
                raise HTTPError(404, _NO_SUCH_PATH)
        return session.bots.as_json(bot)

    async def _resend(self, exchange: Exchange, fields: Fields) -> Fields:
        if exchange.direction != "to-bot" or exchange.bot is None:
            raise HTTPError(400, "only a request to a bot can be sent again")
        body = exchange.request.body if fields.get("body") is None else _text(fields, "body").encode()
        headers = fields.get("headers")
        if headers is not None and not _is_pairs(headers):
            raise HTTPError(400, "headers: expected a list of [name, value]")
        sent = await self._session.send_raw(exchange.bot, body, like=exchange, headers=headers)
        return self._session.exchange_to_json(sent)

    async def _upload(self, query: dict[str, str], scope: Scope, receive: Receive) -> Fields:
        data = await read_body(receive, self._session.limits.file_size)
        return await self._session.store_attachment(data, query.get("name", "file"), media_type_of(scope) or None)

    async def _open_recording(self, query: dict[str, str], receive: Receive) -> Fields:
        data = await read_body(receive, _RECORDING_SIZE)
        try:
            return self._session.open_recording(query.get("name", "recording.jsonl"), io.BytesIO(data))
        except RecordingError as exc:
            raise HTTPError(400, str(exc)) from None


async def _new_conversation(session: PlaySession, fields: Fields) -> Fields:
    return session.new_chat(_optional_text(fields, "bot")).summary()


async def _new_bot(session: PlaySession, fields: Fields) -> Fields:
    if "target" in fields:
        raise HTTPError(400, "target: a target runs code, so it is given at the command line: poeproto play TARGET")
    name = _text(fields, "name")
    try:
        await session.bots.add_url(name, _text(fields, "url"), _optional_text(fields, "access_key"))
    except (ValueError, PoeprotoError) as exc:
        raise HTTPError(400, str(exc)) from None
    return session.bots.as_json(session.bots.find(name))


async def _set_balance(session: PlaySession, fields: Fields) -> Fields:
    balance = fields.get("balance")
    if type(balance) is not int or balance < 0:
        raise HTTPError(400, "balance: expected a whole number of thousandths of a US cent, zero or more")
    session.balance = balance
    session.stream.mark("balance")
    return {}


async def _add_fault(session: PlaySession, fields: Fields) -> Fields:
    where, kind, times = _text(fields, "where"), _text(fields, "kind"), fields.get("times", 1)
    if type(times) is not int:
        raise HTTPError(400, "times: expected a whole number")
    arguments = {name: value for name, value in fields.items() if name not in ("where", "kind", "times")}
    return session.add_fault(where, kind, times, arguments)


async def _send_request(session: PlaySession, fields: Fields) -> Fields:
    sent = await session.send_raw(_text(fields, "bot"), _text(fields, "body").encode("utf-8", "replace"))
    return session.exchange_to_json(sent)


_CALLS: dict[str, Callable[[PlaySession, Fields], Awaitable[Fields]]] = {
    "conversations": _new_conversation,
    "bots": _new_bot,
    "balance": _set_balance,
    "faults": _add_fault,
    "requests": _send_request,
}


# --- reading arguments


def _query(scope: Scope) -> str:
    raw = scope.get("query_string") or b""
    return raw.decode("latin-1") if isinstance(raw, bytes) else str(raw)


def _page(query: dict[str, str]) -> tuple[int, int]:
    try:
        begin, limit = int(query.get("from", "0")), int(query.get("limit", str(_PAGE)))
    except ValueError:
        raise HTTPError(400, "from and limit: expected whole numbers") from None
    return max(begin, 0), min(max(limit, 0), _LARGEST_PAGE)


def _text(fields: Fields, name: str, default: str | None = None) -> str:
    value = fields.get(name, default)
    if not isinstance(value, str):
        raise HTTPError(400, f"{name}: expected a string")
    return value


def _optional_text(fields: Fields, name: str) -> str | None:
    return None if fields.get(name) is None else _text(fields, name)


def _bool(fields: Fields, name: str, default: bool) -> bool:
    value = fields.get(name, default)
    if not isinstance(value, bool):
        raise HTTPError(400, f"{name}: expected true or false")
    return value


def _object(fields: Fields, name: str) -> dict[str, Any] | None:
    value = fields.get(name)
    if value is not None and not isinstance(value, dict):
        raise HTTPError(400, f"{name}: expected an object")
    return cast("dict[str, Any] | None", value)


def _attachments(fields: Fields) -> list[Attachment]:
    given: Any = fields.get("attachments") or []
    try:
        return [
            Attachment(each["url"], each["content_type"], each["name"], each.get("inline_ref"))
            for each in cast("list[dict[str, Any]]", given)
        ]
    except (TypeError, KeyError, AttributeError, PoeprotoError):
        raise HTTPError(400, "attachments: expected objects with url, content_type and name") from None


def _is_pairs(headers: object) -> bool:
    if not isinstance(headers, list):
        return False
    pairs = cast("list[Any]", headers)
    return all(isinstance(pair, list) and len(cast("list[Any]", pair)) == 2 for pair in pairs)


def _download(data: bytes, name: str) -> HttpResponse:
    disposition = ("content-disposition", f'attachment; filename="{name}"')
    return HttpResponse.of(200, "application/octet-stream", data, [disposition, *_NO_STORE])
