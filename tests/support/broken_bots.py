"""Broken bots: each breaks what its name says, and the findings of the checker are exactly those listed with it.

A bot is a `SoundBot` with one thing replaced. Most are data: settings or events that break one rule of the lint.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from io import BufferedIOBase, BufferedReader
from socketserver import StreamRequestHandler
from typing import Any, cast

import attrs

from poeproto import Limits
from poeproto_check import BotEnding, CheckTimes

from .bots import KEY
from .raw_bots import DONE, Disconnect, RawRequest, SoundBot, event, response

TEXT = event("text", {"text": "hello"})
ATTACHMENT = {"url": "https://a.test/b", "name": "b", "content_type": "text/plain"}
FILE = event("file", {**ATTACHMENT, "inline_ref": None})
TRACE = b'Traceback (most recent call last):\n  File "bot.py", line 1, in <module>\nValueError'
ERROR = event("error", {"text": "no"})


@attrs.frozen
class Broken:
    """A broken bot, and the findings that the checker must have.

    Attributes:
        bot: makes the bot.
        findings: the rules that it breaks.
        limits: those to check with; by default today's.
        ending: how the bot ends that is watched.
        times: those to check with.
        pauses: longer pauses between the pieces of a request, one after the other, until the bot has seen the pieces
            each by itself: on a busy machine it may read two of them at once, which is not an error then.
    """

    bot: Callable[[], SoundBot]
    findings: frozenset[str]
    limits: Limits | None = None
    ending: BotEnding = BotEnding.DISCONNECTED
    times: CheckTimes = attrs.field(factory=lambda: CheckTimes(piece=0.001))
    pauses: Sequence[float] = ()


class SettingsBot(SoundBot):
    """A bot with these settings; a string is sent as it is."""

    def __init__(self, settings: Any) -> None:
        self.given = settings

    def answer_settings(self) -> bytes:
        body = self.given if isinstance(self.given, str) else json.dumps(self.given)
        return response(200, body.encode())


class EventsBot(SoundBot):
    """A bot whose replies have these events."""

    def __init__(self, *events: bytes) -> None:
        self.given = events

    def events(self, query: dict[str, Any]) -> Iterator[bytes]:
        yield from self.given


class RefusalsBot(SoundBot):
    """A bot that answers bad input of one kind with status 500."""

    def __init__(self, is_this_kind: Callable[[bytes], bool]) -> None:
        self.is_this_kind = is_this_kind

    def parse(self, request: RawRequest) -> tuple[str | None, Any]:
        if self.is_this_kind(request.body or b""):
            return None, "this kind"
        return super().parse(request)

    def answer_bad_input(self, request: RawRequest) -> bytes:
        return response(500 if self.is_this_kind(request.body or b"") else 400)


def _controls(*controls: dict[str, Any], **section: Any) -> dict[str, Any]:
    content = {"controls": list(controls)} if controls else {}
    return {"response_version": 2, "parameter_controls": {"api_version": "2", "sections": [{**content, **section}]}}


FIELD = {"control": "text_field", "label": "A", "parameter_name": "a"}
SLIDER = {"control": "slider", "label": "S", "parameter_name": "s", "min_value": 0, "max_value": 9, "step": 1}
CHOICE = {"control": "drop_down", "label": "D", "parameter_name": "d"}
OPTION = {"value": "v", "name": "V"}
RATIO = {"control": "aspect_ratio", "label": "R", "parameter_name": "r"}
EQUAL = {"comparator": "eq", "left": {"parameter_name": "a"}, "right": {"literal": "x"}}
CONDITION = {"control": "condition", "condition": EQUAL, "controls": [FIELD]}

SETTINGS: dict[str, Any] = {
    "settings.json": '{"response_version": 2',
    "settings.duplicate-keys": '{"response_version": 2, "response_version": 2}',
    "settings.field-types": {"response_version": 2, "introduction_message": 7},
    "settings.unknown-fields": {"response_version": 2, "allow_attachment": True},
    "settings.null-fields": {"response_version": 2, "introduction_message": None},
    "settings.deprecated-fields": {"response_version": 2, "allow_user_context_clear": True},
    "settings.response-version": {},
    "settings.surrogates": {"response_version": 2, "introduction_message": "\ud83d"},
    "settings.dependencies": {"response_version": 2, "server_bot_dependencies": {"GPT": -1}},
    "controls.response-version": {**_controls(FIELD), "response_version": 1},
    "controls.api-version": {
        "response_version": 2,
        "parameter_controls": {"api_version": "1", "sections": [{"controls": [FIELD]}]},
    },
    "controls.kinds": _controls({"control": "button"}),
    "controls.required-fields": _controls({"control": "text_field", "parameter_name": "a"}),
    "controls.field-types": _controls({**FIELD, "label": 7}),
    "controls.unknown-fields": _controls({**FIELD, "colour": "red"}),
    "controls.null-fields": _controls({**FIELD, "placeholder": None}),
    "controls.parameter-name": _controls({**FIELD, "parameter_name": "poe_a"}),
    "controls.default-value": _controls({**SLIDER, "default_value": 10}),
    "controls.shared-default": _controls({**FIELD, "default_value": "x"}, {**FIELD, "default_value": "y"}),
    "controls.slider-range": _controls({**SLIDER, "step": 0}),
    "controls.options": _controls({**CHOICE, "options": [OPTION, OPTION]}),
    "controls.aspect-ratio": _controls({**RATIO, "options": [{"width": 0, "height": 9}]}),
    "controls.section": _controls(FIELD, tabs=[{"name": "T", "controls": [FIELD]}]),
    "controls.empty": _controls(tabs=[]),
    "controls.nested-condition": _controls(FIELD, {**CONDITION, "controls": [CONDITION]}),
    "controls.comparator": _controls(FIELD, {**CONDITION, "condition": {**EQUAL, "comparator": "like"}}),
    "controls.old-comparator": _controls(FIELD, {**CONDITION, "condition": {**EQUAL, "comparator": "equals"}}),
}
EVENTS: dict[str, tuple[bytes, ...]] = {
    "event.json": (TEXT, event("text", "{"), DONE),
    "event.done-data": (TEXT, event("done", "[DONE]")),
    "event.duplicate-keys": (event("text", '{"text": "a", "text": "b"}'), DONE),
    "event.names": (TEXT, event("texts", {"text": "a"}), DONE),
    "event.required-fields": (TEXT, event("text", {}), DONE),
    "event.field-types": (TEXT, event("text", {"text": 7}), DONE),
    "event.index": (event("text", {"text": "a", "index": "0"}), DONE),
    "event.unknown-fields": (event("text", {"text": "a", "colour": "red"}), DONE),
    "event.unknown-values": (event("meta", {"content_type": "text/html"}), TEXT, DONE),
    "event.deprecated-fields": (event("meta", {"content_type": "text/plain", "linkify": True}), TEXT, DONE),
    "event.inline-ref": (
        event("file", {**ATTACHMENT, "inline_ref": ""}),
        DONE,
    ),
    "event.null-fields": (event("meta", {"content_type": None}), TEXT, DONE),
    "reply.after-done": (TEXT, DONE, TEXT),
    "reply.meta-first": (TEXT, event("meta", {"content_type": "text/plain"}), DONE),
    "event.known-readers": (event("file", ATTACHMENT), DONE),
    "event.surrogates": (event("text", '{"text": "\\ud83d"}'), DONE),
    "framing.last-event": (TEXT, DONE, b"data: x"),
    "framing.utf-8": (b'event: text\ndata: {"text": "\xff"}\n\n', DONE),
}


class OpenBot(SoundBot):
    """Answers without a key."""

    def is_authorized(self, request: RawRequest) -> bool:
        return "authorization" not in request.headers or super().is_authorized(request)


class PrefixBot(SoundBot):
    """Compares the beginning of the key."""

    def is_authorized(self, request: RawRequest) -> bool:
        return request.headers.get("authorization", "").lower().startswith(f"bearer {KEY}".lower())


class AnySchemeBot(SoundBot):
    """Does not check the scheme."""

    def is_authorized(self, request: RawRequest) -> bool:
        return request.headers.get("authorization", "").rpartition(" ")[2] == KEY


class OneCaseBot(SoundBot):
    """Accepts the scheme in one case."""

    def is_authorized(self, request: RawRequest) -> bool:
        return request.headers.get("authorization") == f"Bearer {KEY}"


class BodyKeyBot(SoundBot):
    """Accepts the key in the body."""

    def is_authorized(self, request: RawRequest) -> bool:
        return super().is_authorized(request) or b'"access_key":"%b"' % KEY.encode() in (request.body or b"")


class NoChallengeBot(SoundBot):
    """Refuses without saying how to authenticate."""

    def refuse(self, request: RawRequest) -> bytes | None:
        refusal = super().refuse(request)
        return response(401) if refusal is not None and b" 401 " in refusal else refusal


class LeakingBot(SoundBot):
    """Says which key would have been right."""

    def refuse(self, request: RawRequest) -> bytes | None:
        if request.method != "POST" or self.is_authorized(request):
            return super().refuse(request)
        return response(401, f"expected {KEY}".encode(), www_authenticate="Bearer")


class FailingReportsBot(SoundBot):
    """Fails on one kind of report."""

    def __init__(self, kind: str) -> None:
        self.kind = kind

    def answer_report(self, kind: str) -> bytes:
        return response(500 if kind == self.kind else 200)


class FailingTypeBot(SoundBot):
    """Fails on an unknown type."""

    def answer_unknown_type(self) -> bytes:
        return response(500)


class HtmlSettingsBot(SoundBot):
    """Sends settings as text."""

    def answer_settings(self) -> bytes:
        return response(200, json.dumps(self.settings).encode(), content_type="text/plain")


class FailingQueriesBot(SoundBot):
    """Fails on queries of one kind."""

    def __init__(self, is_this_kind: Callable[[dict[str, Any]], bool]) -> None:
        self.is_this_kind = is_this_kind

    def reply(self, query: dict[str, Any]) -> Iterator[bytes]:
        if self.is_this_kind(query):
            yield response(500)
        else:
            yield from super().reply(query)


class StreamHeadersBot(SoundBot):
    """Sends replies with these headers."""

    def __init__(self, **headers: str) -> None:
        self.stream_headers = {**SoundBot.stream_headers, **headers}


class MethodsBot(SoundBot):
    """Answers other methods in its own way."""

    def __init__(self, methods: Iterable[str], answer: bytes) -> None:
        self.methods = frozenset(methods)
        self.answer = answer

    def refuse(self, request: RawRequest) -> bytes | None:
        return self.answer if request.method in self.methods else super().refuse(request)


class StatusBot(SoundBot):
    """Answers queries with another status."""

    def reply(self, query: dict[str, Any]) -> Iterator[bytes]:
        yield response(500)


class ShortChunkBot(SoundBot):
    """Closes before the last chunk."""

    def reply(self, query: dict[str, Any]) -> Iterator[bytes]:
        *chunks, _ = super().reply(query)
        yield from chunks
        raise Disconnect


class MixingBot(SoundBot):
    """Keeps the text of the last query on the bot."""

    def __init__(self) -> None:
        self.last = ""

    def events(self, query: dict[str, Any]) -> Iterator[bytes]:
        self.last += query["query"][-1]["content"]
        yield event("text", {"text": self.last})
        yield DONE


class SlowBot(SoundBot):
    """Takes its time before the first event, between two events, or after the last."""

    def __init__(self, *, first: float = 0.0, between: float = 0.0, last: float = 0.0, count: int = 1) -> None:
        self.first, self.between, self.last, self.count = first, between, last, count

    def events(self, query: dict[str, Any]) -> Iterator[bytes]:
        time.sleep(self.first)
        yield TEXT
        time.sleep(self.between)
        yield TEXT * self.count
        yield DONE
        time.sleep(self.last)


class SlowSettingsBot(SoundBot):
    """Takes its time for settings."""

    def answer_settings(self) -> bytes:
        time.sleep(0.3)
        return super().answer_settings()


class TracebackBot(SoundBot):
    """Shows its stack."""

    def answer_bad_input(self, request: RawRequest) -> bytes:
        return response(400, TRACE)


class SmallBodiesBot(SoundBot):
    """Refuses bodies of more than 300 kB, which is too little."""

    def respond(self, request: RawRequest) -> Iterable[bytes]:
        return [response(413)] if len(request.body or b"") > 300_000 else super().respond(request)


class InvalidHeadBot(SoundBot):
    """Writes a line in the head that is not a header."""

    def answer_report(self, kind: str) -> bytes:
        return response(200).replace(b"Content-Type: ", b"Content Type: ")


class DyingBot(SoundBot):
    """Answers nothing any more after deeply nested JSON."""

    def __init__(self) -> None:
        self.is_dead = False

    def respond(self, request: RawRequest) -> Iterable[bytes]:
        self.is_dead = self.is_dead or b"[" * 1000 in (request.body or b"")
        if self.is_dead and b"[" * 1000 not in (request.body or b""):
            raise Disconnect
        return super().respond(request)


class SilentCloseBot(SoundBot):
    """Closes each connection without announcing it."""

    def serve(self, connection: StreamRequestHandler) -> None:
        if (request := self.read(connection)) is not None:
            self.write(connection, request)


class ReversingBot(SoundBot):
    """Answers requests that arrive together in the wrong order."""

    def serve(self, connection: StreamRequestHandler) -> None:
        while (request := self.read(connection)) is not None:
            requests = [request]
            while self.has_more(connection) and (request := self.read(connection)) is not None:
                requests.append(request)
            for request in reversed(requests):
                self.write(connection, request)
                if request.body is None:
                    return

    def has_more(self, connection: StreamRequestHandler) -> bool:
        connection.connection.setblocking(False)
        try:
            return bool(cast("BufferedReader", connection.rfile).peek(1))
        finally:
            connection.connection.setblocking(True)


class OneReadBot(SoundBot):
    """Takes one read of a short body for all of it."""

    def read_body(self, stream: BufferedIOBase, headers: dict[str, str]) -> bytes | None:
        size = int(headers.get("content-length", "1000"))
        return stream.read1(size) if size < 100 else super().read_body(stream, headers)


class NoChunksBot(SoundBot):
    """Knows no chunked bodies, and closes."""

    def read_body(self, stream: BufferedIOBase, headers: dict[str, str]) -> bytes | None:
        if "transfer-encoding" in headers:
            raise Disconnect
        return super().read_body(stream, headers)


class CutBodyBot(SoundBot):
    """Acts on a request that was cut."""

    def answer_cut(self, request: RawRequest) -> bytes:
        is_short = int(request.headers["content-length"]) <= self.longest_body
        return response(200) if is_short else super().answer_cut(request)


class EndlessBodiesBot(SoundBot):
    """Reads bodies of any size."""

    longest_body = 1024**3


class WeakBot(SoundBot):
    """Loses the request after one whose client has disconnected."""

    def __init__(self) -> None:
        self.loses_next = False
        self.replying = threading.Lock()

    def write(self, connection: StreamRequestHandler, request: RawRequest) -> None:
        with self.replying:  # so the next request arrives after the disconnect was noticed
            if self.loses_next:
                self.loses_next = False
                raise Disconnect
            try:
                super().write(connection, request)
            except ConnectionError:
                self.loses_next = True

    def events(self, query: dict[str, Any]) -> Iterator[bytes]:
        yield from [TEXT * 1000] * 2000 if "story" in query["query"][-1]["content"] else [TEXT]
        yield DONE


class OtherPathBot(SoundBot):
    """Fails at other paths."""

    def refuse(self, request: RawRequest) -> bytes | None:
        return response(500) if request.path != "/" else super().refuse(request)


class PlainTypeBot(SoundBot):
    """Compares the content type with its parameters."""

    def refuse(self, request: RawRequest) -> bytes | None:
        has_parameter = ";" in request.headers.get("content-type", "")
        return response(415) if has_parameter else super().refuse(request)


class NoSettingsBot(SoundBot):
    """Fails on settings requests."""

    def answer_settings(self) -> bytes:
        return response(500)


class CollectingBot(SoundBot):
    """Sends everything at the end."""

    def reply(self, query: dict[str, Any]) -> Iterator[bytes]:
        collected = b"".join(super().reply(query))
        time.sleep(0.3)
        yield collected

    def events(self, query: dict[str, Any]) -> Iterator[bytes]:
        yield TEXT * 20
        yield DONE


def _has_unknown_values(query: dict[str, Any]) -> bool:
    return query["query"][0]["role"] not in ("user", "system", "bot", "tool")


def _find(*rules: str) -> frozenset[str]:
    return frozenset(rules)


def _is_json_but_no_object(body: bytes) -> bool:
    return body in (b"null", b"[]", b"7", b'"settings"')


BROKEN: dict[str, Broken] = {
    **{rule: Broken(lambda given=given: SettingsBot(given), _find(rule)) for rule, given in SETTINGS.items()},
    **{rule: Broken(lambda given=given: EventsBot(*given), _find(rule)) for rule, given in EVENTS.items()},
    "no key": Broken(OpenBot, _find("auth.missing-key", "auth.body-key")),
    "a key that begins right": Broken(PrefixBot, _find("auth.wrong-key")),
    "any scheme": Broken(AnySchemeBot, _find("auth.other-schemes")),
    "one case of the scheme": Broken(OneCaseBot, _find("auth.scheme-case")),
    "the key in the body": Broken(BodyKeyBot, _find("auth.body-key")),
    "401 without a challenge": Broken(NoChallengeBot, _find("auth.challenge")),
    "the key in the answer": Broken(LeakingBot, _find("auth.key-leak")),
    "report_error": Broken(lambda: FailingReportsBot("report_error"), _find("report.error")),
    "report_feedback": Broken(lambda: FailingReportsBot("report_feedback"), _find("report.feedback")),
    "report_reaction": Broken(lambda: FailingReportsBot("report_reaction"), _find("report.reaction")),
    "an unknown type": Broken(FailingTypeBot, _find("input.unknown-type")),
    "settings as text": Broken(HtmlSettingsBot, _find("settings.content-type")),
    "slow settings": Broken(SlowSettingsBot, _find("time.settings"), times=CheckTimes(settings=0.2, piece=0.001)),
    "unknown values": Broken(lambda: FailingQueriesBot(_has_unknown_values), _find("input.unknown-values")),
    "null fields": Broken(lambda: FailingQueriesBot(lambda query: "tools" in query), _find("input.null-fields")),
    "the sample": Broken(lambda: FailingQueriesBot(lambda query: "user" in query), _find("input.sample")),
    "a body that is not JSON": Broken(lambda: RefusalsBot(lambda body: body == b"hello"), _find("input.json")),
    "a body that is not UTF-8": Broken(lambda: RefusalsBot(lambda body: b"\xff" in body), _find("input.utf-8")),
    "no object": Broken(lambda: RefusalsBot(_is_json_but_no_object), _find("input.object")),
    "no type": Broken(lambda: RefusalsBot(lambda body: body == b'{"version":"1.2"}'), _find("input.type")),
    "no `query`": Broken(
        lambda: RefusalsBot(lambda body: b'"query","' in body and b'"query":' not in body),
        _find("input.required-fields"),
    ),
    "no message": Broken(lambda: RefusalsBot(lambda body: b'"query":[]' in body), _find("input.empty-query")),
    "a field of a wrong type": Broken(
        lambda: RefusalsBot(lambda body: b'"content":7' in body), _find("input.field-types")
    ),
    "an unknown key": Broken(lambda: RefusalsBot(lambda body: b'{"a":[1]}' in body), _find("input.unknown-keys")),
    "a later version": Broken(lambda: RefusalsBot(lambda body: b"9.9" in body), _find("input.version")),
    "deep nesting": Broken(lambda: RefusalsBot(lambda body: b"[[[" in body), _find("input.nesting")),
    "large numbers": Broken(lambda: RefusalsBot(lambda body: b"9" * 99 in body), _find("input.numbers")),
    "a stack trace": Broken(TracebackBot, _find("input.traceback")),
    "dies of bad input": Broken(DyingBot, _find("input.survival")),
    "small bodies": Broken(SmallBodiesBot, _find("http.large-body")),
    "an invalid header": Broken(InvalidHeadBot, _find("http.messages")),
    "GET": Broken(lambda: MethodsBot(["GET"], response(500)), _find("http.get")),
    "a body after HEAD": Broken(lambda: MethodsBot(["HEAD"], response(200, b"hello")), _find("http.head")),
    "PUT": Broken(lambda: MethodsBot(["PUT"], response(200)), _find("http.methods")),
    "405 without Allow": Broken(lambda: MethodsBot(["PUT"], response(405)), _find("http.allow")),
    "a status": Broken(StatusBot, _find("reply.status")),
    "the type of the stream": Broken(
        lambda: StreamHeadersBot(content_type="text/plain"), _find("framing.content-type")
    ),
    "compression": Broken(lambda: StreamHeadersBot(content_encoding="gzip"), _find("framing.compression")),
    "caching": Broken(lambda: StreamHeadersBot(cache_control="public"), _find("framing.cache-control")),
    "no done": Broken(lambda: EventsBot(TEXT), _find("reply.done")),
    "no answer": Broken(lambda: EventsBot(DONE), _find("reply.answer")),
    "text after an error": Broken(lambda: EventsBot(ERROR, TEXT, DONE), _find("reply.after-error")),
    "no done after an error": Broken(lambda: EventsBot(ERROR), _find("reply.done-after-error")),
    "a stack trace in an error": Broken(
        lambda: EventsBot(event("error", {"text": TRACE.decode()}), DONE), _find("event.traceback")
    ),
    "no X-Accel-Buffering": Broken(lambda: StreamHeadersBot(x_accel_buffering="yes"), _find("framing.proxy-buffering")),
    "no last chunk": Broken(ShortChunkBot, _find("http.messages")),
    "mixed replies": Broken(MixingBot, _find("reply.parallel")),
    "too many events": Broken(lambda: EventsBot(TEXT, TEXT, TEXT, DONE), _find("limits.events"), Limits(events=2)),
    "too much text": Broken(lambda: EventsBot(TEXT, TEXT, DONE), _find("limits.text"), Limits(text_length=8)),
    "a late first event": Broken(
        lambda: SlowBot(first=0.3), _find("time.first-event"), Limits(first_answer_seconds=0.2)
    ),
    "a long reply": Broken(lambda: SlowBot(between=0.3), _find("time.total"), Limits(answer_seconds=0.2)),
    "a gap": Broken(lambda: SlowBot(between=0.3), _find("time.gaps"), Limits(gap_seconds=0.2)),
    "a body that stays open": Broken(
        lambda: SlowBot(last=0.4), _find("framing.close"), times=CheckTimes(close=0.2, piece=0.001)
    ),
    "collected events": Broken(CollectingBot, _find("framing.buffering"), times=CheckTimes(buffered=0.2, piece=0.001)),
    "a silent close": Broken(SilentCloseBot, _find("http.reuse")),
    "the wrong order": Broken(ReversingBot, _find("http.pipelining")),
    "one read": Broken(OneReadBot, _find("http.slow-request"), pauses=(0.01, 0.1, 1.0)),
    "no chunks": Broken(NoChunksBot, _find("http.chunked-body")),
    "a cut body": Broken(CutBodyBot, _find("http.cut-body")),
    "endless bodies": Broken(EndlessBodiesBot, _find("http.body-limit")),
    "weak after a disconnect": Broken(WeakBot, _find("http.disconnect")),
    "another path": Broken(OtherPathBot, _find("http.unknown-path")),
    "a charset": Broken(PlainTypeBot, _find("input.charset")),
    "no settings": Broken(NoSettingsBot, _find("settings.status")),
    "too many files": Broken(lambda: EventsBot(FILE, FILE, DONE), _find("limits.files"), Limits(files=1)),
    "a large event": Broken(
        lambda: EventsBot(event("text", {"text": "a" * 900}), DONE),
        _find("limits.event-size", "reply.done"),
        Limits(event_size=500),
    ),
    "a disconnect unnoticed": Broken(SoundBot, _find("http.disconnect-noticed"), ending=BotEnding.STILL_RUNS),
}
