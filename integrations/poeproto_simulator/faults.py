"""Misbehaviour on demand: what a client of Poe must survive, made to happen when a test wants it.

A fault meets a request to the simulator, not what the simulator sends to bots.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from typing import Any

import anyio
import attrs

from poeproto import HttpResponse
from poeproto_simulator.asgi import CallerGone, Message, Receive, Send, respond, start, until_gone
from poeproto_simulator.refusals import STREAM_HEADERS

_STREAM = (
    (b"content-type", b"text/event-stream; charset=utf-8"),
    *((k.encode(), v.encode()) for k, v in STREAM_HEADERS),
)
# A payload that is not JSON, an event without a payload, and bytes that are not UTF-8.
_GARBAGE = b'event: text\ndata: {"text": \n\nevent: json\n\n\xff\xfe<html>\x00\n\n'


class Fault:
    """One way to misbehave; made by the class methods.

    A fault either answers in the application's place (`instead`), or bends what the application sends (`through`).
    """

    kind: str = ""
    answers: bool = False

    async def instead(self, receive: Receive, send: Send) -> None:
        """Answer the request, whose body has been read; called where `answers` says so."""

    def through(self, send: Send) -> Send:
        """A `send` that misbehaves on the way to this one."""
        return send

    def __repr__(self) -> str:
        return f"<Fault {self.kind}>"

    @staticmethod
    def status(
        status: int, *, retry_after: float | str | None = None, body: str = "", headers: Iterable[tuple[str, str]] = ()
    ) -> Fault:
        """Answer with this status.

        Args:
            status: the status code.
            retry_after: the value of ``Retry-After``: seconds, or an HTTP date.
            body: the body, as plain text.
            headers: further headers.
        """
        waiting = () if retry_after is None else (("retry-after", _number(retry_after)),)
        return _Instead("status", HttpResponse.of(status, "text/plain", body.encode(), (*waiting, *headers)))

    @staticmethod
    def rate_limited(*, retry_after: float = 1, limit: int = 500) -> Fault:
        """Answer as Poe does to a caller that has made too many requests."""
        headers = [
            ("retry-after", _number(retry_after)),
            ("x-ratelimit-limit-requests", str(limit)),
            ("x-ratelimit-remaining-requests", "0"),
            ("x-ratelimit-reset-requests", f"{_number(retry_after)}s"),
        ]
        body = json.dumps({"error": "too many requests"}).encode()
        return _Instead("rate_limited", HttpResponse.of(429, "application/json", body, headers))

    @staticmethod
    def silent(*, after_head: bool = False) -> Fault:
        """Read the request and never answer, or send no more than the head of a stream, until the caller leaves."""
        return _Silent(after_head)

    @staticmethod
    def truncate(after_bytes: int = 0) -> Fault:
        """Send this many bytes of the body, and close the connection. A shorter body arrives whole."""
        return _Bent("truncate", lambda send: _CutAfterBytes(send, after_bytes))

    @staticmethod
    def truncate_events(count: int) -> Fault:
        """Send this many events of the stream, and close the connection. Comments do not count."""
        return _Bent("truncate_events", lambda send: _CutAfterEvents(send, count))

    @staticmethod
    def reset() -> Fault:
        """Close the connection after the head of the response. An ASGI application cannot do so any earlier."""
        return _Bent("reset", lambda send: _CutAfterBytes(send, 0))

    @staticmethod
    def slow(seconds: float = 0, *, until: anyio.Event | None = None, hold_head: bool = False) -> Fault:
        """Wait before each part of the body.

        Args:
            seconds: how long.
            until: wait for this as well; once it is set, nothing waits for it.
            hold_head: wait before the head, too.
        """
        return _Bent("slow", lambda send: _Slow(send, seconds, until, hold_head))

    @staticmethod
    def garbage(data: bytes | str = _GARBAGE) -> Fault:
        """Send this in place of the body, with the head that the real answer has."""
        raw = data.encode() if isinstance(data, str) else data
        return _Bent("garbage", lambda send: _Garbage(send, raw))

    @classmethod
    def of(cls, kind: str, arguments: dict[str, Any]) -> Fault:
        """The fault of that kind: the name of one of the methods above.

        Raises:
            ValueError: when there is none, or the arguments do not fit.
        """
        make = _KINDS.get(kind)
        if make is None:
            raise ValueError(f"there is no fault called {kind!r}; there are {', '.join(sorted(_KINDS))}")
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


def _number(value: float | str) -> str:
    return value if isinstance(value, str) else f"{value:g}"


class _Instead(Fault):
    answers = True

    def __init__(self, kind: str, response: HttpResponse) -> None:
        self.kind = kind
        self._response = response

    async def instead(self, receive: Receive, send: Send) -> None:
        await respond(send, self._response)


class _Silent(Fault):
    kind = "silent"
    answers = True

    def __init__(self, after_head: bool) -> None:
        self._after_head = after_head

    async def instead(self, receive: Receive, send: Send) -> None:
        if self._after_head:
            await start(send, 200, _STREAM)
            # Servers hold a head back until there is a body; a comment is none to a reader.
            await send({"type": "http.response.body", "body": b":\n\n", "more_body": True})
        await until_gone(receive)


class _Bent(Fault):
    def __init__(self, kind: str, bend: Callable[[Send], Send]) -> None:
        self.kind = kind
        self._bend = bend

    def through(self, send: Send) -> Send:
        return self._bend(send)


class _CutAfterBytes:
    def __init__(self, send: Send, count: int) -> None:
        self._send = send
        self._left = count

    async def __call__(self, message: Message) -> None:
        body = message.get("body", b"")
        if len(body) > self._left:
            await self._send({**message, "body": body[: self._left], "more_body": True})
            raise CallerGone("cut short by a fault")
        self._left -= len(body)
        await self._send(message)


class _CutAfterEvents:
    def __init__(self, send: Send, count: int) -> None:
        self._send = send
        self._left = count
        self._unfinished = b""

    async def __call__(self, message: Message) -> None:
        if message["type"] != "http.response.body":
            await self._send(message)
            return
        *records, self._unfinished = (self._unfinished + message.get("body", b"")).split(b"\n\n")
        sent = b""
        for record in records:
            is_event = not record.startswith(b":")
            if is_event and self._left == 0:
                await self._send({**message, "body": sent, "more_body": True})
                raise CallerGone("cut short by a fault")
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

    async def __call__(self, message: Message) -> None:
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

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = [(name, value) for name, value in message["headers"] if name.lower() != b"content-length"]
            await self._send({**message, "headers": headers})
        elif not self._sent:
            self._sent = True
            await self._send({"type": "http.response.body", "body": self._data, "more_body": False})


@attrs.define
class _Planned:
    """A fault that waits for its request."""

    where: str
    fault: Fault
    times: int | None


class Faults:
    """The faults that are planned, in the order they were added."""

    def __init__(self) -> None:
        self._planned: list[_Planned] = []

    def add(self, where: str, fault: Fault, *, times: int | None = 1) -> None:
        """Let requests meet a fault.

        Args:
            where: a path (it also stands for all that begins with it and a slash), the name of a bot, whose queries are
                meant, or ``*`` for every request.
            fault: the fault.
            times: how many requests meet it; None for all.

        Raises:
            ValueError: when `times` is below one.
        """
        if times is not None and times < 1:
            raise ValueError(f"a fault happens at least once, got times={times}")
        self._planned.append(_Planned(where, fault, times))

    def clear(self) -> None:
        """Plan no more faults; those under way take their course."""
        self._planned.clear()

    def take(self, path: str, bot_name: str | None) -> Fault | None:
        """The fault that a request meets, if any: the first that was planned for it."""
        for planned in self._planned:
            if planned.where in ("*", path, bot_name) or path.startswith(f"{planned.where.rstrip('/')}/"):
                if planned.times is not None:
                    planned.times -= 1
                    if planned.times == 0:
                        self._planned.remove(planned)
                return planned.fault
        return None

    def as_json(self) -> list[dict[str, Any]]:
        """What is planned, for people."""
        return [
            {"where": planned.where, "kind": planned.fault.kind, "times": planned.times} for planned in self._planned
        ]
