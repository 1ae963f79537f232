"""An OpenAI-compatible endpoint: where it is, with which key, and how a request for a completion is sent there."""

from __future__ import annotations

import ssl
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from poeproto import HttpRequest, InvalidValue, Limits, RemoteProtocolError, RequestRefused
from poeproto.http import ACCEPT_IDENTITY, HeaderPairs, normalise_headers, refusal
from poeproto_h11 import ProxyOption, Timeouts, make_outbound, split_url
from poeproto_openai.bot.body_records import object_in
from poeproto_openai.bot.endpoint_errors import EndpointError, read_error
from poeproto_openai.json_bytes import json_bytes
from poeproto_runtime.client.transport import IncomingResponse, SharedTransport

# Models that reason say nothing for minutes.
_TIMEOUTS = Timeouts(header=300, idle=300)
# How much of an error response is read: the JSON in it must be whole to be understood.
_ERROR_BODY = 16 * 1024
_HIDDEN = "<hidden>"
_SHORTEST_KEY = 8


class EndpointRefused(Exception):
    """The endpoint answered with another status than 200.

    Attributes:
        refused: the response, without the key.
        error: the error in its body; None if that cannot be read.
    """

    def __init__(self, refused: RequestRefused, error: EndpointError | None) -> None:
        super().__init__(str(refused))
        self.refused = refused
        self.error = error


class Endpoint:
    """Sends requests for completions.

    Args:
        base_url: the URL that ``/chat/completions`` is appended to; a query in it is kept.
        api_key: sent as a bearer token; None sends none.
        headers: extra headers of each request.
        timeouts: of each request.
        ssl_context: for https; by default certificates are verified against the system's trust store.
        proxy: as of `poeproto_h11.Client`.

    Raises:
        InvalidValue: for a key that HTTP has no form for.
        LocalProtocolError: for an invalid URL.
    """

    def __init__(
        self,
        base_url: str,
        api_key: str | None = None,
        *,
        headers: HeaderPairs = (),
        timeouts: Timeouts | None = None,
        ssl_context: ssl.SSLContext | None = None,
        proxy: ProxyOption = None,
    ) -> None:
        self.origin, _ = split_url(base_url)
        parts = urlsplit(base_url)
        path = parts.path.rstrip("/").removesuffix("/chat/completions") + "/chat/completions"
        self._url = urlunsplit((parts.scheme, parts.netloc, path, parts.query, ""))
        self._api_key = api_key or ""
        extra = normalise_headers(headers)
        # The value of an extra header may be a key, too, alone or after a scheme.
        secrets = [self._api_key, *(value.decode("latin-1").rpartition(" ")[2] for _, value in extra)]
        self._secrets = [secret for secret in secrets if len(secret) >= _SHORTEST_KEY]
        self._limits = Limits(refusal_body=_ERROR_BODY)
        if self._api_key and not (self._api_key.isascii() and self._api_key.isprintable()):
            raise InvalidValue("contains characters that no API key has; is it complete, on one line?", path="api_key")
        authorization = [("authorization", f"Bearer {self._api_key}")] if self._api_key else []
        self._headers = [
            ("content-type", "application/json"),
            ("accept", "text/event-stream, application/json"),
            ACCEPT_IDENTITY,
            *normalise_headers(authorization),
            *extra,
        ]
        outbound = make_outbound(self._limits, timeouts=timeouts or _TIMEOUTS, ssl_context=ssl_context, proxy=proxy)
        self._transport: SharedTransport = outbound.transport
        self._is_held = False

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.origin}>"

    async def send(self, body: dict[str, Any]) -> IncomingResponse:
        """Send a request once, and wait for the head of a response with status 200. Close the response.

        Raises:
            EndpointRefused: for another status.
            TransportError, RemoteProtocolError: when no response arrives.
            LocalProtocolError: for a body that JSON has no form for.
        """
        if not self._is_held:  # the connections are kept until `aclose`
            self._is_held = True
            self._transport.hold()
        request = HttpRequest("POST", self._url, self._headers, json_bytes(body))
        response = await self._transport.begin().send(request)
        if response.head.status == 200 and response.head.content_coding == "identity":
            return response
        raise await self._refused(response)

    async def aclose(self) -> None:
        """Close the idle connections. A later request opens new ones."""
        if self._is_held:
            self._is_held = False
            await self._transport.release()

    async def _refused(self, response: IncomingResponse) -> EndpointRefused:
        body = bytearray()
        try:
            while len(body) <= _ERROR_BODY + 6 * len(self._api_key) and (data := await response.receive()) is not None:
                body += data
            await response.finish()
        except BaseException:
            await response.aclose()
            raise
        status, key = response.head.status, self._api_key.encode()
        message = f"{self.origin} answered with status {status}"
        if status == 200:
            message = f"{self.origin} compressed its answer, though the request accepts no compression"
        refused = refusal(RequestRefused, message, response.head, bytes(body), key, self._limits)
        try:
            error = read_error(object_in(refused.body_start.decode("utf-8", "replace")))
        except RemoteProtocolError:
            error = None
        return EndpointRefused(refused, error)

    def without_key(self, value: Any) -> Any:
        """A text, or texts at any depth, of the endpoint's without the key and the values of extra headers."""
        if isinstance(value, str):
            for secret in self._secrets:
                value = value.replace(secret, _HIDDEN)
            return value
        if isinstance(value, dict):
            return {name: self.without_key(each) for name, each in value.items()}  # pyright: ignore[reportUnknownVariableType]
        if isinstance(value, list):
            return [self.without_key(each) for each in value]  # pyright: ignore[reportUnknownVariableType]
        return value
