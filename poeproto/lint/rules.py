"""The table of all rules.

https://creator.poe.com/docs/server-bots/poe-protocol-specification
"""

from __future__ import annotations

from collections.abc import Mapping

from poeproto.lint.message_rules import MESSAGE_RULES
from poeproto.lint.rule import Rule
from poeproto.lint.server_rules import SERVER_RULES

__all__ = ["RULES"]

RULES: Mapping[str, Rule] = {**MESSAGE_RULES, **SERVER_RULES}
"""Every rule by its id: `MESSAGE_RULES`, which the lint judges, and `SERVER_RULES`, for which requests must be made."""
