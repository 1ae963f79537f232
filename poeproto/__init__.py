"""The Poe server-bot protocol: bytes into events and events into bytes, without any I/O.

An integration moves the bytes: `poeproto_asgi` and `poeproto_h11` are such. Everything public is here under its own
name, but for `poeproto.testing`.
"""

from poeproto._states import State
from poeproto.bot import Bot, Context
from poeproto.bot_exchange import BotExchange
from poeproto.codec import (
    decode_event,
    decode_request,
    decode_settings,
    encode_event,
    encode_request,
    encode_settings,
    event_payload,
)
from poeproto.errors import (
    BotError,
    ConnectFailed,
    ConnectionLost,
    DeadlineExceeded,
    IncompleteReply,
    LimitExceeded,
    LocalProtocolError,
    PoeprotoError,
    ProtocolError,
    RemoteProtocolError,
    RequestRefused,
    TransportError,
)
from poeproto.events import (
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
from poeproto.http import Endpoints, HttpRequest, HttpResponse, RequestHead, ResponseHead
from poeproto.limits import Limits
from poeproto.messages import Attachment, Feedback, Message, Reaction, Sender, User
from poeproto.poe_exchange import PoeExchange
from poeproto.reply import ReplyFold
from poeproto.requests import (
    PROTOCOL_VERSION,
    QueryRequest,
    ReportErrorRequest,
    ReportFeedbackRequest,
    ReportReactionRequest,
    Request,
    SettingsRequest,
    UnknownRequest,
)
from poeproto.settings import SettingsResponse
from poeproto.sse import ServerSentEvent, SSEDecoder, encode_comment, encode_sse
from poeproto.tools import FunctionCall, FunctionDefinition, ToolCall, ToolDefinition, ToolResult

__all__ = [
    "PROTOCOL_VERSION",
    "Attachment",
    "Bot",
    "BotError",
    "BotExchange",
    "ConnectFailed",
    "ConnectionLost",
    "Context",
    "Data",
    "DeadlineExceeded",
    "Done",
    "Endpoints",
    "Error",
    "Event",
    "Feedback",
    "File",
    "FunctionCall",
    "FunctionDefinition",
    "HttpRequest",
    "HttpResponse",
    "IncompleteReply",
    "Json",
    "LimitExceeded",
    "Limits",
    "LocalProtocolError",
    "Message",
    "Meta",
    "PoeExchange",
    "PoeprotoError",
    "ProtocolError",
    "QueryRequest",
    "Reaction",
    "RemoteProtocolError",
    "ReplaceResponse",
    "ReplyFold",
    "ReportErrorRequest",
    "ReportFeedbackRequest",
    "ReportReactionRequest",
    "Request",
    "RequestHead",
    "RequestRefused",
    "ResponseHead",
    "SSEDecoder",
    "Sender",
    "ServerSentEvent",
    "SettingsRequest",
    "SettingsResponse",
    "State",
    "SuggestedReply",
    "Text",
    "ToolCall",
    "ToolDefinition",
    "ToolResult",
    "TransportError",
    "UnknownEvent",
    "UnknownRequest",
    "User",
    "decode_event",
    "decode_request",
    "decode_settings",
    "encode_comment",
    "encode_event",
    "encode_request",
    "encode_settings",
    "encode_sse",
    "event_payload",
]
