"""What happens when a user types to a bot: the query, the reply as it comes, and what becomes of it."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

import anyio
import attrs

from poeproto import (
    Attachment,
    BotError,
    DeadlineExceeded,
    Error,
    Event,
    File,
    IncompleteReply,
    LimitExceeded,
    Limits,
    PoeprotoError,
    RemoteProtocolError,
    ReplaceResponse,
    ReplyFold,
    SettingsResponse,
    Text,
    UploadedFile,
)
from poeproto_simulator.bot_servers import BotServer
from poeproto_simulator.records import BotQuery, Charge, Conversation

if TYPE_CHECKING:
    from poeproto_simulator.app import Simulator

logger = logging.getLogger("poeproto")

# What is sent along of a file that the bot has Poe read.
_PARSED_LENGTH = 100_000


@attrs.frozen
class ReceivedFile:
    """A file of a reply.

    Attributes:
        name: its name.
        content_type: its media type.
        url: where it is.
        inline_ref: the label by which the text refers to it.
        data: what is in it, where the simulator has it; None where it is somewhere else.
    """

    name: str
    content_type: str
    url: str
    inline_ref: str | None = None
    data: bytes | None = attrs.field(default=None, repr=lambda data: "None" if data is None else f"{len(data)} bytes")


@attrs.frozen(eq=False, repr=False)
class Reply:
    """What a bot said to a user, or why it did not.

    Attributes:
        conversation: with the user's message in it, and the bot's if the reply was a success.
        query: what was sent to the bot.
        events: every event that came, in order.
        fold: the reply folded from them, as far as it came.
        files: the files that came, with what is in them.
        charges: what the bot charged for this reply.
        failure: why it is no success: a `BotError` for the bot's own `error`, or what the bot, or the way to it, did
            wrong.
    """

    conversation: Conversation
    query: BotQuery
    events: list[Event]
    fold: ReplyFold
    files: list[ReceivedFile]
    charges: list[Charge]
    failure: PoeprotoError | None = None

    @property
    def message_id(self) -> str:
        """The identifier of the bot's message."""
        return self.query.request.message_id

    @property
    def text(self) -> str:
        """The reply's text, as far as it came."""
        return self.fold.text

    @property
    def suggested_replies(self) -> list[str]:
        """The texts of the buttons."""
        return self.fold.suggested_replies

    @property
    def metadata(self) -> str | None:
        """What the bot stored with its message; it gets it back as `Message.metadata` in later queries."""
        return self.fold.metadata

    @property
    def error(self) -> Error | None:
        """The bot's `error` event, if there is one."""
        return self.fold.error

    @property
    def spent(self) -> int:
        """What the bot charged for this reply, in thousandths of a US cent."""
        return sum(charge.amount for charge in self.charges)

    def final_text(self) -> str:
        """The text of a success.

        Raises:
            PoeprotoError: `failure`, if there is one.
        """
        if self.failure is not None:
            raise self.failure
        return self.fold.final_text()

    def __repr__(self) -> str:
        what = f"failed: {self.failure}" if self.failure else f"{len(self.files)} files"
        return f"<Reply of {self.query.bot_name}: {self.text!r}, {what}>"

    def as_json(self) -> dict[str, Any]:
        """The reply for people and other languages, without the bytes of files."""
        without_data = attrs.filters.exclude("data")
        return {
            "conversation_id": self.conversation.id,
            "message_id": self.message_id,
            "bot_query_id": self.query.request.bot_query_id,
            "text": self.text,
            "files": [attrs.asdict(file, filter=without_data) for file in self.files],
            "suggested_replies": self.suggested_replies,
            "metadata": self.metadata,
            "amount_usd_milli_cents": self.spent,
            "failure": None if self.failure is None else str(self.failure),
        }


async def converse(simulator: Simulator, query: BotQuery, on_event: Callable[[Event], object]) -> Reply:
    """Send a query that the engine made, and see its reply through to the end."""
    engine = simulator.engine
    bot = engine.bot(query.bot_name)
    conversation = engine.conversations[query.request.conversation_id]
    heard = _Heard(simulator.limits, on_event)
    try:
        fold, failure = await _asked(simulator.directory.server_of(bot), query, heard)
    except BaseException:
        engine.close_query(query)  # the user has stopped the reply
        raise
    engine.finish(query, fold, failure)
    if isinstance(failure, RemoteProtocolError):
        details = {"message_id": query.request.message_id}
        await simulator.report_error(bot.name, str(failure), details)
    if failure is None and fold.meta is not None and fold.meta.refetch_settings:
        try:
            await simulator.fetch_settings(bot.name)
        except PoeprotoError as exc:
            logger.warning("the settings of %s could not be fetched: %s", bot.name, exc)
    files = [await _received(simulator, file) for file in fold.files]
    charges = [charge for charge in engine.charges if charge.bot_query_id == query.request.bot_query_id]
    return Reply(conversation, query, heard.events, fold, files, charges, failure)


async def _received(simulator: Simulator, file: File) -> ReceivedFile:
    stored = simulator.files.find(file.url)
    data = None if stored is None or stored.expired else await simulator.files.read(stored)
    return ReceivedFile(file.name, file.content_type, file.url, file.inline_ref, data)


async def _asked(server: BotServer, query: BotQuery, heard: _Heard) -> tuple[ReplyFold, PoeprotoError | None]:
    try:
        with heard.deadline:
            fold = await server.ask(query.request, heard)
            fold.final_text()  # raises where there is none
            return fold, None
        raise DeadlineExceeded(heard.too_late)
    except (BotError, IncompleteReply) as exc:
        return exc.partial or heard.fold, exc
    except PoeprotoError as exc:
        return heard.fold, exc


class _Heard:
    """Takes the events of a reply as they come, and keeps the bot to Poe's limits.

    Raises:
        LimitExceeded: when called with an event beyond them.
    """

    def __init__(self, limits: Limits, on_event: Callable[[Event], object]) -> None:
        self.events: list[Event] = []
        self.fold = ReplyFold()
        self.deadline = anyio.move_on_after(limits.first_answer_seconds)
        self._limits = limits
        self._on_event = on_event
        self._lengths: dict[int | None, int] = {}

    @property
    def too_late(self) -> str:
        """What passed, if the deadline did."""
        if self.events:
            return f"the answer took longer than {self._limits.answer_seconds:g} s"
        return f"the first answer did not come within {self._limits.first_answer_seconds:g} s"

    def __call__(self, event: Event) -> None:
        if not self.events:
            self.deadline.deadline = anyio.current_time() + self._limits.answer_seconds
        self.events.append(event)
        self.fold.add(event)
        self._check(event)
        self._on_event(event)

    def _check(self, event: Event) -> None:
        limits = self._limits
        if isinstance(event, Text | ReplaceResponse):
            before = self._lengths.get(event.index, 0) if isinstance(event, Text) else 0
            self._lengths[event.index] = before + len(event.text)
            if self._lengths[event.index] > limits.text_length:
                raise LimitExceeded(f"the answer is longer than {limits.text_length} characters", limit="text_length")
        elif isinstance(event, File) and len(self.fold.files) > limits.files:
            raise LimitExceeded(f"the reply has more than {limits.files} files", limit="files")
        if len(self.events) > limits.events + 2:  # the end, `error` and `done`, does not count
            raise LimitExceeded(f"the reply has more than {limits.events} events", limit="events")


async def parsed(
    simulator: Simulator, attachments: Iterable[Attachment], settings: SettingsResponse | None
) -> list[Attachment]:
    """The attachments with `parsed_content`, where the settings ask for it and the file is the simulator's own.

    Of an image there is no more to say than its name and size.
    """
    texts = settings is None or settings.expand_text_attachments is not False  # on by default, the other is off
    images = settings is not None and settings.enable_image_comprehension is True
    done: list[Attachment] = []
    for attachment in attachments:
        content: str | None = None
        stored = simulator.files.find(attachment.url)
        if attachment.parsed_content is None and stored is not None:
            if texts and attachment.content_type.startswith("text/"):
                content = (await simulator.files.read(stored)).decode("utf-8", "replace")[:_PARSED_LENGTH]
            elif images and attachment.content_type.startswith("image/"):
                content = f"{attachment.name}***an image of {stored.size} bytes"
        done.append(attrs.evolve(attachment, parsed_content=content or attachment.parsed_content))
    return done


def as_attachment(file: Attachment | UploadedFile) -> Attachment:
    """The file as a message has it."""
    return Attachment(file.url, file.content_type, file.name) if isinstance(file, UploadedFile) else file
