"""An exchange as text to copy: a curl command, a Python program, a test."""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable

from poeproto_playground.exchange_log import Exchange
from poeproto_playground.exchange_view import split_body
from poeproto_playground.masking import Masking
from poeproto_simulator import HTTPError

# Headers that the program that sends the request sets itself.
_LEFT_OUT = frozenset(
    {b"host", b"content-length", b"connection", b"authorization", b"accept-encoding", b"transfer-encoding"}
)
_FIRST_REFUSAL = 400
_VARIABLE = "POE_ACCESS_KEY"


def snippet(exchange: Exchange, form: str, key: str | None, masking: Masking) -> str:
    """The request of an exchange as text to copy.

    Args:
        exchange: the exchange.
        form: "curl", "python" or "pytest".
        key: the key to write into the text; None for a variable of the environment in its place.
        masking: masks the other keys.

    Raises:
        HTTPError: with status 400, for another form, or a body that is not UTF-8.
    """
    make = _FORMS.get(form)
    if make is None:
        raise HTTPError(400, f"as: expected one of {', '.join(_FORMS)}")
    if exchange.request.omitted:
        raise HTTPError(400, "the body was too large to be kept, so the request cannot be copied")
    try:
        body = masking.data(exchange.request.body).decode("utf-8")
    except UnicodeDecodeError:
        raise HTTPError(400, "the body is not UTF-8; download it instead") from None
    headers = [
        (name.decode("latin-1"), masking.data(value).decode("latin-1"))
        for name, value in exchange.request.headers
        if name not in _LEFT_OUT
    ]
    has_key = any(name == b"authorization" for name, _ in exchange.request.headers)
    url = exchange.request.url if key else masking.url(exchange.request.url)
    return make(exchange, url, headers, body, key if has_key else None, has_key)


Headers = list[tuple[str, str]]


def _curl(exchange: Exchange, url: str, headers: Headers, body: str, key: str | None, has_key: bool) -> str:
    parts = ["curl", "--no-buffer", "--silent", "--show-error", "-X", exchange.request.method]
    words = [*map(shlex.quote, parts), shlex.quote(url)]
    for name, value in headers:
        words += ["-H", shlex.quote(f"{name}: {value}")]
    if has_key and key is None:
        words += ["-H", f'"authorization: Bearer ${_VARIABLE}"']
    elif has_key:
        words += ["-H", shlex.quote(f"authorization: Bearer {key}")]
    if body:
        words += ["--data-raw", shlex.quote(body)]
    return " ".join(words)


def _request_lines(url: str, headers: Headers, body: str, key: str | None, has_key: bool) -> list[str]:
    lines = [f"URL = {url!r}", f"BODY = {_python_body(body)}"]
    shown = [f"    {name!r}: {value!r}," for name, value in headers]
    if has_key:
        value = f'f"Bearer {{os.environ[{_VARIABLE!r}]}}"' if key is None else repr(f"Bearer {key}")
        shown.append(f'    "authorization": {value},')
    return [*lines, "HEADERS = {", *shown, "}"]


def _python_body(body: str) -> str:
    try:
        value = json.loads(body)
    except (ValueError, RecursionError):
        return f"{body!r}.encode()"
    if json.dumps(value, ensure_ascii=False, separators=(",", ":")) != body:
        return f"{body!r}.encode()"  # not what `json.dumps` writes: kept byte by byte
    return f"json.dumps({value!r}, ensure_ascii=False, separators=(',', ':')).encode()"


def _python(exchange: Exchange, url: str, headers: Headers, body: str, key: str | None, has_key: bool) -> str:
    lines = _request_lines(url, headers, body, key, has_key)
    return "\n".join(
        [
            "import json",
            "import os",
            "import urllib.request",
            "",
            *lines,
            "",
            f"request = urllib.request.Request(URL, BODY, HEADERS, method={exchange.request.method!r})",
            "with urllib.request.urlopen(request) as response:",
            "    for line in response:",
            '        print(line.decode(), end="")',
            "",
        ]
    )


def _pytest(exchange: Exchange, url: str, headers: Headers, body: str, key: str | None, has_key: bool) -> str:
    status = exchange.head.status if exchange.head else 200
    if status >= _FIRST_REFUSAL:
        modules = ["json", "os", "urllib.error", "urllib.request"]
        checks = [
            "    try:",
            "        urllib.request.urlopen(request).close()",
            "    except urllib.error.HTTPError as error:",
            f"        assert error.code == {status}",
            "        error.close()",
            "    else:",
            f'        raise AssertionError("the bot did not refuse it with status {status}")',
        ]
    elif exchange.kind == "query":
        modules = ["json", "os", "re", "urllib.request"]
        checks = [
            "    with urllib.request.urlopen(request) as response:",
            f"        assert response.status == {status}",
            '        events = re.findall(rb"^event: ?(\\w+)", response.read(), re.MULTILINE)',
            *(
                ['    assert b"error" in events']
                if _has_error(exchange)
                else ['    assert b"error" not in events', '    assert events[-1:] == [b"done"]']
            ),
        ]
    else:
        modules = ["json", "os", "urllib.request"]
        checks = [
            "    with urllib.request.urlopen(request) as response:",
            f"        assert response.status == {status}",
        ]
    return "\n".join(
        [
            *(f"import {module}" for module in modules),
            "",
            *_request_lines(url, headers, body, key, has_key),
            "",
            "",
            f"def test_{exchange.kind}() -> None:",
            f"    request = urllib.request.Request(URL, BODY, HEADERS, method={exchange.request.method!r})",
            *checks,
            "",
        ]
    )


def _has_error(exchange: Exchange) -> bool:
    return any(event.event == "error" for event in split_body(exchange))


_FORMS: dict[str, Callable[[Exchange, str, Headers, str, str | None, bool], str]] = {
    "curl": _curl,
    "python": _python,
    "pytest": _pytest,
}
