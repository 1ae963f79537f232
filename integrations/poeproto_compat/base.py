"""`PoeBot`, and the functions that serve it: fastapi_poe's names on poeproto's servers."""

from __future__ import annotations

import logging
import os
import secrets
import string
import sys
import warnings
from collections.abc import AsyncIterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, BinaryIO, Literal, TypeVar, overload
from urllib.parse import unquote, urlparse

from poeproto_compat import server_sent_events, templates
from poeproto_compat.errors import CostRequestError, InsufficientFundError, InvalidParameterError
from poeproto_compat.query import default, pending_events, records
from poeproto_compat.received_key import received_key
from poeproto_compat.server_sent_events import ServerSentEvent
from poeproto_compat.types import (
    Attachment,
    AttachmentUploadResponse,
    CostItem,
    DataResponse,
    ErrorResponse,
    Identifier,
    PartialResponse,
    ProtocolMessage,
    QueryRequest,
    ReportErrorRequest,
    ReportFeedbackRequest,
    ReportReactionRequest,
    RequestContext,
    Sender,
    SettingsRequest,
    SettingsResponse,
)

if TYPE_CHECKING:
    from poeproto_compat.app import PoeApp

__all__ = [
    "CostRequestError",
    "InsufficientFundError",
    "InvalidParameterError",
    "JSONResponse",
    "PoeBot",
    "ServerSentEvent",
    "make_app",
    "run",
]

App = TypeVar("App")

logger = logging.getLogger("poeproto")

POE_API_WEBSERVER_BASE_URL = "https://www.quora.com/poe_api/"
_POE_API = "https://api.poe.com/"
_KEY_LENGTH = 32
_NO_KEY = (
    "the bot has no access key; copy it from the bot's page (https://poe.com/create_bot?server=1) and pass it as"
    " access_key, or in the environment variable POE_ACCESS_KEY, or answer requests without a key with"
    " allow_without_key=True"
)


def generate_inline_ref() -> str:
    """A label for a file that the text of a reply shows."""
    return "".join(secrets.choice(string.ascii_letters + string.digits) for _ in range(8))


def get_filename_from_url(url: str) -> str:
    """The file name in a URL, decoded."""
    return unquote(urlparse(url).path.rpartition("/")[2]) or "downloaded_file"


class JSONResponse:
    """A response of a bot server whose body is JSON, as `PoeBot.handle_settings` and its like return it.

    Attributes:
        content: the value.
        status_code: the status.
    """

    def __init__(self, content: object, status_code: int = 200) -> None:
        self.content = content
        self.status_code = status_code

    @property
    def body(self) -> bytes:
        """The body."""
        import json

        return json.dumps(self.content).encode()


@dataclass
class PoeBot:
    """A bot: override its methods, and serve it with `make_app` or `run`.

    One instance answers many requests at once, so keep the state of a request in local variables.

    Attributes:
        path: the path at which the bot answers.
        access_key: the bot's key on Poe. Hidden in reprs.
        bot_name: the bot's name on Poe.
        should_insert_attachment_messages: insert the contents of attachments as messages before the bot gets the query.
        concat_attachments_to_message: deprecated: append them to the last message instead.
    """

    path: str = "/"
    access_key: str | None = field(default=None, repr=False)
    bot_name: str | None = None
    should_insert_attachment_messages: bool = True
    concat_attachments_to_message: bool = False

    def __post_init__(self) -> None:
        """Do nothing: for subclasses that call it, as those of fastapi_poe must when they have their own."""

    # --- to override

    async def get_response(
        self, request: QueryRequest
    ) -> AsyncIterable[PartialResponse | ServerSentEvent | DataResponse]:
        """Respond to a query: an async generator of responses."""
        yield self.text_event("hello")

    @default
    async def get_response_with_context(
        self, request: QueryRequest, context: RequestContext
    ) -> AsyncIterable[PartialResponse | ServerSentEvent | DataResponse]:
        """As `get_response`, which it calls, with the HTTP request."""
        try:
            async for event in self.get_response(request):
                yield event
        except InsufficientFundError:
            yield ErrorResponse(text="", error_type="insufficient_fund")

    async def get_settings(self, setting: SettingsRequest) -> SettingsResponse:
        """The settings of the bot."""
        return SettingsResponse()

    async def get_settings_with_context(self, setting: SettingsRequest, context: RequestContext) -> SettingsResponse:
        """As `get_settings`, which it calls, with the HTTP request."""
        return await self.get_settings(setting)

    async def on_feedback(self, feedback_request: ReportFeedbackRequest) -> None:
        """A user liked or disliked a reply."""

    async def on_feedback_with_context(self, feedback_request: ReportFeedbackRequest, context: RequestContext) -> None:
        """As `on_feedback`, which it calls, with the HTTP request."""
        await self.on_feedback(feedback_request)

    async def on_reaction_with_context(self, reaction_request: ReportReactionRequest, context: RequestContext) -> None:
        """A user reacted to a reply."""

    async def on_error(self, error_request: ReportErrorRequest) -> None:
        """Poe found an error in an earlier response of the bot. The server has logged it."""

    async def on_error_with_context(self, error_request: ReportErrorRequest, context: RequestContext) -> None:
        """As `on_error`, which it calls, with the HTTP request."""
        await self.on_error(error_request)

    # --- files

    async def post_message_attachment(
        self,
        access_key: str | None = None,
        message_id: Identifier | None = None,
        *,
        download_url: str | None = None,
        download_filename: str | None = None,
        file_data: bytes | BinaryIO | str | None = None,
        filename: str | None = None,
        content_type: str | None = None,
        is_inline: bool = False,
        base_url: str = POE_API_WEBSERVER_BASE_URL,
    ) -> AttachmentUploadResponse:
        """Attach a file to the reply to a message: upload it, and send its event before the bot's next one.

        Args:
            access_key: deprecated, for a bot without a key of its own. By default that is the key which Poe has sent
                with the query.
            message_id: that of the query.
            download_url: the URL that Poe fetches the file from.
            download_filename: its name; by default that in the URL.
            file_data: the file, in place of a URL; a string is encoded in UTF-8.
            filename: its name.
            content_type: deprecated and ignored; Poe determines it.
            is_inline: give the file a label, so that the text can show it.
            base_url: the root of Poe's file service.

        Raises:
            InvalidParameterError: without `message_id`, a name, or a key.
            AttachmentUploadError: if Poe refuses the file.
            ValueError: without a file and a URL, or with both.
        """
        if message_id is None:
            raise InvalidParameterError("message_id is missing; pass that of the query: request.message_id")
        name = filename or download_filename or (download_url and get_filename_from_url(download_url))
        if not name:
            raise InvalidParameterError("the file has no name; pass filename, or a download_url that has one")
        if access_key and self.access_key:
            _deprecated("the bot has an access key; omit that of post_message_attachment")
        if content_type is not None:
            _deprecated("content_type has no effect, since Poe determines it; omit it")
        if isinstance(file_data, str):
            file_data = file_data.encode()
        key = access_key or self.access_key or received_key()
        if key is None:
            raise InvalidParameterError("files are uploaded with the bot's access_key; pass it to make_app or the bot")
        attachment = await self._upload_file(
            file=file_data,
            file_url=download_url,
            file_name=filename or download_filename,
            api_key=key,
            base_url=base_url,
        )
        inline_ref = generate_inline_ref() if is_inline else None
        event = self.file_event(attachment.url, attachment.content_type, name, inline_ref)
        pending_events(self).setdefault(message_id, []).append(event)
        return AttachmentUploadResponse(
            attachment_url=attachment.url, mime_type=attachment.content_type, inline_ref=inline_ref
        )

    async def _upload_file(
        self, *, file: bytes | BinaryIO | None, file_url: str | None, file_name: str | None, api_key: str, base_url: str
    ) -> Attachment:
        upload = sys.modules[__name__].upload_file  # read from the module, because tests of bots replace it there
        return await upload(file=file, file_url=file_url, file_name=file_name, api_key=api_key, base_url=base_url)

    # --- queries

    def insert_attachment_messages(self, query_request: QueryRequest) -> QueryRequest:
        """The query with the contents of attachments as messages before the last: first texts, then images.

        The server calls it for each query, unless `should_insert_attachment_messages` is False.
        """
        last = query_request.query[-1]
        texts: list[ProtocolMessage] = []
        images: list[ProtocolMessage] = []
        for attachment in last.attachments:
            kind = attachment.content_type
            content = _content_of(attachment, is_text=kind.startswith("text/") or kind == "application/pdf")
            if content is not None:
                messages = images if _is_image(attachment) else texts
                messages.append(ProtocolMessage(role="user", sender=Sender(), content=content))
        return query_request.model_copy(update={"query": [*query_request.query[:-1], *texts, *images, last]})

    def concat_attachment_content_to_message_body(self, query_request: QueryRequest) -> QueryRequest:
        """Deprecated: the query with the contents of attachments appended to the last message."""
        _deprecated("concat_attachment_content_to_message_body is deprecated; use insert_attachment_messages")
        last = query_request.query[-1]
        # This method has always treated other types as text than the method above.
        contents = [
            content
            for each in last.attachments
            if (content := _content_of(each, is_text="text" in each.content_type)) is not None
        ]
        joined = last.model_copy(update={"content": "\n\n".join([last.content, *contents])})
        return query_request.model_copy(update={"query": [*query_request.query[:-1], joined]})

    def make_prompt_author_role_alternated(
        self, protocol_messages: Sequence[ProtocolMessage]
    ) -> Sequence[ProtocolMessage]:
        """The messages with consecutive messages of one role merged, for models that require alternating roles."""
        merged: list[ProtocolMessage] = []
        for message in protocol_messages:
            if not merged or merged[-1].role != message.role:
                merged.append(message)
                continue
            before = merged[-1]
            by_url: dict[str, Attachment] = {}
            for attachment in (*message.attachments, *before.attachments):
                by_url.setdefault(attachment.url, attachment)
            joined = {"content": f"{before.content}\n\n{message.content}", "attachments": list(by_url.values())}
            merged[-1] = before.model_copy(update=joined)
        return merged

    # --- costs

    async def authorize_cost(
        self, request: QueryRequest, amounts: list[CostItem] | CostItem, base_url: str = _POE_API
    ) -> None:
        """Check that the user can pay a cost, before the work.

        Args:
            request: the query.
            amounts: the costs.
            base_url: the root of Poe's API.

        Raises:
            InsufficientFundError: if not. A bot that does not catch it ends its reply with `insufficient_fund`.
            CostRequestError: if it is unknown, and without an access key.
            InvalidParameterError: if the query has no `bot_query_id`.
        """
        await self._call_about_cost("authorize_cost", request, amounts, base_url)

    async def capture_cost(
        self, request: QueryRequest, amounts: list[CostItem] | CostItem, base_url: str = _POE_API
    ) -> None:
        """Charge a cost, after the work. Arguments and errors as of `authorize_cost`."""
        await self._call_about_cost("capture_cost", request, amounts, base_url)

    async def _call_about_cost(
        self,
        operation: Literal["authorize_cost", "capture_cost"],
        request: QueryRequest,
        amounts: list[CostItem] | CostItem,
        base_url: str,
    ) -> None:
        if not self.access_key:
            raise CostRequestError("costs are charged with the bot's access_key; pass it to make_app or the bot")
        if not request.bot_query_id:
            raise InvalidParameterError("costs belong to a query, and this request has no bot_query_id")
        from poeproto_compat.costs import call_about_cost

        items = [amounts] if isinstance(amounts, CostItem) else amounts
        await call_about_cost(operation, items, request.bot_query_id, self.access_key, base_url)

    # --- events

    text_event = staticmethod(server_sent_events.text_event)
    replace_response_event = staticmethod(server_sent_events.replace_response_event)
    suggested_reply_event = staticmethod(server_sent_events.suggested_reply_event)
    file_event = staticmethod(server_sent_events.file_event)
    data_event = staticmethod(server_sent_events.data_event)
    meta_event = staticmethod(server_sent_events.meta_event)
    error_event = staticmethod(server_sent_events.error_event)
    done_event = staticmethod(server_sent_events.done_event)

    # --- methods that the server calls

    @default
    def handle_query(self, request: QueryRequest, context: RequestContext) -> AsyncIterable[ServerSentEvent]:
        """The records of the reply to a query, `done` included.

        A server calls it only where a subclass overrides it; otherwise it makes the bytes by a faster path.
        """
        return records(self, request, context)

    async def handle_settings(self, settings_request: SettingsRequest, context: RequestContext) -> JSONResponse:
        """The response to a request for the settings."""
        return JSONResponse((await self.get_settings_with_context(settings_request, context)).model_dump())

    async def handle_report_feedback(
        self, feedback_request: ReportFeedbackRequest, context: RequestContext
    ) -> JSONResponse:
        """Pass a report on, and respond to it."""
        await self.on_feedback_with_context(feedback_request, context)
        return JSONResponse({})

    async def handle_report_reaction(
        self, reaction_request: ReportReactionRequest, context: RequestContext
    ) -> JSONResponse:
        """Pass a report on, and respond to it."""
        await self.on_reaction_with_context(reaction_request, context)
        return JSONResponse({})

    async def handle_report_error(self, error_request: ReportErrorRequest, context: RequestContext) -> JSONResponse:
        """Pass a report on, and respond to it."""
        await self.on_error_with_context(error_request, context)
        return JSONResponse({})


def _is_image(attachment: Attachment) -> bool:
    return "image" in attachment.content_type


def _template(name: str) -> str:
    return getattr(sys.modules[__name__], name)  # programs replace it there


def _content_of(attachment: Attachment, *, is_text: bool) -> str | None:
    """The content of an attachment as a message, if Poe has parsed it and it is text or an image."""
    content, kind, name = attachment.parsed_content, attachment.content_type, attachment.name
    if not content:
        return None
    if kind == "text/html":
        return _template("URL_ATTACHMENT_TEMPLATE").format(attachment_name=name, content=content)
    if is_text:
        return _template("TEXT_ATTACHMENT_TEMPLATE").format(attachment_name=name, attachment_parsed_content=content)
    if not _is_image(attachment):
        return None
    file, separator, description = content.partition("***")  # as Poe writes the content of an image
    if not separator:
        file, description = name, content
    return _template("IMAGE_VISION_ATTACHMENT_TEMPLATE").format(filename=file, parsed_image_description=description)


def _deprecated(message: str) -> None:
    warnings.warn(message, DeprecationWarning, stacklevel=3)


# --- serving


@overload
def make_app(
    bot: PoeBot | Sequence[PoeBot],
    access_key: str = "",
    *,
    bot_name: str = "",
    api_key: str = "",
    allow_without_key: bool = False,
    app: None = None,
) -> PoeApp: ...


@overload
def make_app(
    bot: PoeBot | Sequence[PoeBot],
    access_key: str = "",
    *,
    bot_name: str = "",
    api_key: str = "",
    allow_without_key: bool = False,
    app: App,
) -> App: ...


def make_app(
    bot: PoeBot | Sequence[PoeBot],
    access_key: str = "",
    *,
    bot_name: str = "",
    api_key: str = "",
    allow_without_key: bool = False,
    app: Any = None,
) -> Any:
    """An ASGI application that serves one or several bots.

    The settings of each bot whose name and key are known are pushed to Poe when the application's lifespan starts.

    Args:
        bot: the bot, or several with different paths.
        access_key: the key of a single bot; by default that in the environment variable POE_ACCESS_KEY.
        bot_name: the name of a single bot on Poe.
        api_key: deprecated: as `access_key`.
        allow_without_key: answer requests without a key, if no key is given.
        app: a FastAPI or Starlette application to add the bots to; it is returned.

    Raises:
        ValueError: without a key, for a key that is not of 32 characters, for a key or name that the bot has already or
            that is given for several, and for two bots of one path.
    """
    made = _app_of(bot, access_key, bot_name, api_key, allow_without_key, app)
    return made if app is None else app


def run(
    bot: PoeBot | Sequence[PoeBot],
    access_key: str = "",
    *,
    api_key: str = "",
    allow_without_key: bool = False,
    app: Any = None,
) -> None:
    """Serve bots until interrupted, at the port that the command line names with `-p` or `--port`, or at 8080.

    Args:
        bot: as of `make_app`, like the others.
        access_key: the key.
        api_key: deprecated: as `access_key`.
        allow_without_key: answer requests without a key.
        app: an application to add the bots to.

    Raises:
        ValueError: as of `make_app`.
    """
    import argparse

    made = _app_of(bot, access_key, "", api_key, allow_without_key, app)
    parser = argparse.ArgumentParser(description="Serve a bot for Poe.")
    parser.add_argument("-p", "--port", type=int, default=8080, help="the port to serve at")
    port = parser.parse_args().port
    if not logging.getLogger().handlers:
        logging.basicConfig(level=logging.INFO, format="%(asctime)s - %(levelname)s - %(message)s")
    from poeproto_compat.app import serve_until_signal

    serve_until_signal(made, f"0.0.0.0:{port}")


def _app_of(
    bot: PoeBot | Sequence[PoeBot],
    access_key: str,
    bot_name: str,
    api_key: str,
    allow_without_key: bool,
    host: Any,
) -> PoeApp:
    from poeproto_compat.app import PoeApp

    if isinstance(bot, PoeBot):
        bots: Sequence[PoeBot] = [bot]
        _set_up_single(bot, access_key, bot_name, api_key, allow_without_key)
    elif access_key or api_key or bot_name:
        raise ValueError("access_key and bot_name are for a single bot; set them on each bot instead")
    else:
        bots = _checked_bots(bot)
    paths: set[str] = set()
    for each in bots:
        if each.path in paths:
            raise ValueError(f"two bots have the path {each.path!r}; give each a path of its own")
        paths.add(each.path)
        if each.access_key is None and not allow_without_key:
            raise ValueError(f"{each!r}: {_NO_KEY}")
        if not each.bot_name or not each.access_key:
            logger.warning(
                "the settings of %s are not pushed to Poe at the start, which needs its bot_name and access_key; see"
                " https://creator.poe.com/docs/server-bots/updating-bot-settings",
                type(each).__name__,
            )
    return PoeApp(bots, host=host)


def _checked_bots(bots: object) -> Sequence[PoeBot]:
    if isinstance(bots, (str, Mapping)) or not isinstance(bots, Sequence):
        raise TypeError(f"bot must be a PoeBot, or a list of them, got {bots!r}")
    for each in bots:  # pyright: ignore[reportUnknownVariableType]
        if not isinstance(each, PoeBot):
            raise TypeError(f"bot must be a PoeBot, or a list of them, and in the list is {each!r}")
    return bots  # pyright: ignore[reportUnknownVariableType]


def _set_up_single(bot: PoeBot, access_key: str, bot_name: str, api_key: str, allow_without_key: bool) -> None:
    if bot.access_key is not None and (access_key or api_key):
        raise ValueError("the bot has an access_key already; omit that of make_app")
    if bot.bot_name is not None and bot_name:
        raise ValueError("the bot has a bot_name already; omit that of make_app")
    if bot.access_key is None:
        bot.access_key = _find_key(access_key, api_key, allow_without_key)
    if bot.bot_name is None:
        bot.bot_name = bot_name


def _find_key(access_key: str, api_key: str, allow_without_key: bool) -> str | None:
    key = access_key or os.environ.get("POE_ACCESS_KEY")
    if not key and api_key:
        warnings.warn("api_key is deprecated; use access_key", DeprecationWarning, stacklevel=5)
        key = api_key
    if not key and (key := os.environ.get("POE_API_KEY")):
        message = "the environment variable POE_API_KEY is deprecated; use POE_ACCESS_KEY"
        warnings.warn(message, DeprecationWarning, stacklevel=5)
    if not key:
        if allow_without_key:
            return None
        raise ValueError(_NO_KEY)
    if len(key) != _KEY_LENGTH:
        raise ValueError(
            f"the access key has {len(key)} characters, and Poe's have {_KEY_LENGTH}; copy the whole key from the bot's"
            " page"
        )
    return key


# --- what fastapi_poe's module of this name imports from its others, and programs import from here

_FROM_CLIENT = frozenset({"PROTOCOL_VERSION", "sync_bot_settings", "upload_file"})
_FROM_TYPES = frozenset({"AttachmentHttpResponse", "ContentType", "MetaResponse"})

if not TYPE_CHECKING:

    def __getattr__(name: str) -> Any:
        if name == "PoeHandler":
            warnings.warn("PoeHandler is deprecated: use PoeBot", DeprecationWarning, stacklevel=2)
            return PoeBot
        if name == "AttachmentUploadError":
            text = "base.AttachmentUploadError is deprecated: use client.AttachmentUploadError"
            warnings.warn(text, DeprecationWarning, stacklevel=2)
            from poeproto_compat import errors

            return errors.AttachmentUploadError
        if name in _FROM_CLIENT:
            from poeproto_compat import client  # only for bots that send files

            return getattr(client, name)
        if name in _FROM_TYPES or name in templates.__all__:
            from poeproto_compat import types

            return getattr(types if name in _FROM_TYPES else templates, name)
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
