"""The requests of the probes: raw bytes, and the line of a shell that repeats them."""

from __future__ import annotations

import json
from enum import Enum
from typing import Any

import attrs

__all__ = ["Framing", "ProbeRequest"]

JSON_TYPE = ("Content-Type", "application/json")


class Framing(Enum):
    """How the length of a request's body is declared."""

    LENGTH = "Content-Length"
    CHUNKED = "chunked"
    NONE = "no body"


@attrs.frozen
class ProbeRequest:
    """A request to the bot server.

    Attributes:
        label: what it is, for people.
        body: the body.
        method: the method.
        authorization: the value of the header; None leaves it out.
        headers: further headers, in order.
        framing: how the body is framed.
        declared: the Content-Length to write if it is not that of the body.
        shell_body: a command that prints a body too long for a command line.
    """

    label: str
    body: bytes = attrs.field(default=b"", repr=False)
    method: str = "POST"
    authorization: str | None = attrs.field(default=None, repr=False)
    headers: tuple[tuple[str, str], ...] = (JSON_TYPE,)
    framing: Framing = Framing.LENGTH
    declared: int | None = None
    shell_body: str | None = None

    def head(self, target: str, authority: str) -> bytes:
        """The head on the wire."""
        lines = [f"{self.method} {target} HTTP/1.1", f"Host: {authority}", "User-Agent: poeproto-check", "Accept: */*"]
        if self.authorization is not None:
            lines.append(f"Authorization: {self.authorization}")
        lines += [f"{name}: {value}" for name, value in self.headers]
        if self.framing is Framing.LENGTH:
            lines.append(f"Content-Length: {len(self.body) if self.declared is None else self.declared}")
        elif self.framing is Framing.CHUNKED:
            lines.append("Transfer-Encoding: chunked")
        return "\r\n".join([*lines, "", ""]).encode("latin-1", "replace")

    def body_on_wire(self) -> bytes:
        """The body with its framing. A chunked one has two chunks, so that the server has to join them."""
        if self.framing is not Framing.CHUNKED:
            return self.body
        half = len(self.body) // 2
        chunks = [part for part in (self.body[:half], self.body[half:]) if part]
        return b"".join(b"%x\r\n%b\r\n" % (len(chunk), chunk) for chunk in chunks) + b"0\r\n\r\n"


def json_body(value: Any) -> bytes:
    """A value as the body of a request."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()
