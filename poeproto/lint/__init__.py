"""The lint: a strict check that returns problems as `Finding` values instead of raising.

Readers forgive much, so a message that they accept may still break the protocol. A finding names the path of its place
and one rule of `RULES`. The rule says how much depends on it (`Level`), where it is from, why it exists, and how to
follow it. `ReplyQuota` counts a reply against its limits.

https://creator.poe.com/docs/server-bots/poe-protocol-specification
"""

from __future__ import annotations

from poeproto.exchange import reply_quota
from poeproto.exchange.reply_quota import *
from poeproto.lint import (
    body_lint,
    finding,
    message_rules,
    reply_lint,
    request_head_lint,
    rule,
    rules,
    server_rules,
    stack_traces,
)
from poeproto.lint.body_lint import *
from poeproto.lint.finding import *
from poeproto.lint.message_rules import *
from poeproto.lint.reply_lint import *
from poeproto.lint.request_head_lint import *
from poeproto.lint.rule import *
from poeproto.lint.rules import *
from poeproto.lint.server_rules import *
from poeproto.lint.stack_traces import *

__all__: list[str] = []
__all__ += body_lint.__all__
__all__ += finding.__all__
__all__ += message_rules.__all__
__all__ += reply_lint.__all__
__all__ += reply_quota.__all__
__all__ += request_head_lint.__all__
__all__ += rule.__all__
__all__ += rules.__all__
__all__ += server_rules.__all__
__all__ += stack_traces.__all__
