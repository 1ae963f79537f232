"""The reply exchange: the bot side of one exchange whose client speaks an API of OpenAI's.

It is a `poeproto.BotExchange`, so everything that answers queries of Poe answers these requests, too: the same states,
limits, timers and writers. Only the bytes differ. A subclass writes them for one API.

**The head is held.** A client of OpenAI's makes an exception class of the HTTP status, so the head of a stream waits
for the first bytes of its body: an error before them is a whole response, in `response`. So is every reply that is not
streamed. The channel of the gateway sends it in place of the head.
"""

from __future__ import annotations

from collections.abc import Callable

from poeproto import (
    BotExchange,
    Done,
    Error,
    Event,
    HttpResponse,
    Limits,
    QueryRequest,
    ReplaceResponse,
    RequestHead,
    ResponseHead,
    State,
    Text,
    encode_event,
    encode_request,
)
from poeproto.flows import SurrogateJoiner
from poeproto_openai.api_error import ApiError, error_of_event

__all__ = ["BETWEEN_RECORDS", "RECORD_BEGIN", "RECORD_END", "ReplyExchange"]

# The record of a text on Poe's wire, around the JSON string.
RECORD_BEGIN, RECORD_END = encode_event(Text("")).split(b'""')
BETWEEN_RECORDS = RECORD_END + RECORD_BEGIN

# The request is of another form than Poe's and was read elsewhere. This one stands in for it, for the states.
_HEAD = RequestHead("POST", "/", ())
_QUERY = encode_request(QueryRequest([]))
# How the JSON of a lone surrogate begins. The JSON of a text may begin so too, after a backslash.
_SURROGATE = b"\\ud"
_ESCAPE = ord("\\")  # an integer is found in a fraction of the time


class ReplyExchange(BotExchange):
    """One request of an API of OpenAI's, read, and the reply to it.

    Args:
        request: the request as a query.
        model: the name of the bot that it asks for.
        limits: the bounds of the reply.
        request_id: is sent as ``x-request-id``.

    Attributes:
        request: as above.
        model: as above.
        response: the whole response, once it is known that there is no stream.
        failure: why the call of the bot has failed, which is more than an `error` event says; set it before the event
            is sent.
        cut_short_by: makes the error of a reply that the server cuts short, of its text: `server_stopping` or
            `time_limit_passed`. None for a reply that the bot ends itself.
    """

    def __init__(self, request: QueryRequest, model: str, limits: Limits, request_id: str) -> None:
        super().__init__(None, limits)
        self.receive_head(_HEAD)
        self.receive_data(_QUERY)
        self.receive_eof()
        self.request = request
        self.model = model
        self.response: HttpResponse | None = None
        self.failure: ApiError | None = None
        self.cut_short_by: Callable[[str], ApiError] | None = None
        self.headers = [("x-request-id", request_id)]
        self._joiner: SurrogateJoiner | None = None  # only while half of a character waits for the other
        self._released = False  # whether a part of the body has been returned
        self._ended = False  # whether the reply has ended with an error

    # --- methods of the subclasses

    def write_texts(self, texts: list[str], records: bytes) -> bytes:
        """The bytes of texts without an index.

        Args:
            texts: the texts.
            records: the same as `text` events of Poe, which hold each text as a JSON string.
        """
        raise NotImplementedError

    def write_event(self, event: Event) -> bytes:
        """The bytes of an event other than such a text, an `error` or `done`."""
        raise NotImplementedError

    def write_keepalive(self) -> bytes:
        """The bytes that keep an idle stream open; empty if the reply is not streamed."""
        raise NotImplementedError

    def write_end(self) -> bytes:
        """The bytes that end a reply in order. A reply that is not streamed sets `response` instead."""
        raise NotImplementedError

    def write_error(self, error: ApiError) -> bytes:
        """The bytes that end a stream with an error."""
        raise NotImplementedError

    # --- as the runtime calls it

    def begin(self) -> ResponseHead:
        """The head of the stream, to be held until the first part of the body."""
        head = super().begin()
        return ResponseHead(head.status, [*head.headers, *((n.encode(), v.encode()) for n, v in self.headers)])

    def send(self, event: Event) -> bytes:
        """The bytes of the next event; empty if it has none here.

        Raises:
            LocalProtocolError: as `BotExchange.send` does.
            RemoteProtocolError: for a `json` event of the form of OpenAI's chunks that cannot be read as one.
        """
        record = super().send(event)
        if type(event) is Text and event.index is None:
            if self._joiner is not None or (_ESCAPE in record and _SURROGATE in record):
                return self._without_halves([event.text])
            return self._release(self.write_texts([event.text], record))
        if isinstance(event, Error):
            return self._end_with(self.failure or error_of_event(event))
        if isinstance(event, Done):
            return b"" if self._ended else self._release(self._waiting_half() + self.write_end())
        if isinstance(event, Text | ReplaceResponse):
            return self._release(self._joined(event))
        return self._release(self.write_event(event))

    def send_text(self, text: str) -> bytes:
        """The bytes of one text."""
        record = super().send_text(text)
        if self._joiner is not None or (_ESCAPE in record and _SURROGATE in record):
            return self._without_halves([text])
        data = self.write_texts([text], record)
        if data:
            self._released = True
        return data

    def send_texts(self, texts: list[str]) -> bytes:
        """The bytes of several texts, joined."""
        records = super().send_texts(texts)
        if self._joiner is not None or (_ESCAPE in records and _SURROGATE in records):
            return self._without_halves(texts)
        return self._release(self.write_texts(texts, records))

    def heartbeat(self) -> bytes:
        """The bytes that keep an idle stream open. They release the head: a later error is one within the stream."""
        super().heartbeat()
        return b"" if self._ended else self._release(self.write_keepalive())

    def fail(
        self, error_id: str, *, allow_retry: bool = False, error_type: str | None = None, text: str | None = None
    ) -> HttpResponse | bytes:
        """End the exchange because the bot has failed: the bytes that end the stream, or none and a `response`."""
        had_ended = self._ended or self.our_state is State.DONE
        super().fail(error_id, allow_retry=allow_retry, error_type=error_type, text=text)
        if had_ended:
            return b""
        text = text or f"Something went wrong in this bot. Error id: {error_id}"
        if self.cut_short_by is not None and allow_retry:
            return self._end_with(self.cut_short_by(text))
        return self._end_with(error_of_event(Error(allow_retry=allow_retry, text=text, error_type=error_type)))

    # --- within

    def _without_halves(self, texts: list[str]) -> bytes:
        """The bytes of texts without an index, one of which has a surrogate or follows one."""
        return self._release(b"".join([self._joined(Text(text)) for text in texts]))

    def _joined(self, event: Text | ReplaceResponse) -> bytes:
        """The bytes of a text, without halves of characters: not every client can print or store them."""
        joiner = self._joiner or SurrogateJoiner()
        whole = joiner.join(event)
        self._joiner = joiner if joiner.is_waiting else None
        return b"" if whole is None else self.write_event(whole)

    def _waiting_half(self) -> bytes:
        """The bytes of the half that waits, if one does: no other will come."""
        joiner, self._joiner = self._joiner, None
        return b"" if joiner is None else b"".join([self.write_event(half) for half in joiner.flush()])

    def _release(self, data: bytes) -> bytes:
        if data:
            self._released = True
        return data

    def _end_with(self, error: ApiError) -> bytes:
        self.failure, self._ended = error, True
        if not self._released:
            self.response = error.response(self.headers)
            return b""
        return self._waiting_half() + self.write_error(error)
