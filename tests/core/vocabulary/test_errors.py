from __future__ import annotations

import copy
import pickle
from typing import Any

import pytest

import poeproto
from poeproto import (
    AttachmentExpired,
    BotError,
    CallBudgetSpent,
    ConnectFailed,
    ConnectionLost,
    DeadlineExceeded,
    Error,
    FetchForbidden,
    FileTooLarge,
    FunctionCall,
    HttpResponse,
    IncompleteChunkedBody,
    IncompleteReply,
    IncompleteSizedBody,
    InsufficientFunds,
    InvalidValue,
    LimitExceeded,
    LocalProtocolError,
    PoeprotoError,
    ProtocolError,
    RemoteProtocolError,
    ReplyFold,
    RequestRefused,
    ToolCall,
    ToolError,
    ToolFailed,
    TooManyFiles,
    TransportError,
    UndeclaredDependency,
    UnknownTool,
    UploadRefused,
)

PARENTS: list[tuple[type[Exception], type[Exception]]] = [
    (UndeclaredDependency, LocalProtocolError),
    (CallBudgetSpent, LocalProtocolError),
    (FileTooLarge, LocalProtocolError),
    (TooManyFiles, LocalProtocolError),
    (ToolError, LocalProtocolError),
    (UnknownTool, ToolError),
    (ToolFailed, ToolError),
    (FetchForbidden, LocalProtocolError),
    (AttachmentExpired, RequestRefused),
    (UploadRefused, RequestRefused),
    (InsufficientFunds, PoeprotoError),
    (PoeprotoError, Exception),
    (ProtocolError, PoeprotoError),
    (LocalProtocolError, ProtocolError),
    (RemoteProtocolError, ProtocolError),
    (IncompleteReply, RemoteProtocolError),
    (LimitExceeded, RemoteProtocolError),
    (RequestRefused, PoeprotoError),
    (BotError, PoeprotoError),
    (TransportError, PoeprotoError),
    (ConnectFailed, TransportError),
    (DeadlineExceeded, TransportError),
    (ConnectionLost, TransportError),
    (IncompleteChunkedBody, ConnectionLost),
    (IncompleteSizedBody, ConnectionLost),
]


@pytest.mark.parametrize(("child", "parent"), PARENTS, ids=[child.__name__ for child, _ in PARENTS])
def test_a_class_says_who_broke_the_rule(child: type[Exception], parent: type[Exception]) -> None:
    assert child.__bases__ == (parent,)


def test_every_public_error_has_one_root() -> None:
    public = {getattr(poeproto, name) for name in poeproto.__all__}
    errors = {value for value in public if isinstance(value, type) and issubclass(value, BaseException)}
    assert {child for child, _ in PARENTS} <= errors
    assert all(issubclass(error, PoeprotoError) for error in errors)


def test_blame_is_never_shared() -> None:
    assert not issubclass(RemoteProtocolError, LocalProtocolError)
    assert not issubclass(LocalProtocolError, RemoteProtocolError)
    assert not issubclass(TransportError, ProtocolError)
    assert not issubclass(BotError, ProtocolError)
    # A caller that catches ValueError must not treat a bug in poeproto as bad input.
    assert not any(issubclass(child, ValueError) for child, _ in PARENTS)


def test_an_invalid_value_raises_invalid_value_with_its_path() -> None:
    assert InvalidValue.__bases__ == (LocalProtocolError, ValueError)
    error = InvalidValue("7 is outside 10..100", path="controls[2].default_value")
    assert str(error) == "controls[2].default_value: 7 is outside 10..100"
    assert (error.path, error.message) == ("controls[2].default_value", "7 is outside 10..100")
    bare = pickle.loads(pickle.dumps(InvalidValue("no identifier")))
    assert (str(bare), bare.path, bare.message) == ("no identifier", "", "no identifier")


def test_a_cost_that_was_not_granted_has_the_reason_from_poe() -> None:
    error = InsufficientFunds("the cost was not granted", status="insufficient_balance")
    assert (str(error), error.status) == ("the cost was not granted", "insufficient_balance")


def test_a_fault_in_json_names_its_place() -> None:
    error = RemoteProtocolError("expected str, got int", path="query[0].role")
    assert str(error) == "query[0].role: expected str, got int"
    assert error.path == "query[0].role"
    assert error.response is None


def test_an_error_without_a_path_is_just_the_message() -> None:
    response = HttpResponse(400)
    error = RemoteProtocolError("not valid JSON", response=response)
    assert (str(error), error.path, error.response) == ("not valid JSON", "", response)


def test_a_passed_limit_is_named() -> None:
    response = HttpResponse(413)
    error = LimitExceeded("too large", limit="request_body", response=response)
    assert (str(error), error.limit, error.path, error.response) == ("too large", "request_body", "", response)
    assert LimitExceeded("too large", limit="events").response is None


def test_a_refusal_keeps_the_data_for_a_decision_on_a_retry() -> None:
    error = RequestRefused("status 503", status=503, retry_after="7", body_start=b"busy")
    assert (error.status, error.retry_after, error.body_start, str(error)) == (503, "7", b"busy", "status 503")
    bare = RequestRefused("status 500", status=500)
    assert (bare.retry_after, bare.body_start) == (None, b"")


@pytest.mark.parametrize(
    ("event", "message"),
    [
        (Error(text="no money", error_type="insufficient_fund"), "(insufficient_fund): no money"),
        (Error(text="broken"), "error: broken"),
        (Error(), "error: no text was given"),
        (Error(text=""), "error: no text was given"),
    ],
)
def test_an_error_event_speaks_through_the_exception(event: Error, message: str) -> None:
    error = BotError(event)
    assert error.event is event
    assert str(error).endswith(message)


def test_a_raw_response_may_hold_anything_and_is_not_shown() -> None:
    assert "sk-123" not in str(BotError(Error(text="no", raw_response={"key": "sk-123"})))


def test_a_bot_error_needs_an_event() -> None:
    text: Any = "no dogs"
    with pytest.raises(TypeError, match=r"BotError takes the Error event.*yield Error\(text=\.\.\.\)"):
        BotError(text)


@pytest.mark.parametrize(
    "error",
    [
        PoeprotoError("x"),
        IncompleteReply("x"),
        LimitExceeded("x", limit="events"),
        RequestRefused("x", status=500),
        BotError(Error()),
        ConnectionLost("x"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_every_error_can_carry_the_partial_reply(error: PoeprotoError) -> None:
    assert error.partial is None
    error.partial = fold = ReplyFold()
    assert error.partial is fold
    assert PoeprotoError.partial is None


@pytest.mark.parametrize(
    "error",
    [
        RemoteProtocolError("x", path="query[0]", response=HttpResponse(400)),
        LimitExceeded("x", limit="events"),
        RequestRefused("x", status=500, retry_after="7", body_start=b"busy"),
        BotError(Error(text="no")),
        ToolFailed("x", call=ToolCall("1", FunctionCall("f"))),
    ],
    ids=lambda error: type(error).__name__,
)
def test_an_error_survives_copying_and_pickling(error: PoeprotoError) -> None:
    for other in (copy.copy(error), pickle.loads(pickle.dumps(error))):
        assert type(other) is type(error)
        assert str(other) == str(error)
        assert vars(other) == vars(error)
