"""Upstream bots: those that the gateway calls, on Poe by their names or elsewhere by their URLs."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator

import attrs

from poeproto import (
    Attachment,
    Bot,
    Context,
    Done,
    Error,
    Event,
    Message,
    Meta,
    PoeprotoError,
    QueryRequest,
    ReplyFold,
    Text,
    UnknownEvent,
)
from poeproto.http import without_path
from poeproto_openai.api_error import error_of_exception, without_secrets
from poeproto_openai.reply_exchange import ReplyExchange
from poeproto_runtime.client.api import ApiCalls
from poeproto_runtime.client.reply import Reply
from poeproto_runtime.data_url import is_data_url, read_data_url

__all__ = ["UpstreamBot"]

logger = logging.getLogger("poeproto")


def _target_for_repr(target: str) -> str:
    return without_path(target) if "://" in target else target


@attrs.frozen
class UpstreamBot:
    """A bot that the gateway calls.

    Attributes:
        target: its URL, or its name on Poe.
        access_key: the key to call it with: that of the bot server, or one of Poe. None for no key, and for a bot on
            Poe, for the key of the gateway or of the caller.
    """

    target: str = attrs.field(repr=_target_for_repr)
    access_key: str | None = attrs.field(default=None, repr=False)

    @property
    def on_poe(self) -> bool:
        """Whether it is called by its name on Poe."""
        return "://" not in self.target


def _is_forwarded(event: Event, *, began: bool) -> bool:
    """Whether a bot may yield this event of another's reply."""
    return not isinstance(event, Done | UnknownEvent) and not (began and isinstance(event, Meta))


class UpstreamCall(Bot):
    """The bot of one request, which forwards the reply of an upstream bot.

    A failure of the call is an `error` event, and the exchange is given the status for the caller.

    Args:
        upstream: the bot to call.
        key: the key to call it with.
        api: makes the call.
        exchange: of the request.
    """

    attachment_templates = None  # the upstream bot has its own

    def __init__(self, upstream: UpstreamBot, key: str | None, api: ApiCalls, exchange: ReplyExchange) -> None:
        self._upstream = upstream
        self._key = key
        self._api = api
        self._exchange = exchange

    async def get_response(self, request: QueryRequest, context: Context) -> AsyncIterator[Event]:
        upstream, api, fold = self._upstream, self._api, ReplyFold()
        secrets = [] if self._key is None else [self._key]
        try:
            if upstream.on_poe:
                request = await self._upload_files(request)
            url = api.bot_url(upstream.target) if upstream.on_poe else api.url_of(upstream.target)
            reply = Reply(api.query(url, request, self._key, fold, bot_name=upstream.target), fold)
            began = False
            async with reply:
                async for event in reply:
                    if isinstance(event, Error):
                        event = attrs.evolve(event, text=without_secrets(event.text or "", secrets), raw_response=None)
                    if type(event) is Text or _is_forwarded(event, began=began):  # nearly all are texts
                        yield event
                    began = True
        except PoeprotoError as exc:
            error = error_of_exception(exc, on_poe=upstream.on_poe, secrets=secrets)
            self._exchange.failure = error
            logger.warning("the call of %s has failed: %d %s", self._exchange.model, error.status, error.message)
            yield Error(allow_retry=error.status >= 429, text=error.message)  # `failure` has the details

    async def _upload_files(self, request: QueryRequest) -> QueryRequest:
        """The request, with the files that it brought itself uploaded to Poe, which reads no ``data:`` URLs."""
        messages = [await self._with_uploads(message) for message in request.query]
        return attrs.evolve(request, query=messages)

    async def _with_uploads(self, message: Message) -> Message:
        if not any(is_data_url(attachment.url) for attachment in message.attachments):
            return message
        attachments = [await self._uploaded(attachment) for attachment in message.attachments]
        return attrs.evolve(message, attachments=attachments)

    async def _uploaded(self, attachment: Attachment) -> Attachment:
        if not is_data_url(attachment.url):
            return attachment
        content = read_data_url(attachment.url).content
        uploaded = await self._api.upload(content, attachment.name, attachment.content_type, self._key)
        return attrs.evolve(attachment, url=uploaded.url)
