"""Bytes to JSON object and back: the one place that knows the JSON library.

msgspec was the fastest of those measured that is strict (`python -m benchmarks codec`), and it is the one that cattrs
and attrs classes are served by. What it does differently from the protocol's needs is mended here, so that nobody
above meets it: lone surrogates, non-finite numbers, deep nesting.

https://www.rfc-editor.org/rfc/rfc8259
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Iterable
from itertools import accumulate
from typing import Any, NoReturn, cast

import msgspec

from poeproto.vocabulary.errors import LocalProtocolError, RemoteProtocolError

# msgspec's own bound, and Python's.
_INTEGER_DIGITS = 4300

# How deep arrays and objects may nest, the outermost included. No parser is asked to go deeper, since what each of
# them bears depends on the interpreter's stack at the moment. Those who walk a value take three frames a level.
MAX_DEPTH = 200
_TOO_DEEP = f"nested too deeply: more than {MAX_DEPTH} levels"
_SHORTEST_TOO_DEEP = 2 * (MAX_DEPTH + 1)
_NEITHER_BRACKETS_NOR_QUOTES = bytes(set(range(256)) - set(b'[]{}"'))
_LEVELS = {ord("["): 1, ord("{"): 1, ord("]"): -1, ord("}"): -1}

_SURROGATE = re.compile("[\ud800-\udfff]")
_SURROGATE_ESCAPE = re.compile(rb"\\u[dD][89a-fA-F]")


def _as_builtin(value: str | float) -> str | float:
    # msgspec takes exactly str, int and float; a subclass of one (markupsafe.Markup, numpy.float64) is written as what
    # it holds, whatever its own __str__ would say.
    if isinstance(value, str):
        return str.__str__(value)
    return int.__int__(value) if isinstance(value, int) else float.__float__(value)


def _nesting(levels: int) -> Any:
    inner = _nesting(levels - 1) if levels > 1 else None
    return bool | int | float | str | list[inner] | dict[str, inner] | None


# Any JSON that nests at most so deep, as nearly all does: a type that msgspec checks while it parses, at no cost, so
# that no depth need be counted. To prepare for it takes a third of a millisecond, and twice that for each level more.
SHALLOW = _nesting(6)

# A level more than in a field, for OpenAI's chunks with calls of tools.
_decode_shallow: Callable[[bytes | str], dict[str, Any]] = msgspec.json.Decoder(dict[str, _nesting(7)]).decode
_decode = msgspec.json.decode
_encoder = msgspec.json.Encoder(enc_hook=_as_builtin)
# JSON in UTF-8 of what has been checked; UnicodeEncodeError where there is a lone surrogate.
encode: Callable[[Any], bytes] = _encoder.encode
# The same of several strings, each in a line of its own, since no string holds a line end once it is JSON.
encode_strings: Callable[[list[str]], bytes] = _encoder.encode_lines


def loads(data: bytes | str) -> dict[str, Any]:
    """The JSON object in these bytes.

    A lone surrogate written as an escape survives in the string (JavaScript peers cut emoji in two). Of duplicate
    keys the last one wins. Size is the caller's to bound.

    Raises:
        RemoteProtocolError: when it is not JSON (RFC 8259), not UTF-8, not an object, nested more than 200 levels deep,
            or holds a number beyond double precision's range or an integer of more than 4,300 digits (its sign counts
            as one).
    """
    try:
        return _decode_shallow(data)
    except (ValueError, RecursionError):
        return _loads_with_care(data)


def _loads_with_care(data: bytes | str) -> dict[str, Any]:
    if len(data) >= _SHORTEST_TOO_DEEP:
        _check_depth(data if isinstance(data, bytes) else data.encode("utf-8", "surrogatepass"))
    try:
        value = _decode(data)
    except ValueError as exc:
        raw = data if isinstance(data, bytes) else data.encode("utf-8", "surrogatepass")
        if not _SURROGATE_ESCAPE.search(raw):
            raise RemoteProtocolError(f"not valid JSON: {exc}") from exc
        value = _loads_with_surrogates(raw)
    except RecursionError as exc:  # the stack was nearly full when we were called
        raise RemoteProtocolError(f"not acceptable JSON: {_TOO_DEEP}") from exc
    if not isinstance(value, dict):
        raise RemoteProtocolError(f"expected a JSON object, got {json_type(value)}")
    return cast("dict[str, Any]", value)


class _TextAlone(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    text: str


_decode_texts = msgspec.json.Decoder(_TextAlone).decode_lines


def load_texts(lines: bytes) -> list[str] | None:
    """The strings in lines that hold an object each, with a string under `text` and nothing else: the fast path of
    text events. None when any line may be something else; `loads` tells.
    """
    try:
        objects = _decode_texts(lines)
    except (ValueError, RecursionError):
        return None
    # To the parser a line end is a space. But where every line end is between two braces, none is within one of these
    # objects, so each line has at least one; and as many as there are lines are one in each.
    ends = lines.count(b"\n")
    if lines.count(b"}\n{") != ends or len(objects) != ends + 1:
        return None
    return [value.text for value in objects]


def _check_depth(raw: bytes) -> None:
    left = raw.translate(None, _NEITHER_BRACKETS_NOR_QUOTES)
    # Most messages have fewer brackets than that, whatever is in their strings. A pair without anything nests nothing.
    if left.count(b"{") + left.count(b"[") - left.count(b"{}") - left.count(b"[]") < MAX_DEPTH:
        return
    if b"\\" in raw:  # then not every quote begins or ends a string
        unescaped = raw.replace(rb"\\", b"").replace(rb"\"", b"")
        left = unescaped.translate(None, _NEITHER_BRACKETS_NOR_QUOTES)
    # Most strings have no bracket, and without them and their quotes what is outside of strings remains outside.
    outside_strings = left.replace(b'""', b"").split(b'"')[::2]
    brackets = b"".join(outside_strings)
    # One pass, whatever the brackets are. Where they do not pair, the parser says what is wrong.
    if max(accumulate(map(_LEVELS.__getitem__, brackets)), default=0) > MAX_DEPTH:
        raise RemoteProtocolError(f"not acceptable JSON: {_TOO_DEEP}")


def _loads_with_surrogates(raw: bytes) -> Any:
    # The standard library keeps lone surrogates, which msgspec refuses; it is otherwise held to the same rules.
    try:
        return json.loads(
            raw.decode("utf-8"), parse_constant=_refuse_constant, parse_float=_finite_float, parse_int=_short_int
        )
    except ValueError as exc:
        raise RemoteProtocolError(f"not valid JSON: {exc}") from exc
    except RecursionError as exc:
        raise RemoteProtocolError(f"not acceptable JSON: {_TOO_DEEP}") from exc


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not a JSON number")


def _finite_float(digits: str) -> float:
    value = float(digits)
    if math.isinf(value):
        raise ValueError(f"the number {digits[:20]} is out of range")
    return value


def _short_int(digits: str) -> int:
    # Python's bound can be lifted for the whole process, and then the time taken is quadratic.
    if len(digits) > _INTEGER_DIGITS:
        raise ValueError(f"an integer of {len(digits)} digits is out of range")
    return int(digits)


def json_type(value: object) -> str:
    """What kind of JSON value that is, for messages."""
    if value is None:
        return "null"
    names: dict[type, str] = {str: "a string", bool: "a boolean", list: "an array", dict: "an object"}
    return names.get(type(value), "a number")


def dumps(value: Any) -> bytes:
    """The value as JSON in UTF-8, without spaces. A lone surrogate is written as an escape, so that it survives.

    Raises:
        LocalProtocolError: when it holds something JSON has no form for, a non-finite number included (msgspec itself
            would write null for one), or is nested more than 200 levels deep. The message names the place.
    """
    try:
        _check_writable(value, MAX_DEPTH)
        return encode(value)
    except _Unwritable as exc:
        raise LocalProtocolError(f"{path_text(exc.path)}: {exc}") from None
    except UnicodeEncodeError:
        return _escape_surrogates(json.dumps(value, ensure_ascii=False, separators=(",", ":")))
    except RecursionError as exc:  # the stack was nearly full when we were called
        raise LocalProtocolError(f"cannot be written as JSON: {_TOO_DEEP}") from exc


def dump_string(value: str) -> bytes:
    """A string as JSON in UTF-8, quotes included."""
    try:
        return encode(value)
    except UnicodeEncodeError:
        return _escape_surrogates(json.dumps(value, ensure_ascii=False))


def _escape_surrogates(text: str) -> bytes:
    return _SURROGATE.sub(lambda match: f"\\u{ord(match[0]):04x}", text).encode()


def is_writable(value: Any) -> bool:
    """Whether `dumps` would take a value that stands within another."""
    try:
        _check_writable(value, MAX_DEPTH - 1)
    except (_Unwritable, LocalProtocolError, RecursionError):
        return False
    return True


class _Unwritable(Exception):
    """Something without a form in JSON; the path to it grows on the way out, so that it costs nothing otherwise."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.path: list[str | int] = []


_PLAIN = frozenset({str, bool, type(None)})
_PLAIN_IF_EMPTY = frozenset({int, list, dict})  # or zero
# What nobody can read is not written. The reader counts the sign as a digit.
_TOO_LARGE = 10**_INTEGER_DIGITS
_TOO_SMALL = -(10 ** (_INTEGER_DIGITS - 1))


def _check_writable(value: Any, levels: int) -> None:
    if levels == 0 and isinstance(value, dict | list | tuple):
        # The path to it would fill the screen.
        raise LocalProtocolError(f"cannot be written as JSON: {_TOO_DEEP}")
    if isinstance(value, dict):
        key: Any = None
        try:
            for key, item in cast("dict[Any, object]", value).items():
                if not isinstance(key, str):
                    raise _Unwritable(f"the key {key!r} is not a string")
                kind = type(item)
                if kind in _PLAIN or (not item and kind in _PLAIN_IF_EMPTY and levels > 1):
                    continue
                _check_writable(item, levels - 1)
        except _Unwritable as exc:
            if isinstance(key, str):
                exc.path.insert(0, key)
            raise
    elif isinstance(value, (list, tuple)):  # a union would be made anew each time
        for index, item in enumerate(cast("Iterable[Any]", value)):
            try:
                _check_writable(item, levels - 1)
            except _Unwritable as exc:
                exc.path.insert(0, index)
                raise
    elif isinstance(value, float):
        if not math.isfinite(value):
            raise _Unwritable(f"{value} has no form in JSON")
    elif isinstance(value, int):
        if not _TOO_SMALL < value < _TOO_LARGE:
            raise _Unwritable("the integer has too many digits")
    elif value is not None and not isinstance(value, str):
        raise _Unwritable(f"{type(value).__name__} has no form in JSON")


def path_text(path: Iterable[str | int]) -> str:
    """A place in a JSON value as people write it: ``query[0].attachments[1].url``."""
    text = ""
    for step in path:
        text += f"[{step}]" if isinstance(step, int) else f".{step}" if text else step
    return text or "the value"


def join_paths(outer: str, inner: str) -> str:
    """The path of something within something: ``sections[0]`` and ``name`` make ``sections[0].name``."""
    return f"{outer}.{inner}" if outer and inner and not inner.startswith("[") else outer + inner
