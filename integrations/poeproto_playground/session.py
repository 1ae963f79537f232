"""A session of the playground: the simulated Poe, with the bots that are tried out and all that happens to them."""

from __future__ import annotations

import logging
import re
import secrets
import time
from collections.abc import AsyncGenerator, Iterable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import anyio
import anyio.abc
import attrs

import poeproto
from poeproto import Attachment, HttpRequest, Limits, Message, PoeprotoError, Sender
from poeproto_playground import exchange_view
from poeproto_playground.bot_log import BotLog
from poeproto_playground.bot_recorder import RecordingClient
from poeproto_playground.conversations import Chat, ShownMessage, ShownText, attachment_to_json, copy_message
from poeproto_playground.exchange_log import Exchange, ExchangeLog
from poeproto_playground.masking import Masking
from poeproto_playground.played_bots import PlayedBot, PlayedBots, ShownBot
from poeproto_playground.request_guard import RequestGuard
from poeproto_playground.state_stream import Change, Key, StateStream
from poeproto_record import RecordedExchange, RecordingHeader, RecordingReader, read_exchanges
from poeproto_simulator import BotQuery, Fault, HTTPError, LogEntry, ReceivedReply, Simulator

logger = logging.getLogger("poeproto")

_SECRET_BYTES = 24


class PlaySession(Simulator):
    """The state of the playground, and the operations on it, without HTTP: bots, conversations, exchanges.

    `Playground`, which adds the page and its API, describes the arguments.

    Attributes:
        guard: checks who calls; it has the token.
        origin: scheme, host and port; None before the address is known.
        poe_secret: part of the path of the simulated Poe.
        exchanges: the exchanges.
        masking: masks keys in what is shown.
        bot_log: what the bots log.
        stream: the changes that the page follows.
        chats: the conversations, the oldest first.
        bots: the bots.
    """

    def __init__(
        self,
        bots: Iterable[PlayedBot] = (),
        *,
        recordings: Iterable[Path] = (),
        token: str | None = None,
        exposed: bool = False,
        remote_media: bool = False,
        balance: int = 1_000_000,
        limits: Limits | None = None,
        poll: float = 0.3,
    ) -> None:
        super().__init__(balance=balance, limits=limits)
        self.guard = RequestGuard(token, exposed=exposed)
        self.exchanges = ExchangeLog(self._on_exchange, lambda: self.stream.mark("exchanges"))
        self.masking = Masking(self._known_keys)
        self.bot_log = BotLog(self.exchanges, self.masking)
        self.stream = StateStream(self)
        self.chats: dict[str, Chat] = {}
        self.remote_media = remote_media
        self.bots = PlayedBots(
            bots,
            self,
            self.exchanges,
            self.masking,
            mark=self.stream.mark,
            on_log=self._on_bot_log,
            is_idle=lambda: all(chat.reply is None for chat in self.chats.values()),
            poll=poll,
        )
        self._recordings: dict[str, dict[str, Any]] = {}
        self._recording_count = 0
        self.poe_secret = secrets.token_urlsafe(_SECRET_BYTES)
        self._opened: anyio.Event | None = None
        self.origin: str | None = None
        self._tasks: anyio.abc.TaskGroup | None = None
        self.engine.on_log.append(self._on_engine_log)
        for file in recordings:
            with file.open("rb") as source:
                self.open_recording(file.name, source)

    # --- running

    def open_at(self, address: str) -> None:
        """Take this address: the bots are started, and call the simulated Poe there."""
        parts = urlsplit(address)
        host = "127.0.0.1" if parts.hostname in ("0.0.0.0", "::") else parts.hostname or ""
        host = f"[{host}]" if ":" in host else host
        self.origin = f"{parts.scheme}://{host}:{parts.port or 80}"
        self.address = f"{self.origin}/poe/{self.poe_secret}"
        if self._opened is not None:
            self._opened.set()

    @asynccontextmanager
    async def lifespan(self, app: object = None) -> AsyncGenerator[None]:
        """The ASGI lifespan: runs the bots' processes and replies."""
        async with super().lifespan(app), anyio.create_task_group() as tasks:
            self._tasks = tasks
            self._opened = anyio.Event()
            if self.origin is not None:
                self._opened.set()
            tasks.start_soon(self._run_bots, self._opened)
            try:
                yield
            finally:
                self._tasks = None
                tasks.cancel_scope.cancel()

    async def _run_bots(self, opened: anyio.Event) -> None:
        await opened.wait()
        await self.bots.run()

    @property
    def client(self) -> RecordingClient:
        """The client for bots, which records."""
        if not isinstance(self._client, RecordingClient):
            self._client = RecordingClient(self.exchanges, self.bots.at, self.limits)
        return self._client

    def _known_keys(self) -> Iterable[str | None]:
        yield self.guard.token
        yield self.poe_secret
        for bot in self.engine.bots.values():
            yield bot.access_key
        for played in self.bots.played:
            yield played.access_key
        for user in self.engine.users.values():
            yield user.api_key

    def message_of_query(self, bot_query_id: str) -> str | None:
        query = self.engine.queries.get(bot_query_id)
        return query.request.message_id if query else None

    def _on_bot_log(self, line: Mapping[str, Any]) -> None:
        self.bot_log.add(line)
        self.stream.mark("log")

    # --- conversations

    def new_chat(self, bot: str | None = None) -> Chat:
        """A new conversation.

        Raises:
            HTTPError: with status 404, for an unknown bot; 409, if there is none.
        """
        if bot is None:
            bot = self.bots.default
            if bot is None:
                raise HTTPError(409, "there is no bot; start the playground with a TARGET or URL")
        self.bots.find(bot)
        chat = Chat(conversation=self.engine.conversation(), bot=bot, created=time.time())
        self.chats[chat.id] = chat
        self.stream.mark("conversation", chat.id)
        return chat

    def find_chat(self, conversation_id: str) -> Chat:
        """The conversation with that identifier.

        Raises:
            HTTPError: with status 404.
        """
        found = self.chats.get(conversation_id)
        if found is None:
            raise HTTPError(404, "there is no such conversation")
        return found

    def find_message(self, message_id: str) -> tuple[Chat, ShownMessage]:
        """A message, and its conversation.

        Raises:
            HTTPError: with status 404.
        """
        for chat in self.chats.values():
            place = chat.index_of(message_id)
            if place is not None:
                return chat, chat.messages[place]
        raise HTTPError(404, "there is no such message")

    def remove_chat(self, chat: Chat) -> None:
        """Remove a conversation, and stop its reply."""
        if chat.reply is not None:
            chat.reply.cancel()
        del self.chats[chat.id]
        self.engine.conversations.pop(chat.id, None)
        self.stream.mark("conversation", chat.id)

    async def send_message(
        self,
        chat: Chat,
        text: str,
        *,
        bot: str | None = None,
        attachments: Iterable[Attachment] = (),
        parameters: dict[str, Any] | None = None,
        reply_to: str | None = None,
        replaces: int | None = None,
    ) -> tuple[ShownMessage, ShownMessage]:
        """Send a user's message; returns it, and the reply, which is received in the background.

        Args:
            chat: the conversation.
            text: the text; ``@Name`` at its beginning asks that bot.
            bot: the bot that is asked; by default that of the conversation.
            attachments: the message's files.
            parameters: values of the bot's parameter controls.
            reply_to: the message that this one replies to, if not the last.
            replaces: the place of the message that this one replaces, with all that follow it.

        Raises:
            HTTPError: with status 409, while a reply is under way; as `Simulator.ask` does.
        """
        if chat.reply is not None:
            raise HTTPError(409, "a reply is under way in this conversation; stop it first")
        name = self.mentioned_bot(text) or bot or chat.bot
        self.bots.find(name)
        if self.engine.bots.get(name) is None:
            raise HTTPError(409, f"{name} does not run: {self.bots.find(name).error or 'it is being started'}")
        chat.reply = scope = anyio.CancelScope()
        if replaces is not None:
            chat.cut(replaces)
        files = list(attachments)
        try:
            query = await self.ask(
                name, text, conversation=chat.conversation, attachments=files, parameters=parameters, reply_to=reply_to
            )
        except BaseException:
            chat.reply = None
            raise
        now = time.time()
        sent = ShownMessage(
            id=chat.conversation.messages[-1].message_id,
            role="user",
            bot=name,
            at=now,
            texts={0: ShownText(0, [text])},
            attachments=files,
            parameters=parameters,
            reply_to=reply_to,
        )
        reply = ShownMessage(id=query.request.message_id, role="bot", bot=name, at=now, status="streaming")
        chat.messages += [sent, reply]
        if name == chat.bot:
            chat.parameters = parameters or {}
        self.stream.mark("messages", chat.id)
        self.stream.mark("conversation", chat.id)
        self._task_group.start_soon(self._run_reply, chat, reply, query, scope)
        return sent, reply

    async def _run_reply(self, chat: Chat, reply: ShownMessage, query: BotQuery, scope: anyio.CancelScope) -> None:
        began = time.monotonic()

        def on_event(event: poeproto.Event) -> None:
            if reply.first_event_ms is None:
                reply.first_event_ms = exchange_view.milliseconds(time.monotonic() - began)
                reply.exchange = self._exchange_of(reply)
                self.stream.mark("message", chat.id, reply.id)
            if reply.receive(event):
                self.stream.mark("message", chat.id, reply.id)
            else:
                self.stream.mark("text", chat.id, reply.id)

        received: ReceivedReply | None = None
        try:
            with scope:
                received = await self.receive_reply(query, on_event)
        except Exception as exc:
            logger.exception("the reply of %s could not be received", reply.bot)
            reply.status = "failed"
            reply.error = {"text": str(exc), "type": None, "allow_retry": True}
        if received is not None:
            self._show_end(reply, received, self.bots.find(query.bot_name))
        elif reply.status == "streaming":
            self._stop_reply(chat, reply)
        reply.duration_ms = exchange_view.milliseconds(time.monotonic() - began)
        reply.exchange = self._exchange_of(reply)
        chat.reply = None
        for key in (("message", chat.id, reply.id), ("conversation", chat.id), ("balance",)):
            self.stream.mark(*key)

    def _show_end(self, reply: ShownMessage, received: ReceivedReply, bot: ShownBot) -> None:
        reply.spent = received.spent
        reply.status = "complete" if received.failure is None else "failed"
        if received.failure is not None and reply.error is None:
            text = self.bots.explain(bot, received.failure)
            reply.error = {"text": text, "type": None, "allow_retry": True}

    def _stop_reply(self, chat: Chat, reply: ShownMessage) -> None:
        """As on Poe, the received part of a stopped reply stays in the conversation."""
        reply.status = "stopped"
        if reply.text:
            kept = Message("bot", reply.text, message_id=reply.id, sender=Sender(name=reply.bot))
            chat.conversation.messages.append(kept)

    def _exchange_of(self, reply: ShownMessage) -> str | None:
        exchange = self.exchanges.first_query_of(reply.id)
        return exchange.id if exchange else None

    async def retry(self, chat: Chat, message_id: str | None) -> tuple[ShownMessage, ShownMessage]:
        """Ask for a reply again; by default for the last one.

        Raises:
            HTTPError: with status 404, for an unknown message; as `send_message`.
        """
        place = len(chat.messages) - 1 if message_id is None else chat.index_of(message_id)
        if place is None or place < 1 or chat.messages[place].role != "bot":
            raise HTTPError(404, "there is no such reply in this conversation")
        asked = chat.messages[place - 1]
        return await self.send_message(
            chat,
            asked.text,
            bot=asked.bot,
            attachments=asked.attachments,
            parameters=asked.parameters,
            reply_to=asked.reply_to,
            replaces=place - 1,
        )

    def fork(self, chat: Chat, message_id: str) -> Chat:
        """A new conversation with the messages up to this one.

        Raises:
            HTTPError: with status 404, for an unknown message.
        """
        place = chat.index_of(message_id)
        if place is None:
            raise HTTPError(404, "there is no such message in this conversation")
        forked = self.new_chat(chat.bot)
        forked.forked_from = {"conversation": chat.id, "message": message_id}
        forked.network, forked.parameters = chat.network, dict(chat.parameters)
        for shown in chat.messages[: place + 1]:
            copied = copy_message(shown)
            copied.id = self.engine.identifier("m")
            if copied.status == "streaming":
                copied.status = "stopped"
            forked.messages.append(copied)
            sent = chat.conversation.find(shown.id)
            if sent is not None:
                forked.conversation.messages.append(attrs.evolve(sent, message_id=copied.id))
        self.stream.mark("messages", forked.id)
        return forked

    def mentioned_bot(self, text: str) -> str | None:
        """The bot that ``@Name`` at the beginning of a text asks; None if it names none."""
        if not text.startswith("@"):
            return None
        # The name ends where the word does: "@Doggy" does not mention Dog.
        named = [bot.name for bot in self.bots if re.match(rf"@{re.escape(bot.name)}(?![\w-])", text)]
        return max(named, key=len, default=None)

    @property
    def _task_group(self) -> anyio.abc.TaskGroup:
        if self._tasks is None:
            raise HTTPError(503, "the playground is shutting down")
        return self._tasks

    # --- exchanges

    async def send_raw(self, bot: str, body: bytes, *, like: Exchange | None = None, headers: Any = None) -> Exchange:
        """Send a request to a bot as it is, valid or not; returns the new exchange, which continues.

        Args:
            bot: the bot.
            body: the body.
            like: the exchange that is repeated.
            headers: pairs of name and value; by default those of that exchange. A masked key is replaced by the bot's.

        Raises:
            HTTPError: with status 404 for an unknown bot, 400 for headers that cannot be sent.
        """
        registered = self.engine.bot(bot)
        if registered.url is None:
            raise HTTPError(400, f"{bot} has no URL")
        given = headers if headers is not None else self.masking.headers(like.request.headers if like else ())
        pairs = [(str(name), str(value)) for name, value in given]
        key = f"Bearer {registered.access_key}" if registered.access_key else ""
        kept = [(name, value) for name, value in pairs if name.lower() not in ("content-length", "host")]
        if not kept:
            kept = [("content-type", "application/json"), ("accept", "text/event-stream"), ("authorization", "*")]
        sent = [(name, key if name.lower() == "authorization" and "*" in value else value) for name, value in kept]
        try:
            request = HttpRequest("POST", registered.url, [(name, value) for name, value in sent if value], body)
        except (PoeprotoError, TypeError, ValueError) as exc:
            raise HTTPError(400, f"the request cannot be sent: {exc}") from None
        resent_from = like.id if like else None

        async def run(*, task_status: anyio.abc.TaskStatus[Exchange]) -> None:
            await self.client.send_raw(request, resent_from, task_status)

        return await self._task_group.start(run)

    def find_exchange(self, exchange_id: str) -> Exchange:
        """The exchange with that identifier.

        Raises:
            HTTPError: with status 404.
        """
        found = self.exchanges.find(exchange_id)
        if found is None:
            raise HTTPError(404, "there is no such exchange; the oldest are dropped to bound the memory")
        return found

    def exchange_to_json(self, exchange: Exchange) -> dict[str, Any]:
        """An exchange as the page's list has it."""
        return exchange_view.summary(exchange, self.masking)

    def open_recording(self, name: str, source: Any) -> dict[str, Any]:
        """Open a recording beside the live exchanges.

        Args:
            name: of the file.
            source: the file, open for reading in binary mode.

        Raises:
            RecordingError: when the body is not a recording.
        """
        reader = RecordingReader(source, name=name)
        exchanges: list[RecordedExchange] = list(read_exchanges(reader))
        exchanges.sort(key=lambda each: each.number)
        header: RecordingHeader = reader.header
        self._recording_count += 1
        opened = f"r{self._recording_count}"
        count = self.exchanges.open_recording(opened, header, exchanges)
        shown = {"id": opened, "name": name, "exchanges": count, "is_cut": reader.is_cut}
        self._recordings[opened] = shown
        self.stream.mark("recordings")
        return shown

    def close_recording(self, recording_id: str) -> None:
        """Remove a recording.

        Raises:
            HTTPError: with status 404.
        """
        if self._recordings.pop(recording_id, None) is None:
            raise HTTPError(404, "there is no such recording")
        self.exchanges.remove(recording_id)
        self.stream.mark("recordings")

    def _on_exchange(self, exchange: Exchange) -> None:
        self.stream.mark("exchange", exchange.id)

    def _on_engine_log(self, entry: LogEntry) -> None:
        if entry.kind == "cost":
            self.stream.mark("balance")
        elif entry.kind == "fault":
            self.stream.mark("faults")
        elif entry.kind == "settings":
            self.stream.mark("bot", str(entry.details["bot"]))

    # --- faults

    def add_fault(self, where: str, kind: str, times: int, arguments: dict[str, Any]) -> dict[str, Any]:
        """Plan a fault for calls to the simulated Poe.

        Raises:
            HTTPError: with status 400, when the arguments do not fit.
        """
        names = {"events": "count", "size": "after_bytes"}
        try:
            fault = Fault.of(kind, {names.get(name, name): value for name, value in arguments.items()})
            self.faults.add(where, fault, times=times)
        except ValueError as exc:
            raise HTTPError(400, str(exc)) from None
        self.stream.mark("faults")
        return self._faults_to_json()[-1]

    def clear_faults(self) -> None:
        """Remove all planned faults."""
        self.faults.clear()
        self.stream.mark("faults")

    def _faults_to_json(self) -> list[dict[str, Any]]:
        return [{"number": number, "arguments": {}, **fault} for number, fault in enumerate(self.faults.as_json(), 1)]

    # --- state for the page; `StateSource`

    def snapshot(self) -> dict[str, Any]:
        """The whole state, as the page gets it."""
        return {
            "version": poeproto.__version__,
            "mode": "bot" if self.bots.played or self.bots.default else "recording",
            "title": self.bots.default or "recording",
            "poe_address": self.address,
            "remote_media": self.remote_media,
            "bots": [self.bots.as_json(bot) for bot in self.bots],
            "default_bot": self.bots.default,
            "conversations": [chat.summary() for chat in reversed(self.chats.values())],
            **self._exchanges_to_json(),
            **self._money_to_json(),
            **self.bot_log.as_json(),
            "faults": self._faults_to_json(),
            "recordings": list(self._recordings.values()),
        }

    def _exchanges_to_json(self) -> dict[str, Any]:
        shown = [self.exchange_to_json(each) for each in self.exchanges]
        return {"exchanges": shown, "exchanges_dropped": self.exchanges.dropped}

    def _money_to_json(self) -> dict[str, Any]:
        charges = [
            {**charge.as_json(), "message": self.message_of_query(charge.bot_query_id)} for charge in self.charges
        ]
        return {"balance": self.balance, "charges": charges}

    def change(self, key: Key) -> Change | None:
        """The newest state of the object that a key names."""
        match key:
            case ("bot", name) if bot := self.bots.get(name):
                return {"type": "bot", "bot": self.bots.as_json(bot)}
            case ("conversation", conversation):
                chat = self.chats.get(conversation)
                if chat is None:
                    return {"type": "conversation-removed", "id": conversation}
                return {"type": "conversation", "conversation": chat.summary()}
            case ("messages", conversation) if chat := self.chats.get(conversation):
                messages = [message.as_json() for message in chat.messages]
                return {"type": "messages", "conversation": conversation, "messages": messages}
            case ("message", conversation, message) if chat := self.chats.get(conversation):
                place = chat.index_of(message)
                if place is None:
                    return None
                return {"type": "message", "conversation": conversation, "message": chat.messages[place].as_json()}
            case ("exchange", exchange_id) if exchange := self.exchanges.find(exchange_id):
                return {"type": "exchange", "exchange": self.exchange_to_json(exchange)}
            case ("exchanges",):
                return {"type": "exchanges", **self._exchanges_to_json()}
            case ("balance",):
                return {"type": "balance", **self._money_to_json()}
            case ("faults",):
                return {"type": "faults", "faults": self._faults_to_json()}
            case ("recordings",):
                return {"type": "recordings", "recordings": list(self._recordings.values())}
            case _:
                return None

    def chat(self, conversation_id: str) -> Chat | None:
        """The conversation with that identifier."""
        return self.chats.get(conversation_id)

    async def store_attachment(self, data: bytes, name: str, content_type: str | None) -> dict[str, Any]:
        """Store a file for a message.

        Raises:
            HTTPError: with status 413, when it is too large.
        """
        stored = await self.store_file(data, name, content_type)
        attachment = Attachment(stored.url, stored.content_type or "application/octet-stream", stored.name or name)
        return attachment_to_json(attachment, len(data))
