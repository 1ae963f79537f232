"""The checker against bots that break one rule each, and against a sound one."""

from __future__ import annotations

import anyio
import pytest

from poeproto_check import BotEnding, CheckOptions, CheckReport, CheckTimes, ServerAddress, Verdict, check, select_rules

from ...support.bots import KEY
from ...support.broken_bots import BROKEN
from ...support.raw_bots import SoundBot, serving_raw

_BROKEN = (Verdict.FAIL, Verdict.WARN, Verdict.INFO, Verdict.HARNESS_ERROR)
# It sends 64 MiB; one test is enough.
_RULES = select_rules(skip=["http.body-limit"])


def run_check(url: str, options: CheckOptions, ending: BotEnding = BotEnding.DISCONNECTED) -> CheckReport:
    async def watch_end() -> BotEnding:
        return ending

    async def run() -> CheckReport:
        return await check(ServerAddress.of(url), options, watch_end=watch_end)

    return anyio.run(run)


def findings(report: CheckReport) -> dict[str, list[str]]:
    return {
        result.rule.id: [problem.message for problem in result.problems]
        for result in report.results
        if result.verdict in _BROKEN
    }


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_bot_has_exactly_its_findings(name: str) -> None:
    broken = BROKEN[name]
    rules = select_rules() if "http.body-limit" in broken.findings else _RULES
    options = CheckOptions(rules=rules, access_key=KEY, limits=broken.limits, times=broken.times)
    with serving_raw(broken.bot()) as url:
        found = findings(run_check(url, options, broken.ending))
    assert found.keys() == broken.findings, found


def test_a_sound_bot_has_none() -> None:
    options = CheckOptions(rules=select_rules(), access_key=KEY, times=CheckTimes(piece=0.001))
    with serving_raw(SoundBot()) as url:
        report = run_check(url, options)
    assert findings(report) == {}
    assert report.exit_code == 0
    assert [result.rule.id for result in report.results if result.verdict is not Verdict.PASS] == ["framing.buffering"]


def test_every_rule_has_a_broken_bot() -> None:
    # So a rule that were always kept, or always broken, would fail a test.
    assert {rule for broken in BROKEN.values() for rule in broken.findings} == select_rules().keys()
