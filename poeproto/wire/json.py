"""JSON: bytes to a dict and back, by strict rules that do not depend on the JSON library.

msgspec does the work. It was the fastest strict library of those measured (`python -m benchmarks codec`), and it
supports attrs classes, as cattrs does. Three of its behaviours do not suit the protocol and are corrected here, so that
the modules above never see them:

- Lone surrogates: msgspec refuses them, peers written in JavaScript send them (see `wire.surrogates`). They are decoded
  by the standard library, held to the same rules, and encoded as escapes.
- Non-finite numbers: msgspec encodes null. Here they raise.
- Deep nesting: msgspec raises RecursionError at a depth that depends on the free stack. Here the bound is `MAX_DEPTH`.

**Fast path and general path.** `loads` first decodes with a type that allows seven levels. msgspec checks it while it
parses, at no cost. If that fails for any reason, `_loads_general` measures the depth and decodes again, or raises an
error with the cause.

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

# The bound of msgspec, and the default of sys.set_int_max_str_digits.
_INTEGER_DIGITS = 4300

# How deep arrays and objects may nest, the outermost included. No parser is given more, because how deep one can go
# depends on how much of the interpreter's stack is free. A function that walks a value takes three frames a level.
MAX_DEPTH = 200
_TOO_DEEP = f"nested too deeply: more than {MAX_DEPTH} levels"
_SHORTEST_TOO_DEEP = 2 * (MAX_DEPTH + 1)
_NEITHER_BRACKETS_NOR_QUOTES = bytes(set(range(256)) - set(b'[]{}"'))
_LEVELS = {ord("["): 1, ord("{"): 1, ord("]"): -1, ord("}"): -1}

_SURROGATE = re.compile("[\ud800-\udfff]")
_SURROGATE_ESCAPE = re.compile(rb"\\u[dD][89a-fA-F]")


def _as_builtin(value: str | float) -> str | float:
    # msgspec encodes str, int and float, and not their subclasses (markupsafe.Markup, numpy.float64). These are encoded
    # by their value, whatever their own __str__ returns.
    if isinstance(value, str):
        return str.__str__(value)
    return int.__int__(value) if isinstance(value, int) else float.__float__(value)


def _nesting(levels: int) -> Any:
    inner = _nesting(levels - 1) if levels > 1 else None
    return bool | int | float | str | list[inner] | dict[str, inner] | None


# The type of any JSON of at most six levels, which is nearly all JSON. msgspec checks it while it parses, at no cost,
# so that no brackets have to be counted. Preparing the decoder takes a third of a millisecond, and twice that for each
# further level.
SHALLOW = _nesting(6)

# One level more than within a field, for OpenAI's chunks with tool calls.
_decode_shallow: Callable[[bytes | str], dict[str, Any]] = msgspec.json.Decoder(dict[str, _nesting(7)]).decode
_decode = msgspec.json.decode
_encoder = msgspec.json.Encoder(enc_hook=_as_builtin)
# Encodes a value that has been checked (`is_writable`). Raises UnicodeEncodeError for a lone surrogate.
encode: Callable[[Any], bytes] = _encoder.encode
# Encodes strings as lines. A string in JSON never contains a line end, so there is exactly one line for each.
encode_strings: Callable[[list[str]], bytes] = _encoder.encode_lines


def loads(data: bytes | str) -> dict[str, Any]:
    """The JSON object in these bytes.

    A lone surrogate that is written as an escape stays in the string. Of duplicate keys the last one wins. The caller
    bounds the size.

    Raises:
        RemoteProtocolError: if it is not JSON (RFC 8259), not UTF-8 or not an object; if it is nested more than 200
            levels deep; or if it contains a number out of range for double precision or an integer of more than 4,300
            digits, its sign included.
    """
    try:
        return _decode_shallow(data)
    except (ValueError, RecursionError):
        return _loads_general(data)


def _loads_general(data: bytes | str) -> dict[str, Any]:
    raw = data.encode("utf-8", "surrogatepass") if isinstance(data, str) else bytes(data)
    if len(raw) >= _SHORTEST_TOO_DEEP:
        _check_depth(raw)
    try:
        value = _decode(data)
    except ValueError as exc:
        if not _SURROGATE_ESCAPE.search(raw):
            raise RemoteProtocolError(f"not valid JSON: {exc}") from exc
        value = _loads_with_surrogates(raw)
    except RecursionError as exc:  # the stack was nearly full when this was called
        raise RemoteProtocolError(f"not acceptable JSON: {_TOO_DEEP}") from exc
    if not isinstance(value, dict):
        raise RemoteProtocolError(f"expected a JSON object, got {json_type(value)}")
    return cast("dict[str, Any]", value)


class _OnlyText(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    text: str
    index: None = None  # some writers give a null for an absent value


_LONG_LINE = 128
_decode_texts = msgspec.json.Decoder(_OnlyText).decode_lines


def load_texts(lines: bytes) -> list[str] | None:
    """Fast path: the texts of lines, each of which is an object with a string under `text` and no other key but a null
    under `index`.

    None if any line may be something else; the caller then decodes each by itself.
    """
    try:
        objects = _decode_texts(lines)
    except (ValueError, RecursionError):
        return None
    # To the parser a line end is whitespace, so an object could span two lines, and a line hold two objects. If every
    # line end stands between two braces, no object spans two lines, and each line has at least one object. If there are
    # as many objects as lines, each line has exactly one.
    ends = lines.count(b"\n")
    if len(objects) != ends + 1 or not _every_line_has_braces(lines, ends):
        return None
    return [value.text for value in objects]


def _every_line_has_braces(lines: bytes, ends: int) -> bool:
    """Whether each of the `ends` line ends is between two braces."""
    if len(lines) < _LONG_LINE * (ends + 1):
        return lines.count(b"}\n{") == ends
    # In long lines, a search for three bytes takes many times as long as one for a line end.
    parts = lines.split(b"\n")
    return all(part.endswith(b"}") for part in parts[:-1]) and all(part.startswith(b"{") for part in parts[1:])


def _check_depth(raw: bytes) -> None:
    left = raw.translate(None, _NEITHER_BRACKETS_NOR_QUOTES)
    # Most messages have fewer brackets than that, those in strings included. An empty pair does not nest anything.
    if left.count(b"{") + left.count(b"[") - left.count(b"{}") - left.count(b"[]") < MAX_DEPTH:
        return
    if b"\\" in raw:  # some quotes may be escaped and neither begin nor end a string
        unescaped = raw.replace(rb"\\", b"").replace(rb"\"", b"")
        left = unescaped.translate(None, _NEITHER_BRACKETS_NOR_QUOTES)
    # Strings without brackets are now empty, and dropping them with their quotes keeps the alternation of inside and
    # outside. Every second part is then outside of strings.
    outside_strings = left.replace(b'""', b"").split(b'"')[::2]
    brackets = b"".join(outside_strings)
    # One pass, whatever the brackets are. If they do not match, the parser will say so.
    if max(accumulate(map(_LEVELS.__getitem__, brackets)), default=0) > MAX_DEPTH:
        raise RemoteProtocolError(f"not acceptable JSON: {_TOO_DEEP}")


def _loads_with_surrogates(raw: bytes) -> Any:
    # The standard library keeps lone surrogates. The hooks hold it to msgspec's rules in everything else.
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
    # Python's own bound can be lifted for the whole process, and the conversion takes quadratic time.
    if len(digits) > _INTEGER_DIGITS:
        raise ValueError(f"an integer of {len(digits)} digits is out of range")
    return int(digits)


def json_type(value: object) -> str:
    """The JSON type of a value with its article, for messages: "an array"."""
    if value is None:
        return "null"
    names: dict[type, str] = {str: "a string", bool: "a boolean", list: "an array", dict: "an object"}
    return names.get(type(value), "a number")


def dumps(value: Any) -> bytes:
    """The value as JSON in UTF-8, without spaces. A lone surrogate is written as an escape, so that it survives.

    Raises:
        LocalProtocolError: if it contains a value that JSON cannot express, such as a non-finite number, or is nested
            more than 200 levels deep. The message names the place.
    """
    try:
        _check_writable(value, MAX_DEPTH)
        return encode(value)
    except _Unwritable as exc:
        raise LocalProtocolError(f"{path_text(exc.path)}: {exc}") from None
    except UnicodeEncodeError:
        return _escape_surrogates(json.dumps(value, ensure_ascii=False, separators=(",", ":")))
    except RecursionError as exc:  # the stack was nearly full when this was called
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
    """Whether `dumps` would encode this value as a part of another value."""
    try:
        _check_writable(value, MAX_DEPTH - 1)
    except (_Unwritable, LocalProtocolError, RecursionError):
        return False
    return True


class _Unwritable(Exception):
    """A value that JSON cannot express. Its path is built while the exception propagates, so that success is free."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.path: list[str | int] = []


_PLAIN = frozenset({str, bool, type(None)})
_PLAIN_IF_EMPTY = frozenset({int, list, dict})  # values that need no check if empty or zero
# Integers that no decoder accepts are not encoded. `loads` counts the sign as a digit.
_TOO_LARGE = 10**_INTEGER_DIGITS
_TOO_SMALL = -(10 ** (_INTEGER_DIGITS - 1))


def _check_writable(value: Any, levels: int) -> None:
    if levels == 0 and isinstance(value, dict | list | tuple):
        # Without a path, which would fill the screen.
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
    elif isinstance(value, (list, tuple)):  # `list | tuple` would make a new union object for each call
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
    """A path into a JSON value in the usual notation: ``query[0].attachments[1].url``."""
    text = ""
    for step in path:
        text += f"[{step}]" if isinstance(step, int) else f".{step}" if text else step
    return text or "the value"


def join_paths(outer: str, inner: str) -> str:
    """One path within another: ``sections[0]`` and ``name`` make ``sections[0].name``."""
    return f"{outer}.{inner}" if outer and inner and not inner.startswith("[") else outer + inner
