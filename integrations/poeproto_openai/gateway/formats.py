"""The APIs of the gateway: each has a path, and makes an exchange of the body of a request."""

from __future__ import annotations

import secrets
from typing import Protocol

import attrs

from poeproto import Limits, QueryRequest
from poeproto.identifiers import make_identifier
from poeproto_openai.chat.exchange import ChatExchange, ReplyOptions
from poeproto_openai.chat.request import read_chat_request
from poeproto_openai.reply_exchange import ReplyExchange
from poeproto_openai.responses.exchange import ResponsesExchange
from poeproto_openai.responses.request import read_responses_request

__all__ = ["FORMATS", "ReadRequest"]


class ReadRequest(Protocol):
    """Reads the body of a request to one API."""

    def __call__(
        self, body: bytes, options: ReplyOptions, limits: Limits, request_id: str, created: int
    ) -> ReplyExchange:
        """The exchange of this request.

        Args:
            body: the body.
            options: how the reply is written.
            limits: the bounds of the reply.
            request_id: unique to the request.
            created: the time, in seconds since the epoch.

        Raises:
            ApiError: for a request that cannot be read, or asks for an unsupported feature.
        """
        ...


def with_identifiers(query: QueryRequest) -> QueryRequest:
    """The query with an identifier of the reply, which OpenAI's requests have none of."""
    return attrs.evolve(query, message_id=make_identifier("m", secrets.token_bytes(20)))


def read_chat(body: bytes, options: ReplyOptions, limits: Limits, request_id: str, created: int) -> ReplyExchange:
    """The exchange of a request for a chat completion."""
    request = read_chat_request(body)
    request = attrs.evolve(request, query=with_identifiers(request.query))
    return ChatExchange(request, options, limits, request_id, created)


def read_responses(body: bytes, options: ReplyOptions, limits: Limits, request_id: str, created: int) -> ReplyExchange:
    """The exchange of a request for a response."""
    request = read_responses_request(body)
    request = attrs.evolve(request, query=with_identifiers(request.query))
    return ResponsesExchange(request, options, limits, request_id, created)


# By the path below the base URL, which ends in /v1.
FORMATS: dict[str, ReadRequest] = {"/chat/completions": read_chat, "/responses": read_responses}
