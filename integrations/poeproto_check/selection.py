"""The selection of a run's rules, by its options."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from fnmatch import fnmatchcase

from poeproto import Limits
from poeproto.lint import EDITIONS, RULES, SECTIONS, Rule
from poeproto_check.probes import PROBES

__all__ = ["NoSuchRule", "limits_of", "select_rules"]

# https://creator.poe.com/docs/server-bots/poe-protocol-specification, in its editions.
_LIMITS: Mapping[int, Limits] = {
    2023: Limits(events=1_000, text_length=10_000, answer_seconds=120.0),
    2024: Limits(text_length=100_000, answer_seconds=600.0),
    2025: Limits(),
}
assert set(_LIMITS) == EDITIONS, "each edition has its limits"


class NoSuchRule(ValueError):
    """A name that is not a rule, family or section. The message says which names there are."""


def limits_of(edition: int) -> Limits:
    """The limits in an edition of the specification."""
    return _LIMITS[edition]


def _judged_rules() -> Mapping[str, Rule]:
    """The rules that the probes judge, in the order of the table."""
    judged = {rule for probe in PROBES for rule in probe.rules}
    return {rule.id: rule for rule in RULES.values() if rule.id in judged}


def select_rules(
    *, rules: Iterable[str] = (), skip: Iterable[str] = (), sections: Iterable[str] = (), edition: int = 2025
) -> dict[str, Rule]:
    """The rules to judge, by id.

    Args:
        rules: ids, families or patterns as in ``auth.*``; all if there are none.
        skip: the same, for rules to leave out.
        sections: the beginnings of names of sections; all if there are none.
        edition: the year of the edition of the specification.

    Raises:
        NoSuchRule: for a name without any rule.
    """
    wanted, unwanted = tuple(rules), tuple(skip)
    prefixes = tuple(section.casefold() for section in sections)
    judged = _judged_rules()
    for name in (*wanted, *unwanted):
        if not any(_matches(rule, name) for rule in judged.values()):
            families = dict.fromkeys(rule.family for rule in judged.values())
            similar = get_close_matches(name, [*judged, *families], 1)
            meant = f"did you mean {similar[0]}?" if similar else f"the families are {', '.join(families)};"
            raise NoSuchRule(f"no rule {name!r}; {meant} --list shows all")
    for prefix in prefixes:
        if not any(section.casefold().startswith(prefix) for section in SECTIONS):
            raise NoSuchRule(f"no section {prefix!r}; the sections are {', '.join(SECTIONS)}")
    return {
        rule.id: rule
        for rule in judged.values()
        if edition in rule.editions
        and (not wanted or any(_matches(rule, name) for name in wanted))
        and not any(_matches(rule, name) for name in unwanted)
        and (not prefixes or rule.section.casefold().startswith(prefixes))
    }


def _matches(rule: Rule, name: str) -> bool:
    return name in (rule.id, rule.family) or fnmatchcase(rule.id, name)
