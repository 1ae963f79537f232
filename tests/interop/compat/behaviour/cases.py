"""A case of the behaviour table: one input, given to fastapi_poe and to poeproto_compat, and what comes of it."""

from __future__ import annotations

import contextlib
import io
import re
import warnings
from collections.abc import Callable, Iterator, Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

import attrs
import pydantic

from .peer import Exchange, Peer

Call = Callable[["Side"], Any]  # may return an awaitable

MODULES = ("types", "client", "base", "templates", "sync_utils")
HERE = str(Path(__file__).parent)


@attrs.frozen
class Case:
    """One input.

    Attributes:
        row: the part of the interface that it is given to; a row of the table.
        given: the input, in words or as Python writes it.
        call: gives it to the one or to the other library.
        differs: the key of the deliberate difference that it shows; or a function that finds it in both results.
    """

    row: str
    given: str
    call: Call
    differs: str | Callable[[Any, Any], str | None] | None = None


class Side:
    """One of the two libraries, and the acts of a case with it.

    Args:
        name: the package.
        peer: the server that scripted calls go to.
    """

    def __init__(self, name: str, peer: Peer) -> None:
        self.name = name
        self.peer = peer
        self.fp: Any = import_module(name)
        for module in MODULES:
            setattr(self, module, import_module(f"{name}.{module}"))
        self.exchange = Exchange([])

    types: Any
    client: Any
    base: Any
    templates: Any
    sync_utils: Any

    @property
    def is_ours(self) -> bool:
        return self.name == "poeproto_compat"

    def serve(self, *responses: bytes) -> str:
        """A base URL at which these are answered, one after the other; the last one again and again."""
        self.exchange = Exchange(list(responses))
        return self.peer.add(self.exchange)


@attrs.define
class Outcome:
    """The outcome of a case.

    Attributes:
        facts: values and types, which both have in common unless a difference is listed.
        words: sentences for people, which each library has of its own.
        result: what was returned, or raised.
    """

    facts: list[Any] = attrs.Factory(list)
    words: list[str] = attrs.Factory(list)
    result: Any = attrs.field(default=None, eq=False)


async def observe(case: Case, side: Side) -> Outcome:
    """Run a case with one library."""
    outcome = Outcome()
    printed = io.StringIO()
    with (
        warnings.catch_warnings(record=True) as caught,
        contextlib.redirect_stdout(printed),
        contextlib.redirect_stderr(io.StringIO()),
    ):
        warnings.simplefilter("always")
        try:
            result = case.call(side)
            if hasattr(result, "__await__"):
                result = await result
            outcome.result = result
            outcome.facts.append(plain(result))
        except (Exception, SystemExit) as exc:  # noqa: BLE001  # any exception is an outcome
            outcome.result = exc
            outcome.facts += facts_of(exc)
            outcome.words.append(str(exc))
    for each in caught:
        is_here = each.filename.startswith(HERE)  # so the stacklevel is right
        # fastapi_poe calls pydantic 2 by pydantic 1's names.
        is_pydantics = issubclass(each.category, pydantic.warnings.PydanticDeprecationWarning) and not is_here
        if issubclass(each.category, DeprecationWarning) and not is_pydantics:
            outcome.facts.append(("warns", is_here))
            outcome.words.append(str(each.message))
    outcome.facts.append(("prints", bool(printed.getvalue())))
    outcome.words.append(printed.getvalue())
    return outcome


def facts_of(exc: BaseException) -> list[Any]:
    """The type of an exception; of a refused value also its place and fault."""
    if isinstance(exc, ValueError) and hasattr(exc, "errors"):
        return ["raises", "ValidationError", [(each["type"], each["loc"]) for each in exc.errors()]]  # pyright: ignore[reportAttributeAccessIssue]
    return ["raises", type(exc).__name__, *([exc.code] if isinstance(exc, SystemExit) else [])]


def plain(value: Any) -> Any:
    """A value with its types and those of the values inside, without the modules of each library's own types."""
    if isinstance(value, BaseException):
        return [*facts_of(value)]
    if hasattr(type(value), "model_dump"):
        fields = {**value.__dict__, **(value.model_extra or {})}
        return type(value).__name__, plain(fields), sorted(value.model_fields_set)
    if isinstance(value, Mapping):
        return "dict", [(plain(key), plain(item)) for key, item in value.items()]
    if isinstance(value, (list, tuple)):
        return type(value).__name__, [plain(item) for item in value]
    if hasattr(value, "event") and hasattr(value, "data"):
        return "record", value.event, plain(value.data), value.id, value.retry, value.comment
    if isinstance(value, (str, int, float, bytes, type(None))):
        return type(value).__name__, re.sub(r"127\.0\.0\.1:\d+/\d+/", "the.server/", repr(value))
    if isinstance(value, type):
        return "type", value.__name__
    return type(value).__name__, re.sub(r"fastapi_poe|poeproto_compat| at 0x\w+", "", repr(value))


def shown(value: Any) -> str:
    """An input as Python writes it, made short."""
    text = re.sub(r" at 0x\w+", "", repr(value))
    return text if len(text) <= 60 else f"{text[:57]}..."


def each_case(row: str, inputs: Mapping[str, Call], differs: Mapping[str, Any] | None = None) -> Iterator[Case]:
    """Cases of one row.

    Args:
        row: the row.
        inputs: what is done, by name.
        differs: the keys of differences, by the same names.
    """
    for given, call in inputs.items():
        yield Case(row, given, call, (differs or {}).get(given))
