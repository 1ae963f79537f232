"""Assertions on replies: each fails with the expected value, the actual value, and the events with their times."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from itertools import pairwise
from typing import NoReturn, cast

import attrs

from poeproto import BotError, Event, PoeprotoError, Text
from poeproto.lint import RULES, Finding, Level
from poeproto_pytest.observed_reply import ObservedReply
from poeproto_record import RecordedExchange

__all__ = [
    "assert_calls",
    "assert_charged",
    "assert_duration",
    "assert_events",
    "assert_failed",
    "assert_finding",
    "assert_first_event_within",
    "assert_gaps_within",
    "assert_no_findings",
    "assert_succeeded",
    "assert_text",
]

AnyReply = ObservedReply | RecordedExchange

# How many events a message shows, and how many characters of each.
_SHOWN = 40
_SHOWN_LENGTH = 100


def assert_succeeded(reply: AnyReply) -> ObservedReply:
    """Assert that a reply succeeded, and return it: a reply with a text or a file, and with `done` at its end."""
    __tracebackhide__ = True
    observed = _observed(reply)
    if observed.failure is not None:
        _fail(observed, f"the reply failed: {type(observed.failure).__name__}: {observed.failure}")
    return observed


def assert_failed(
    reply: AnyReply,
    kind: type[PoeprotoError] | None = None,
    *,
    error_type: str | None = None,
    text: str | re.Pattern[str] | None = None,
) -> PoeprotoError:
    """Assert that a reply failed, and return its failure.

    Args:
        reply: the reply.
        kind: the class of its failure, `BotError` for an `error` event.
        error_type: the `error_type` of the `error` event.
        text: its text, or a pattern that is found in it; for another failure, its message.
    """
    __tracebackhide__ = True
    observed = _observed(reply)
    failure = observed.failure
    if failure is None:
        _fail(observed, "the reply succeeded, and was expected to fail")
    if kind is not None and not isinstance(failure, kind):
        _fail(observed, f"the reply failed with {type(failure).__name__}, expected {kind.__name__}: {failure}")
    event = failure.event if isinstance(failure, BotError) else None
    if error_type is not None and (event is None or event.error_type != error_type):
        found = repr(event.error_type) if event is not None else f"no error event, but {type(failure).__name__}"
        _fail(observed, f"the error_type is {found}, expected {error_type!r}")
    if text is not None:
        _check_text(observed, "error", (event.text or "") if event is not None else str(failure), text)
    return failure


def assert_text(reply: AnyReply, expected: str | re.Pattern[str] | Callable[[str], bool]) -> str:
    """Assert that a reply succeeded with this text, folded from its events, and return it.

    Args:
        reply: the reply.
        expected: the whole text, a pattern that is found in it, or a function that says whether it is right.
    """
    __tracebackhide__ = True
    observed = assert_succeeded(reply)
    _check_text(observed, "text", observed.text, expected)
    return observed.text


def assert_events(
    reply: AnyReply, expected: Iterable[Event | str | type[Event]], *, joined_texts: bool = True
) -> list[Event]:
    """Assert that a reply consists of these events, in this order, and return them.

    Args:
        reply: the reply.
        expected: the events, `Done` or `Error` included; a string is short for `Text`, and a class stands for any event
            of it.
        joined_texts: whether texts in a row with one index count as one event: where a bot cuts its text is rarely
            meant.
    """
    __tracebackhide__ = True
    observed = _observed(reply)
    wanted = [Text(each) if isinstance(each, str) else each for each in expected]
    found = _with_joined_texts(observed.events) if joined_texts else observed.events
    if joined_texts:
        wanted = _with_joined_texts(wanted)
    for index, (event, want) in enumerate(zip(found, wanted, strict=False)):
        if not (isinstance(event, want) if isinstance(want, type) else event == want):
            _fail(observed, f"events[{index}] is {_shown(event)}, expected {_shown(want)}")
    if len(found) > len(wanted):
        _fail(observed, f"events[{len(wanted)}] is {_shown(found[len(wanted)])}, expected no more events")
    if len(found) < len(wanted):
        _fail(observed, f"the reply ended before events[{len(found)}], expected {_shown(wanted[len(found)])}")
    return observed.events


def assert_first_event_within(reply: AnyReply, seconds: float) -> float:
    """Assert that the first event was received within `seconds` of the query, and return when it was."""
    __tracebackhide__ = True
    observed = _observed(reply)
    at = observed.first_event_seconds
    if at is None:
        _fail(observed, f"no event was received, expected one within {seconds:g} s")
    if at > seconds:
        _fail(observed, f"the first event was received after {at:.3f} s, expected within {seconds:g} s")
    return at


def assert_gaps_within(reply: AnyReply, seconds: float) -> float:
    """Assert that no two events were more than `seconds` apart, and return the longest gap."""
    __tracebackhide__ = True
    observed = _observed(reply)
    times = [each.at for each in observed.timed_events]
    gaps = [(after - before, index) for index, (before, after) in enumerate(pairwise(times))]
    longest, index = max(gaps, default=(0.0, 0))
    if longest > seconds:
        what = f"events[{index + 1}] was received {longest:.3f} s after the event before it"
        _fail(observed, f"{what}, expected within {seconds:g} s")
    return longest


def assert_duration(reply: AnyReply, *, at_least: float = 0.0, at_most: float = float("inf")) -> float:
    """Assert how long a reply took, from the query to the end of the response, and return that, in seconds.

    Args:
        reply: the reply.
        at_least: the shortest duration, in seconds.
        at_most: the longest duration, in seconds.

    Raises:
        AssertionError: when it is shorter or longer.
    """
    __tracebackhide__ = True
    observed = _observed(reply)
    if not at_least <= observed.seconds <= at_most:
        bounds = f"at least {at_least:g} s" if observed.seconds < at_least else f"at most {at_most:g} s"
        _fail(observed, f"the reply took {observed.seconds:.3f} s, expected {bounds}")
    return observed.seconds


def assert_charged(reply: ObservedReply, amount: int | None = None, *, times: int | None = None) -> int:
    """Assert the amount that a bot has captured for a reply, and return the sum, in thousandths of a US cent.

    Args:
        reply: the reply.
        amount: the expected sum, in thousandths of a US cent; 0 for nothing; None for any but nothing.
        times: the expected number of captures.
    """
    __tracebackhide__ = True
    if amount is None and times is None and not reply.charges:
        _fail(reply, "nothing was charged, expected a charge")
    wrong: list[str] = []
    if amount is not None and reply.spent != amount:
        wrong.append(f"{reply.spent} thousandths of a cent were charged, expected {amount}")
    if times is not None and len(reply.charges) != times:
        wrong.append(f"there were {len(reply.charges)} charges, expected {times}")
    if wrong:
        items = [
            f"  {item.amount_usd_milli_cents}  {item.description or '(no description)'}"
            for charge in reply.charges
            for item in charge.items
        ]
        _fail(reply, "; ".join(wrong), ["charges, in thousandths of a US cent:", *(items or ["  none"])])
    return reply.spent


def assert_calls(reply: ObservedReply, expected: Mapping[str, int] | Iterable[str]) -> None:
    """Assert which other bots were called for a reply.

    Args:
        reply: the reply.
        expected: the number of calls of each bot; or the names in the order of the calls. Empty for no calls.
    """
    __tracebackhide__ = True
    found = [call.bot for call in reply.calls]
    if isinstance(expected, Mapping):
        times_of = cast("Mapping[str, int]", expected)
        if Counter(found) == Counter(times_of):
            return
        wanted = ", ".join(f"{name} {times} times" for name, times in times_of.items())
    else:
        names = list(expected)
        if found == names:
            return
        wanted = ", ".join(names)
    lines = [f"  {call.bot}: {call.reply.text[:_SHOWN_LENGTH]!r}" for call in reply.calls]
    what = f"the bot called {', '.join(found) or 'no other bot'}, expected {wanted or 'no calls'}"
    _fail(reply, what, ["calls and replies:", *(lines or ["  none"])])


def assert_no_findings(
    reply: AnyReply, *, level: Level | str = Level.SHOULD, ignore: Iterable[str] = ()
) -> list[Finding]:
    """Assert that the lint finds nothing of this level or above in a response, and return the other findings.

    Args:
        reply: the reply.
        level: the lowest level that counts: MUST, SHOULD or MAY.
        ignore: ids of rules that do not count, keys of `poeproto.lint.RULES`.
    """
    __tracebackhide__ = True
    observed = _observed(reply)
    levels = list(Level)
    counted = levels[: levels.index(Level(level)) + 1]
    ignored = {_checked_rule(rule) for rule in ignore}
    found = [each for each in observed.findings if each.level in counted and each.rule not in ignored]
    if found:
        noun = "finding" if len(found) == 1 else "findings"
        _fail(observed, f"{len(found)} {noun} of the lint, expected none", _findings(found))
    return [each for each in observed.findings if each not in found]


def assert_finding(reply: AnyReply, rule: str) -> list[Finding]:
    """Assert that the lint finds that a response breaks this rule, a key of `poeproto.lint.RULES`; the findings."""
    __tracebackhide__ = True
    observed = _observed(reply)
    found = [each for each in observed.findings if each.rule == _checked_rule(rule)]
    if not found:
        _fail(observed, f"the lint has no finding of {rule}, expected one", _findings(observed.findings))
    return found


def timeline(reply: ObservedReply) -> list[str]:
    """The events with their times, a line each; of a long reply the first and the last ones."""
    lines = [f"  {each.at:8.3f} s  {_shown(each.event)}" for each in reply.timed_events]
    if len(lines) > _SHOWN:
        lines[_SHOWN // 2 : -_SHOWN // 2] = [f"  ... {len(lines) - _SHOWN} more events"]
    return lines or ["  no events"]


def _fail(reply: ObservedReply, what: str, details: Iterable[str] = ()) -> NoReturn:
    __tracebackhide__ = True
    lines = [what, *details]
    if reply.failure is not None and str(reply.failure) not in what:
        lines.append(f"the reply failed: {type(reply.failure).__name__}: {reply.failure}")
    events = "1 event" if len(reply.timed_events) == 1 else f"{len(reply.timed_events)} events"
    lines.append(f"the reply, {events} in {reply.seconds:.3f} s:")
    raise AssertionError("\n".join([*lines, *timeline(reply)]))


def _observed(reply: AnyReply) -> ObservedReply:
    if isinstance(reply, ObservedReply):
        return reply
    if isinstance(reply, RecordedExchange):  # pyright: ignore[reportUnnecessaryIsInstance]
        return ObservedReply.of(reply)
    raise TypeError(f"expected an ObservedReply or a RecordedExchange, got {type(reply).__name__}")


def _check_text(
    reply: ObservedReply, what: str, found: str, expected: str | re.Pattern[str] | Callable[[str], bool]
) -> None:
    __tracebackhide__ = True
    if isinstance(expected, str):
        if found != expected:
            place = next((at for at, pair in enumerate(zip(found, expected, strict=False)) if pair[0] != pair[1]), None)
            place = min(len(found), len(expected)) if place is None else place
            _fail(reply, f"the {what} is {found!r}\n{'expected':>{len(what) + 7}} {expected!r}\nthey differ at {place}")
    elif isinstance(expected, re.Pattern):
        if not expected.search(found):
            _fail(reply, f"the {what} is {found!r}, expected to find {expected.pattern!r} in it")
    elif not expected(found):
        _fail(reply, f"the {what} is {found!r}, which {getattr(expected, '__name__', expected)!s} does not accept")


def _checked_rule(rule: str) -> str:
    if rule not in RULES:
        raise ValueError(f"{rule!r} is not the id of a rule in poeproto.lint.RULES")
    return rule


def _findings(findings: Iterable[Finding]) -> list[str]:
    lines = [f"  {each.level.value} {each.rule}: {each.path or 'response'}: {each.message}" for each in findings]
    return ["findings:", *(lines or ["  none"])]


def _with_joined_texts(events: Iterable[Event | type[Event]]) -> list[Event | type[Event]]:
    joined: list[Event | type[Event]] = []
    for event in events:
        last = joined[-1] if joined else None
        if isinstance(event, Text) and isinstance(last, Text) and event.index == last.index:
            joined[-1] = Text(last.text + event.text, index=event.index)
        else:
            joined.append(event)
    return joined


def _shown(event: Event | type[Event]) -> str:
    if isinstance(event, type):
        return f"any {event.__name__}"
    fields: list[str] = []
    for field in attrs.fields(type(event)):
        value = getattr(event, field.name)
        if value != field.default and value not in (None, {}):  # most have their default
            fields.append(f"{field.name}={value!r}")
    shown = f"{type(event).__name__}({', '.join(fields)})"
    return shown if len(shown) <= _SHOWN_LENGTH else f"{shown[:_SHOWN_LENGTH]}…"
