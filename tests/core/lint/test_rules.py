"""The table of rules, and for each rule of messages a message that breaks it, beside one that does not.

An example states all rules that its message breaks: usually one. So a rule that never reports fails its own example,
and a rule that always reports fails every other example, and every message without a fault. The last tests make sure
of that by doing both to each rule.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

import attrs
import pytest

from poeproto import Limits, RequestHead, ResponseHead
from poeproto.lint import (
    EDITIONS,
    MESSAGE_RULES,
    NEEDS,
    RULES,
    SECTIONS,
    SERVER_RULES,
    Finding,
    Level,
    ReplyLint,
    lint_request,
    lint_request_head,
    lint_settings,
)

# --- the table


def test_the_table_is_the_rules_of_messages_and_those_of_servers() -> None:
    assert [*RULES] == [*MESSAGE_RULES, *SERVER_RULES]
    assert len(RULES) == len(MESSAGE_RULES) + len(SERVER_RULES)


@pytest.mark.parametrize("rule", RULES.values(), ids=list(RULES))
def test_each_rule_is_complete(rule: Any) -> None:
    assert RULES[rule.id] is rule
    assert re.fullmatch("[a-z]+\\.[a-z0-9]+(-[a-z0-9]+)*", rule.id)
    assert rule.family == rule.id.split(".")[0]
    assert rule.section in SECTIONS
    assert rule.editions
    assert rule.editions <= EDITIONS
    assert rule.needs <= NEEDS.keys()
    for prose in (rule.text, rule.why, rule.fix):
        assert re.fullmatch("[A-Z`0-9].*[a-z0-9`)]\\.", prose, re.DOTALL)
        assert "  " not in prose
        assert prose.count("`") % 2 == 0


def test_each_section_is_one_that_a_rule_is_from() -> None:
    assert {rule.section for rule in RULES.values()} == SECTIONS.keys()
    assert {need for rule in RULES.values() for need in rule.needs} == NEEDS.keys()


def test_the_figures_of_the_rules_are_those_of_the_lint() -> None:
    limits = Limits()
    figures = {
        "limits.events": f"{limits.events:,} events",
        "limits.text": f"{limits.text_length:,} characters",
        "limits.files": f"{limits.files} `file` events",
        "limits.messages": f"{limits.messages:,} messages",
        "limits.event-size": f"{limits.event_size // 1024**2} MiB",
        "time.first-event": f"{limits.first_answer_seconds:g} seconds",
        "time.gaps": f"{limits.gap_seconds:g} seconds",
        "time.total": f"{limits.answer_seconds:,g} seconds",
    }
    assert [rule for rule, figure in figures.items() if figure not in RULES[rule].text] == []


def test_a_finding_names_a_rule() -> None:
    assert Finding("query", "request.empty-query", "no message").level is Level.SHOULD
    with pytest.raises(ValueError, match=r"'request\.empty' is not the id of a rule in poeproto\.lint\.RULES"):
        Finding("query", "request.empty", "no message")


# --- an example for each rule of messages

Findings = Callable[[], list[Finding]]
IDS = {"user_id": "", "conversation_id": "", "message_id": ""}
USER = {"role": "user", "content": "x"}
QUERY: dict[str, Any] = {"version": "1.2", "type": "query", "query": [USER], **IDS}
SLIDER: dict[str, Any] = {
    "control": "slider", "label": "x", "parameter_name": "x", "min_value": 1, "max_value": 3, "step": 1,
}  # fmt: skip
CHOICE: dict[str, Any] = {"control": "drop_down", "label": "y", "parameter_name": "y"}
RATIO: dict[str, Any] = {"control": "aspect_ratio", "label": "z", "parameter_name": "z"}
DIVIDER = {"control": "divider"}
COMPARISON = {"comparator": "eq", "left": {"parameter_name": "x"}, "right": {"literal": 1}}
CONDITION = {"control": "condition", "condition": COMPARISON, "controls": [DIVIDER]}
ATTACHMENT = {"url": "https://files.invalid/a", "name": "a", "content_type": "text/plain"}
FILE = {**ATTACHMENT, "inline_ref": None}
POST = {"content-type": "application/json; charset=utf-8", "authorization": "bearer key"}
HEAD = {"content-type": "text/event-stream", "cache-control": "no-cache", "x-accel-buffering": "no"}
FEW = Limits(events=3, text_length=3, files=1, messages=3)
TRACEBACK = 'Traceback (most recent call last):\n  File "bot.py", line 1'


def body(text: str) -> Findings:
    return partial(lint_request, text)


def query(limits: Limits | None = None, without: str = "", **changes: Any) -> Findings:
    wire = {key: value for key, value in {**QUERY, **changes}.items() if key != without}
    return partial(lint_request, json.dumps(wire), limits)


def message(**changes: Any) -> Findings:
    return query(query=[{**USER, **changes}])


def head(method: str = "POST", **changes: str | None) -> Findings:
    headers = {**POST, **{name.replace("_", "-"): value for name, value in changes.items()}}
    return lambda: lint_request_head(RequestHead(method, "/", [(k, v) for k, v in headers.items() if v is not None]))


def settings(**wire: Any) -> Findings:
    return partial(lint_settings, json.dumps({"response_version": 2, **wire}))


def controls(*given: Any, **more: Any) -> Findings:
    return section({"controls": given}, **more)


def section(*given: Any, **more: Any) -> Findings:
    return settings(parameter_controls={"api_version": "2", "sections": given, **more})


def event(name: str, /, **data: Any) -> bytes:
    return f"event: {name}\ndata: {json.dumps(data)}\n\n".encode()


TEXT, DONE, META, ERROR, JSON = event("text", text="x"), *map(event, ("done", "meta", "error", "json"))


def reply(*parts: bytes, at: Iterable[float] = (), limits: Limits | None = None, **changes: Any) -> Findings:
    """The findings in a reply: its parts, the times at which they and the end arrive, and its head."""

    def findings() -> list[Finding]:
        lint = ReplyLint(limits)
        status = changes.pop("status", 200)
        headers = {**HEAD, **{name.replace("_", "-"): value for name, value in changes.items()}}
        found = lint.receive_head(ResponseHead(status, list(headers.items())))
        times = iter(at)
        for part in parts:
            found += lint.receive_data(part, next(times, None))
        return found + lint.receive_eof(next(times, None))

    return findings


@attrs.frozen
class Example:
    """A message that breaks a rule, and one like it that breaks none."""

    rule: str
    broken: Findings
    clean: Findings
    also: frozenset[str] = frozenset()


EXAMPLES = [
    Example("request.method", head("GET"), head("POST")),
    Example("request.content-type", head(content_type="text/plain"), head(content_type="application/json")),
    Example("request.authorization", head(authorization=None), head(authorization="Bearer key")),
    Example("request.authorization", head(authorization="Basic a2V5"), head(authorization="BEARER key")),
    Example("request.authorization", head(authorization="Bearer "), head(authorization="Bearer  key")),
    Example("request.json", body("{"), query()),
    Example("request.json", body("[]"), query()),
    Example("request.json", body(json.dumps(QUERY | {"temperature": float("nan")})), query(temperature=0.5)),
    Example("request.duplicate-keys", body(json.dumps(QUERY)[:-1] + ',"type":"query"}'), query()),
    Example("request.surrogates", message(content="\ud83d"), message(content="😀")),
    Example("request.type", query(without="type"), query(type="query")),
    Example("request.type", query(type=1), query(type="query")),
    Example("request.known-type", query(type="poll"), query(type="query")),
    Example("request.version", query(without="version"), query(version="1.0")),
    Example("request.key-in-body", query(access_key="k"), query()),
    Example("request.key-in-body", query(api_key="k"), query()),
    *(Example("request.identifiers", query(without=name), query()) for name in IDS),
    Example("request.identifier-form", query(user_id="1"), query(user_id="u-" + "0" * 32)),
    Example("request.identifier-form", query(metadata="m-" + "0" * 32), query(metadata="d-" + "0" * 32)),
    Example("request.identifier-form", message(message_id="m"), message(message_id="m-" + "=" * 32)),
    Example("request.required-fields", query(without="query"), query()),
    Example("request.required-fields", query(query=[{"role": "user"}]), query(query=[USER])),
    Example("request.field-types", query(version=1), query(version="1")),
    Example("request.field-types", message(timestamp="1"), message(timestamp=1.0)),
    Example("request.null-fields", message(attachments=None), message(attachments=[])),
    Example(
        "request.known-readers",
        message(feedback=[{"type": "like"}]),
        message(feedback=[{"type": "like", "reason": None}]),
    ),
    Example("request.unknown-fields", query(new=1), query()),
    Example("request.unknown-values", message(role="robot"), message(role="tool")),
    Example("request.unknown-values", message(content_type="text/html"), message(content_type="text/plain")),
    Example("request.deprecated-fields", message(sender_id="u"), message(sender={"id": "u"})),
    Example("request.empty-query", query(query=[]), query()),
    Example("request.temperature", query(temperature=-0.1), query(temperature=0)),
    Example("request.logit-bias", query(logit_bias={"7": 101}), query(logit_bias={"7": 100})),
    Example("request.logit-bias", query(logit_bias={"7": -100.5}), query(logit_bias={"7": -100})),
    Example(
        "request.inline-ref",
        message(attachments=[{**ATTACHMENT, "inline_ref": ""}]),
        message(attachments=[{**ATTACHMENT, "inline_ref": "a"}]),
    ),
    Example("limits.messages", query(FEW, query=[USER] * 4), query(FEW, query=[USER] * 3)),
    #
    Example("settings.json", partial(lint_settings, "OK"), partial(lint_settings, '{"response_version": 2}')),
    Example(
        "settings.duplicate-keys",
        partial(lint_settings, '{"response_version": 2, "response_version": 2}'),
        partial(lint_settings, '{"response_version": 2}'),
    ),
    Example("settings.surrogates", settings(introduction_message="\ude00"), settings(introduction_message="😀")),
    Example("settings.field-types", settings(allow_attachments="yes"), settings(allow_attachments=True)),
    Example("settings.field-types", settings(parameter_controls=[]), settings(parameter_controls={"sections": []})),
    Example("settings.unknown-fields", settings(allow_attachment=True), settings(allow_attachments=True)),
    Example("settings.null-fields", settings(rate_card=None), settings(rate_card="")),
    Example("settings.deprecated-fields", settings(custom_rate_card="x"), settings(rate_card="x")),
    Example(
        "settings.deprecated-fields",
        settings(enable_multi_bot_chat_prompting=True),
        settings(enable_multi_entity_prompting=True),
    ),
    Example("settings.response-version", settings(response_version=1), settings(response_version=3)),
    Example("settings.response-version", partial(lint_settings, "{}"), settings()),
    Example(
        "settings.dependencies",
        settings(server_bot_dependencies={"x": -1}),
        settings(server_bot_dependencies={"x": 0}),
    ),
    #
    Example(
        "controls.response-version",
        settings(response_version=1, parameter_controls={"sections": []}),
        settings(response_version=2, parameter_controls={"sections": []}),
    ),
    Example("controls.api-version", controls(SLIDER, api_version="1"), controls(SLIDER, api_version="2")),
    Example("controls.kinds", controls({"control": "dial"}), controls(DIVIDER)),
    Example("controls.required-fields", controls({"control": "text_field", "label": "x"}), controls(SLIDER)),
    Example("controls.field-types", controls({**SLIDER, "step": "1"}), controls({**SLIDER, "step": 0.5})),
    Example("controls.field-types", controls("divider"), controls(DIVIDER)),
    Example("controls.unknown-fields", controls({**SLIDER, "min": 1}), controls(SLIDER)),
    Example("controls.unknown-fields", controls(DIVIDER, version=2), controls(DIVIDER)),
    Example("controls.null-fields", controls({**SLIDER, "description": None}), controls(SLIDER)),
    Example(
        "controls.null-fields",
        section({"controls": [DIVIDER], "collapsed_by_default": None}),
        section({"name": None, "controls": [DIVIDER]}, {"tabs": [{"name": None, "controls": [DIVIDER]}]}),
    ),
    Example(
        "controls.parameter-name",
        controls({**SLIDER, "parameter_name": "poe_x"}),
        controls({**SLIDER, "parameter_name": "x_poe_"}),
    ),
    Example("controls.parameter-name", controls({**SLIDER, "parameter_name": "x-y"}), controls(SLIDER)),
    Example(
        "controls.parameter-name",
        controls({**CONDITION, "condition": {**COMPARISON, "left": {"parameter_name": "x y"}}}),
        controls(CONDITION),
    ),
    Example("controls.default-value", controls({**SLIDER, "default_value": 0}), controls(SLIDER)),
    Example(
        "controls.default-value", controls({**SLIDER, "default_value": 4}), controls({**SLIDER, "default_value": 3})
    ),
    Example(
        "controls.default-value",
        controls({**CHOICE, "options": [{"value": "a", "name": "A"}], "default_value": "A"}),
        controls({**CHOICE, "options": [{"value": "a", "name": "A"}], "default_value": "a"}),
    ),
    Example(
        "controls.default-value",
        controls({**RATIO, "options": [{"width": 16, "height": 9}], "default_value": "9:16"}),
        controls({**RATIO, "options": [{"width": 16, "height": 9}], "default_value": "16:9"}),
    ),
    Example(
        "controls.shared-default",
        controls(SLIDER, {**SLIDER, "default_value": 1}),
        controls({**SLIDER, "default_value": 1}, {**SLIDER, "default_value": 1}),
    ),
    Example("controls.slider-range", controls({**SLIDER, "max_value": 1}), controls({**SLIDER, "max_value": 1.5})),
    Example("controls.slider-range", controls({**SLIDER, "step": 0}), controls({**SLIDER, "step": 7})),
    Example("controls.options", controls({**CHOICE, "options": []}), controls(SLIDER)),
    Example(
        "controls.options",
        controls({**CHOICE, "options": [{"value": "a", "name": "A"}, {"value": "a", "name": "B"}]}),
        controls({**CHOICE, "options": [{"value": "a", "name": "A"}, {"value": "b", "name": "A"}]}),
    ),
    Example(
        "controls.aspect-ratio",
        controls({**RATIO, "options": [{"width": 0, "height": 9}]}),
        controls({**RATIO, "options": [{"width": 0.1, "height": 9}]}),
    ),
    Example(
        "controls.aspect-ratio",
        controls({**RATIO, "options": [{"width": 16, "height": -9}]}),
        controls({**RATIO, "options": [{"width": 16, "height": 9}]}),
    ),
    Example("controls.section", section({"name": "x"}), section({"name": "x", "controls": [DIVIDER]})),
    Example(
        "controls.section",
        section({"controls": [DIVIDER], "tabs": [{"name": "x", "controls": [DIVIDER]}]}),
        section({"controls": [DIVIDER]}, {"tabs": [{"name": "x", "controls": [DIVIDER]}]}),
    ),
    Example("controls.empty", section({"controls": []}), section({"controls": [DIVIDER]})),
    Example("controls.empty", section({"tabs": []}), section({"tabs": [{"name": "x", "controls": [DIVIDER]}]})),
    Example(
        "controls.empty",
        section({"tabs": [{"name": "x", "controls": []}]}),
        section({"tabs": [{"name": "x", "controls": [DIVIDER]}]}),
    ),
    Example("controls.empty", controls({**CONDITION, "controls": []}), controls(CONDITION)),
    Example(
        "controls.nested-condition", controls({**CONDITION, "controls": [CONDITION]}), controls(CONDITION, CONDITION)
    ),
    Example(
        "controls.comparator",
        controls({**CONDITION, "condition": {**COMPARISON, "comparator": "=="}}),
        controls({**CONDITION, "condition": {**COMPARISON, "comparator": "ne"}}),
    ),
    Example(
        "controls.old-comparator",
        controls({**CONDITION, "condition": {**COMPARISON, "comparator": "equals"}}),
        controls({**CONDITION, "condition": {**COMPARISON, "comparator": "eq"}}),
    ),
    #
    Example("event.known-readers", reply(event("file", **ATTACHMENT), DONE), reply(event("file", **FILE), DONE)),
    Example("event.json", reply(TEXT, b"event: text\ndata: x\n\n", DONE), reply(TEXT, TEXT, DONE)),
    Example("event.json", reply(TEXT, b"event: text\ndata: []\n\n", DONE), reply(TEXT, JSON, DONE)),
    Example("event.json", reply(TEXT, b"event: text\n\n", DONE), reply(TEXT, b"event: ping\n\n: text\n\n", DONE)),
    Example("event.done-data", reply(TEXT, b"event: done\ndata: [DONE]\n\n"), reply(TEXT, b"event: done\ndata:{}\n\n")),
    Example("event.done-data", reply(TEXT, b"event: done\n\n"), reply(TEXT, DONE)),
    Example("event.duplicate-keys", reply(b'event: text\ndata: {"text":"","text":""}\n\n', DONE), reply(TEXT, DONE)),
    Example("event.surrogates", reply(event("text", text="\ud83d"), DONE), reply(event("text", text="😀"), DONE)),
    Example(
        "event.surrogates",
        reply(event("json", choices=[{"delta": {"content": "\ude00"}}]), DONE),
        reply(event("json", choices=[{"delta": {"content": "😀"}}]), DONE),
    ),
    Example("event.names", reply(event("txt", text="x"), TEXT, DONE), reply(event("ping"), TEXT, DONE)),
    Example("event.names", reply(b'data: {"text": "x"}\n\n', TEXT, DONE), reply(TEXT, DONE)),
    Example("event.required-fields", reply(event("text"), DONE), reply(event("text", text=""), DONE)),
    Example(
        "event.required-fields",
        reply(event("file", url="u", name="n", inline_ref="r"), DONE),
        reply(event("file", **FILE), DONE),
    ),
    Example("event.required-fields", reply(TEXT, event("data"), DONE), reply(TEXT, event("data", metadata=""), DONE)),
    Example("event.field-types", reply(event("text", text=1), DONE), reply(TEXT, DONE)),
    Example("event.field-types", reply(event("error", allow_retry="no"), DONE), reply(event("error", text=None), DONE)),
    Example(
        "event.index", reply(event("text", text="x", index="1"), DONE), reply(event("text", text="x", index=1), DONE)
    ),
    Example("event.index", reply(event("json", index=True), DONE), reply(event("json", index=None), DONE)),
    Example("event.index", reply(event("json", index=2**53), DONE), reply(event("json", index=2**53 - 1), DONE)),
    Example("event.unknown-fields", reply(event("text", text="x", new=1), DONE), reply(TEXT, DONE)),
    Example("event.null-fields", reply(event("meta", suggested_replies=None), TEXT, DONE), reply(META, TEXT, DONE)),
    Example(
        "event.unknown-values",
        reply(event("error", error_type="boredom"), DONE),
        reply(event("error", error_type="user_caused_error"), DONE),
    ),
    Example(
        "event.unknown-values",
        reply(event("meta", content_type="text/html"), TEXT, DONE),
        reply(event("meta", content_type="text/plain"), TEXT, DONE),
    ),
    Example("event.deprecated-fields", reply(event("meta", linkify=True), TEXT, DONE), reply(META, TEXT, DONE)),
    Example(
        "event.inline-ref",
        reply(event("file", **ATTACHMENT, inline_ref=""), DONE),
        reply(event("file", **FILE), DONE),
    ),
    Example("event.traceback", reply(event("error", text=TRACEBACK), DONE), reply(event("error", text="no"), DONE)),
    Example(
        "event.traceback",
        reply(event("error", text="TypeError: x\n    at get (/srv/bot.js:7:1)"), DONE),
        reply(event("error", text="we meet\n  at ten (or 10:30)"), DONE),
    ),
    #
    Example("reply.status", reply(TEXT, DONE, status=500), reply(TEXT, DONE, status=200)),
    *(
        Example("reply.answer", reply(*aside, DONE), reply(*aside, answer, DONE))
        for aside in ([], [META], [event("suggested_reply", text="x")], [event("data", metadata="x")])
        for answer in (TEXT, event("replace_response", text=""), event("file", **FILE), JSON, ERROR)
    ),
    Example("reply.done", reply(TEXT), reply(TEXT, DONE)),
    Example("reply.done", reply(), reply(TEXT, DONE)),
    Example("reply.done-after-error", reply(ERROR), reply(ERROR, DONE)),
    Example("reply.after-done", reply(TEXT, DONE, TEXT), reply(TEXT, TEXT, DONE)),
    Example("reply.after-done", reply(TEXT, DONE, DONE), reply(TEXT, DONE, b": bye\n\n")),
    Example("reply.after-error", reply(ERROR, TEXT, DONE), reply(TEXT, ERROR, DONE)),
    Example(
        "reply.after-error", reply(event("error", index=1), TEXT, DONE), reply(TEXT, event("error", index=1), DONE)
    ),
    Example("reply.meta-first", reply(TEXT, META, DONE), reply(META, TEXT, DONE)),
    Example("reply.meta-first", reply(META, META, TEXT, DONE), reply(event("ping"), META, TEXT, DONE)),
    #
    Example(
        "framing.content-type",
        reply(TEXT, DONE, content_type="application/json"),
        reply(TEXT, DONE, content_type="Text/Event-Stream; charset=utf-8"),
    ),
    Example(
        "framing.compression",
        reply(TEXT, DONE, content_encoding="gzip"),
        reply(TEXT, DONE, content_encoding="identity"),
    ),
    Example(
        "framing.cache-control",
        reply(TEXT, DONE, cache_control="max-age=60"),
        reply(TEXT, DONE, cache_control="No-Cache, no-transform"),
    ),
    Example(
        "framing.cache-control",
        reply(TEXT, DONE, cache_control="private"),
        reply(TEXT, DONE, cache_control="no-store"),
    ),
    Example(
        "framing.proxy-buffering",
        reply(TEXT, DONE, x_accel_buffering="yes"),
        reply(TEXT, DONE, x_accel_buffering="No"),
    ),
    Example("framing.utf-8", reply(b": \xff\n\n", TEXT, DONE), reply(": é\n\n".encode(), TEXT, DONE)),
    Example("framing.last-event", reply(TEXT, DONE, b"data: x"), reply(TEXT, DONE, b": x")),
    Example(
        "framing.last-event", reply(TEXT, DONE[:-1]), reply(TEXT, DONE[:-1], b"\n"), also=frozenset({"reply.done"})
    ),
    #
    Example("limits.events", reply(*[JSON] * 4, DONE, limits=FEW), reply(*[JSON] * 3, ERROR, DONE, limits=FEW)),
    Example(
        "limits.text",
        reply(TEXT, event("text", text="yz!"), DONE, limits=FEW),
        reply(TEXT, event("text", text="yz"), event("text", text="x", index=1), DONE, limits=FEW),
    ),
    Example(
        "limits.files",
        reply(*[event("file", **FILE)] * 2, DONE, limits=FEW),
        reply(event("file", **FILE), TEXT, DONE, limits=FEW),
    ),
    Example(
        "limits.event-size",
        reply(TEXT, DONE, b":" + b"x" * 50, limits=Limits(event_size=50)),
        reply(TEXT, DONE, b":" + b"x" * 49, limits=Limits(event_size=50)),
    ),
    Example("time.first-event", reply(TEXT, DONE, at=[5.1, 6, 6]), reply(META, TEXT, DONE, at=[5, 6, 7, 7])),
    Example("time.first-event", reply(event("ping"), TEXT, DONE, at=[1, 5.1, 6, 6]), reply(TEXT, DONE, at=[5, 5, 5])),
    Example("time.gaps", reply(TEXT, DONE, at=[1, 61.1, 62]), reply(TEXT, b": \n\n", DONE, at=[1, 61, 121, 121])),
    Example("time.gaps", reply(TEXT, DONE, at=[1, 2, 62.1]), reply(TEXT, DONE, at=[1, 2, 62])),
    Example(
        "time.total",
        reply(TEXT, DONE, at=[1, 2, 11], limits=Limits(answer_seconds=10)),
        reply(TEXT, DONE, at=[1, 2, 10], limits=Limits(answer_seconds=10)),
    ),
]


def rules_of(findings: Findings) -> set[str]:
    return {each.rule for each in findings()}


@pytest.mark.parametrize("example", EXAMPLES, ids=[example.rule for example in EXAMPLES])
def test_an_example_breaks_its_rule_and_no_other(example: Example) -> None:
    assert rules_of(example.broken) == {example.rule} | example.also
    assert rules_of(example.clean) == set()


def test_each_rule_of_messages_has_an_example() -> None:
    assert {example.rule for example in EXAMPLES} == MESSAGE_RULES.keys()


@pytest.mark.parametrize("rule", MESSAGE_RULES)
def test_a_rule_that_never_or_always_reports_fails_an_example(rule: str, reported: list[Reported]) -> None:
    assert [each for each in reported if each.fails(lambda rules: rules - {rule})]
    assert [each for each in reported if each.fails(lambda rules: rules | {rule})]


@attrs.frozen
class Reported:
    """The rules that the two messages of an example were reported for."""

    expected: set[str]
    broken: set[str]
    clean: set[str]

    def fails(self, change: Callable[[set[str]], set[str]]) -> bool:
        """Whether the example fails if the lint reports these rules instead."""
        return change(self.broken) != self.expected or change(self.clean) != set()


@pytest.fixture(scope="module")
def reported() -> list[Reported]:
    return [Reported({each.rule, *each.also}, rules_of(each.broken), rules_of(each.clean)) for each in EXAMPLES]
