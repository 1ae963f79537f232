"""The simulator as an ASGI 3 application, and what a test or a user interface does with it in this process."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Iterable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import anyio
import anyio.abc

from poeproto import (
    Attachment,
    Bot,
    Endpoints,
    Event,
    Limits,
    PoeprotoError,
    ReportErrorRequest,
    RetryPolicy,
    SettingsResponse,
    UploadedFile,
)
from poeproto_asgi import BotApp, LifespanFailed, Route, serve
from poeproto_h11 import Client
from poeproto_simulator.asgi import Receive, Scope, Send, root_of
from poeproto_simulator.bot_servers import Report
from poeproto_simulator.conversing import Reply, as_attachment, converse, parsed
from poeproto_simulator.directory import Directory
from poeproto_simulator.engine import Poe
from poeproto_simulator.faults import Faults
from poeproto_simulator.fetching import Fetcher
from poeproto_simulator.files import Files
from poeproto_simulator.handling import handle
from poeproto_simulator.own_calls import OwnFiles, endpoints_at
from poeproto_simulator.rate import POE_REQUESTS_PER_MINUTE, RateWindow
from poeproto_simulator.records import DEFAULT_BALANCE, Account, Charge, Conversation, RegisteredBot
from poeproto_simulator.scripted import Echo
from poeproto_simulator.store import Database, changed_documents, restore


class Simulator(BotApp):
    """A stand-in for Poe that is a real server: serve it as any `poeproto_asgi.BotApp`, or with `serving`.

    Poe's paths are under its root, so a client is pointed at it by its base address alone
    (``poeproto.Endpoints.at(address)``). In the same process, `say` does what happens when a user types to a bot:

        simulator = Simulator()
        async with simulator.serving() as address:
            simulator.register("Cat", CatBot(), access_key=KEY)  # or the URL of its server
            reply = await simulator.say("Cat", "hello")
            assert reply.final_text() == "meow"

    Args:
        strict: refuse unknown keys, bots and queries, and more than 500 requests a minute, as Poe does. Otherwise
            any key will do, and an unknown bot is an `Echo`.
        database: an SQLite file in which users, bots with URLs, conversations, charges and reports outlive the
            process; by default nothing does.
        balance: what a user may spend at first, in thousandths of a US cent.
        api_key: the first user's key, by which bots are called without a user interface.
        limits: the bounds of every exchange.
        fetch_origins: the origins that files may be fetched from for uploads by URL, as in ``http://127.0.0.1:8000``.
            The simulator's own files can be had without.
        address: where the simulator is reached: for the URLs of files, by default where the last request went; and for
            the calls of bots that run in it, which have no default.

    Raises:
        OSError: when the database cannot be used.
        LocalProtocolError: when one of the origins is none.

    Attributes:
        address: where the simulator is reached, without a slash at the end.
        engine: users, bots, conversations, costs and what happened; see `Poe`.
        faults: misbehaviour on demand.
        files: what was uploaded.
    """

    def __init__(
        self,
        *,
        strict: bool = False,
        database: str | Path | None = None,
        balance: int = DEFAULT_BALANCE,
        api_key: str | None = None,
        limits: Limits | None = None,
        fetch_origins: Iterable[str] = (),
        address: str | None = None,
    ) -> None:
        nowhere = {"/": Route(Echo(), allow_without_key=True)}  # nothing comes to this route; there has to be one
        policy = OwnFiles(endpoints=self.own_endpoints)
        super().__init__(nowhere, limits=limits, fetch_policy=policy, sync_settings=False)
        self.limits = limits or Limits()
        self.engine = Poe(strict=strict, balance=balance, api_key=api_key, limits=self.limits)
        self.faults = Faults()
        self.files = Files(self.limits)
        self.fetcher = Fetcher(fetch_origins, self.limits)
        self.rate = RateWindow(POE_REQUESTS_PER_MINUTE if strict else None)
        self.directory = Directory(self.engine, self.service, lambda: self.client, self.limits, self.own_endpoints)
        self._address = address
        self._last_root = "http://localhost"
        self._database = None if database is None else Database(database)
        self._client: Client | None = None
        self._loaded = self._database is None
        self._turn = anyio.Lock()

    @property
    def address(self) -> str:
        return (self._address or self._last_root).rstrip("/")

    @address.setter
    def address(self, address: str | None) -> None:
        self._address = address

    def own_endpoints(self) -> Endpoints:
        """Where the bots that run here find Poe, which is here.

        Raises:
            LocalProtocolError: when the simulator is not served, or nobody has said where.
        """
        return endpoints_at(self._address)

    # --- serving

    @asynccontextmanager
    async def serving(self, bind: str = "127.0.0.1:0") -> AsyncGenerator[str]:
        """Serve on Hypercorn, in the running event loop, as long as the block lasts; gives the address.

        Raises:
            ValueError, OSError: when the address cannot be used. A server that dies ends the block with its exception.
        """
        failure: BaseException | None = None
        async with self, anyio.create_task_group() as tasks:

            async def run(*, task_status: anyio.abc.TaskStatus[str]) -> None:
                nonlocal failure
                try:
                    await serve(self, bind=bind, task_status=task_status)
                except Exception as exc:  # noqa: BLE001 - carried past the task group, which would wrap it
                    # What could not be saved at the end is tried again below, which raises if that fails, too.
                    if not (isinstance(exc, LifespanFailed) and tasks.cancel_scope.cancel_called):
                        failure = exc
                    tasks.cancel_scope.cancel()

            try:
                self.address = await tasks.start(run)
                yield self.address
            except Exception as exc:  # noqa: BLE001 - as above
                failure = failure or exc
            tasks.cancel_scope.cancel()
        if failure is not None:
            raise failure

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one connection of the ASGI server."""
        if scope["type"] != "http":
            await super().__call__(scope, receive, send)
            return
        self._last_root = root_of(scope)
        await self.load()
        await handle(self, scope, receive, send)

    async def run_bot(self, bot: RegisteredBot, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a bot answer a request, or its server through this one."""
        await super().__call__({**scope, "path": self.directory.path_of(bot), "root_path": ""}, receive, send)

    # --- what there is

    def register(
        self,
        name: str,
        bot: Bot | str,
        *,
        access_key: str | None = None,
        settings: SettingsResponse | None = None,
    ) -> RegisteredBot:
        """Make a bot known, in the place of another of that name.

        Args:
            name: its name on Poe.
            bot: the bot, to be run in this process; or the URL of its server.
            access_key: the key that Poe and the bot's server share. What calls the simulator with it is that bot.
            settings: its settings, if they are not to be fetched when they are first needed.

        Raises:
            ValueError: when there is no name, the URL cannot be used, or the key cannot be sent.
        """
        return self.engine.register(name, bot, access_key=access_key, settings=settings)

    def settings_of(self, bot_name: str) -> SettingsResponse | None:
        """A bot's settings as they were last pushed or fetched; None as long as neither has happened.

        Raises:
            Refused: with status 404, for an unknown bot.
        """
        return self.engine.bot(bot_name).settings

    async def fetch_settings(self, bot_name: str) -> SettingsResponse:
        """Ask a bot for its settings, and take them over.

        Raises:
            PoeprotoError: when the bot does not answer, or with settings that Poe refuses.
            Refused: for an unknown bot (strict only).
        """
        settings = await self.directory.fetch_settings(bot_name)
        await self.save()
        return settings

    @property
    def user(self) -> Account:
        """The first user: who is meant where no other is named."""
        return self.engine.first_user

    @property
    def balance(self) -> int:
        """What the first user has left to spend, in thousandths of a US cent. It can be set."""
        return self.user.balance

    @balance.setter
    def balance(self, balance: int) -> None:
        self.user.balance = balance
        self.engine.touch("user", self.user.id)

    @property
    def charges(self) -> list[Charge]:
        """Every cost that was captured."""
        return self.engine.charges

    @property
    def reports(self) -> list[dict[str, Any]]:
        """Every report that was sent to a bot: its `bot`, its `type`, and what it says."""
        return self.engine.reports

    # --- what a user does

    async def say(
        self,
        bot_name: str,
        text: str,
        *,
        conversation: Conversation | Reply | str | None = None,
        user: Account | None = None,
        attachments: Iterable[Attachment | UploadedFile] = (),
        parameters: Mapping[str, Any] | None = None,
        reply_to: str | None = None,
        options: Mapping[str, Any] | None = None,
        on_event: Callable[[Event], object] = lambda event: None,
    ) -> Reply:
        """Let a user write to a bot, and return what comes of it. A failure of the bot does not raise.

        Args:
            bot_name: which bot.
            text: what the user writes.
            conversation: where: the conversation, its identifier, or an earlier reply in it; by default a new one.
            user: who writes (see `Poe.add_user`); by default whose conversation it is, in a new one the first user.
            attachments: files, as `store_file` makes them for instance.
            parameters: values of the bot's parameter controls.
            reply_to: the `message_id` of the message this answers, if it is not just the next.
            options: further fields of the query: `temperature`, `language_code` and the like.
            on_event: called with each event as it comes.

        Raises:
            Refused: for what Poe's user interface would not do: write to an unknown bot, attach files where the
                settings do not allow it (both strict only), or answer a message that is not there.
        """
        await self.load()
        bot = self.directory.find(bot_name)
        if isinstance(conversation, Reply):
            conversation = conversation.conversation
        if not isinstance(conversation, Conversation):
            conversation = self.engine.conversation(conversation, user)
        files = list(map(as_attachment, attachments))
        if files:
            bot = await self.directory.with_settings(bot)
            files = await parsed(self, files, bot.settings)
        query = self.engine.ask(
            bot.name,
            text,
            conversation=conversation,
            user=user,
            attachments=files,
            parameters=parameters,
            referenced_message=None if reply_to is None else self.engine.message(reply_to),
            options=options,
        )
        reply = await converse(self, query, on_event)
        await self.save()
        return reply

    async def store_file(self, data: bytes, name: str, content_type: str | None = None) -> UploadedFile:
        """Put a file where the simulator serves it: for a user's attachment, say."""
        stored = await self.files.store(data, name, content_type)
        return UploadedFile(stored.url(self.address), stored.content_type, stored.name, stored.size)

    async def report_feedback(self, message_id: str, feedback_type: str, reason: str | None = None) -> None:
        """Let a user like or dislike a bot's message.

        Raises:
            Refused: with status 404, for an unknown message.
        """
        bot, report = self.engine.opinions.give_feedback(message_id, feedback_type, reason)
        details = {"message_id": message_id, "feedback_type": feedback_type}
        await self._report(bot, "report_feedback", report, details)

    async def report_reaction(self, message_id: str, reaction: str, action: str = "added") -> None:
        """Let a user react to a bot's message, or with the action "removed" take that back.

        Raises:
            Refused: with status 404, for an unknown message.
        """
        bot, report = self.engine.opinions.react(message_id, reaction, action)
        details = {"message_id": message_id, "reaction": reaction, "action": action}
        await self._report(bot, "report_reaction", report, details)

    async def report_error(self, bot_name: str, message: str, metadata: dict[str, Any] | None = None) -> None:
        """Tell a bot that an answer of its is wrong, as happens by itself after one that breaks the protocol."""
        report = ReportErrorRequest(message, metadata or {})
        await self._report(
            self.directory.find(bot_name), "report_error", report, {"message": message, "metadata": metadata or {}}
        )

    async def _report(self, bot: RegisteredBot, kind: str, report: Report, details: dict[str, Any]) -> None:
        failure = None
        try:
            await self.directory.server_of(bot).report(report)
        except PoeprotoError as exc:
            failure = str(exc)  # Poe does not care either
        self.engine.report(bot.name, kind, **details, failure=failure)
        await self.save()

    # --- beginning and end

    @property
    def client(self) -> Client:
        """What calls bots at their URLs."""
        if self._client is None:
            # A user sees what the first try brings.
            self._client = Client(limits=self.limits, retry=RetryPolicy(attempts=1))
        return self._client

    async def load(self) -> None:
        """Read what was saved, once; happens by itself.

        Raises:
            OSError: when the database cannot be read.
        """
        if not self._loaded:
            async with self._turn:
                if self._database is not None and not self._loaded:
                    restore(self.engine, await self._database.load())
                    self._loaded = True

    async def save(self) -> None:
        """Save what has changed; happens by itself after each request and each `say`.

        Raises:
            OSError: when the database cannot be written.
        """
        documents = changed_documents(self.engine)
        if self._database is not None and documents:
            async with self._turn:
                try:
                    await self._database.save(documents)
                except BaseException:
                    self.engine.changed.update(dict.fromkeys((each.kind, each.key) for each in documents))
                    raise

    async def aclose(self) -> None:
        """Save, delete the files, close connections. It may be used again after that.

        Raises:
            OSError: when the database cannot be written; all else is closed then, too.
        """
        with anyio.CancelScope(shield=True):
            try:
                await self.save()
            finally:
                await self.files.aclose()
                if self._database is not None:
                    await self._database.aclose()
                client, self._client = self._client, None
                if client is not None:
                    await client.aclose()

    @asynccontextmanager
    async def lifespan(self, app: object = None) -> AsyncGenerator[None]:
        """Read what was saved, and in the end `aclose`."""
        async with self, self.service.running():
            yield

    async def __aenter__(self) -> Self:
        await self.load()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()
