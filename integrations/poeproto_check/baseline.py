"""Baselines: the rules that a bot server is known to break, so that a run fails for new findings only.

A baseline is a text file with the id of a rule on each line; ``#`` begins a comment. An entry whose rule is kept by now
is stale, and fails the run: a baseline that only grows hides the next mistake.
"""

from __future__ import annotations

from collections.abc import Iterable

import attrs

from poeproto.lint import RULES
from poeproto_check.result import Result, Verdict

__all__ = ["BaselineError", "apply_baseline", "parse_baseline"]


class BaselineError(ValueError):
    """A line of a baseline is not the id of a rule. The message has its number."""


def parse_baseline(text: str) -> frozenset[str]:
    """The rules that a baseline lists.

    Raises:
        BaselineError: for a line with anything else than the id of a rule.
    """
    rules: set[str] = set()
    for number, line in enumerate(text.splitlines(), 1):
        rule = line.partition("#")[0].strip()
        if not rule:
            continue
        if rule not in RULES:
            raise BaselineError(f"line {number} is not the id of a rule: {rule[:60]!r}; --list shows all")
        rules.add(rule)
    return frozenset(rules)


def apply_baseline(results: Iterable[Result], baseline: frozenset[str]) -> tuple[list[Result], list[str]]:
    """The results with the expected ones marked, and the entries that are stale: their rules are kept."""
    marked = [
        attrs.evolve(result, is_expected=True)
        if result.rule.id in baseline and result.verdict not in (Verdict.PASS, Verdict.NOT_APPLICABLE)
        else result
        for result in results
    ]
    stale = [result.rule.id for result in marked if result.rule.id in baseline and result.verdict is Verdict.PASS]
    return marked, stale
