"""Records the calls of bots to the simulated Poe, as an ASGI application receives them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextvars import ContextVar

from poeproto_asgi.asgi import AsgiMessage, Receive, Scope, Send
from poeproto_playground.exchange_log import Exchange, ExchangeLog, object_in, text_in
from poeproto_record import End
from poeproto_simulator import BotQuery
from poeproto_simulator.asgi import key_of, raw_path_of, root_of, segments_of

_SETTINGS_CALLS = ("update_settings", "fetch_settings")
# The bytes recorded of a request's body; the request is recorded when its body is complete.
_BODY_SIZE = 16 * 1024 * 1024

FindCallers = Callable[[str], list[str]]
FindQuery = Callable[[str], BotQuery | None]

# The call that this task answers: requests to other bots belong to that call.
_answered: ContextVar[list[Exchange]] = ContextVar("_answered")


def answered_call() -> Exchange | None:
    """The call of a bot that the simulated Poe answers in this task; None if there is none."""
    return next(iter(_answered.get([])), None)


class CallRecorder:
    """An ASGI application that records the requests to another one.

    Args:
        app: the simulated Poe.
        log: keeps the exchanges.
        find_callers: the names of the bots with a key.
        find_query: the query with a `bot_query_id`.
    """

    def __init__(
        self,
        app: Callable[[Scope, Receive, Send], Awaitable[None]],
        log: ExchangeLog,
        find_callers: FindCallers,
        find_query: FindQuery,
    ) -> None:
        self._app = app
        self._log = log
        self._find_callers = find_callers
        self._find_query = find_query

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, and record it."""
        recorded = _RecordedCall(self, scope)
        token = _answered.set(recorded.begun)
        try:
            await self._app(scope, recorded.receiving(receive), recorded.sending(send))
        except BaseException:
            recorded.end(End.RESET)
            raise
        finally:
            _answered.reset(token)
        # A fault cuts a response short; so does a disconnect.
        recorded.end(End.RESET)

    def begin(self, scope: Scope, body: bytes) -> Exchange:
        """Record a request whose body is complete."""
        kind, bot_query_id = kind_of_call(segments_of(scope))
        fields = object_in(body) if kind in ("call", "cost") else {}
        key = str(fields.get("access_key") or "") if kind == "cost" else key_of(scope, bare=True)
        query = self._find_query(bot_query_id) if bot_query_id else None
        message = query.request.message_id if query else text_in(fields, "message_id")
        if query is not None:
            caller: str | None = query.bot_name
        elif kind in _SETTINGS_CALLS:
            caller = segments_of(scope)[2]
        else:
            caller = self._likely_caller(self._find_callers(key), message)
        parent = self._log.query_of(message, caller) if message else self._only_query_of(caller)
        return self._log.begin(
            "from-bot",
            kind,
            scope["method"],
            root_of(scope) + raw_path_of(scope),
            list(scope["headers"]),
            body,
            bot=caller,
            message=message or (parent.message if parent else None),
            conversation=parent.conversation if parent else text_in(fields, "conversation_id"),
            parent=parent.id if parent else None,
        )

    def _likely_caller(self, names: list[str], message: str | None) -> str | None:
        """Of the bots that share a key, the one that is asked last: for this message, if the call names one."""
        asked = [
            each.bot
            for each in self._log
            if each.kind == "query" and each.bot in names and each.end is None and message in (None, each.message)
        ]
        return asked[-1] if len(names) > 1 and asked else next(iter(names), None)

    def _only_query_of(self, caller: str | None) -> Exchange | None:
        """The query under way of a bot, if there is just one: an upload does not say to which it belongs."""
        found = [each for each in self._log if each.kind == "query" and each.bot == caller and each.end is None]
        return found[0] if len(found) == 1 else None

    @property
    def log(self) -> ExchangeLog:
        """The log of exchanges."""
        return self._log


class _RecordedCall:
    """One request: recorded when its body is complete, or at the latest when it is answered."""

    def __init__(self, recorder: CallRecorder, scope: Scope) -> None:
        self._recorder = recorder
        self._scope = {**scope, "headers": list(scope["headers"])}
        self._body = bytearray()
        self.begun: list[Exchange] = []  # the exchange, once it has begun

    def receiving(self, receive: Receive) -> Receive:
        async def receive_and_record() -> AsgiMessage:
            message = await receive()
            if message["type"] == "http.request" and not self.begun:
                if len(self._body) < _BODY_SIZE:
                    self._body += message.get("body", b"")
                if not message.get("more_body", False):
                    self._begun()
            return message

        return receive_and_record

    def sending(self, send: Send) -> Send:
        async def send_and_record(message: AsgiMessage) -> None:
            exchange, log = self._begun(), self._recorder.log
            await send(message)
            if message["type"] == "http.response.start":
                log.head(exchange, message["status"], list(message["headers"]))
            else:
                if body := message.get("body", b""):
                    log.data(exchange, bytes(body))
                if not message.get("more_body", False):
                    log.end(exchange, End.EOF)

        return send_and_record

    def end(self, outcome: End) -> None:
        for exchange in self.begun:
            self._recorder.log.end(exchange, outcome)

    def _begun(self) -> Exchange:
        if not self.begun:
            self.begun.append(self._recorder.begin(self._scope, bytes(self._body)))
        return self.begun[0]


def kind_of_call(segments: tuple[str, ...]) -> tuple[str, str | None]:
    """The kind of call at a path, and the `bot_query_id` in it."""
    match segments:
        case ("bot", "cost", bot_query_id, _):
            return "cost", bot_query_id
        case ("bot", call, _, _, *_) if call in _SETTINGS_CALLS:
            return call, None
        case ("bot", _):
            return "call", None
        case ("poe_api", _):
            return "upload", None
        case _:
            return "other", None
