"""The simulation: the engine with its I/O. It calls bots, stores files and saves the state; see `Simulation`."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import anyio
import attrs

from poeproto import (
    Attachment,
    Bot,
    CostItem,
    Endpoints,
    Event,
    File,
    Limits,
    LocalProtocolError,
    PoeprotoError,
    RemoteProtocolError,
    ReportErrorRequest,
    RetryPolicy,
    SettingsResponse,
)
from poeproto.flows import UploadedFile
from poeproto_h11 import Client
from poeproto_runtime import BotService
from poeproto_simulator.bot_directory import BotDirectory, Report
from poeproto_simulator.database import Database, changed_documents, restore
from poeproto_simulator.engine import Poe
from poeproto_simulator.faults import Faults
from poeproto_simulator.files import Files
from poeproto_simulator.records import Account, BotQuery, Charge, Conversation, RegisteredBot
from poeproto_simulator.reply import ReceivedFile, ReceivedReply, ReplyRecorder
from poeproto_simulator.uploads import Uploads

logger = logging.getLogger("poeproto")

# The most of a file's text that a query contains as `parsed_content`.
_PARSED_CONTENT_LENGTH = 100_000


class Simulation:
    """The simulated Poe with its I/O, but without a server: the actions of users and tests.

    `Simulator`, which adds the HTTP server, describes the arguments and attributes.
    """

    def __init__(
        self,
        service: BotService,
        *,
        strict: bool,
        database: str | Path | None,
        balance: int,
        api_key: str | None,
        limits: Limits | None,
        fetch_origins: Iterable[str],
        address: str | None,
    ) -> None:
        self.limits = limits or Limits()
        self.engine = Poe(strict=strict, balance=balance, api_key=api_key, limits=self.limits)
        self.faults = Faults()
        self.files = Files(self.limits)
        self.uploads = Uploads(self.files, fetch_origins, self.limits)
        self.directory = BotDirectory(self.engine, service, lambda: self.client, self.limits, self.own_endpoints)
        self._address = address
        self._last_root = "http://localhost"
        self._database = None if database is None else Database(database)
        self._loaded = self._database is None
        self._database_lock = anyio.Lock()
        self._payment_lock = anyio.Lock()
        self._client: Client | None = None

    @property
    def address(self) -> str:
        return (self._address or self._last_root).rstrip("/")

    @address.setter
    def address(self, address: str | None) -> None:
        self._address = address

    def own_endpoints(self) -> Endpoints:
        """The simulator's endpoints, for the calls of bots that run in it: those must never go to Poe.

        Raises:
            LocalProtocolError: when the simulator has no address.
        """
        if self._address is None:
            # A client's Host header is good enough for the URLs of files. Here it would decide where bots' keys go.
            raise LocalProtocolError(
                "the bot runs in a simulator without an address, so it cannot call it: serve with Simulator.serving(), "
                "or set the simulator's address. A simulator that is bound to a Unix socket has none"
            )
        return Endpoints.at(self._address)

    # --- bots and records

    def register(
        self,
        name: str,
        bot: Bot | str,
        *,
        access_key: str | None = None,
        settings: SettingsResponse | None = None,
    ) -> RegisteredBot:
        """Register a bot; it replaces another one of that name.

        Args:
            name: its name on Poe.
            bot: the bot, to be run in this process; or the URL of its server.
            access_key: the key that Poe and the bot's server share. Calls to the simulator with this key are the bot's.
                A bot in this process needs one for its calls, and gets a random one by default.
            settings: its settings; by default they are fetched when they are first needed.

        Raises:
            ValueError: when the name is empty, or the URL or the key is invalid.
        """
        return self.engine.register(name, bot, access_key=access_key, settings=settings)

    def settings_of(self, bot_name: str) -> SettingsResponse | None:
        """A bot's settings as they were last pushed or fetched; None before the first time.

        Raises:
            HTTPError: with status 404, for an unknown bot.
        """
        return self.engine.bot(bot_name).settings

    async def fetch_settings(self, bot_name: str) -> SettingsResponse:
        """Fetch a bot's settings, and store them.

        Raises:
            PoeprotoError: when the call fails, or the settings are invalid.
            HTTPError: for an unknown bot (strict only).
        """
        settings = await self.directory.fetch_settings(bot_name)
        await self.save()
        return settings

    @property
    def user(self) -> Account:
        """The first user, who is the default wherever a user can be given."""
        return self.engine.first_user

    @property
    def balance(self) -> int:
        """The balance of the first user, in thousandths of a US cent. It can be set."""
        return self.user.balance

    @balance.setter
    def balance(self, balance: int) -> None:
        self.user.balance = balance
        self.engine.mark_changed("user", self.user.id)

    @property
    def charges(self) -> list[Charge]:
        """All captured costs."""
        return self.engine.charges

    @property
    def reports(self) -> list[dict[str, Any]]:
        """All reports that were sent to bots: `bot`, `type`, the content, and `failure` if it did not arrive."""
        return self.engine.reports

    # --- messages

    async def say(
        self,
        bot_name: str,
        text: str,
        *,
        conversation: Conversation | ReceivedReply | str | None = None,
        user: Account | None = None,
        attachments: Iterable[Attachment | UploadedFile] = (),
        parameters: Mapping[str, Any] | None = None,
        reply_to: str | None = None,
        options: Mapping[str, Any] | None = None,
        on_event: Callable[[Event], object] = lambda event: None,
    ) -> ReceivedReply:
        """Send a user's message to a bot, and return the reply. A reply that fails is returned too, not raised.

        Args:
            bot_name: the bot.
            text: the text of the message.
            conversation: the conversation, its identifier, or an earlier reply in it; by default a new one.
            user: who writes (see `Poe.add_user`); by default the user who began the conversation, and in a new one the
                first user.
            attachments: files, as `store_file` returns them for instance.
            parameters: values of the bot's parameter controls.
            reply_to: the `message_id` of the message that this one replies to, if not the last.
            options: further fields of the query: `temperature`, `language_code` and so on.
            on_event: called with each event when it is received.

        Raises:
            HTTPError: for a message that Poe's user interface does not let a user send: to an unknown bot, with files
                that the bot's settings do not allow (both strict only), or in reply to an unknown message.
        """
        query = await self.ask(
            bot_name,
            text,
            conversation=conversation,
            user=user,
            attachments=attachments,
            parameters=parameters,
            reply_to=reply_to,
            options=options,
        )
        return await self.receive_reply(query, on_event)

    async def ask(
        self,
        bot_name: str,
        text: str,
        *,
        conversation: Conversation | ReceivedReply | str | None = None,
        user: Account | None = None,
        attachments: Iterable[Attachment | UploadedFile] = (),
        parameters: Mapping[str, Any] | None = None,
        reply_to: str | None = None,
        options: Mapping[str, Any] | None = None,
    ) -> BotQuery:
        """Add a user's message to a conversation, and make the query for it, without sending it.

        The first half of `say`, with its arguments and errors; `receive_reply` is the second.
        """
        await self.load()
        bot = self.directory.find(bot_name)
        if isinstance(conversation, ReceivedReply):
            conversation = conversation.conversation
        if not isinstance(conversation, Conversation):
            conversation = self.engine.conversation(conversation, user)
        files = [_as_attachment(file) for file in attachments]
        if files:
            bot = await self.directory.with_settings(bot)
            files = [await self._with_parsed_content(file, bot.settings) for file in files]
        return self.engine.ask(
            bot.name,
            text,
            conversation=conversation,
            user=user,
            attachments=files,
            parameters=parameters,
            referenced_message=None if reply_to is None else self.engine.message(reply_to),
            options=options,
        )

    async def receive_reply(self, query: BotQuery, on_event: Callable[[Event], object]) -> ReceivedReply:
        """Send a query that `ask` has made to its bot, and return the reply. Cancel it to stop the reply."""
        engine = self.engine
        bot = engine.bot(query.bot_name)
        conversation = engine.conversations[query.request.conversation_id]
        recorder = ReplyRecorder(self.limits, on_event)
        try:
            fold, failure = await recorder.record(self.directory.server_of(bot), query)
        except BaseException:
            engine.close_query(query)  # the user has stopped the reply
            raise
        engine.finish(query, fold, failure)
        if isinstance(failure, RemoteProtocolError):
            await self.report_error(bot.name, str(failure), {"message_id": query.request.message_id})
        if failure is None and fold.meta is not None and fold.meta.refetch_settings:
            try:
                await self.fetch_settings(bot.name)
            except PoeprotoError as exc:
                logger.warning("the settings of %s could not be fetched: %s", bot.name, exc)
        files = [await self._received(file) for file in fold.files]
        charges = [charge for charge in engine.charges if charge.bot_query_id == query.request.bot_query_id]
        await self.save()
        return ReceivedReply(conversation, query, recorder.events, fold, files, charges, failure)

    async def _received(self, file: File) -> ReceivedFile:
        stored = self.files.find(file.url)
        data = None if stored is None or stored.expired else await self.files.read(stored)
        return ReceivedFile(file.name, file.content_type, file.url, file.inline_ref, data)

    async def _with_parsed_content(self, attachment: Attachment, settings: SettingsResponse | None) -> Attachment:
        """The attachment with `parsed_content`, if the settings ask for it and the simulator stores the file."""
        texts = settings is None or settings.expand_text_attachments is not False  # on by default
        images = settings is not None and settings.enable_image_comprehension is True  # off by default
        content: str | None = None
        stored = self.files.find(attachment.url)
        if attachment.parsed_content is None and stored is not None:
            if texts and attachment.content_type.startswith("text/"):
                content = (await self.files.read(stored)).decode("utf-8", "replace")[:_PARSED_CONTENT_LENGTH]
            elif images and attachment.content_type.startswith("image/"):
                content = f"{attachment.name}***an image of {stored.size} bytes"  # no model describes it
        return attrs.evolve(attachment, parsed_content=content or attachment.parsed_content)

    async def store_file(self, data: bytes, name: str, content_type: str | None = None) -> UploadedFile:
        """Store a file that the simulator serves, for a user's attachment for instance."""
        stored = await self.files.store(data, name, content_type)
        return UploadedFile(stored.url(self.address), stored.content_type, stored.name, stored.size)

    # --- reports

    async def report_feedback(self, message_id: str, feedback_type: str, reason: str | None = None) -> None:
        """Let a user like or dislike a bot's message, and report it to the bot.

        Raises:
            HTTPError: with status 404, for an unknown message.
        """
        bot, report = self.engine.add_feedback(message_id, feedback_type, reason)
        details = {"message_id": message_id, "feedback_type": feedback_type}
        await self._report(bot, "report_feedback", report, details)

    async def report_reaction(self, message_id: str, reaction: str, action: str = "added") -> None:
        """Let a user react to a bot's message, or remove a reaction (action "removed"), and report it to the bot.

        Raises:
            HTTPError: with status 404, for an unknown message.
        """
        bot, report = self.engine.change_reaction(message_id, reaction, action)
        details = {"message_id": message_id, "reaction": reaction, "action": action}
        await self._report(bot, "report_reaction", report, details)

    async def report_error(self, bot_name: str, message: str, metadata: dict[str, Any] | None = None) -> None:
        """Report an error to a bot. The simulator does so itself after a reply that breaks the protocol."""
        report = ReportErrorRequest(message, metadata or {})
        details = {"message": message, "metadata": metadata or {}}
        await self._report(self.directory.find(bot_name), "report_error", report, details)

    async def _report(self, bot: RegisteredBot, kind: str, report: Report, details: dict[str, Any]) -> None:
        failure = None
        try:
            await self.directory.server_of(bot).report(report)
        except PoeprotoError as exc:
            failure = str(exc)  # Poe ignores it as well
        self.engine.add_report(bot.name, kind, **details, failure=failure)
        await self.save()

    # --- costs

    async def pay(self, call: str, bot_query_id: str, items: list[CostItem], access_key: str) -> str:
        """Authorise or capture a cost, as `Ledger.pay`, and save it. A cost that cannot be saved is undone.

        Otherwise a bot that repeats the failed call would charge the user twice.

        Raises:
            HTTPError: with status 401 or 404, for a wrong key or an unknown query (strict only).
            OSError: when the database cannot be written.
        """
        ledger = self.engine.ledger
        async with self._payment_lock:  # so that the last charge is the one to undo
            payment = ledger.pay(call, bot_query_id, items, access_key)
            try:
                await self.save()
            except BaseException:
                ledger.undo(payment)
                raise
        return payment.status

    # --- loading, saving and closing

    @property
    def client(self) -> Client:
        """The client for bots with a URL. It never retries: a user sees the result of the first attempt."""
        if self._client is None:
            self._client = Client(limits=self.limits, retry=RetryPolicy(attempts=1))
        return self._client

    async def load(self) -> None:
        """Load the saved state. Called automatically; only the first call has an effect.

        Raises:
            OSError: when the database cannot be read.
        """
        if not self._loaded:
            async with self._database_lock:
                if self._database is not None and not self._loaded:
                    restore(self.engine, await self._database.load())
                    self._loaded = True

    async def save(self) -> None:
        """Save the records that have changed. Called automatically after each request and each `say`.

        Raises:
            OSError: when the database cannot be written.
        """
        documents = changed_documents(self.engine)
        if self._database is not None and documents:
            async with self._database_lock:
                try:
                    await self._database.save(documents)
                except BaseException:
                    self.engine.changed.update(dict.fromkeys((each.kind, each.key) for each in documents))
                    raise

    async def aclose(self) -> None:
        """Save the state, delete the files and close all connections. The simulator may be used again afterwards.

        Raises:
            OSError: when the database cannot be written. Everything is closed nevertheless.
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

    async def __aenter__(self) -> Self:
        await self.load()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()


def _as_attachment(file: Attachment | UploadedFile) -> Attachment:
    return Attachment(file.url, file.content_type, file.name) if isinstance(file, UploadedFile) else file
