"""The result of a rule: its verdict, and the evidence for it."""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum

import attrs

from poeproto.lint import Level, Rule
from poeproto_check.exchange import Exchange

__all__ = ["Problem", "Result", "Verdict"]


class Verdict(Enum):
    """The verdict of a run on a rule.

    Attributes:
        PASS: the rule is kept.
        FAIL: it is broken, and its level is MUST.
        WARN: it is broken, and its level is SHOULD.
        INFO: it is broken, and its level is MAY.
        NOT_APPLICABLE: it has no meaning here, or it was left out on request.
        UNTESTABLE: the bot server did not let it be judged, which counts as its level.
        HARNESS_ERROR: the check itself failed.
    """

    PASS = "pass"
    FAIL = "fail"
    WARN = "warn"
    INFO = "info"
    NOT_APPLICABLE = "not-applicable"
    UNTESTABLE = "untestable"
    HARNESS_ERROR = "harness-error"


BROKEN: Mapping[Level, Verdict] = {
    Level.MUST: Verdict.FAIL,
    Level.SHOULD: Verdict.WARN,
    Level.MAY: Verdict.INFO,
}


@attrs.frozen
class Problem:
    """One way in which a rule is broken, or could not be judged.

    Attributes:
        message: the observed behaviour, and the expected one.
        probe: the name of the probe that saw it.
        exchange: the bytes sent and received; None if there were none.
    """

    message: str
    probe: str
    exchange: Exchange | None = None


@attrs.frozen
class Result:
    """The verdict on one rule.

    Attributes:
        rule: the rule.
        verdict: the verdict.
        problems: the reasons for it; empty for a rule that is kept.
        reason: why it is not applicable or untestable; empty otherwise.
        is_expected: whether the baseline lists the rule.
    """

    rule: Rule
    verdict: Verdict
    problems: tuple[Problem, ...] = ()
    reason: str = ""
    is_expected: bool = False

    @property
    def exchange(self) -> Exchange | None:
        """The bytes sent and received for the first problem that has an exchange; None if no problem has one."""
        return next((problem.exchange for problem in self.problems if problem.exchange is not None), None)

    @property
    def counts_as(self) -> Verdict:
        """The verdict that decides about the exit code: untestable counts as the level of the rule."""
        return BROKEN[self.rule.level] if self.verdict is Verdict.UNTESTABLE else self.verdict

    def is_finding(self, strict: bool) -> bool:
        """Whether the run fails because of it: never for a rule that the baseline lists.

        Args:
            strict: whether a broken SHOULD counts.
        """
        counts = self.counts_as is Verdict.FAIL or (strict and self.counts_as is Verdict.WARN)
        return counts and not self.is_expected
