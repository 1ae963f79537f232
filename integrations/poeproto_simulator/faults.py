"""Fault injection: errors, delays and broken responses that a client of Poe must survive, when a test asks for them.

A fault applies to a request to the simulator, not to a request from the simulator to a bot.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from typing import Any

import anyio
import attrs

from poeproto import HttpResponse
from poeproto_asgi.asgi import AsgiMessage, Receive, Send, wait_disconnected
from poeproto_simulator.asgi import SendFailed, respond, start
from poeproto_simulator.responses import EVENT_STREAM, STREAM_HEADERS

__all__ = ["Fault", "Faults"]

_STREAM_HEAD = (
    (b"content-type", EVENT_STREAM.encode()),
    *((name.encode(), value.encode()) for name, value in STREAM_HEADERS),
)
# Invalid JSON, an event without data, and invalid UTF-8.
_GARBAGE = b'event: text\ndata: {"text": \n\nevent: json\n\n\xff\xfe<html>\x00\n\n'


class Fault:
    """One kind of fault; its methods make the instances.

    A fault either responds in place of the application (`respond`), or changes the response of the application
    (`wrap`).

    Attributes:
        kind: the name of the method that made it.
        responds: whether it responds in place of the application.
    """

    kind: str = ""
    responds: bool = False

    async def respond(self, receive: Receive, send: Send) -> None:
        """Respond to a request whose body has been read. Called if `responds` is set."""

    def wrap(self, send: Send) -> Send:
        """A `send` that applies the fault, and then calls the given one."""
        return send

    def __repr__(self) -> str:
        return f"<Fault {self.kind}>"

    @staticmethod
    def status(
        status: int, *, retry_after: float | str | None = None, body: str = "", headers: Iterable[tuple[str, str]] = ()
    ) -> Fault:
        """Respond with this status.

        Args:
            status: the status code.
            retry_after: the value of ``Retry-After``: seconds, or an HTTP date.
            body: the body, as plain text.
            headers: further headers.
        """
        retry = () if retry_after is None else (("retry-after", _seconds(retry_after)),)
        return _Response("status", HttpResponse.of(status, "text/plain", body.encode(), (*retry, *headers)))

    @staticmethod
    def rate_limited(*, retry_after: float = 1, limit: int = 500) -> Fault:
        """Respond with 429, as Poe does after too many requests.

        Args:
            retry_after: the value of ``Retry-After``, in seconds.
            limit: the rate limit that the headers state.
        """
        headers = [
            ("retry-after", _seconds(retry_after)),
            ("x-ratelimit-limit-requests", str(limit)),
            ("x-ratelimit-remaining-requests", "0"),
            ("x-ratelimit-reset-requests", f"{_seconds(retry_after)}s"),
        ]
        body = json.dumps({"error": "too many requests"}).encode()
        return _Response("rate_limited", HttpResponse.of(429, "application/json", body, headers))

    @staticmethod
    def silent(*, after_head: bool = False) -> Fault:
        """Read the request, and send nothing until the client disconnects.

        Args:
            after_head: send the head of a stream first.
        """
        return _Silent(after_head)

    @staticmethod
    def truncate(after_bytes: int = 0) -> Fault:
        """Send `after_bytes` bytes of the body, then close the connection. A shorter body is sent whole."""
        return _SendFault("truncate", lambda send: _CutAfterBytes(send, after_bytes))

    @staticmethod
    def truncate_events(count: int) -> Fault:
        """Send this many events of the stream, then close the connection. Comments do not count."""
        return _SendFault("truncate_events", lambda send: _CutAfterEvents(send, count))

    @staticmethod
    def reset() -> Fault:
        """Close the connection after the head of the response, which is the earliest an ASGI application can."""
        return _SendFault("reset", lambda send: _CutAfterBytes(send, 0))

    @staticmethod
    def slow(seconds: float = 0, *, until: anyio.Event | None = None, hold_head: bool = False) -> Fault:
        """Wait before each part of the body.

        Args:
            seconds: how long.
            until: also wait until this is set.
            hold_head: also wait before the head.
        """
        return _SendFault("slow", lambda send: _Slow(send, seconds, until, hold_head))

    @staticmethod
    def garbage(data: bytes | str = _GARBAGE) -> Fault:
        """Send this in place of the body, after the head of the real response."""
        raw = data.encode() if isinstance(data, str) else data
        return _SendFault("garbage", lambda send: _Garbage(send, raw))

    @classmethod
    def of(cls, kind: str, arguments: dict[str, Any]) -> Fault:
        """The fault that the method called `kind` makes from these arguments.

        Raises:
            ValueError: for an unknown kind, or when the arguments do not fit.
        """
        make = _KINDS.get(kind)
        if make is None:
            raise ValueError(f"there is no fault called {kind!r}; expected one of {', '.join(sorted(_KINDS))}")
        try:
            return make(**arguments)
        except (TypeError, AttributeError) as exc:
            raise ValueError(f"the fault {kind!r} does not take these arguments: {exc}") from None


_KINDS: dict[str, Callable[..., Fault]] = {
    "status": Fault.status,
    "rate_limited": Fault.rate_limited,
    "silent": Fault.silent,
    "truncate": Fault.truncate,
    "truncate_events": Fault.truncate_events,
    "reset": Fault.reset,
    "slow": Fault.slow,
    "garbage": Fault.garbage,
}


def _seconds(value: float | str) -> str:
    return value if isinstance(value, str) else f"{value:g}"


class _Response(Fault):
    responds = True

    def __init__(self, kind: str, response: HttpResponse) -> None:
        self.kind = kind
        self._response = response

    async def respond(self, receive: Receive, send: Send) -> None:
        await respond(send, self._response)


class _Silent(Fault):
    kind = "silent"
    responds = True

    def __init__(self, after_head: bool) -> None:
        self._after_head = after_head

    async def respond(self, receive: Receive, send: Send) -> None:
        if self._after_head:
            await start(send, 200, _STREAM_HEAD)
            # Servers send the head together with the first body part. A comment is a part without an event.
            await send({"type": "http.response.body", "body": b":\n\n", "more_body": True})
        await wait_disconnected(receive)


class _SendFault(Fault):
    def __init__(self, kind: str, wrap: Callable[[Send], Send]) -> None:
        self.kind = kind
        self._wrap = wrap

    def wrap(self, send: Send) -> Send:
        return self._wrap(send)


class _CutAfterBytes:
    def __init__(self, send: Send, count: int) -> None:
        self._send = send
        self._left = count

    async def __call__(self, message: AsgiMessage) -> None:
        body = message.get("body", b"")
        if len(body) > self._left:
            await self._send({**message, "body": body[: self._left], "more_body": True})
            raise SendFailed("a fault cut the response short")
        self._left -= len(body)
        await self._send(message)


class _CutAfterEvents:
    def __init__(self, send: Send, count: int) -> None:
        self._send = send
        self._left = count
        self._unfinished = b""

    async def __call__(self, message: AsgiMessage) -> None:
        if message["type"] != "http.response.body":
            await self._send(message)
            return
        *records, self._unfinished = (self._unfinished + message.get("body", b"")).split(b"\n\n")
        sent = b""
        for record in records:
            is_event = not record.startswith(b":")
            if is_event and self._left == 0:
                await self._send({**message, "body": sent, "more_body": True})
                raise SendFailed("a fault cut the response short")
            self._left -= is_event
            sent += record + b"\n\n"
        last = not message.get("more_body", False)
        await self._send({**message, "body": sent + (self._unfinished if last else b"")})


class _Slow:
    def __init__(self, send: Send, seconds: float, until: anyio.Event | None, hold_head: bool) -> None:
        self._send = send
        self._seconds = seconds
        self._until = until
        self._hold_head = hold_head

    async def __call__(self, message: AsgiMessage) -> None:
        if self._hold_head or message["type"] == "http.response.body":
            if self._until is not None:
                await self._until.wait()
            await anyio.sleep(self._seconds)
        await self._send(message)


class _Garbage:
    def __init__(self, send: Send, data: bytes) -> None:
        self._send = send
        self._data = data
        self._sent = False

    async def __call__(self, message: AsgiMessage) -> None:
        if message["type"] == "http.response.start":
            headers = [(name, value) for name, value in message["headers"] if name.lower() != b"content-length"]
            await self._send({**message, "headers": headers})
        elif not self._sent:
            self._sent = True
            await self._send({"type": "http.response.body", "body": self._data, "more_body": False})


@attrs.define
class _Planned:
    """A fault for requests to come; `times` is None for all of them."""

    where: str
    fault: Fault
    times: int | None


class Faults:
    """The planned faults, in the order in which they were added."""

    def __init__(self) -> None:
        self._planned: list[_Planned] = []

    def add(self, where: str, fault: Fault, *, times: int | None = 1) -> None:
        """Plan a fault for requests to come.

        Args:
            where: a path, which includes all paths below it; the name of a bot, for requests to ``/bot/{name}``; or
                ``*`` for every request.
            fault: the fault.
            times: how many requests it applies to; None for all.

        Raises:
            ValueError: when `times` is below one.
        """
        if times is not None and times < 1:
            raise ValueError(f"times: expected at least 1, got times={times}")
        self._planned.append(_Planned(where, fault, times))

    def clear(self) -> None:
        """Remove all planned faults. Responses that have begun keep theirs."""
        self._planned.clear()

    def next_for(self, path: str, bot_name: str | None) -> Fault | None:
        """The fault for a request, if any: the first one that was planned for it. It counts as used."""
        for planned in self._planned:
            if planned.where in ("*", path, bot_name) or path.startswith(f"{planned.where.rstrip('/')}/"):
                if planned.times is not None:
                    planned.times -= 1
                    if planned.times == 0:
                        self._planned.remove(planned)
                return planned.fault
        return None

    def as_json(self) -> list[dict[str, Any]]:
        """The planned faults as JSON values."""
        return [
            {"where": planned.where, "kind": planned.fault.kind, "times": planned.times} for planned in self._planned
        ]
