"""A key that must not show, and everything a value or a failure shows of itself."""

from __future__ import annotations

import html
import json
import logging
import pickle
import traceback
from base64 import b64encode
from urllib.parse import quote

import attrs
import pytest

# As long as Poe's. Every four characters of it are its own, and some are spelled otherwise in URLs and in JSON.
CANARY = 'Kf7"Qz+W/x3Vb9Np2Rt6Yh8Jm4Lc5Dg1'
BEARER_CANARY = f"Bearer {CANARY}"


def spellings(text: str = CANARY) -> list[str]:
    """How a peer may repeat it: as it is, in a URL, in JSON."""
    return [text, text.lower(), text.upper(), quote(text, safe=""), json.dumps(text)[1:-1]]


def escaped_spellings(text: str = CANARY) -> dict[str, str]:
    """How a peer may repeat it on purpose, or by an encoder of its own."""
    whole = "".join(f"\\u{ord(character):04x}" for character in text)
    in_part = "".join(
        f"\\u{ord(each):04X}" if index % 3 == 0 else json.dumps(each)[1:-1] for index, each in enumerate(text)
    )
    return {
        "plain": text,
        "upper case": text.upper(),
        "JSON": json.dumps(text)[1:-1],
        "JSON of PHP": json.dumps(text)[1:-1].replace("/", "\\/"),
        "every character escaped": whole,
        "some characters escaped": in_part,
        "escaped twice": json.dumps(in_part)[1:-1],
        "percent-encoded": quote(text, safe=""),
        "every character percent-encoded": "".join(f"%{ord(character):02x}" for character in text),
        "percent-encoded twice": quote(quote(text, safe=""), safe=""),
        "HTML": html.escape(text),
        "HTML in JSON": html.escape(text).replace("&", "\\u0026"),
        "every character an entity": "".join(f"&#{ord(character)};" for character in text),
        "base64": b64encode(text.encode()).decode(),
        "base64 of Basic": b64encode(f":{text}".encode()).decode(),
        "base64 after two": b64encode(f"u:{text}".encode()).decode(),
    }


def assert_spelling_hidden(name: str, *shown: object) -> None:
    """The key is in none of these texts in this spelling; of base64, most of it is not."""
    spelt = escaped_spellings()[name].lower()
    assert_hidden(*shown)
    for each in shown:
        text = (each.decode("latin-1") if isinstance(each, bytes) else str(each)).lower()
        for start in range(8, len(spelt) - 24, 8):
            part = spelt[start : start + 16]
            assert part not in text, f"{part!r} of the key shows in {text!r}"


def assert_hidden(*shown: object) -> None:
    """The key is in none of these texts, however it is spelled, in whole or in part."""
    for each in shown:
        text = (each.decode("latin-1") if isinstance(each, bytes) else str(each)).lower()
        for spelt in spellings():
            for start in range(0, len(spelt) - 12, 4):
                part = spelt[start : start + 12].lower()
                assert part not in text, f"{part!r} of the key shows in {text!r}"


def all_of(value: object) -> list[str]:
    """All texts by which a program may print a value."""
    return [repr(value), str(value), f"{value}", f"{value!r:.2000}", repr([value]), repr({"value": value})]


def all_within(value: object) -> list[object]:
    """All texts in a value, also in its forms as a dictionary and as a pickle."""
    return [*all_of(value), attrs.asdict(value), pickle.dumps(value)]


def all_of_failure(error: BaseException) -> list[object]:
    """The texts that loggers and error trackers keep of an exception: the traceback with all causes, attributes, a
    pickle.
    """
    shown: list[object] = ["".join(traceback.format_exception(error)), pickle.dumps(error)]
    chain: list[BaseException] = [error]
    while chain:
        exc = chain.pop()
        shown += [*all_of(exc), exc.args, vars(exc)]
        chain += [inner for inner in (exc.__cause__, exc.__context__) if inner is not None]
        if isinstance(exc, BaseExceptionGroup):
            chain += exc.exceptions
    return shown


def all_logged(caplog: pytest.LogCaptureFixture) -> list[object]:
    """The texts of all log records: formatted, and in the parts that handlers receive."""
    shown: list[object] = [caplog.text]
    for record in caplog.records:
        shown += [logging.Formatter().format(record), record.args, {**vars(record), "exc_info": None}]
        if record.exc_info is not None and record.exc_info[1] is not None:
            shown += all_of_failure(record.exc_info[1])
    return shown
