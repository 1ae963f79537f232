"""Rules of the protocol, and the levels that say how much depends on each.

https://creator.poe.com/docs/server-bots/poe-protocol-specification
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum

import attrs

__all__ = ["EDITIONS", "NEEDS", "SECTIONS", "Level", "Rule"]

_SPECIFICATION = "https://creator.poe.com/docs/server-bots/poe-protocol-specification"

SECTIONS: Mapping[str, str] = {
    "Identifiers": _SPECIFICATION,
    "Authentication": _SPECIFICATION,
    "Versioning": _SPECIFICATION,
    "Limits": _SPECIFICATION,
    "Requests": _SPECIFICATION,
    "The query request type": _SPECIFICATION,
    "The query request type: Response": _SPECIFICATION,
    "The settings request type": _SPECIFICATION,
    "The report_feedback request type": _SPECIFICATION,
    "The report_reaction request type": _SPECIFICATION,
    "The report_error request type": _SPECIFICATION,
    "Parameter controls": "https://creator.poe.com/docs/server-bots/parameter-controls",
    "Functional guides": "https://creator.poe.com/docs/server-bots/server-bots-functional-guides",
    "Server-sent events": "https://html.spec.whatwg.org/multipage/server-sent-events.html",
    "JSON (RFC 8259)": "https://www.rfc-editor.org/rfc/rfc8259",
    "HTTP semantics (RFC 9110)": "https://www.rfc-editor.org/rfc/rfc9110",
    "HTTP/1.1 (RFC 9112)": "https://www.rfc-editor.org/rfc/rfc9112",
}
"""The headings that rules refer to, each with its page: of Poe's specification, or of a standard that it builds on."""

EDITIONS: frozenset[int] = frozenset({2023, 2024, 2025})
"""The years of the specification's editions: its draft, that of the first server bots with files, and today's."""

NEEDS: Mapping[str, str] = {
    "request": "a request as its client sent it; a check of a bot server sees only its own requests",
    "query": "a query, to which the bot replies; it may cost money",
    "access-key": "the bot's access key",
    "target": "the bot in the process of the check, so that its code can be watched",
}
"""The means that a judge may need besides the URL of a bot server."""


class Level(Enum):
    """How much depends on a rule.

    Attributes:
        MUST: Poe or a reader refuses or drops a message that breaks it, or breaking it is unsafe.
        SHOULD: the specification advises it, and breaking it costs something under some conditions.
        MAY: breaking it is a mere difference from the specification.
    """

    MUST = "MUST"
    SHOULD = "SHOULD"
    MAY = "MAY"


@attrs.frozen
class Rule:
    """A rule of the protocol, as data.

    Attributes:
        id: its name, which is stable: a family, a dot, and a subject, as in ``event.field-types``.
        section: where it is from: a key of `SECTIONS`.
        level: how much depends on it.
        editions: the editions of the specification that have it, by year.
        needs: keys of `NEEDS`: what a judge needs; empty if the URL of a bot server is enough.
        text: the rule itself. Where documents disagree, it names every answer that is accepted.
        why: the consequence of breaking it.
        fix: the change that fixes it.
    """

    id: str
    section: str
    level: Level
    editions: frozenset[int]
    needs: frozenset[str]
    text: str
    why: str
    fix: str

    @property
    def family(self) -> str:
        """The part of its id before the dot."""
        return self.id.partition(".")[0]
