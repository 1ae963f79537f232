"""Printable text: escapes for what does harm in a terminal or a log."""

from __future__ import annotations

import io
import json
import logging
import sys
from collections.abc import Generator

import pytest

from poeproto_runtime.printable import PrintableFormatter, indented, printable_line, printable_text

FORGED = "a\n2026-01-01 00:00:00,000 ERROR poeproto: forged\x1b[2J\u202e"


@pytest.mark.parametrize(
    ("text", "as_text", "as_line"),
    [
        (
            "naïve 🐈\u200d⬛ \u05d0\u200f\xa0\\n",
            "naïve 🐈\u200d⬛ \u05d0\u200f\xa0\\n",
            "naïve 🐈\u200d⬛ \u05d0\u200f\xa0\\n",
        ),
        ("a\tb\nc\r\nd", "a\tb\nc\r\nd", "a\\tb\\nc\\r\\nd"),
        ("100 %\rgone", "100 %\\u000dgone", "100 %\\u000dgone"),
        ("\x1b]0;own\x07\x9b2J\x7f\x00", *["\\u001b]0;own\\u0007\\u009b2J\\u007f\\u0000"] * 2),
        ("\u202a\u202b\u202c\u202d\u202e", *["\\u202a\\u202b\\u202c\\u202d\\u202e"] * 2),
        ("\u2066\u2067\u2068\u2069", *["\\u2066\\u2067\\u2068\\u2069"] * 2),
        ("\ud83d", *["\\ud83d"] * 2),
        ("a\u2028b\u2029c", "a\u2028b\u2029c", "a\\u2028b\\u2029c"),
        ("a\x0bb\x0cc\x1cd\x85e", *["a\\u000bb\\u000cc\\u001cd\\u0085e"] * 2),
    ],
)
def test_escapes(text: str, as_text: str, as_line: str) -> None:
    assert printable_text(text) == as_text.replace("\\u000d", "\\r")
    assert printable_line(text) == as_line.replace("\\u000d", "\\r")
    assert len(printable_line(text).splitlines()) == 1


def test_json_is_unchanged() -> None:
    value = "".join(map(chr, range(0x2100))) + "\ud83d"
    shown = printable_text(json.dumps(value, ensure_ascii=False))
    assert json.loads(shown) == value
    shown.encode()


def test_no_indented_line_begins_at_the_margin() -> None:
    assert indented("a\nb\u2028c\x85d") == "    a\n    b\n    c\n    d"


class FailsToPrint:
    def __str__(self) -> str:
        raise RuntimeError("swordfish")


@pytest.fixture
def foreign_log() -> Generator[io.StringIO]:
    """The output of a handler that a program has configured itself."""
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(logging.Formatter("%(levelname)s %(message)s"))
    logger = logging.getLogger("poeproto")
    logger.addHandler(handler)
    yield stream
    logger.removeHandler(handler)


def test_a_name_forges_no_line_of_the_log(foreign_log: io.StringIO) -> None:
    logging.getLogger("poeproto").warning("the bot %s failed: %r", FORGED, FORGED)
    [line] = foreign_log.getvalue().splitlines()
    assert line.startswith("WARNING the bot a\\n2026-01-01")
    assert "\x1b" not in line


def test_an_exception_forges_no_line_of_the_log(foreign_log: io.StringIO) -> None:
    try:
        raise ValueError(FORGED)
    except ValueError:
        logging.getLogger("poeproto").exception("a hook failed")
    first, *rest = foreign_log.getvalue().splitlines()
    assert first == "ERROR a hook failed"
    assert rest[0] == "    Traceback (most recent call last):"
    assert rest[-1].endswith("forged\\u001b[2J\\u202e")
    assert all(line.startswith("    ") for line in rest)


def test_a_printable_record_keeps_its_arguments(caplog: pytest.LogCaptureFixture) -> None:
    logging.getLogger("poeproto").warning("%s: %d", "naïve", 1)
    assert caplog.records[0].args == ("naïve", 1)


def test_a_record_that_cannot_be_formatted_is_left_to_its_handler(
    foreign_log: io.StringIO, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    logger = logging.getLogger("poeproto")
    monkeypatch.setattr(logger, "propagate", False)
    logger.warning("%s", FailsToPrint())
    assert foreign_log.getvalue() == ""
    assert "--- Logging error ---" in capsys.readouterr().err


def test_the_formatter_makes_the_records_of_other_loggers_printable() -> None:
    formatter = PrintableFormatter("%(levelname)s %(message)s")
    try:
        raise ValueError(FORGED)
    except ValueError:
        record = logging.LogRecord("other", logging.INFO, "", 1, "user %s", (FORGED,), sys.exc_info())
    first, *rest = formatter.format(record).splitlines()
    assert first == "INFO user a"
    assert rest[0] == "    2026-01-01 00:00:00,000 ERROR poeproto: forged\\u001b[2J\\u202e"
    assert all(line.startswith("    ") for line in rest)
    assert formatter.format(logging.LogRecord("other", logging.INFO, "", 1, "", (), None)) == "INFO "
