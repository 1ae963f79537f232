"""`OpenAIBot`: a bot on Poe that answers with a model behind an OpenAI-compatible endpoint.

One query makes one request; nothing is retried, because the request may have been charged. A failure becomes an `error`
event, whose `raw_response` has the endpoint's status, its ``Retry-After`` and its error.
"""

from __future__ import annotations

import logging
import ssl
from base64 import b64encode
from collections.abc import AsyncGenerator, Mapping, Sequence
from typing import Any, Literal, Self

import attrs

from poeproto import (
    Attachment,
    Bot,
    Context,
    Error,
    Event,
    FetchForbidden,
    Message,
    PoeprotoError,
    QueryRequest,
    RemoteProtocolError,
    SettingsRequest,
    SettingsResponse,
    TransportError,
)
from poeproto.flows import tool_as_dict
from poeproto.http import HeaderPairs
from poeproto_h11 import ProxyOption, Timeouts
from poeproto_openai.bot.completion_stream import CompletionStream
from poeproto_openai.bot.endpoint import Endpoint, EndpointRefused
from poeproto_openai.bot.endpoint_errors import failure, refusal_event
from poeproto_openai.bot.rate_card import RateCard
from poeproto_openai.bot.request_body import RequestMessages, needs_content, request_messages
from poeproto_openai.bot.sampling_options import (
    MAX_TOKENS,
    SHOW_REASONING,
    InvalidOption,
    SamplingOptions,
)
from poeproto_openai.json_bytes import json_bytes
from poeproto_runtime.client.transport import IncomingResponse

__all__ = ["OpenAIBot"]

logger = logging.getLogger("poeproto")

_UNREACHABLE = "The model's endpoint cannot be reached at the moment."
# Statuses that the operator of the bot has to do something about.
_OPERATORS_FAULT = frozenset({400, 401, 402, 403, 404, 405, 422})
# All of a file is in the body of the request, a third larger.
_LARGEST_FILE = 20 * 1024 * 1024


class OpenAIBot(Bot):
    """A bot that answers with a model behind an OpenAI-compatible endpoint: OpenAI's, vLLM's, Ollama's or another.

    Args:
        base_url: the URL that ``/chat/completions`` is appended to, as in ``https://api.openai.com/v1``.
        model: the model's name; or several names, of which users choose, and the first is the default.
        api_key: the endpoint's key, sent as a bearer token; None sends none.
        options: which options users may set, by the endpoint's names: `temperature`, `top_p`, `presence_penalty`,
            `frequency_penalty`, `max_tokens`, `seed`, `stop`, `reasoning_effort`; and `show_reasoning`, which is the
            bot's own. Other parameters of a message are ignored.
        defaults: values of options, whether users may set them or not.
        max_tokens: the most tokens of an answer; also the largest value that users may set.
        max_tokens_field: the endpoint's name of that limit; OpenAI's newer models want "max_completion_tokens".
        show_reasoning: whether reasoning is shown, as a quotation before the answer; otherwise it is dropped.
        rate_card: what users pay; None for nothing. It needs `max_tokens`, since an upper bound is authorised.
        attachments: how images and files are sent: "url" sends the URL of an image, and of a file only its text, if Poe
            gave it; "data" fetches them, and sends their content. The server needs a fetch policy for that.
        system_prompt: a system message before every conversation, unless the query asks to skip it.
        settings: further settings of the bot; parameter controls and rate card are added to them.
        extra_body: further keys of each request; they replace those made here.
        headers: further headers of each request, such as ``api-key`` for Azure. They are in no repr or log.
        ask_usage: whether the request asks a stream to report usage; a few endpoints refuse that key.
        timeouts: the timeouts of each request; by default five minutes without a byte.
        ssl_context: for https; by default certificates are verified against the system's trust store.
        proxy: as of `poeproto_h11.Client`.

    Attributes:
        models: the names of the models, the default first.

    Raises:
        LocalProtocolError: for an invalid URL, key or header.
        ValueError: for an unknown option, an invalid default, no model, or a rate card without `max_tokens`.

    Connections are kept from one query to the next, until `aclose` or the end of the ``async with`` block.
    """

    # The body of the request has the parsed content of attachments, each in the message that it is attached to.
    attachment_templates = None

    def __init__(
        self,
        base_url: str,
        model: str | Sequence[str],
        api_key: str | None = None,
        *,
        options: Sequence[str] = ("temperature",),
        defaults: Mapping[str, Any] | None = None,
        max_tokens: int | None = None,
        max_tokens_field: str = MAX_TOKENS,
        show_reasoning: bool = False,
        rate_card: RateCard | None = None,
        attachments: Literal["url", "data"] = "url",
        system_prompt: str | None = None,
        settings: SettingsResponse | None = None,
        extra_body: Mapping[str, Any] | None = None,
        headers: HeaderPairs = (),
        ask_usage: bool = True,
        timeouts: Timeouts | None = None,
        ssl_context: ssl.SSLContext | None = None,
        proxy: ProxyOption = None,
    ) -> None:
        self.models = (model,) if isinstance(model, str) else tuple(model)
        if not all(self.models) or not self.models:
            raise ValueError(f"model must be the name of a model, or several; got {model!r}")
        if rate_card is not None and max_tokens is None:
            raise ValueError("a rate_card needs max_tokens: the cost of the longest answer is authorised beforehand")
        if attachments not in ("url", "data"):
            raise ValueError(f"attachments must be 'url' or 'data', got {attachments!r}")
        self._endpoint = Endpoint(
            base_url, api_key, headers=headers, timeouts=timeouts, ssl_context=ssl_context, proxy=proxy
        )
        self._options = SamplingOptions(
            self.models, options, {SHOW_REASONING: show_reasoning, **(defaults or {})}, max_tokens
        )
        self._max_tokens = max_tokens
        self._max_tokens_field = max_tokens_field
        self._rate_card = rate_card
        self._fetches = attachments == "data"
        self._system_prompt = system_prompt
        self._extra_body = dict(extra_body or {})
        self._ask_usage = ask_usage
        self._settings = self._with_own(settings or SettingsResponse(allow_attachments=True))

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self._endpoint.origin} {', '.join(self.models)}>"

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Close the idle connections to the endpoint. A later query opens new ones."""
        await self._endpoint.aclose()

    async def get_settings(self, request: SettingsRequest, context: Context) -> SettingsResponse:
        """The settings, with a control for each option that users may set."""
        return self._settings

    async def get_response(self, request: QueryRequest, context: Context) -> AsyncGenerator[Event]:
        """Send the conversation to the model, and reply with its answer."""
        try:
            options = self._options.values(request)
        except InvalidOption as exc:
            yield Error(allow_retry=False, text=str(exc), error_type="user_caused_error")
            return
        if self._system_prompt and not request.skip_system_prompt:
            request = attrs.evolve(request, query=[Message("system", self._system_prompt), *request.query])
        messages = request_messages(request, await self._contents(request, context) if self._fetches else None)
        show_reasoning = options.pop(SHOW_REASONING)
        body = self._body(request, messages, options)
        await self._authorize(messages, options, context)
        completion = CompletionStream(context.limits, show_reasoning=show_reasoning)
        try:
            response = await self._endpoint.send(body)
        except EndpointRefused as exc:
            yield self._refused(exc)
            return
        except (TransportError, RemoteProtocolError) as exc:
            logger.warning("%r: no response: %s", self, exc)
            yield failure(_UNREACHABLE)
            return
        context.on_close(response.aclose)  # after a cancellation, a `finally` here could not await it
        while not completion.is_over:
            for event in await self._receive(response, completion):
                yield self._without_key(event) if isinstance(event, Error) else event
        if completion.error is None:
            await response.finish()
            await self._capture(messages, completion, context)

    async def _receive(self, response: IncomingResponse, completion: CompletionStream) -> list[Event]:
        """The events in the next part of the body."""
        try:
            data = await response.receive()
        except (TransportError, RemoteProtocolError) as exc:
            events = completion.receive_failure(str(exc))
        else:
            events = completion.receive_eof() if data is None else completion.receive_data(data)
        if completion.error is not None:
            reason = self._endpoint.without_key(completion.error.raw_response or completion.error.text)
            logger.warning("%r: the answer failed: %s", self, reason)
        return events

    def _body(self, request: QueryRequest, messages: RequestMessages, options: dict[str, Any]) -> dict[str, Any]:
        body: dict[str, Any] = {"messages": messages.messages, "stream": True}
        if self._ask_usage:
            body["stream_options"] = {"include_usage": True}
        if request.tools:
            body["tools"] = [tool_as_dict(tool) for tool in request.tools]
        for name, value in options.items():
            body[self._max_tokens_field if name == MAX_TOKENS else name] = value
        return {**body, **self._extra_body}

    async def _contents(self, request: QueryRequest, context: Context) -> dict[str, str]:
        """The contents of the attachments as ``data:`` URLs, by their URLs; without those that cannot be fetched."""
        contents: dict[str, str] = {}
        for message in request.query:
            for attachment in message.attachments if message.role == "user" else ():
                if attachment.url not in contents and needs_content(attachment):
                    content = await self._content(attachment, context)
                    if content is not None:
                        contents[attachment.url] = content
        return contents

    async def _content(self, attachment: Attachment, context: Context) -> str | None:
        try:
            content = await context.fetch_attachment(attachment, max_size=_LARGEST_FILE)
        except FetchForbidden as exc:
            logger.error("%r: attachments='data' has no effect: %s", self, exc)
            return None
        except PoeprotoError as exc:
            logger.warning("%r: an attachment is left out of the request: %s", self, exc)
            return None
        return f"data:{attachment.content_type};base64,{b64encode(content).decode()}"

    # --- errors

    def _refused(self, exc: EndpointRefused) -> Error:
        event = refusal_event(exc.refused, exc.error)
        log = logger.error if exc.refused.status in _OPERATORS_FAULT else logger.warning
        clean = self._endpoint.without_key
        log("%r: %s: %s", self, clean(str(exc)), clean(event.raw_response))
        return self._without_key(event)

    def _without_key(self, event: Error) -> Error:
        clean = self._endpoint.without_key
        return attrs.evolve(event, text=clean(event.text), raw_response=clean(event.raw_response))

    # --- costs

    async def _authorize(self, messages: RequestMessages, options: Mapping[str, Any], context: Context) -> None:
        if self._rate_card is None:
            return
        size = len(json_bytes(messages.messages)) - messages.attachment_characters
        item = self._rate_card.upper_bound(size, messages.attachments, options[MAX_TOKENS])
        if item is not None:
            await context.authorize_cost(item)

    async def _capture(self, messages: RequestMessages, completion: CompletionStream, context: Context) -> None:
        card = self._rate_card
        if card is None:
            return
        if completion.usage is not None:
            item = card.cost(completion.usage)
        else:
            size = len(json_bytes(messages.messages)) - messages.attachment_characters
            item = card.estimated_cost(size, completion.text_length)
            charged = "nothing is charged" if item is None else f"an estimate is charged ({item.description})"
            logger.warning("%r: the endpoint reported no usage, so %s", self, charged)
        if item is not None:
            await context.capture_cost(item)

    # --- settings

    def _with_own(self, settings: SettingsResponse) -> SettingsResponse:
        card = self._rate_card.as_markdown() if self._rate_card is not None else None
        expand = settings.expand_text_attachments
        return attrs.evolve(
            settings,
            parameter_controls=settings.parameter_controls or self._options.controls(),
            rate_card=settings.rate_card or card,
            expand_text_attachments=settings.allow_attachments if expand is None else expand,
        )
