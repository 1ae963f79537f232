"""The judge: collects the judgements of the probes about each rule, and reduces them to one verdict."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from poeproto.lint import Rule
from poeproto_check.exchange import Exchange
from poeproto_check.result import BROKEN, Problem, Result, Verdict

__all__ = ["Judge"]


class Judge:
    """Collects judgements on the selected rules. A rule that any probe saw broken is broken.

    Args:
        rules: the selected rules, by id. Judgements on other rules are ignored.
    """

    def __init__(self, rules: Mapping[str, Rule]) -> None:
        self.rules = rules
        self.probe = ""  # the name of the probe that runs
        self._kept: set[str] = set()
        self._broken: dict[str, list[Problem]] = {}
        self._untestable: dict[str, list[Problem]] = {}
        self._not_applicable: dict[str, str] = {}
        self._harness_errors: dict[str, Problem] = {}

    def keeps(self, rule: str) -> None:
        """The server keeps the rule, as far as this probe sees it."""
        self._kept.add(rule)

    def breaks(self, rule: str, message: str, exchange: Exchange | None = None) -> None:
        """The server breaks the rule."""
        self._broken.setdefault(rule, []).append(Problem(message, self.probe, exchange))

    def expect(self, rule: str, kept: bool, message: str, exchange: Exchange | None = None) -> None:
        """The server keeps the rule if the condition is true; otherwise the message has the observation."""
        if kept:
            self.keeps(rule)
        else:
            self.breaks(rule, message, exchange)

    def cannot_test(self, rule: str, why: str, exchange: Exchange | None = None) -> None:
        """The server did something that keeps this probe from judging the rule."""
        self._untestable.setdefault(rule, []).append(Problem(why, self.probe, exchange))

    def does_not_apply(self, rule: str, why: str) -> None:
        """The rule has no meaning for this server, or was left out on request."""
        self._not_applicable.setdefault(rule, why)

    def failed(self, rules: Iterable[str], failure: BaseException) -> None:
        """The probe itself failed, so it says nothing about these rules."""
        problem = Problem(f"the check failed: {type(failure).__name__}: {failure}", self.probe)
        for rule in rules:
            self._harness_errors[rule] = problem

    def results(self) -> list[Result]:
        """The result of each selected rule, in the order of the table."""
        return [self._result(rule) for rule in self.rules.values()]

    def _result(self, rule: Rule) -> Result:
        if rule.id in self._broken:
            return Result(rule, BROKEN[rule.level], tuple(self._broken[rule.id]))
        if rule.id in self._harness_errors:
            return Result(rule, Verdict.HARNESS_ERROR, (self._harness_errors[rule.id],))
        if rule.id in self._kept:
            return Result(rule, Verdict.PASS)
        if rule.id in self._untestable:
            problems = self._untestable[rule.id]
            return Result(rule, Verdict.UNTESTABLE, tuple(problems), problems[0].message)
        why = self._not_applicable.get(rule.id, "nothing that it is about was seen")
        return Result(rule, Verdict.NOT_APPLICABLE, reason=why)
