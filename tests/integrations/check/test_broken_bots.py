"""The checker against bots that break one rule each, and against sound ones.

So a judgement that a rule is always kept fails the test of its broken bot, and one that it is always broken fails the
test of a sound bot. Each test makes sure of that: it judges what it saw again, with each rule judged so.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from typing import Any

import anyio
import attrs
import pytest

from poeproto.lint import Rule
from poeproto_check import (
    BotEnding,
    CheckOptions,
    CheckReport,
    CheckTimes,
    Exchange,
    ServerAddress,
    Verdict,
    check,
    checker,
    select_rules,
)
from poeproto_check.judge import Judge

from ...support.bots import KEY
from ...support.broken_bots import BROKEN, TEXT
from ...support.raw_bots import DONE, SoundBot, serving_raw

_BROKEN = (Verdict.FAIL, Verdict.WARN, Verdict.INFO, Verdict.HARNESS_ERROR)
# It sends 64 MiB; one test is enough.
_RULES = select_rules(skip=["http.body-limit"])


def run_check(url: str, options: CheckOptions, ending: BotEnding = BotEnding.DISCONNECTED) -> CheckReport:
    async def watch_end() -> BotEnding:
        return ending

    async def run() -> CheckReport:
        return await check(ServerAddress.of(url), options, watch_end=watch_end)

    return anyio.run(run)


class RecordingJudge(Judge):
    """A judge that repeats each of its judgements in another way."""

    last: RecordingJudge

    def __init__(self, rules: Mapping[str, Rule]) -> None:
        super().__init__(rules)
        self.judged: list[tuple[str, bool]] = []
        RecordingJudge.last = self

    def keeps(self, rule: str) -> None:
        self.judged.append((rule, True))
        super().keeps(rule)

    def breaks(self, rule: str, message: str, exchange: Exchange | None = None) -> None:
        self.judged.append((rule, False))
        super().breaks(rule, message, exchange)

    def broken_if(self, changed: str, *, kept: bool) -> set[str]:
        """The rules that are broken if each judgement on one rule is this one."""
        return {rule for rule, is_kept in self.judged if not (kept if rule == changed else is_kept)} & self.rules.keys()


@pytest.fixture
def recording(monkeypatch: pytest.MonkeyPatch) -> type[RecordingJudge]:
    """The judge of the next check."""
    monkeypatch.setattr(checker, "Judge", RecordingJudge)
    return RecordingJudge


def findings(report: CheckReport) -> dict[str, list[str]]:
    return {
        result.rule.id: [problem.message for problem in result.problems]
        for result in report.results
        if result.verdict in _BROKEN
    }


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_bot_has_exactly_its_findings(name: str, recording: type[RecordingJudge]) -> None:
    broken = BROKEN[name]
    rules = select_rules() if "http.body-limit" in broken.findings else _RULES
    options = CheckOptions(rules=rules, access_key=KEY, limits=broken.limits, times=broken.times)
    with serving_raw(broken.bot()) as url:
        found = findings(run_check(url, options, broken.ending))
        for seconds in broken.pauses:
            if found:
                break
            times = attrs.evolve(broken.times, piece=seconds)
            found = findings(run_check(url, attrs.evolve(options, times=times), broken.ending))
    assert found.keys() == broken.findings, found
    assert all(recording.last.broken_if(rule, kept=True) != broken.findings for rule in broken.findings)


class PausingBot(SoundBot):
    """Sends its events one after another, with pauses."""

    def events(self, query: dict[str, Any]) -> Iterator[bytes]:
        for _ in range(12):
            yield TEXT
            time.sleep(0.005)
        yield DONE


@pytest.mark.parametrize(("bot", "left"), [(SoundBot(), ["framing.buffering"]), (PausingBot(), [])])
def test_a_sound_bot_has_none(bot: SoundBot, left: list[str], recording: type[RecordingJudge]) -> None:
    times = CheckTimes(piece=0.001, buffered=0.03)
    with serving_raw(bot) as url:
        report = run_check(url, CheckOptions(rules=select_rules(), access_key=KEY, times=times))
    assert findings(report) == {}
    assert report.exit_code == 0
    assert [result.rule.id for result in report.results if result.verdict is not Verdict.PASS] == left
    always = [rule for rule in report_rules(report) if recording.last.broken_if(rule, kept=False) == {rule}]
    assert always == [rule for rule in report_rules(report) if rule not in left]


def report_rules(report: CheckReport) -> list[str]:
    return [result.rule.id for result in report.results]


def test_every_rule_has_a_broken_bot() -> None:
    assert {rule for broken in BROKEN.values() for rule in broken.findings} == select_rules().keys()
