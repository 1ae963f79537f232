"""Normalising reactions: names and emoji, with or without a sign, become one form.

https://creator.poe.com/docs/server-bots/poe-protocol-specification
"""

from __future__ import annotations

import re

import attrs

from poeproto.vocabulary.field_types import checked
from poeproto.vocabulary.requests import ReportReactionRequest

__all__ = ["ReactionChange", "normalise_reaction", "reaction_change"]

_NAMES = {
    "like": "👍",
    "dislike": "👎",
    "heart": "❤🧡💛💚💙💜🖤🤍🤎💖💕",
    "laughing": "😂😆🤣😄😁",
    "surprised": "😮😲😯😳",
    "sad": "😢😭🙁☹😞",
}
_BY_EMOJI = {emoji: name for name, family in _NAMES.items() for emoji in family}
# Skin tones and variation selectors do not change the meaning.
_VARIANTS = re.compile("[\ufe0e\ufe0f\U0001f3fb-\U0001f3ff]")
_ADDED = {"added": True, "removed": False}


@checked
@attrs.frozen
class ReactionChange:
    """A reaction that was added or removed.

    Attributes:
        reaction: "like", "dislike", "heart", "laughing", "surprised" or "sad"; any other as received.
        added: True if it was added, False if it was removed.
    """

    reaction: str
    added: bool = True


def normalise_reaction(reaction: str, action: str | None = None) -> ReactionChange:
    """Normalise a reaction: a known emoji becomes its name; a sign and the action become `added`.

    Args:
        reaction: a name in any case, or an emoji; optionally with "+" or "-" before it.
        action: "added" or "removed" in any case. It overrides the sign; any other action is ignored.
    """
    text = reaction.strip()
    signed = len(text) > 1 and text[0] in "+-"
    added = not (signed and text[0] == "-")
    bare = text[1:].strip() if signed else text
    name = _BY_EMOJI.get(_VARIANTS.sub("", bare)) or (bare.lower() if bare.lower() in _NAMES else bare)
    return ReactionChange(name, _ADDED.get((action or "").strip().lower(), added))


def reaction_change(request: ReportReactionRequest) -> ReactionChange:
    """The reaction in a report, with the `action` that some peers send."""
    action = request.extra.get("action")
    return normalise_reaction(request.reaction, action if isinstance(action, str) else None)
