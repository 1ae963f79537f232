"""The Poe server-bot protocol: bytes into events and events into bytes, without any I/O.

An integration moves the bytes: `poeproto_asgi` and `poeproto_h11` are such. Everything public is here under its own
name, but for `poeproto.testing`.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from poeproto.bot import Bot, BotReply, Context, ToolFunctions, UploadSource
    from poeproto.conversation import AttachmentTemplates, alternate_roles, insert_attachments
    from poeproto.errors import (
        AttachmentExpired,
        BotError,
        CallBudgetSpent,
        ConnectFailed,
        ConnectionLost,
        DeadlineExceeded,
        FetchForbidden,
        FileTooLarge,
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
        RequestRefused,
        ToolError,
        ToolFailed,
        TooManyFiles,
        TransportError,
        UndeclaredDependency,
        UnknownTool,
        UploadRefused,
    )
    from poeproto.exchange.bot_exchange import BotExchange
    from poeproto.exchange.poe_exchange import PoeExchange
    from poeproto.exchange.rate_limits import RateLimit, rate_limit, retry_after_seconds
    from poeproto.exchange.reply import Answer, ReplyFold
    from poeproto.exchange.reply_quota import ReplyQuota
    from poeproto.exchange.states import State
    from poeproto.flows.calls import (
        CloseResponse,
        Deliver,
        Effect,
        Flow,
        ReceiveData,
        ReplyStarted,
        RetryPolicy,
        RunTools,
        SendRequest,
        Wait,
        call_flow,
        cost_flow,
        upload_flow,
    )
    from poeproto.flows.costs import CostExchange, CostItem, authorize_cost_request, capture_cost_request
    from poeproto.flows.queries import CallBudget, query_flow, report_flow, settings_flow, tool_rounds_flow
    from poeproto.flows.settings_sync import fetch_settings_request, read_settings_sync, update_settings_request
    from poeproto.flows.tools import (
        ToolCallAggregator,
        delta_text,
        parse_arguments,
        prepare_call,
        tool_call_deltas,
        tool_content,
        tool_error,
        tool_result,
        tools_by_name,
    )
    from poeproto.flows.uploads import UploadedFile, read_upload, upload_by_url_request, upload_request
    from poeproto.limits import Limits
    from poeproto.lint.lint import ReplyLint, lint_event, lint_request, lint_settings
    from poeproto.lint.rules import Finding, Severity
    from poeproto.markdown import create_bot_url, inline_reference, make_inline_ref, markdown_image, markdown_link
    from poeproto.reactions import ReactionChange, normalise_reaction, reaction_change
    from poeproto.schemas import event_schema, request_schema, settings_schema
    from poeproto.vocabulary.controls import (
        AspectRatio,
        AspectRatioOption,
        Comparison,
        Control,
        Divider,
        DropDown,
        DropDownOption,
        LiteralValue,
        Operand,
        ParameterValue,
        Slider,
        TextArea,
        TextField,
        ToggleSwitch,
        UnknownControl,
    )
    from poeproto.vocabulary.events import (
        Data,
        Done,
        Error,
        Event,
        File,
        Json,
        Meta,
        ReplaceResponse,
        SuggestedReply,
        Text,
        UnknownEvent,
    )
    from poeproto.vocabulary.http import (
        BodyWriter,
        Endpoints,
        HttpRequest,
        HttpResponse,
        RequestHead,
        ResponseHead,
        StreamedBody,
    )
    from poeproto.vocabulary.identifiers import check_identifier, is_identifier, make_identifier
    from poeproto.vocabulary.messages import Attachment, Feedback, Message, Reaction, Sender, User
    from poeproto.vocabulary.parameter_controls import ConditionalControls, ParameterControls, Section, Tab
    from poeproto.vocabulary.requests import (
        PROTOCOL_VERSION,
        QueryRequest,
        ReportErrorRequest,
        ReportFeedbackRequest,
        ReportReactionRequest,
        Request,
        SettingsRequest,
        UnknownRequest,
    )
    from poeproto.vocabulary.settings import SettingsResponse
    from poeproto.vocabulary.tools import (
        FunctionCall,
        FunctionCallDelta,
        FunctionDefinition,
        ToolCall,
        ToolCallDelta,
        ToolDefinition,
        ToolResult,
    )
    from poeproto.wire.codec import (
        decode_event,
        decode_object,
        decode_request,
        decode_settings,
        encode_event,
        encode_request,
        encode_settings,
        event_payload,
    )
    from poeproto.wire.sse import ServerSentEvent, SSEDecoder, encode_comment, encode_sse

__all__ = [
    "PROTOCOL_VERSION",
    "Answer",
    "AspectRatio",
    "AspectRatioOption",
    "Attachment",
    "AttachmentExpired",
    "AttachmentTemplates",
    "BodyWriter",
    "Bot",
    "BotError",
    "BotExchange",
    "BotReply",
    "CallBudget",
    "CallBudgetSpent",
    "CloseResponse",
    "Comparison",
    "ConditionalControls",
    "ConnectFailed",
    "ConnectionLost",
    "Context",
    "Control",
    "CostExchange",
    "CostItem",
    "Data",
    "DeadlineExceeded",
    "Deliver",
    "Divider",
    "Done",
    "DropDown",
    "DropDownOption",
    "Effect",
    "Endpoints",
    "Error",
    "Event",
    "Feedback",
    "FetchForbidden",
    "File",
    "FileTooLarge",
    "Finding",
    "Flow",
    "FunctionCall",
    "FunctionCallDelta",
    "FunctionDefinition",
    "HttpRequest",
    "HttpResponse",
    "IncompleteChunkedBody",
    "IncompleteReply",
    "IncompleteSizedBody",
    "InsufficientFunds",
    "InvalidValue",
    "Json",
    "LimitExceeded",
    "Limits",
    "LiteralValue",
    "LocalProtocolError",
    "Message",
    "Meta",
    "Operand",
    "ParameterControls",
    "ParameterValue",
    "PoeExchange",
    "PoeprotoError",
    "ProtocolError",
    "QueryRequest",
    "RateLimit",
    "Reaction",
    "ReactionChange",
    "ReceiveData",
    "RemoteProtocolError",
    "ReplaceResponse",
    "ReplyFold",
    "ReplyLint",
    "ReplyQuota",
    "ReplyStarted",
    "ReportErrorRequest",
    "ReportFeedbackRequest",
    "ReportReactionRequest",
    "Request",
    "RequestHead",
    "RequestRefused",
    "ResponseHead",
    "RetryPolicy",
    "RunTools",
    "SSEDecoder",
    "Section",
    "SendRequest",
    "Sender",
    "ServerSentEvent",
    "SettingsRequest",
    "SettingsResponse",
    "Severity",
    "Slider",
    "State",
    "StreamedBody",
    "SuggestedReply",
    "Tab",
    "Text",
    "TextArea",
    "TextField",
    "ToggleSwitch",
    "TooManyFiles",
    "ToolCall",
    "ToolCallAggregator",
    "ToolCallDelta",
    "ToolDefinition",
    "ToolError",
    "ToolFailed",
    "ToolFunctions",
    "ToolResult",
    "TransportError",
    "UndeclaredDependency",
    "UnknownControl",
    "UnknownEvent",
    "UnknownRequest",
    "UnknownTool",
    "UploadRefused",
    "UploadSource",
    "UploadedFile",
    "User",
    "Wait",
    "alternate_roles",
    "authorize_cost_request",
    "call_flow",
    "capture_cost_request",
    "check_identifier",
    "cost_flow",
    "create_bot_url",
    "decode_event",
    "decode_object",
    "decode_request",
    "decode_settings",
    "delta_text",
    "encode_comment",
    "encode_event",
    "encode_request",
    "encode_settings",
    "encode_sse",
    "event_payload",
    "event_schema",
    "fetch_settings_request",
    "inline_reference",
    "insert_attachments",
    "is_identifier",
    "lint_event",
    "lint_request",
    "lint_settings",
    "make_identifier",
    "make_inline_ref",
    "markdown_image",
    "markdown_link",
    "normalise_reaction",
    "parse_arguments",
    "prepare_call",
    "query_flow",
    "rate_limit",
    "reaction_change",
    "read_settings_sync",
    "read_upload",
    "report_flow",
    "request_schema",
    "retry_after_seconds",
    "settings_flow",
    "settings_schema",
    "tool_call_deltas",
    "tool_content",
    "tool_error",
    "tool_result",
    "tool_rounds_flow",
    "tools_by_name",
    "update_settings_request",
    "upload_by_url_request",
    "upload_flow",
    "upload_request",
]

# Where each name is defined.
_HOMES = {
    "exchange.states": "State",
    "bot": "Bot BotReply Context ToolFunctions UploadSource",
    "exchange.bot_exchange": "BotExchange",
    "wire.codec": (
        "decode_event decode_object decode_request decode_settings encode_event encode_request encode_settings "
        "event_payload"
    ),
    "vocabulary.controls": (
        "AspectRatio AspectRatioOption Comparison Control Divider DropDown DropDownOption LiteralValue Operand "
        "ParameterValue Slider TextArea TextField ToggleSwitch UnknownControl"
    ),
    "conversation": "AttachmentTemplates alternate_roles insert_attachments",
    "flows.costs": "CostExchange CostItem authorize_cost_request capture_cost_request",
    "lint.rules": "Finding Severity",
    "errors": (
        "AttachmentExpired BotError CallBudgetSpent ConnectFailed ConnectionLost DeadlineExceeded FetchForbidden "
        "FileTooLarge IncompleteChunkedBody IncompleteReply IncompleteSizedBody InsufficientFunds InvalidValue "
        "LimitExceeded LocalProtocolError "
        "PoeprotoError ProtocolError RemoteProtocolError RequestRefused TooManyFiles ToolError ToolFailed "
        "TransportError UndeclaredDependency UnknownTool UploadRefused"
    ),
    "vocabulary.events": "Data Done Error Event File Json Meta ReplaceResponse SuggestedReply Text UnknownEvent",
    "flows.calls": (
        "CloseResponse Deliver Effect Flow ReceiveData ReplyStarted RetryPolicy RunTools SendRequest Wait "
        "call_flow cost_flow upload_flow"
    ),
    "vocabulary.http": "BodyWriter Endpoints HttpRequest HttpResponse RequestHead ResponseHead StreamedBody",
    "vocabulary.identifiers": "check_identifier is_identifier make_identifier",
    "limits": "Limits",
    "lint.lint": "ReplyLint lint_event lint_request lint_settings",
    "markdown": "create_bot_url inline_reference make_inline_ref markdown_image markdown_link",
    "vocabulary.messages": "Attachment Feedback Message Reaction Sender User",
    "vocabulary.parameter_controls": "ConditionalControls ParameterControls Section Tab",
    "exchange.poe_exchange": "PoeExchange",
    "flows.queries": "CallBudget query_flow report_flow settings_flow tool_rounds_flow",
    "exchange.rate_limits": "RateLimit rate_limit retry_after_seconds",
    "reactions": "ReactionChange normalise_reaction reaction_change",
    "exchange.reply": "Answer ReplyFold",
    "exchange.reply_quota": "ReplyQuota",
    "vocabulary.requests": (
        "PROTOCOL_VERSION QueryRequest ReportErrorRequest ReportFeedbackRequest ReportReactionRequest Request "
        "SettingsRequest UnknownRequest"
    ),
    "schemas": "event_schema request_schema settings_schema",
    "vocabulary.settings": "SettingsResponse",
    "flows.settings_sync": "fetch_settings_request read_settings_sync update_settings_request",
    "wire.sse": "SSEDecoder ServerSentEvent encode_comment encode_sse",
    "flows.tools": (
        "ToolCallAggregator delta_text parse_arguments prepare_call tool_call_deltas tool_content tool_error "
        "tool_result tools_by_name"
    ),
    "vocabulary.tools": (
        "FunctionCall FunctionCallDelta FunctionDefinition ToolCall ToolCallDelta ToolDefinition ToolResult"
    ),
    "flows.uploads": "UploadedFile read_upload upload_by_url_request upload_request",
}
_HOME = {name: module for module, names in _HOMES.items() for name in names.split()}


def __getattr__(name: str) -> Any:
    """Load the module of that name at its first use (PEP 562): whoever imports one part does not wait for all."""
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = globals()[name] = getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
