"""A finding of the lint."""

from __future__ import annotations

import attrs

from poeproto.lint.rule import Level
from poeproto.lint.rules import RULES

__all__ = ["Finding"]


def _check_rule(_finding: object, _field: object, rule: str) -> None:
    if rule not in RULES:
        raise ValueError(f"{rule!r} is not the id of a rule in poeproto.lint.RULES")


@attrs.frozen
class Finding:
    """A finding of the lint: one rule that a message breaks.

    Attributes:
        path: the place in the JSON, as in ``query[0].role``; in a reply it starts with the event, as in
            ``events[3].text``; empty for the whole.
        rule: the id of the rule, a key of `RULES`.
        message: the problem, for people.

    Raises:
        ValueError: for a rule that is not in `RULES`.
    """

    path: str
    rule: str = attrs.field(validator=_check_rule)
    message: str

    @property
    def level(self) -> Level:
        """The level of its rule."""
        return RULES[self.rule].level
