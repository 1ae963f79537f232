"""The outcome of one call with an OpenAI SDK, in one form for all SDKs and all ways to call."""

from __future__ import annotations

from typing import Any

import attrs

__all__ = ["Call", "Outcome"]


@attrs.frozen
class Call:
    """A tool call, as the SDK gives it to its caller."""

    id: str
    name: str
    arguments: str


@attrs.frozen(kw_only=True)
class Outcome:
    """The result of a call, or the part read before an exception.

    Attributes:
        content: the text of the answer.
        calls: the tool calls.
        finish: the finish reason; for a response its status, or the reason why it is incomplete.
        usage: the tokens of the input and of the output, and their sum.
        reasoning: the reasoning, which is not one of the SDK's own fields.
        error: the class of the exception, by the name that both SDKs share.
        status: the HTTP status, if the exception has one.
        code: the error's code.
        param: the request's parameter that the error is about.
        poe: the keys of the ``poe`` extra.
    """

    content: str = ""
    calls: tuple[Call, ...] = ()
    finish: str | None = None
    usage: tuple[int, int, int] | None = None
    reasoning: str = ""
    error: str | None = None
    status: int | None = None
    code: str | None = None
    param: str | None = None
    poe: tuple[str, ...] = ()

    def shown(self) -> dict[str, Any]:
        """The keys that are not empty: a failed comparison shows no more."""
        return attrs.asdict(self, filter=lambda attribute, value: value != attribute.default)

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Outcome:
        """The outcome that the program of another language printed."""
        usage = data.pop("usage", None)
        return cls(
            calls=tuple(Call(**call) for call in data.pop("calls", ())),
            usage=None if usage is None else (usage[0], usage[1], usage[2]),
            poe=tuple(sorted(data.pop("poe", ()))),
            **data,
        )
