from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from poeproto import ReportReactionRequest
from poeproto.reactions import ReactionChange, normalise_reaction, reaction_change


@pytest.mark.parametrize(
    ("reaction", "action", "expected"),
    [
        ("like", None, ReactionChange("like")),
        (" Heart ", None, ReactionChange("heart")),
        ("👍", None, ReactionChange("like")),
        ("👍🏽", None, ReactionChange("like")),
        ("❤️", None, ReactionChange("heart")),
        ("❤", None, ReactionChange("heart")),
        ("🤣", None, ReactionChange("laughing")),
        ("😮", None, ReactionChange("surprised")),
        ("😢", None, ReactionChange("sad")),
        ("👎", None, ReactionChange("dislike")),
        ("+👍", None, ReactionChange("like")),
        ("-👍", None, ReactionChange("like", added=False)),
        ("-like", None, ReactionChange("like", added=False)),
        ("like", "removed", ReactionChange("like", added=False)),
        ("like", " Added", ReactionChange("like")),
        ("-👍", "added", ReactionChange("like")),
        ("+👍", "removed", ReactionChange("like", added=False)),
        ("-👍", "wiggled", ReactionChange("like", added=False)),
        ("🎉", None, ReactionChange("🎉")),
        ("Meh", None, ReactionChange("Meh")),
        ("", None, ReactionChange("")),
        ("-", None, ReactionChange("-")),
    ],
)
def test_reactions_have_one_form(reaction: str, action: str | None, expected: ReactionChange) -> None:
    assert normalise_reaction(reaction, action) == expected


@pytest.mark.parametrize(("extra", "added"), [({}, True), ({"action": "removed"}, False), ({"action": 3}, True)])
def test_a_report_says_what_changed(extra: dict[str, object], added: bool) -> None:
    assert reaction_change(ReportReactionRequest(reaction="👍", extra=extra)) == ReactionChange("like", added)


@given(st.sampled_from(["like", "👍", "❤️", "🎉", "Meh", "😆"]))
def test_a_normalised_reaction_is_unchanged(reaction: str) -> None:
    once = normalise_reaction(reaction).reaction
    assert normalise_reaction(once).reaction == once
