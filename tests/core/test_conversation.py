from __future__ import annotations

from itertools import pairwise
from typing import Any

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from poeproto import (
    Attachment,
    Feedback,
    FunctionCall,
    FunctionDefinition,
    InvalidValue,
    Message,
    QueryRequest,
    Reaction,
    Sender,
    ToolCall,
    ToolDefinition,
    ToolResult,
)
from poeproto.conversation import AttachmentTemplates, alternate_roles, insert_attachments, reduce_to_specification
from poeproto.testing import sample_query

PLAIN = AttachmentTemplates(text="text {name}: {content}", url="url {name}: {content}", image="image {name}: {content}")


def attachment(content_type: str, content: str | None, name: str = "a") -> Attachment:
    return Attachment(f"https://files.invalid/{name}", content_type, name, parsed_content=content)


def inserted(*attachments: Attachment, templates: AttachmentTemplates = PLAIN) -> list[str]:
    query = [Message("user", "first"), Message("user", "last", attachments=list(attachments))]
    found = insert_attachments(QueryRequest(query), templates).query
    assert [found[0], found[-1]] == query
    assert {message.role for message in found} == {"user"}
    return [message.content for message in found[1:-1]]


@pytest.mark.parametrize(
    ("content_type", "content", "message"),
    [
        ("text/plain", "x", "text a: x"),
        ("text/x-python; charset=utf-8", "x", "text a: x"),
        ("application/pdf", "x", "text a: x"),
        ("text/html", "x", "url a: x"),
        ("Text/HTML; charset=utf-8", "x", "url a: x"),
        ("image/png", "cat.png***A cat *** asleep", "image cat.png: A cat *** asleep"),
        ("image/png", "A cat", "image a: A cat"),
        ("text/plain", "{name} {} {0} {content}", "text a: {name} {} {0} {content}"),
    ],
)
def test_parsed_content_becomes_text(content_type: str, content: str, message: str) -> None:
    assert inserted(attachment(content_type, content)) == [message]


@pytest.mark.parametrize(("content_type", "content"), [("text/plain", None), ("image/png", ""), ("audio/mp3", "la")])
def test_an_empty_message_changes_nothing(content_type: str, content: str | None) -> None:
    request = QueryRequest([Message("user", "x", attachments=[attachment(content_type, content)])])
    assert insert_attachments(request) is request
    assert insert_attachments(QueryRequest([])) == QueryRequest([])


def test_images_come_after_all_text() -> None:
    kinds = ["image/png", "text/html", "image/gif", "text/css"]
    files = [attachment(kind, str(number)) for number, kind in enumerate(kinds, 1)]
    assert inserted(*files) == ["url a: 2", "text a: 4", "image a: 1", "image a: 3"]


def test_only_the_last_message_counts_and_the_rest_of_the_query_is_kept() -> None:
    file = attachment("text/plain", "x")
    request = QueryRequest([Message("user", "1", attachments=[file]), Message("bot", "2")], "u", extra={"new": 1})
    assert insert_attachments(request) is request
    request = attrs.evolve(request, query=request.query[:1])
    changed = insert_attachments(request)
    assert (changed.user_id, changed.extra, changed.query[-1]) == ("u", {"new": 1}, request.query[0])
    assert "{" not in changed.query[0].content


@given(st.text(min_size=1), st.text())
def test_name_and_content_arrive_verbatim(content: str, name: str) -> None:
    for content_type in ("text/plain", "text/html"):
        (message,) = inserted(attachment(content_type, content, name), templates=AttachmentTemplates())
        assert content in message
        assert name in message


@pytest.mark.parametrize("field", ["text", "url", "image"])
def test_a_template_has_a_place_for_the_content(field: str) -> None:
    changes: dict[str, Any] = {field: "{name}"}
    with pytest.raises(InvalidValue) as caught:
        AttachmentTemplates(**changes)
    assert caught.value.path == field
    changes[field] = None
    with pytest.raises(TypeError):
        AttachmentTemplates(**changes)


# --- alternation

messages = st.lists(st.builds(Message, st.sampled_from(["system", "user", "bot"]), st.text(max_size=3)), max_size=8)


@given(messages)
def test_roles_alternate_and_no_word_is_lost(given_messages: list[Message]) -> None:
    united = alternate_roles(given_messages)
    assert all(one.role != other.role for one, other in pairwise(united))
    assert alternate_roles(united) == united
    words = [message.content for message in given_messages if message.content]
    assert "\n\n".join(message.content for message in united if message.content) == "\n\n".join(words)


def test_a_run_becomes_its_last_message_with_the_content_of_the_others() -> None:
    one, two = attachment("text/plain", "1", "one"), attachment("text/plain", "2", "two")
    early = Message(
        "user", "a", attachments=[one], parameters={"p": 1}, metadata="m", timestamp=1, message_id="m1",
        feedback=[Feedback("like")], referenced_message=Message("bot", "r"), extra={"x": 1, "y": 1},
    )  # fmt: skip
    empty = Message("user", "", attachments=[attrs.evolve(one, name="again"), two])
    late = Message("user", "b", timestamp=2, message_id="m2", reactions=[Reaction("u", "heart")], extra={"y": 2})
    (united,) = alternate_roles([early, empty, late])
    assert united == Message(
        "user", "a\n\nb", attachments=[one, two], parameters={"p": 1}, metadata="m", timestamp=2, message_id="m2",
        feedback=[Feedback("like")], reactions=[Reaction("u", "heart")], referenced_message=Message("bot", "r"),
        extra={"x": 1, "y": 2},
    )  # fmt: skip


def test_later_parameters_and_metadata_win() -> None:
    early = Message("user", "a", parameters={"p": 1}, metadata="1")
    late = Message("user", "b", parameters={"q": 2}, metadata="2")
    (united,) = alternate_roles([early, late])
    assert (united.parameters, united.metadata) == ({"q": 2}, "2")


def test_a_single_message_is_unchanged() -> None:
    alone = Message("user", "a")
    assert alternate_roles(iter([alone]))[0] is alone
    assert alternate_roles([]) == []


# --- nothing beyond the specification


def test_a_query_by_the_specification_is_not_reduced() -> None:
    assert reduce_to_specification(sample_query()) == sample_query()
    assert reduce_to_specification(QueryRequest([])) == QueryRequest([])


@pytest.mark.parametrize(
    ("role", "reduced"),
    [
        *((role, role) for role in ("system", "user", "bot", "tool")),
        ("assistant", "bot"), ("model", "bot"), ("developer", "system"), ("function", "tool"), ("owner", "user"),
        ("", "user"),
    ],
)  # fmt: skip
def test_an_unknown_role_becomes_a_known_one(role: str, reduced: str) -> None:
    query = QueryRequest([Message(role, "x", referenced_message=Message(role, "y"))])
    (message,) = reduce_to_specification(query).query
    assert message == Message(reduced, "x", referenced_message=Message(reduced, "y"))


def test_unknown_values_and_keys_are_removed_at_any_depth() -> None:
    new: dict[str, Any] = {"extra": {"new": 1}}
    message = Message(
        "user",
        "<b>",
        "text/html",
        "thought",
        sender=Sender("u", **new),
        feedback=[Feedback("meh"), Feedback("like", **new)],
        attachments=[Attachment("u", "c", "n", **new)],
        parameters={"kept": 1},
        **new,
    )
    reduced = reduce_to_specification(QueryRequest([Message("bot", "x", referenced_message=message)], **new))
    assert reduced.extra == reduced.query[0].extra == {}
    assert reduced.query[0].referenced_message == Message(
        "user",
        "<b>",
        "text/plain",
        sender=Sender("u"),
        feedback=[Feedback("like")],
        attachments=[Attachment("u", "c", "n")],
        parameters={"kept": 1},
    )


def test_only_functions_are_left_of_tools_and_calls() -> None:
    call, result = ToolCall("1", FunctionCall("f")), ToolResult("1", "f", "x")
    tool = ToolDefinition(FunctionDefinition("f"))
    query = QueryRequest(
        [],
        tools=[ToolDefinition(None, "custom"), tool],
        tool_calls=[call, ToolCall("2", None, "custom"), ToolCall("3")],
        tool_results=[result, ToolResult("2", "", "y"), ToolResult("4", "", "of an earlier call")],
    )
    reduced = reduce_to_specification(query)
    assert (reduced.tools, reduced.tool_calls) == ([tool], [call])
    assert reduced.tool_results == [result, ToolResult("4", "", "of an earlier call")]
