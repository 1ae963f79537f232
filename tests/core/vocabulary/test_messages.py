from __future__ import annotations

from typing import Any

import pytest

from poeproto import (
    Attachment,
    Feedback,
    Message,
    QueryRequest,
    Reaction,
    Sender,
    User,
    decode_request,
    encode_request,
)

ATTACHMENTS = "Message.attachments must be list[Attachment]"
UPLOAD = "upload files with Client.upload, and write [uploaded.attachment()]"


def test_the_defaults_of_a_message() -> None:
    message = Message("user", "Hello")
    assert message == Message(
        role="user",
        content="Hello",
        content_type="text/markdown",
        message_type=None,
        parameters={},
        timestamp=0,
        message_id="",
        sender=None,
        sender_id=None,
        feedback=[],
        attachments=[],
        metadata=None,
        referenced_message=None,
        reactions=[],
        extra={},
    )


@pytest.mark.parametrize("role", ["system", "user", "bot", "tool", "assistant", "", "🐈"])
def test_sets_of_names_are_open(role: str) -> None:
    assert Message(role, "", content_type=role, message_type=role).role == role
    assert Feedback(role).type == role
    assert Reaction("u", role).reaction == role


def test_a_role_and_a_text_that_are_swapped_are_refused() -> None:
    with pytest.raises(ValueError, match=r"role is 'Be brief.' and the content 'system'.*Message\('system', text\)"):
        Message("Be brief.", "system")
    with pytest.raises(ValueError, match=f"the role is '{'A' * 40}' and"):
        Message("A" * 100, "user")
    assert Message("developer", "user").role == "developer"  # another role, and a text that is the name of one
    assert Message("user", "system").content == "system"
    body = b'{"version":"1.2","type":"query","query":[{"role":"Be brief.","content":"user"}]}'
    received = decode_request(body)
    assert isinstance(received, QueryRequest)
    assert received.query[0].role == "Be brief."


def test_a_message_may_be_appended_to_a_received_query() -> None:
    received = decode_request(encode_request(QueryRequest([Message("user", "hello")])))
    assert isinstance(received, QueryRequest)
    received.query.append(Message("system", "Be brief."))
    assert decode_request(encode_request(received)) == received


def test_a_message_may_answer_a_message_that_answers_one() -> None:
    first = Message("user", "1")
    third = Message("user", "3", referenced_message=Message("bot", "2", referenced_message=first))
    assert third.referenced_message is not None
    assert third.referenced_message.referenced_message is first


def test_identifiers_may_be_unknown() -> None:
    assert User().id == Reaction().user_id == Message("user", "").message_id == ""
    assert Sender().id is None


@pytest.mark.parametrize(
    ("cls", "arguments", "message"),
    [
        (Message, {"role": None, "content": ""}, "Message.role must be str, got None"),
        (Message, {"role": "user", "content": b"x"}, "Message.content must be str, got a value of type bytes"),
        (Message, {"timestamp": 1.5}, "Message.timestamp must be int, got a value of type float"),
        (Message, {"timestamp": True}, "Message.timestamp must be int, got a value of type bool"),
        (Message, {"parameters": None}, "Message.parameters must be dict[str, Any], got None"),
        (Message, {"parameters": {1: 2}}, "Message.parameters must be dict[str, Any], got a value of type dict"),
        (Message, {"attachments": [{}]}, f"{ATTACHMENTS}, got a list with dict in it; {UPLOAD}"),
        (Message, {"attachments": ()}, f"{ATTACHMENTS}, got a value of type tuple; {UPLOAD}"),
        (Message, {"sender": {}}, "Message.sender must be Sender | None, got a value of type dict"),
        (
            Message,
            {"referenced_message": "m-1"},
            "Message.referenced_message must be Message | None, got a value of type str",
        ),
        (Message, {"metadata": {}}, "Message.metadata must be str | None, got a value of type dict"),
        (Message, {"extra": None}, "Message.extra must be Mapping[str, Any], got None"),
        (Attachment, {"url": None, "content_type": "", "name": ""}, "Attachment.url must be str, got None"),
        (User, {"id": 5}, "User.id must be str, got a value of type int"),
    ],
)
def test_types_are_checked(cls: type[Any], arguments: dict[str, Any], message: str) -> None:
    required: dict[str, Any] = {"role": "user", "content": ""} if cls is Message else {}
    with pytest.raises(TypeError) as caught:
        cls(**{**required, **arguments})
    assert str(caught.value) == message
