"""The lint: a strict reading that returns what is wrong as `Finding` values instead of raising.

Readers forgive much, so a message that they accept may still break the protocol. A finding has the path of its place,
the name of its rule, which is stable, and a severity: an error is something that Poe or a reader refuses or drops, a
warning something that Poe advises against, a note a mere difference from the specification. `ReplyQuota` counts a
reply against its limits.

https://creator.poe.com/docs/server-bots/poe-protocol-specification
"""

from __future__ import annotations

from poeproto.exchange import reply_quota
from poeproto.exchange.reply_quota import *
from poeproto.lint import body_lint, reply_lint, rules
from poeproto.lint.body_lint import *
from poeproto.lint.reply_lint import *
from poeproto.lint.rules import *

__all__: list[str] = []
__all__ += body_lint.__all__
__all__ += reply_lint.__all__
__all__ += reply_quota.__all__
__all__ += rules.__all__
